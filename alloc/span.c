#include "span.h"

#include "border.h"
#include "decay.h"
#include "fatal.h"
#include "lock.h"
#include "misuse.h"
#include "quarantine.h"
#include "span_pool.h"
#include "span_table.h"

#include <string.h>

/* List 1 has the fullest spans; those of which pages are away come last, whatever they hold. */
enum { LISTS = 8, AWAY_LIST = LISTS + 1 };

struct bin {
    struct lock lock;
    uint32_t lists[AWAY_LIST + 1];
    uint32_t spans;
    uint32_t list_factor; /* free slots to list, in 1 / 65536 */
} CACHE_ALIGNED;

static struct bin bins[BIN_COUNT];

void span_init(void)
{
    for (unsigned i = 0; i < BIN_COUNT; i++) {
        bins[i].lock.rank = LOCK_BIN;
        if (i > 0)
            bins[i].list_factor = (LISTS << 16) / (sizeclass_table[i].slots + 1u);
    }
}

/* ---- the lists of a bin; all with its lock held ---- */

static uint8_t list_for(const struct bin *b, int32_t free_slots)
{
    return free_slots <= 0 ? 0 : (uint8_t)(1 + ((uint32_t)free_slots * b->list_factor >> 16));
}

/* The list where the span belongs. */
static uint8_t place_of(const struct bin *b, const struct span *s)
{
    uint8_t list = list_for(b, load_relaxed(&s->free_slots));
    return list != 0 && load_relaxed(&s->away) != 0 ? AWAY_LIST : list;
}

static void list_link_locked(struct bin *b, uint32_t span, uint8_t list)
{
    struct span *s = span_info(span);
    s->list = list;
    if (list == 0)
        return;
    s->prev = 0;
    s->next = b->lists[list];
    if (s->next != 0)
        span_info(s->next)->prev = span;
    b->lists[list] = span;
}

static void list_unlink_locked(struct bin *b, uint32_t span)
{
    struct span *s = span_info(span);
    if (s->list == 0)
        return;
    uint32_t *from = s->prev != 0 ? &span_info(s->prev)->next : &b->lists[s->list];
    uint32_t *back = s->next != 0 ? &span_info(s->next)->prev : NULL;
    always_assert(s->state == SPAN_IN_USE && *from == span && (back == NULL || *back == span));
    *from = s->next;
    if (back != NULL)
        *back = s->prev;
    s->list = 0;
}

/*
 * Closes the whole pages behind the last slot, if there are any, and opens those that a slot will lie on; they stay as they are
 * when the span ends, for the next of the same kind. False if that cannot be.
 */
static COLD bool set_tail(uint32_t span, unsigned bin)
{
    struct span *s = span_info(span);
    size_t used = align_up((size_t)sizeclass_table[bin].size * sizeclass_table[bin].slots, PAGE_BYTES);
    uint8_t tail = (uint8_t)((SPAN_BYTES - used) / PAGE_BYTES);
    char *end = span_address(span) + SPAN_BYTES;
    if (s->closed > tail && !border_open(end - s->closed * PAGE_BYTES, s->closed * PAGE_BYTES))
        return false;
    if (s->closed > tail)
        s->closed = 0;
    if (tail > s->closed && border_close(end - tail * PAGE_BYTES, tail * PAGE_BYTES))
        s->closed = tail;
    return true;
}

static uint32_t span_start_locked(struct bin *b, unsigned bin)
{
    uint32_t span = span_pool_take();
    if (span == 0)
        return 0;
    if (unlikely(border_tail) && !set_tail(span, bin)) {
        span_pool_give(span);
        return 0;
    }
    struct span *s = span_info(span);
    unsigned slots = sizeclass_table[bin].slots, words = span_words(bin);
    for (unsigned w = 0; w < words; w++) {
        unsigned left = slots - w * 64;
        store_relaxed(span_word(span, w), left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1);
    }
    s->bin = (uint8_t)bin;
    s->list = 0;
    s->idle = 0;
    s->state = SPAN_IN_USE;
    store_relaxed(&s->free_slots, (int32_t)slots);
    store_relaxed(arena_map_entry(span), (uint16_t)(bin * 16));
    b->spans++;
    return span;
}

static void span_end_locked(struct bin *b, uint32_t span)
{
    list_unlink_locked(b, span);
    store_relaxed(arena_map_entry(span), 0);
    b->spans--;
    span_pool_give(span);
}

