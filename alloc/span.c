#include "span.h"

#include "decay.h"
#include "fatal.h"
#include "lock.h"
#include "misuse.h"
#include "os.h"

/*
 * The states of a span, who may change them, and how.
 *
 *   UNUSED   at or beyond the frontier of the zone. The holder of the pool lock makes it IN_USE.
 *   IN_USE   cut into slots of its bin. The holder of the bin's lock lists it by fullness, or takes it out
 *            when no slot is free; makes it DIRTY when every slot is free.
 *   DIRTY    free, in the pool's list of spans with memory. The holder of the pool lock makes it IN_USE
 *            (newest first) or PURGING (oldest first).
 *   PURGING  owned by the thread that gives its memory back, which makes it CLEAN. The maintain lock is held
 *            meanwhile, so that no fork sees this state.
 *   CLEAN    free, without memory, in the pool's second list. The holder of the pool lock makes it IN_USE.
 */
#define SPAN_STATES(X) X(UNUSED) X(IN_USE) X(DIRTY) X(PURGING) X(CLEAN)

enum span_state {
#define X(name) SPAN_##name,
    SPAN_STATES(X)
#undef X
};

/* Numbers of spans serve as links; span 0 is never used, so that 0 means none. */
struct span {
    _Atomic int32_t free_slots; /* added to after the bits are set, subtracted from under the bin's lock */
    _Atomic uint8_t state;      /* Synchronization: the bin's lock if IN_USE, otherwise the pool's */
    _Atomic uint8_t bin;        /* the same */
    uint8_t list;               /* of the bin, by fullness; 0: in none. Synchronization: the bin's lock */
    /* A bit for each page. Synchronization: the bin's lock */
    uint16_t populated;  /* may have memory: a slot on it was taken since it was last given back */
    uint16_t idle;       /* populated, and all its slots were free at the last sweep and have been since */
    uint32_t prev, next; /* Synchronization: the lock of the list */
} CACHE_ALIGNED;

_Static_assert(sizeof(struct span) == SPAN_INFO_BYTES, "the arena's layout relies on it");
_Static_assert(SLOT_WORDS * 8 == SPAN_BITS_BYTES, "the arena's layout relies on it");
_Static_assert(BIN_COUNT * 16 <= UINT16_MAX, "a page map entry is a bin number times 16");

enum { LISTS = 8 }; /* list 1 has the fullest spans */

struct bin {
    struct lock lock;
    uint32_t lists[LISTS + 1];
    uint32_t spans;
    uint32_t list_factor; /* free slots to list, in 1 / 65536 */
} CACHE_ALIGNED;

static struct bin bins[BIN_COUNT];

static struct {
    struct lock lock;
    uint32_t frontier;       /* first span never used */
    uint32_t newest, oldest; /* ends of the DIRTY list */
    uint32_t clean;
    size_t dirty_spans;
} pool CACHE_ALIGNED = {.lock = LOCK_INITIALIZER(LOCK_SPAN_POOL), .frontier = 1};

static struct span *info(uint32_t span)
{
    return (struct span *)arena_start(REGION_SPAN_INFO) + span;
}

static _Atomic uint64_t *bits(uint32_t span)
{
    return (_Atomic uint64_t *)(arena_start(REGION_SPAN_BITS) + (size_t)span * SPAN_BITS_BYTES);
}

static char *address(uint32_t span)
{
    return (char *)arena_base + (size_t)span * SPAN_BYTES;
}

static unsigned words_of(unsigned bin)
{
    return (sizeclass_table[bin].slots + 63u) / 64;
}

void span_init(void)
{
    for (unsigned i = 0; i < BIN_COUNT; i++) {
        bins[i].lock.rank = LOCK_BIN;
        if (i > 0)
            bins[i].list_factor = (LISTS << 16) / (sizeclass_table[i].slots + 1u);
    }
}

/* ---- the pool of free spans ---- */

