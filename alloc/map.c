#include "map.h"

#include "background.h"
#include "guard.h"
#include "os.h"
#include "run.h"
#include "span_pages.h"
#include "span_pool.h"

enum {
    STEP_PAGES = 256, /* between looks for faults, and at the clock */
    PART_NS = 500000,
    FULL = 255,
};

static uint8_t fill_of(size_t bytes)
{
    return (uint8_t)min_size((bytes * FULL + PAGE_BYTES - 1) / PAGE_BYTES, FULL);
}

/* ---- spans ---- */

static struct map_page span_page_in_use(uint32_t span, unsigned bin, unsigned page)
{
    const struct span *s = span_info(span);
    uint8_t fill = fill_of(span_page_live(span, bin, page));
    if (load_relaxed(&s->away) >> page & 1)
        return (struct map_page){background_page_state(span * SPAN_PAGES + page), fill};
    bool here = fill > 0 || (read_racy(s->populated) >> page & 1);
    return (struct map_page){here ? MAP_SMALL : MAP_EMPTY, fill};
}

static struct map_page span_page(uint32_t span, unsigned page)
{
    const struct span *s = span_info(span);
    unsigned bin = load_relaxed(&s->bin);
    switch ((enum span_state)load_relaxed(&s->state)) {
    case SPAN_IN_USE:
        return bin != 0 && bin < BIN_COUNT ? span_page_in_use(span, bin, page)
                                           : (struct map_page){MAP_EMPTY, 0};
    case SPAN_DIRTY:
        return (struct map_page){MAP_DIRTY, 0};
    case SPAN_PURGING:
    case SPAN_CLEAN:
        return (struct map_page){MAP_RETURNED, 0};
    default:
        return (struct map_page){MAP_UNUSED, 0};
    }
}

static void map_spans(size_t first, size_t count, struct map_page *pages)
{
    uint32_t frontier = span_pool_frontier();
    for (size_t i = 0; i < count; i++) {
        uint32_t span = (uint32_t)((first + i) / SPAN_PAGES);
        pages[i] = span > 0 && span < frontier ? span_page(span, (unsigned)((first + i) % SPAN_PAGES))
                                               : (struct map_page){MAP_UNUSED, 0};
    }
}

/* ---- guarded slots ---- */

static struct map_page guard_page(uintptr_t address)
{
    const struct guard_slot *slot = guard_slot_at(address);
    if (slot == NULL)
        return (struct map_page){MAP_UNUSED, 0};
    uintptr_t start = slot->start, end = start + slot->size, page_end = address + PAGE_BYTES;
    if (atomic_load(&slot->state) != GUARD_LIVE || end <= address || start >= page_end)
        return (struct map_page){MAP_CLOSED, 0};
    return (struct map_page){
        MAP_GUARDED, fill_of((end < page_end ? end : page_end) - (start > address ? start : address))};
}

static void map_guard(size_t first, size_t count, struct map_page *pages)
{
    for (size_t i = 0; i < count; i++)
        pages[i] = guard_page((uintptr_t)arena_start(REGION_GUARD) + (first + i) * PAGE_BYTES);
}

/* ---- a part of any of them ---- */

static const struct {
    enum arena_region region;
    void (*map)(size_t first, size_t count, struct map_page *pages);
} zones[MAP_ZONE_COUNT] = {
    [MAP_SPANS] = {REGION_SPANS, map_spans},
    [MAP_RUNS] = {REGION_RUNS, run_map},
    [MAP_GUARD] = {REGION_GUARD, map_guard},
};

size_t map_read(uint64_t argument, struct map_part *part, size_t size)
{
    uint64_t zone = argument >> 56, first = argument & (((uint64_t)1 << 56) - 1);
    if (zone >= MAP_ZONE_COUNT || size < sizeof(*part))
        return 0;
    size_t pages = arena_committed(zones[zone].region) / PAGE_BYTES;
    size_t most =
        first < pages ? min_size(pages - first, (size - sizeof(*part)) / sizeof(part->pages[0])) : 0;
    uint64_t end = os_now_ns() + PART_NS;
    uint32_t count = 0;
    while (count < most && (count == 0 || os_now_ns() < end)) {
        size_t step = min_size(most - count, STEP_PAGES);
        zones[zone].map(first + count, step, part->pages + count);
        count += (uint32_t)step;
        background_breathe();
    }
    part->zone_pages = pages;
    part->count = count;
    part->zone = (uint32_t)zone;
    return sizeof(*part) + count * sizeof(part->pages[0]);
}