static uint32_t list_pop_locked(struct bin *b, unsigned list)
{
    uint32_t span = b->lists[list];
    if (span != 0)
        list_unlink_locked(b, span);
    return span;
}

/* The fullest span with a free slot, unlinked; 0 if there is none, or if none is here entirely but one can be started. */
static uint32_t fullest_locked(struct bin *b, bool may_start)
{
    for (unsigned list = 1; list <= LISTS; list++) {
        uint32_t span = list_pop_locked(b, list);
        if (span != 0)
            return span;
    }
    return may_start && span_pool_has_dirty() ? 0 : list_pop_locked(b, AWAY_LIST);
}

static void relist_locked(struct bin *b, uint32_t span)
{
    list_link_locked(b, span, place_of(b, span_info(span)));
}

/* ---- taking slots ---- */

/* At most `most` of the word's set bits, lowest first, which become clear. */
static uint64_t take_bits(_Atomic uint64_t *word, size_t most)
{
    uint64_t have = load_relaxed(word);
    if (have == 0)
        return 0;
    uint64_t rest = 0;
    if (most < 64 && (size_t)__builtin_popcountll(have) > most) {
        rest = have;
        for (size_t i = 0; i < most; i++)
            rest &= rest - 1;
    }
    /* Others may set bits meanwhile, but only we clear any. */
    atomic_fetch_and_explicit(word, ~(have ^ rest), memory_order_acquire);
    return have ^ rest;
}

/* The pages of a span that [from, to), offsets into it, touches. */
static uint16_t pages_touched(size_t from, size_t to)
{
    size_t first = from >> PAGE_BITS, last = (to - 1) >> PAGE_BITS;
    return (uint16_t)((2u << last) - (1u << first));
}

static void populate_locked(struct span *s, uint16_t pages)
{
    s->populated |= pages;
    s->idle &= (uint16_t)~pages;
}

/* Takes up to `want` slots of the span and writes them to end[-1], end[-2], ... Returns how many. */
static size_t take_slots(uint32_t span, unsigned bin, void **end, size_t want)
{
    const size_t size = sizeclass_table[bin].size;
    const unsigned words = span_words(bin);
    char *start = span_address(span);
    size_t got = 0;
    for (unsigned w = 0; w < words && got < want; w++) {
        uint64_t taken = take_bits(span_word(span, w), want - got);
        if (taken == 0)
            continue;
        size_t lowest = w * 64 + (size_t)__builtin_ctzll(taken),
               highest = w * 64 + 63 - (size_t)__builtin_clzll(taken);
        populate_locked(span_info(span), pages_touched(lowest * size, (highest + 1) * size));
        for (; taken != 0; taken &= taken - 1)
            end[-(ptrdiff_t)++got] = start + (w * 64 + (size_t)__builtin_ctzll(taken)) * size;
    }
    sub_relaxed(&span_info(span)->free_slots, (int32_t)got);
    store_relaxed(&span_info(span)->recent, 1);
    return got;
}

size_t span_take(unsigned bin, void **out, size_t want)
{
    struct bin *b = &bins[bin];
    size_t got = 0;
    lock_take(&b->lock);
    while (got < want) {
        uint32_t span = fullest_locked(b, got == 0);
        if (span == 0 && got == 0)
            span = span_start_locked(b, bin);
        if (span == 0)
            break;
        got += take_slots(span, bin, out + want - got, want - got);
        relist_locked(b, span);
    }
    lock_give(&b->lock);
    for (size_t i = 0; i < got && got < want; i++)
        out[i] = out[want - got + i];
    return got;
}

/* Clears the nth set bit of the span's bitmap and returns its number. */
static uint32_t take_nth(uint32_t span, uint32_t nth)
{
    uint32_t w = 0;
    uint64_t have;
    for (;; w++) {
        have = load_relaxed(span_word(span, w));
        uint32_t count = (uint32_t)__builtin_popcountll(have);
        if (nth < count)
            break;
        nth -= count;
    }
    while (nth-- > 0)
        have &= have - 1;
    uint64_t bit = have & -have;
    atomic_fetch_and_explicit(span_word(span, w), ~bit, memory_order_acquire);
    return w * 64 + (uint32_t)__builtin_ctzll(bit);
}

