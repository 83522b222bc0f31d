#include "border.h"

#include "conf.h"
#include "fatal.h"
#include "guard_pages.h"
#include "guard_report.h"
#include "guard_signal.h"
#include "huge.h"
#include "os.h"
#include "run.h"
#include "span.h"
#include "span_table.h"

bool border_large, border_tail;

enum { PROTECTED_MOST = 8 * 1024 }; /* two mappings each, of the 65 530 that a process may have */

static enum guard_way way;
static _Atomic size_t protected;

/* Poison is not for zones: it would need a userfaultfd over all of them. */
static enum guard_way choose_way(void)
{
    if (conf_get(CONF_guard_way) == GUARD_MPROTECT)
        return GUARD_MPROTECT;
    void *page = os_map(PAGE_BYTES, PAGE_BYTES);
    bool works = page != NULL && os_guard_install(page, PAGE_BYTES);
    if (page != NULL)
        os_unmap(page, PAGE_BYTES);
    return works ? GUARD_MADVISE : GUARD_MPROTECT;
}

void border_init(void)
{
    if (!conf_get(CONF_guard_large) && !conf_get(CONF_guard_tail))
        return;
    way = choose_way();
    border_large = conf_get(CONF_guard_large);
    border_tail = conf_get(CONF_guard_tail) && way == GUARD_MADVISE;
    if (conf_get(CONF_guard_tail) && !border_tail)
        warning("guard_tail is off: it needs guard_way:madvise, Linux 6.13");
}

void border_report(void)
{
    if (!border_large && !border_tail)
        return;
    guard_report_init();
    if (guard_rate == 0) /* else it stands there already */
        guard_signal_init();
}

bool border_close(void *addr, size_t size)
{
    if (way == GUARD_MADVISE)
        return guard_pages_close_by(way, addr, size);
    if (add_relaxed(&protected, 1) < PROTECTED_MOST && guard_pages_close_by(way, addr, size))
        return true;
    sub_relaxed(&protected, 1);
    return !guard_pages_open_by(way, addr, size); /* it may have been done in part */
}

bool border_open(void *addr, size_t size)
{
    bool ok = guard_pages_open_by(way, addr, size);
    if (ok && way == GUARD_MPROTECT)
        sub_relaxed(&protected, 1);
    return ok;
}

/* ---- whose address is it? ---- */

static void describe(struct guard_slot *block, void *start, size_t size)
{
    *block = (struct guard_slot){.state = GUARD_LIVE, .start = (uintptr_t)start, .size = size};
}

/* Behind the last slot of a span. */
static bool find_tail(uintptr_t address, struct guard_slot *block)
{
    uint32_t span = (uint32_t)((address - arena_base) >> SPAN_BITS);
    unsigned bin = load_relaxed(arena_map_entry(span)) / 16;
    if (bin == 0 || (address & (SPAN_BYTES - 1)) < SPAN_BYTES - span_info(span)->closed * PAGE_BYTES)
        return false;
    size_t size = sizeclass_table[bin].size;
    describe(block, span_address(span) + (sizeclass_table[bin].slots - 1) * size, size);
    return true;
}

bool border_find(uintptr_t address, struct guard_slot *block)
{
    const void *p = (const void *)address;
    struct block_place found = {0};
    if (border_tail && span_zone_contains(p))
        return find_tail(address, block);
    if (!border_large)
        return false;
    found = run_zone_contains(p) ? run_border_find(p) : huge_border_find(p);
    if (found.start != NULL)
        describe(block, found.start, found.bytes);
    return found.start != NULL;
}

bool border_let(uintptr_t address)
{
    void *page = (void *)align_down(address, PAGE_BYTES);
    if (span_zone_contains(page) || run_zone_contains(page))
        return guard_pages_open_by(way, page, PAGE_BYTES);
    return os_commit(page, PAGE_BYTES) == 0;
}
