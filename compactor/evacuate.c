#include "evacuate.h"

#include "conf.h"
#include "family.h"
#include "os.h"
#include "pack.h"
#include "pages.h"
#include "probes.h"
#include "service.h"
#include "span_pages.h"
#include "store.h"

enum {
    RUN_PAGES =
        64, /* a call: hides the shoot-down of the other CPUs' translations, and splits huge pages here */
    PACK_PAGES = 32,    /* between looks for faults */
    REFUSED_TICKS = 15, /* a minute: programs that lock or protect heap memory do so for long */
    HOLE_TICKS = 7,
    REFUSED_RUN = 8
};

struct evacuate_counters evacuate_counters;

/* ---- moving out ---- */

static bool shadow_ready(uint32_t chunk)
{
    if (chunk_info(chunk)->shadow)
        return true;
    if (!chunk_shadow_map(chunk))
        return false;
    if (uffd_register(&service_uffd, page_shadow(chunk * CHUNK_PAGES), CHUNK_BYTES) == 0)
        return true;
    chunk_shadow_unmap(chunk);
    return false;
}

static void stays(uint32_t page, uint32_t ticks)
{
    span_pages_back(page_span(page), (uint16_t)(1u << page % SPAN_PAGES));
    page_info(page)->not_before = tick_after(os_now_ms(), ticks);
}

static bool move_one(uint32_t page)
{
    uint8_t result;
    return uffd_move(&service_uffd, page_shadow(page), page_address(page), 1, UFFD_DONTWAKE, &result) == 1;
}

/*
 * A page is not exclusive any more once there was a fork, even when the child is gone, until somebody writes to it. Where
 * the child is still there, moving would need a copy and save nothing.
 */
static bool move_busy(uint32_t page)
{
    char *address = page_address(page);
    uint8_t here;
    if (!uffd_exclusive(&service_uffd, address) || !uffd_present(&service_uffd, address, 1, &here) || !here)
        return false;
    return os_populate(address, PAGE_BYTES) && move_one(page);
}

static bool move_otherwise(uint32_t page, enum uffd_result why)
{
    if (why == UFFD_BUSY)
        return move_busy(page);
    if (why == UFFD_OCCUPIED) { /* mlockall(2) has populated the shadow */
        os_purge(page_shadow(page), PAGE_BYTES);
        return move_one(page);
    }
    return false;
}

static size_t move_out(uint32_t first, uint32_t n)
{
    uint8_t result[RUN_PAGES];
    size_t moved = 0;
    bool ready = !family_is_frozen() && shadow_ready(first / CHUNK_PAGES);
    if (ready)
        uffd_move(&service_uffd, page_shadow(first), page_address(first), n, UFFD_DONTWAKE, result);
    for (uint32_t i = 0; i < n; i++) {
        if (ready && (result[i] == UFFD_DONE || move_otherwise(first + i, (enum uffd_result)result[i]))) {
            page_become(first + i, PAGE_ASIDE);
            moved++;
        } else {
            stays(first + i, ready && result[i] == UFFD_HOLE ? HOLE_TICKS : REFUSED_TICKS);
        }
    }
    if (moved == 0 && n >= REFUSED_RUN) /* such as memory that is locked: not page by page, and not often */
        page_chunk(first)->refused_until = tick_after(os_now_ms(), REFUSED_TICKS);
    PROBE_MOVE_OUT(page_address(first), moved);
    add_relaxed(&evacuate_counters.moved_out, moved);
    service_breathe();
    return moved;
}

/* The span's pages that are here and may go. */
static uint16_t candidates(uint32_t span, bool force, uint64_t now)
{
    uint16_t pages = 0;
    if (span_packable_bin(span) == 0 || (!force && span_is_busy(span)))
        return 0;
    for (uint32_t i = 0; i < SPAN_PAGES; i++) {
        struct page *p = page_info(span * SPAN_PAGES + i);
        if (p->state == PAGE_RESIDENT && (force || !tick_ahead(&p->not_before, now)))
            pages |= (uint16_t)(1u << i);
    }
    return pages;
}