void *span_take_random(unsigned bin, uint64_t random)
{
    struct bin *b = &bins[bin];
    void *slot = NULL;
    lock_take(&b->lock);
    uint32_t span = fullest_locked(b, true);
    if (span == 0)
        span = span_start_locked(b, bin);
    if (span != 0) {
        /* At least as many bits are set as free_slots says, and only holders of the lock clear any. */
        uint32_t choices = (uint32_t)load_relaxed(&span_info(span)->free_slots);
        size_t size = sizeclass_table[bin].size, from = take_nth(span, (uint32_t)(random % choices)) * size;
        populate_locked(span_info(span), pages_touched(from, from + size));
        slot = span_address(span) + from;
        sub_relaxed(&span_info(span)->free_slots, 1);
        store_relaxed(&span_info(span)->recent, 1);
        relist_locked(b, span);
    }
    lock_give(&b->lock);
    return slot;
}

/* ---- giving slots back ---- */

static inline uint32_t slot_number(const void *p, uint32_t magic)
{
    return (uint32_t)(((uintptr_t)p & (SPAN_BYTES - 1)) * (uint64_t)magic >> 32);
}

static inline uint32_t span_number(const void *p)
{
    return (uint32_t)(((uintptr_t)p - arena_base) >> SPAN_BITS);
}

/* Puts the span where its number of free slots belongs: another list, or the pool. */
static void settle(unsigned bin, uint32_t span)
{
    struct bin *b = &bins[bin];
    struct span *s = span_info(span);
    lock_take(&b->lock);
    /* Since the caller's last slot became free somebody else may have settled the span, even started it anew. */
    if (s->state == SPAN_IN_USE && s->bin == bin) {
        int32_t free_slots = load_relaxed(&s->free_slots);
        if (free_slots == sizeclass_table[bin].slots) {
            span_end_locked(b, span);
        } else if (s->list != place_of(b, s)) {
            list_unlink_locked(b, span);
            relist_locked(b, span);
            add_relaxed(&decay_sparse_pages, SPAN_PAGES / LISTS);
        }
    }
    lock_give(&b->lock);
}

void span_add_free(unsigned bin, uint32_t span, int32_t n)
{
    const struct bin *b = &bins[bin];
    int32_t before = atomic_fetch_add_explicit(&span_info(span)->free_slots, n, memory_order_relaxed);
    int32_t after = before + n;
    if (list_for(b, before) != list_for(b, after) || after == sizeclass_table[bin].slots)
        settle(bin, span);
}

/* The slots of the mask, of word `w`, were free already. Returns how many they are. */
static COLD int32_t tell_double_free(const char *call, uint32_t span, unsigned bin, uint32_t w,
                                     uint64_t twice)
{
    int32_t count = __builtin_popcountll(twice);
    for (; twice != 0; twice &= twice - 1) {
        uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(twice);
        misuse_double_free_small(call, span_address(span) + (size_t)slot * sizeclass_table[bin].size, bin);
    }
    return count;
}

void span_give(unsigned bin, void *const *slots, size_t n, const char *call)
{
    const uint32_t magic = sizeclass_table[bin].magic;
    size_t i = 0;
    while (i < n) {
        uint32_t span = span_number(slots[i]);
        int32_t added = 0;
        while (i < n && span_number(slots[i]) == span) {
            uint32_t slot = slot_number(slots[i], magic), w = slot / 64;
            uint64_t mask = 0;
            do {
                uint64_t bit = (uint64_t)1 << (slot % 64);
                added++;
                if (unlikely(mask & bit))
                    added -= tell_double_free(call, span, bin, w, bit);
                mask |= bit;
                i++;
            } while (i < n && span_number(slots[i]) == span &&
                     (slot = slot_number(slots[i], magic)) / 64 == w);
            uint64_t before = atomic_fetch_or_explicit(span_word(span, w), mask, memory_order_release);
            if (unlikely(before & mask))
                added -= tell_double_free(call, span, bin, w, before & mask);
        }
        if (likely(added > 0))
            span_add_free(bin, span, added);
    }
}

/* ---- for the sweep ---- */

void span_lock_bin(unsigned bin)
{
    lock_take(&bins[bin].lock);
}

void span_unlock_bin(unsigned bin)
{
    lock_give(&bins[bin].lock);
}

