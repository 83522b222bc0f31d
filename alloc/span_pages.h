/*
 * Pages of spans as the compactor sees them: all it ever asks about spans, and tells them.
 *
 * Only spans whose slots are smaller than a page are packed: programs madvise, mprotect and mlock larger and
 * page-aligned blocks.
 */
#ifndef SINTER_SPAN_PAGES_H
#define SINTER_SPAN_PAGES_H

#include "base.h"
#include "span_table.h"

/* The slots [*first, *end) of `bin` have a part on page `page` of a span. */
static inline void span_page_slots(unsigned bin, unsigned page, uint32_t *first, uint32_t *end)
{
    uint32_t size = sizeclass_table[bin].size, slots = sizeclass_table[bin].slots;
    *first = page * (uint32_t)PAGE_BYTES / size;
    *end = (uint32_t)min_size(((page + 1) * (uint32_t)PAGE_BYTES + size - 1) / size, slots);
}

/* The part of `slot` that lies on the page: [*from, *to), offsets into the page. */
static inline void span_slot_part(unsigned bin, unsigned page, uint32_t slot, uint32_t *from, uint32_t *to)
{
    size_t size = sizeclass_table[bin].size, start = page * PAGE_BYTES, at = slot * size;
    *from = (uint32_t)(max_size(at, start) - start);
    *to = (uint32_t)(min_size(at + size, start + PAGE_BYTES) - start);
}

/* Is the slot free in its span? Slots in thread caches are not. Needs no lock. */
static inline bool span_slot_free(uint32_t span, uint32_t slot)
{
    return load_relaxed(span_word(span, slot / 64)) >> (slot % 64) & 1;
}

/* Bytes on the page that belong to slots which are not free. */
uint32_t span_page_live(uint32_t span, unsigned bin, unsigned page);

/* The bin of a span in use whose pages may be packed; 0 otherwise. A hint unless the bin's lock is held. */
static inline unsigned span_packable_bin(uint32_t span)
{
    const struct span *s = span_info(span);
    unsigned bin = s->bin;
    return s->state == SPAN_IN_USE && sizeclass_table[bin].size < PAGE_BYTES ? bin : 0;
}

/* Is the span in use by blocks that are not packed? The same holds. */
static inline bool span_unpackable(uint32_t span)
{
    const struct span *s = span_info(span);
    unsigned bin = s->bin;
    return s->state == SPAN_IN_USE && sizeclass_table[bin].size >= PAGE_BYTES;
}

/* Sums over spans. */
struct span_totals {
    size_t live;      /* bytes of slots that are not free */
    size_t populated; /* pages that are here and may have memory */
    size_t churn;     /* bytes of slots taken or given back since the last look */
};

/*
 * Adds the span to *totals if it can be packed. With `note`, the next look starts from here. Returns whether slots have been
 * taken or given back since the last noted look.
 */
bool span_look(uint32_t span, struct span_totals *totals, bool note);

/* Have slots been taken or given back since the last noted look? */
static inline bool span_is_busy(uint32_t span)
{
    const struct span *s = span_info(span);
    return load_relaxed(&s->recent) || load_relaxed(&s->free_slots) != s->seen_free;
}

/*
 * Marks as away those of `pages` that are populated and have at most `most` live bytes, so that the span is the last to
 * serve allocations, and returns them.
 */
uint16_t span_pages_leave(uint32_t span, uint16_t pages, uint32_t most);

/* The pages are not away any more. The span is listed accordingly when it is settled the next time. */
void span_pages_back(uint32_t span, uint16_t pages);

/* Puts the span where its free slots and its pages belong. */
void span_pages_settle(uint32_t span);

/*
 * The page, which is absent, has no live slot: it counts as never used. False if a slot has been taken meanwhile; nothing
 * has changed then.
 */
bool span_page_vacate(uint32_t span, unsigned page);

#endif