static void dirty_unlink(uint32_t span)
{
    struct span *s = info(span);
    *(s->prev != 0 ? &info(s->prev)->next : &pool.newest) = s->next;
    *(s->next != 0 ? &info(s->next)->prev : &pool.oldest) = s->prev;
    pool.dirty_spans--;
    sub_relaxed(&decay_dirty_pages, SPAN_BYTES / PAGE_BYTES);
}

static void dirty_push(uint32_t span)
{
    struct span *s = info(span);
    s->state = SPAN_DIRTY;
    s->prev = 0;
    s->next = pool.newest;
    *(pool.newest != 0 ? &info(pool.newest)->prev : &pool.oldest) = span;
    pool.newest = span;
    pool.dirty_spans++;
    atomic_fetch_add(&decay_dirty_pages, SPAN_BYTES / PAGE_BYTES);
}

static uint32_t frontier_take(void)
{
    size_t end = (size_t)pool.frontier + 1;
    if (!arena_grow(REGION_SPAN_INFO, end * SPAN_INFO_BYTES) ||
        !arena_grow(REGION_SPAN_BITS, end * SPAN_BITS_BYTES) ||
        !arena_grow(REGION_MAP, end * sizeof(uint16_t)) || !arena_grow(REGION_SPANS, end * SPAN_BYTES))
        return 0;
    arena_span_limit = arena_committed(REGION_MAP) / sizeof(uint16_t);
    return pool.frontier++;
}

static uint32_t pool_take(void)
{
    lock_take(&pool.lock);
    uint32_t span = pool.newest;
    if (span != 0) {
        dirty_unlink(span);
    } else if ((span = pool.clean) != 0) {
        pool.clean = info(span)->next;
        info(span)->populated = 0;
    } else {
        span = frontier_take();
    }
    lock_give(&pool.lock);
    return span;
}

/* ---- the lists of a bin; all with its lock held ---- */

static uint8_t list_for(const struct bin *b, int32_t free_slots)
{
    return free_slots <= 0 ? 0 : (uint8_t)(1 + ((uint32_t)free_slots * b->list_factor >> 16));
}

static void list_link_locked(struct bin *b, uint32_t span, uint8_t list)
{
    struct span *s = info(span);
    s->list = list;
    if (list == 0)
        return;
    s->prev = 0;
    s->next = b->lists[list];
    if (s->next != 0)
        info(s->next)->prev = span;
    b->lists[list] = span;
}

static void list_unlink_locked(struct bin *b, uint32_t span)
{
    struct span *s = info(span);
    if (s->list == 0)
        return;
    if (s->prev != 0)
        info(s->prev)->next = s->next;
    else
        b->lists[s->list] = s->next;
    if (s->next != 0)
        info(s->next)->prev = s->prev;
    s->list = 0;
}