void span_claimed_locked(unsigned bin, uint32_t span, int32_t count)
{
    list_unlink_locked(&bins[bin], span);
    sub_relaxed(&span_info(span)->free_slots, count);
    relist_locked(&bins[bin], span);
}

void span_settle_list(unsigned bin, uint32_t span)
{
    struct bin *b = &bins[bin];
    struct span *s = span_info(span);
    lock_take(&b->lock);
    if (s->state == SPAN_IN_USE && s->bin == bin && s->list != place_of(b, s)) {
        list_unlink_locked(b, span);
        relist_locked(b, span);
    }
    lock_give(&b->lock);
}

/* ---- looking up ---- */

static bool slot_is_free(uint32_t span, uint32_t slot)
{
    uint64_t word = load_relaxed(span_word(span, slot / 64));
    if (unlikely(quarantine_is_on()))
        word |= load_relaxed(span_held_word(span, slot / 64));
    return word >> (slot % 64) & 1;
}

struct span_location span_find(const void *p)
{
    uint32_t span = span_number(p);
    unsigned bin = load_relaxed(arena_map_entry(span)) / 16;
    if (bin == 0)
        return (struct span_location){0};
    uint32_t slot = slot_number(p, sizeclass_table[bin].magic), size = sizeclass_table[bin].size;
    if (slot >= sizeclass_table[bin].slots)
        return (struct span_location){0};
    return (struct span_location){
        .bin = bin,
        .slot = slot,
        .offset = (uint32_t)((uintptr_t)p & (SPAN_BYTES - 1)) - slot * size,
        .start = span_address(span) + (size_t)slot * size,
        .free = slot_is_free(span, slot),
    };
}

/* ---- statistics and checks ---- */

/* Over the descriptors as they lie there, without locks: lists of many spans would be slow to follow, and held up meanwhile. */
void span_bin_stats(struct span_bin_stats bins_stats[BIN_COUNT])
{
    uint32_t end = span_pool_frontier();
    memset(bins_stats, 0, BIN_COUNT * sizeof(bins_stats[0]));
    for (uint32_t span = 1; span < end; span++) {
        const struct span *s = span_info(span);
        unsigned bin = load_relaxed(&s->bin);
        int32_t free_slots = load_relaxed(&s->free_slots);
        if (load_relaxed(&s->state) != SPAN_IN_USE)
            continue;
        bins_stats[bin].spans++;
        bins_stats[bin].slots += (size_t)(sizeclass_table[bin].slots - (free_slots > 0 ? free_slots : 0));
    }
}

void span_stats(struct span_stats *stats)
{
    struct span_bin_stats all[BIN_COUNT];
    *stats = (struct span_stats){.dirty_pages = span_dirty_pages()};
    span_bin_stats(all);
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        stats->spans += all[bin].spans;
        stats->slot_bytes += all[bin].slots * sizeclass_table[bin].size;
    }
}

static void check_bin(unsigned bin)
{
    struct bin *b = &bins[bin];
    for (unsigned list = 1; list <= AWAY_LIST; list++) {
        uint32_t prev = 0;
        for (uint32_t span = b->lists[list]; span != 0; prev = span, span = span_info(span)->next) {
            const struct span *s = span_info(span);
            always_assert(s->state == SPAN_IN_USE && s->bin == bin && s->list == list && s->prev == prev);
            int32_t count = 0,
                    free_slots = load_relaxed(&s->free_slots); /* bits are set first, then counted */
            atomic_thread_fence(memory_order_acquire);
            for (unsigned w = 0; w < span_words(bin); w++)
                count += __builtin_popcountll(load_relaxed(span_word(span, w)));
            always_assert(count >= free_slots);
            always_assert(load_relaxed(arena_map_entry(span)) == bin * 16);
        }
    }
}

void span_check(void)
{
    size_t in_use = 0;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        lock_take(&bins[bin].lock);
        check_bin(bin);
        in_use += bins[bin].spans;
    }
    always_assert(in_use == span_pool_check());
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_give(&bins[bin].lock);
}

void span_fork_prepare(void)
{
    for (unsigned bin = 1; bin < BIN_COUNT; bin++)
        lock_take(&bins[bin].lock);
    span_pool_fork_prepare();
}

void span_fork_parent(void)
{
    span_pool_fork_parent();
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_give(&bins[bin].lock);
}

void span_fork_child(void)
{
    span_pool_fork_child();
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_reset(&bins[bin].lock);
}
