#include "span_pages.h"

uint32_t span_page_live(uint32_t span, unsigned bin, unsigned page)
{
    uint32_t live = 0, slot, end, from, to;
    span_page_slots(bin, page, &slot, &end);
    for (; slot < end; slot++) {
        if (span_slot_free(span, slot))
            continue;
        span_slot_part(bin, page, slot, &from, &to);
        live += to - from;
    }
    return live;
}

bool span_look(uint32_t span, struct span_totals *totals, bool note)
{
    struct span *s = span_info(span);
    unsigned bin = span_packable_bin(span);
    if (bin == 0)
        return false;
    size_t size = sizeclass_table[bin].size;
    int32_t free_slots = load_relaxed(&s->free_slots), change = free_slots - s->seen_free;
    bool busy = span_is_busy(span);
    totals->live += (size_t)(sizeclass_table[bin].slots - free_slots) * size;
    totals->populated += (size_t)__builtin_popcount(read_racy(s->populated) & ~load_relaxed(&s->away));
    totals->churn += (size_t)(change < 0 ? -change : change) * size;
    if (note) {
        s->seen_free = free_slots;
        store_relaxed(&s->recent, 0);
    }
    return busy;
}

uint16_t span_pages_leave(uint32_t span, uint16_t pages, uint32_t most)
{
    struct span *s = span_info(span);
    unsigned bin = span_packable_bin(span);
    if (bin == 0)
        return 0;
    uint16_t chosen = 0;
    span_lock_bin(bin);
    if (span_packable_bin(span) == bin) {
        for (unsigned page = 0; page < SPAN_PAGES; page++) {
            if ((pages & s->populated) >> page & 1 && span_page_live(span, bin, page) <= most)
                chosen |= (uint16_t)(1u << page);
        }
        store_relaxed(&s->away, load_relaxed(&s->away) | chosen);
    }
    span_unlock_bin(bin);
    if (chosen != 0)
        span_settle_list(bin, span);
    return chosen;
}

void span_pages_back(uint32_t span, uint16_t pages)
{
    struct span *s = span_info(span);
    store_relaxed(&s->away, load_relaxed(&s->away) & (uint16_t)~pages);
}

void span_pages_settle(uint32_t span)
{
    unsigned bin = span_packable_bin(span);
    if (bin != 0)
        span_settle_list(bin, span);
}

bool span_page_vacate(uint32_t span, unsigned page)
{
    struct span *s = span_info(span);
    unsigned bin = s->bin;
    bool vacant = true;
    if (s->state != SPAN_IN_USE || bin == 0)
        return true;
    span_lock_bin(bin);
    if (s->state == SPAN_IN_USE && s->bin == bin) {
        vacant = span_page_live(span, bin, page) == 0;
        if (vacant)
            s->populated &= (uint16_t) ~(1u << page);
    }
    span_unlock_bin(bin);
    return vacant;
}
