#include "span_sweep.h"

#include "decay.h"
#include "span_pages.h"
#include "span_pool.h"
#include "span_table.h"

/*
 * A sweep takes the free slots of a page as if it allocated them, so that nobody else can use the page while its
 * memory goes back, and then frees them.
 */

static bool page_is_free_locked(uint32_t span, unsigned bin, unsigned page)
{
    uint32_t slot, end;
    span_page_slots(bin, page, &slot, &end);
    bool any = slot < end;
    while (slot < end) {
        uint32_t bit = slot % 64, count = (uint32_t)min_size(64 - bit, end - slot);
        uint64_t mask = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << bit;
        if ((load_relaxed(span_word(span, slot / 64)) & mask) != mask)
            return false;
        slot += count;
    }
    return any;
}

/* What a sweep has taken out of a span: pages to give back, and all the slots on them. */
struct swept {
    uint16_t pages;
    int32_t count;
    uint64_t slots[SLOT_WORDS];
};

/* Takes the slots [first, end), which are free, unless they are taken already for the page before. */
static void sweep_claim_locked(uint32_t span, uint32_t first, uint32_t end, struct swept *swept)
{
    for (uint32_t slot = first; slot < end; slot++) {
        uint64_t bit = (uint64_t)1 << slot % 64;
        if (swept->slots[slot / 64] & bit)
            continue;
        swept->slots[slot / 64] |= bit;
        swept->count++;
        atomic_fetch_and_explicit(span_word(span, slot / 64), ~bit, memory_order_acquire);
    }
}

/* Which populated pages can go; the others that are free are noted for the next sweep. */
static uint16_t sweep_choose_locked(uint32_t span, bool all, size_t *waiting)
{
    struct span *s = span_info(span);
    uint16_t free_pages = 0;
    for (unsigned page = 0; page < SPAN_PAGES; page++) {
        if ((s->populated >> page & 1) && page_is_free_locked(span, s->bin, page))
            free_pages |= (uint16_t)(1u << page);
    }
    uint16_t chosen = all ? free_pages : free_pages & s->idle;
    s->idle = free_pages & (uint16_t)~chosen;
    *waiting += (size_t)__builtin_popcount(s->idle);
    return chosen;
}

static void sweep_take_locked(uint32_t span, unsigned bin, struct swept *swept)
{
    struct span *s = span_info(span);
    for (unsigned page = 0; page < SPAN_PAGES; page++) {
        uint32_t first, end;
        if (!(swept->pages >> page & 1))
            continue;
        span_page_slots(bin, page, &first, &end);
        sweep_claim_locked(span, first, end, swept);
    }
    s->populated &= (uint16_t)~swept->pages;
    span_claimed_locked(bin, span, swept->count);
}

static void sweep_span(uint32_t span, bool all, struct swept *swept, size_t *waiting)
{
    struct span *s = span_info(span);
    unsigned bin = s->bin; /* a hint until the lock is held */
    swept->pages = 0;
    if (s->state != SPAN_IN_USE || bin == 0 || load_relaxed(&s->free_slots) <= 0)
        return;
    span_lock_bin(bin);
    if (s->state == SPAN_IN_USE && s->bin == bin) {
        *swept = (struct swept){.pages = sweep_choose_locked(span, all, waiting)};
        if (swept->pages != 0)
            sweep_take_locked(span, bin, swept);
    }
    span_unlock_bin(bin);
}

/* Gives the pages to the system and the slots to their span, whose they were: nobody else could use either. */
static size_t sweep_finish(uint32_t span, const struct swept *swept)
{
    unsigned bin = span_info(span)->bin, n = (unsigned)__builtin_popcount(swept->pages);
    for (unsigned page = 0; page < SPAN_PAGES;) {
        unsigned to = page;
        while (to < SPAN_PAGES && (swept->pages >> to & 1))
            to++;
        if (to > page)
            arena_purge(REGION_SPANS, span_address(span) + page * PAGE_BYTES, (to - page) * PAGE_BYTES);
        page = to + 1;
    }
    for (unsigned w = 0; w < span_words(bin); w++) {
        if (swept->slots[w] != 0)
            atomic_fetch_or_explicit(span_word(span, w), swept->slots[w], memory_order_release);
    }
    span_add_free(bin, span, swept->count);
    return n;
}

enum { SPANS_A_BREATH = 64, PURGED_A_BREATH = 16 };

size_t span_sweep(bool all, size_t *waiting, void (*breathe)(void))
{
    size_t done = 0, breath = 0;
    uint32_t end = span_pool_frontier();
    *waiting = 0;
    store_relaxed(&decay_sparse_pages, 0);
    for (uint32_t span = 1; span < end; span++) {
        struct swept swept;
        sweep_span(span, all, &swept, waiting);
        if (swept.pages != 0)
            done += sweep_finish(span, &swept);
        breath += swept.pages != 0 ? SPANS_A_BREATH / PURGED_A_BREATH : 1;
        if (breathe != NULL && breath >= SPANS_A_BREATH) {
            breathe();
            breath = 0;
        }
    }
    return done;
}