static uint32_t span_start_locked(struct bin *b, unsigned bin)
{
    uint32_t span = pool_take();
    if (span == 0)
        return 0;
    struct span *s = info(span);
    unsigned slots = sizeclass_table[bin].slots, words = words_of(bin);
    _Atomic uint64_t *word = bits(span);
    for (unsigned w = 0; w < words; w++) {
        unsigned left = slots - w * 64;
        store_relaxed(&word[w], left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1);
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
    lock_take(&pool.lock);
    dirty_push(span);
    lock_give(&pool.lock);
}

/* The fullest span with a free slot, unlinked; 0 if there is none. */
static uint32_t fullest_locked(struct bin *b)
{
    for (unsigned list = 1; list <= LISTS; list++) {
        uint32_t span = b->lists[list];
        if (span != 0) {
            list_unlink_locked(b, span);
            return span;
        }
    }
    return 0;
}

static void relist_locked(struct bin *b, uint32_t span)
{
    list_link_locked(b, span, list_for(b, load_relaxed(&info(span)->free_slots)));
}

/* ---- taking slots ---- */

/* At most `most` of the word's set bits, lowest first, which become clear. */
static uint64_t take_bits(_Atomic uint64_t *word, size_t most)
{
    uint64_t have = load_relaxed(word);
    if (have == 0)
        return 0;
    uint64_t rest = 0;
    if ((size_t)__builtin_popcountll(have) > most) {
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
    const unsigned words = words_of(bin);
    _Atomic uint64_t *word = bits(span);
    char *start = address(span);
    size_t got = 0;
    for (unsigned w = 0; w < words && got < want; w++) {
        uint64_t taken = take_bits(&word[w], want - got);
        if (taken == 0)
            continue;
        size_t lowest = w * 64 + (size_t)__builtin_ctzll(taken),
               highest = w * 64 + 63 - (size_t)__builtin_clzll(taken);
        populate_locked(info(span), pages_touched(lowest * size, (highest + 1) * size));
        for (; taken != 0; taken &= taken - 1)
            end[-(ptrdiff_t)++got] = start + (w * 64 + (size_t)__builtin_ctzll(taken)) * size;
    }
    sub_relaxed(&info(span)->free_slots, (int32_t)got);
    return got;
}

size_t span_take(unsigned bin, void **out, size_t want)
{
    struct bin *b = &bins[bin];
    size_t got = 0;
    lock_take(&b->lock);
    while (got < want) {
        uint32_t span = fullest_locked(b);
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
    _Atomic uint64_t *word = bits(span);
    uint32_t w = 0;
    uint64_t have;
    for (;; w++) {
        have = load_relaxed(&word[w]);
        uint32_t count = (uint32_t)__builtin_popcountll(have);
        if (nth < count)
            break;
        nth -= count;
    }
    while (nth-- > 0)
        have &= have - 1;
    uint64_t bit = have & -have;
    atomic_fetch_and_explicit(&word[w], ~bit, memory_order_acquire);
    return w * 64 + (uint32_t)__builtin_ctzll(bit);
}

void *span_take_random(unsigned bin, uint64_t random)
{
    struct bin *b = &bins[bin];
    void *slot = NULL;
    lock_take(&b->lock);
    uint32_t span = fullest_locked(b);
    if (span == 0)
        span = span_start_locked(b, bin);
    if (span != 0) {
        /* At least as many bits are set as free_slots says, and only holders of the lock clear any. */
        uint32_t choices = (uint32_t)load_relaxed(&info(span)->free_slots);
        slot =
            address(span) + (size_t)take_nth(span, (uint32_t)(random % choices)) * sizeclass_table[bin].size;
        sub_relaxed(&info(span)->free_slots, 1);
        relist_locked(b, span);
    }
    lock_give(&b->lock);
    return slot;
}

/* ---- giving slots back ---- */

static inline uint32_t slot_number(const void *p, unsigned bin)
{
    return (uint32_t)(((uintptr_t)p & (SPAN_BYTES - 1)) * (uint64_t)sizeclass_table[bin].magic >> 32);
}

static inline uint32_t span_number(const void *p)
{
    return (uint32_t)(((uintptr_t)p - arena_base) >> SPAN_BITS);
}

/* Puts the span where its number of free slots belongs: another list, or the pool. */
static void settle(unsigned bin, uint32_t span)
{
    struct bin *b = &bins[bin];
    struct span *s = info(span);
    lock_take(&b->lock);
    /* Since the caller's last slot became free somebody else may have settled the span, even started it anew. */
    if (s->state == SPAN_IN_USE && s->bin == bin) {
        int32_t free_slots = load_relaxed(&s->free_slots);
        if (free_slots == sizeclass_table[bin].slots) {
            span_end_locked(b, span);
        } else if (s->list != list_for(b, free_slots)) {
            list_unlink_locked(b, span);
            relist_locked(b, span);
            add_relaxed(&decay_sparse_pages, SPAN_BYTES / PAGE_BYTES / LISTS);
        }
    }
    lock_give(&b->lock);
}

static void add_free(unsigned bin, uint32_t span, int32_t n)
{
    const struct bin *b = &bins[bin];
    int32_t before = atomic_fetch_add_explicit(&info(span)->free_slots, n, memory_order_relaxed);
    int32_t after = before + n;
    if (list_for(b, before) != list_for(b, after) || after == sizeclass_table[bin].slots)
        settle(bin, span);
}

static COLD void die_double_free(const char *call, uint32_t span, unsigned bin, uint32_t w, uint64_t twice)
{
    uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(twice);
    misuse_double_free_small(call, address(span) + (size_t)slot * sizeclass_table[bin].size, bin);
}

void span_give(unsigned bin, void *const *slots, size_t n, const char *call)
{
    size_t i = 0;
    while (i < n) {
        uint32_t span = span_number(slots[i]);
        int32_t added = 0;
        while (i < n && span_number(slots[i]) == span) {
            uint32_t slot = slot_number(slots[i], bin), w = slot / 64;
            uint64_t mask = 0;
            do {
                uint64_t bit = (uint64_t)1 << (slot % 64);
                if (unlikely(mask & bit))
                    die_double_free(call, span, bin, w, bit);
                mask |= bit;
                added++;
                i++;
            } while (i < n && span_number(slots[i]) == span && (slot = slot_number(slots[i], bin)) / 64 == w);
            uint64_t before = atomic_fetch_or_explicit(&bits(span)[w], mask, memory_order_release);
            if (unlikely(before & mask))
                die_double_free(call, span, bin, w, before & mask);
        }
        add_free(bin, span, added);
    }
}

/* ---- looking up ---- */

struct span_location span_find(const void *p)
{
    uint32_t span = span_number(p);
    unsigned bin = load_relaxed(arena_map_entry(span)) / 16;
    if (bin == 0)
        return (struct span_location){0};
    uint32_t slot = slot_number(p, bin), size = sizeclass_table[bin].size;
    if (slot >= sizeclass_table[bin].slots)
        return (struct span_location){0};
    return (struct span_location){
        .bin = bin,
        .slot = slot,
        .offset = (uint32_t)((uintptr_t)p & (SPAN_BYTES - 1)) - slot * size,
        .start = address(span) + (size_t)slot * size,
        .free = load_relaxed(&bits(span)[slot / 64]) >> (slot % 64) & 1,
    };
}

/* ---- purging ---- */

enum { PURGE_BATCH = 64 };

static size_t purge_detach(uint32_t *batch, size_t most)
{
    size_t n = 0;
    lock_take(&pool.lock);
    for (; n < most && pool.oldest != 0; n++) {
        batch[n] = pool.oldest;
        dirty_unlink(batch[n]);
        info(batch[n])->state = SPAN_PURGING;
    }
    lock_give(&pool.lock);
    return n;
}

static void purge_attach(const uint32_t *batch, size_t n)
{
    lock_take(&pool.lock);
    for (size_t i = n; i-- > 0;) {
        struct span *s = info(batch[i]);
        s->state = SPAN_CLEAN;
        s->next = pool.clean;
        pool.clean = batch[i];
    }
    lock_give(&pool.lock);
}

static void sort(uint32_t *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t v = a[i];
        size_t j = i;
        for (; j > 0 && a[j - 1] > v; j--)
            a[j] = a[j - 1];
        a[j] = v;
    }
}

size_t span_purge(size_t most)
{
    uint32_t batch[PURGE_BATCH];
    size_t done = 0;
    while (done < most) {
        size_t spans = (most - done + SPAN_BYTES / PAGE_BYTES - 1) / (SPAN_BYTES / PAGE_BYTES);
        size_t n = purge_detach(batch, min_size(spans, PURGE_BATCH));
        if (n == 0)
            break;
        sort(batch, n);
        for (size_t i = 0, j; i < n; i = j) {
            for (j = i + 1; j < n && batch[j] == batch[j - 1] + 1; j++)
                ;
            arena_purge(REGION_SPANS, address(batch[i]), (j - i) * SPAN_BYTES);
        }
        purge_attach(batch, n);
        done += n * (SPAN_BYTES / PAGE_BYTES);
    }
    return done;
}

/* ---- sweeping: single pages of spans in use ---- */

/* The slots [*first, *end) have a part on the page. */
static void page_slots(unsigned bin, unsigned page, uint32_t *first, uint32_t *end)
{
    uint32_t size = sizeclass_table[bin].size, slots = sizeclass_table[bin].slots;
    *first = page * (uint32_t)PAGE_BYTES / size;
    *end = (uint32_t)min_size(((page + 1) * (uint32_t)PAGE_BYTES + size - 1) / size, slots);
}

static bool page_is_free_locked(uint32_t span, unsigned bin, unsigned page)
{
    uint32_t slot, end;
    page_slots(bin, page, &slot, &end);
    bool any = slot < end;
    while (slot < end) {
        uint32_t bit = slot % 64, count = (uint32_t)min_size(64 - bit, end - slot);
        uint64_t mask = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << bit;
        if ((load_relaxed(&bits(span)[slot / 64]) & mask) != mask)
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
        atomic_fetch_and_explicit(&bits(span)[slot / 64], ~bit, memory_order_acquire);
    }
}

/* Which populated pages can go; the others that are free are noted for the next sweep. */
static uint16_t sweep_choose_locked(uint32_t span, bool all, size_t *waiting)
{
    struct span *s = info(span);
    uint16_t free_pages = 0;
    for (unsigned page = 0; page < SPAN_BYTES / PAGE_BYTES; page++) {
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
    struct span *s = info(span);
    for (unsigned page = 0; page < SPAN_BYTES / PAGE_BYTES; page++) {
        uint32_t first, end;
        if (!(swept->pages >> page & 1))
            continue;
        page_slots(bin, page, &first, &end);
        sweep_claim_locked(span, first, end, swept);
    }
    s->populated &= (uint16_t)~swept->pages;
    list_unlink_locked(&bins[bin], span);
    sub_relaxed(&s->free_slots, swept->count);
    relist_locked(&bins[bin], span);
}

static void sweep_span(uint32_t span, bool all, struct swept *swept, size_t *waiting)
{
    struct span *s = info(span);
    unsigned bin = s->bin; /* a hint until the lock is held */
    swept->pages = 0;
    if (s->state != SPAN_IN_USE || bin == 0 || load_relaxed(&s->free_slots) <= 0)
        return;
    lock_take(&bins[bin].lock);
    if (s->state == SPAN_IN_USE && s->bin == bin) {
        *swept = (struct swept){.pages = sweep_choose_locked(span, all, waiting)};
        if (swept->pages != 0)
            sweep_take_locked(span, bin, swept);
    }
    lock_give(&bins[bin].lock);
}

/* Gives the pages to the system and the slots to their span, whose they were: nobody else could use either. */
static size_t sweep_finish(uint32_t span, const struct swept *swept)
{
    unsigned bin = info(span)->bin, n = (unsigned)__builtin_popcount(swept->pages);
    for (unsigned page = 0; page < SPAN_BYTES / PAGE_BYTES;) {
        unsigned to = page;
        while (to < SPAN_BYTES / PAGE_BYTES && (swept->pages >> to & 1))
            to++;
        if (to > page)
            arena_purge(REGION_SPANS, address(span) + page * PAGE_BYTES, (to - page) * PAGE_BYTES);
        page = to + 1;
    }
    for (unsigned w = 0; w < words_of(bin); w++) {
        if (swept->slots[w] != 0)
            atomic_fetch_or_explicit(&bits(span)[w], swept->slots[w], memory_order_release);
    }
    add_free(bin, span, swept->count);
    return n;
}

size_t span_sweep(bool all, size_t *waiting)
{
    size_t done = 0;
    uint32_t end = pool.frontier;
    *waiting = 0;
    store_relaxed(&decay_sparse_pages, 0);
    for (uint32_t span = 1; span < end; span++) {
        struct swept swept;
        sweep_span(span, all, &swept, waiting);
        if (swept.pages != 0)
            done += sweep_finish(span, &swept);
    }
    return done;
}

size_t span_dirty_pages(void)
{
    lock_take(&pool.lock);
    size_t pages = pool.dirty_spans * (SPAN_BYTES / PAGE_BYTES);
    lock_give(&pool.lock);
    return pages;
}

/* ---- statistics and checks ---- */

static size_t list_free_slots_locked(const struct bin *b)
{
    size_t n = 0;
    for (unsigned list = 1; list <= LISTS; list++) {
        for (uint32_t span = b->lists[list]; span != 0; span = info(span)->next) {
            int32_t free_slots = load_relaxed(&info(span)->free_slots);
            n += free_slots > 0 ? (size_t)free_slots : 0;
        }
    }
    return n;
}

void span_bin_stats(unsigned bin, size_t *slots, size_t *spans)
{
    struct bin *b = &bins[bin];
    lock_take(&b->lock);
    *spans = b->spans;
    *slots = b->spans * (size_t)sizeclass_table[bin].slots - list_free_slots_locked(b);
    lock_give(&b->lock);
}

void span_stats(struct span_stats *stats)
{
    *stats = (struct span_stats){.dirty_pages = span_dirty_pages()};
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        size_t slots, spans;
        span_bin_stats(bin, &slots, &spans);
        stats->spans += spans;
        stats->slot_bytes += slots * sizeclass_table[bin].size;
    }
}

static void check_bin(unsigned bin)
{
    struct bin *b = &bins[bin];
    for (unsigned list = 1; list <= LISTS; list++) {
        uint32_t prev = 0;
        for (uint32_t span = b->lists[list]; span != 0; prev = span, span = info(span)->next) {
            const struct span *s = info(span);
            always_assert(s->state == SPAN_IN_USE && s->bin == bin && s->list == list && s->prev == prev);
            int32_t count = 0;
            for (unsigned w = 0; w < words_of(bin); w++)
                count += __builtin_popcountll(load_relaxed(&bits(span)[w]));
            always_assert(count >= load_relaxed(&s->free_slots)); /* bits first, then the count */
            always_assert(load_relaxed(arena_map_entry(span)) == bin * 16);
        }
    }
}

void span_check(void)
{
    size_t in_use = 0, counted = 0;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        lock_take(&bins[bin].lock);
        check_bin(bin);
        in_use += bins[bin].spans;
    }
    lock_take(&pool.lock);
    size_t dirty = 0;
    for (uint32_t span = pool.newest; span != 0; span = info(span)->next, dirty++)
        always_assert(info(span)->state == SPAN_DIRTY && load_relaxed(arena_map_entry(span)) == 0);
    always_assert(dirty == pool.dirty_spans);
    for (uint32_t span = 1; span < pool.frontier; span++)
        counted += info(span)->state == SPAN_IN_USE;
    always_assert(in_use == counted);
    lock_give(&pool.lock);
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_give(&bins[bin].lock);
}

void span_fork_prepare(void)
{
    for (unsigned bin = 1; bin < BIN_COUNT; bin++)
        lock_take(&bins[bin].lock);
    lock_take(&pool.lock);
}

void span_fork_parent(void)
{
    lock_give(&pool.lock);
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_give(&bins[bin].lock);
}

void span_fork_child(void)
{
    lock_reset(&pool.lock);
    for (unsigned bin = BIN_COUNT - 1; bin > 0; bin--)
        lock_reset(&bins[bin].lock);
}