size_t evacuate_spans(uint32_t from, uint32_t n_spans, bool force, bool all)
{
    uint32_t most = all ? PAGE_BYTES : (uint32_t)(conf_get(CONF_compact_full) * (int64_t)PAGE_BYTES / 100),
             first = 0, n = 0, chunk = from / CHUNK_SPANS;
    size_t moved = 0, before = chunk_info(chunk)->aside;
    uint64_t now = os_now_ms();
    if (chunk_info(chunk)->unverified && !service_verify(chunk))
        return 0;
    for (uint32_t span = from; span < from + n_spans; span++) {
        uint16_t pages = candidates(span, force, now);
        pages = pages != 0 ? span_pages_leave(span, pages, most) : 0;
        for (; pages != 0; pages &= (uint16_t)(pages - 1)) {
            uint32_t page = span * SPAN_PAGES + (uint32_t)__builtin_ctz(pages);
            if (n > 0 && (page != first + n || n == RUN_PAGES)) {
                moved += move_out(first, n);
                n = 0;
            }
            first = n == 0 ? page : first;
            n++;
        }
    }
    if (n > 0)
        moved += move_out(first, n);
    if (before == 0 && moved > 0)
        chunk_info(chunk)->aside_since = (uint32_t)now;
    return moved;
}

/* ---- packing ---- */

/* Nothing is left of the page. */
static void page_died(uint32_t page)
{
    page_info(page)->record = PACK_NOTHING;
    page_become(page, PAGE_RESIDENT);
    span_pages_back(page_span(page), (uint16_t)(1u << page % SPAN_PAGES));
    span_page_vacate(page_span(page), page % SPAN_PAGES);
}

/*
 * The page is dropped by its caller. Between the choice of a page and its move its span may have been given to blocks that are
 * not packed, and they may have written to it.
 */
static bool pack(uint32_t page)
{
    if (span_unpackable(page_span(page))) {
        service_bring_back(page, 1);
        return true;
    }
    uint32_t record = pack_page(page, page_shadow(page));
    if (record == PACK_FAILED)
        return false;
    if (record == PACK_NOTHING) {
        page_died(page);
        return true;
    }
    page_info(page)->record = record;
    page_become(page, PAGE_PACKED);
    PROBE_PACK(page_address(page), store_record(record)->bytes);
    if (page_info(page)->heat > 0)
        page_info(page)->heat--;
    add_relaxed(&evacuate_counters.packed, 1);
    return true;
}

static void bring_back_all(uint32_t chunk)
{
    uint32_t page = chunk * CHUNK_PAGES, end = page + CHUNK_PAGES;
    for (; page < end; page += SERVICE_RUN) {
        service_bring_back(page, SERVICE_RUN);
        service_breathe();
    }
}

#if defined(__x86_64__)
enum { STORES_IN_ORDER = 1 };
#else
enum { STORES_IN_ORDER = 0 };
#endif

/*
 * Whoever has stored to a slot on a page before it was moved has taken the slot before that; this makes the taking visible
 * as well, where the order of the stores alone does not.
 */
static void see_slots_taken(void)
{
    if (!STORES_IN_ORDER)
        os_barrier();
}

/* What was packed stays in the shadow until all of the chunk is: one call then gives back all of it. */
enum evacuate_result evacuate_pack(uint32_t chunk, uint32_t most)
{
    struct chunk *c = chunk_info(chunk);
    uint32_t page = chunk * CHUNK_PAGES, end = page + CHUNK_PAGES;
    if (c->unverified && !service_verify(chunk))
        return EVACUATE_INTERRUPTED;
    see_slots_taken();
    for (uint32_t done = 0; page < end && c->aside > 0; page++) {
        if (page_info(page)->state != PAGE_ASIDE)
            continue;
        if (family_is_frozen() || c->unverified || done == most)
            return EVACUATE_INTERRUPTED;
        if (!pack(page)) {
            bring_back_all(chunk);
            return EVACUATE_NO_MEMORY;
        }
        if (++done % PACK_PAGES == 0)
            service_breathe();
    }
    if (c->aside == 0)
        chunk_shadow_unmap(chunk);
    return EVACUATE_DONE;
}

/* ---- what has died ---- */

void evacuate_shrink(uint32_t chunk)
{
    struct chunk *c = chunk_info(chunk);
    uint32_t page = chunk * CHUNK_PAGES, end = page + CHUNK_PAGES;
    if (c->unverified && !service_verify(chunk))
        return;
    c->changed = false;
    for (uint32_t done = 0; page < end && c->packed > 0 && !family_is_frozen(); page++) {
        struct page *p = page_info(page);
        if (p->state != PAGE_PACKED)
            continue;
        p->record = pack_shrink(page, p->record);
        if (p->record == PACK_NOTHING)
            page_died(page);
        if (++done % PACK_PAGES == 0)
            service_breathe();
    }
    for (uint32_t span = chunk * CHUNK_SPANS; span < (chunk + 1) * CHUNK_SPANS; span++)
        span_pages_settle(span);
}

static void record_moved(uint32_t page, uint32_t record)
{
    page_info(page)->record = record;
}

bool evacuate_clean_store(void)
{
    return !family_is_frozen() && store_clean(record_moved);
}
