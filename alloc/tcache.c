#include "tcache.h"

#include "background.h"
#include "conf.h"
#include "lock.h"
#include "meta.h"
#include "os.h"
#include "span.h"

#include <pthread.h>

/*
 * The protocol between a thread and those that drain its cache.
 *
 * A stack is an array whose first element is NULL for ever; `top` is where the next pointer goes. The owner
 *   pushes p:  *top = p;  top = top + 1                              (in this order)
 *   pops:      top = top - 1;  p = *top;  if p is NULL: slow path    (in this order)
 * and its slow paths hold the cache's lock. A drainer holds the lock as well, so that only the owner's fast paths
 * run beside it. It never writes `top`. It
 *   1. reads top, and for each element below it exchanges the pointer p for NULL, by compare-and-swap: a pointer
 *      that the owner pushes meanwhile is never lost;
 *   2. calls membarrier(2): the owner now either has moved `top` visibly before reading an element, or reads NULL;
 *   3. reads top again, then the elements. For element i that it has exchanged:
 *        i < top and still NULL   the owner has not popped p, and if it comes to it, it will read NULL: p is the
 *                                 drainer's.
 *        i < top and not NULL     the owner has popped p and pushed another: p is the program's.
 *        i > top                  the owner popped p, or it would not have gone on: p is the program's.
 *        i = top                  the owner has just popped this element, and has read p or NULL: *disputed*.
 *      There is at most one of the last kind. It is written down for the owner to settle: coming into a slow
 *      path of the bin because it has read NULL at this very element, the owner knows that p is free and takes
 *      it; coming in any other way, it knows that it popped p long ago.
 * So the owner's fast paths need no atomic read-modify-write, no flag and no fence.
 */

enum {
    LEAST_BITS = 4, /* the smallest array has 16 elements */
    MOST_BITS = 14, /* the largest 16384 */
    FIRST_BYTES = 16 * 1024,
    FIRST_MOST_BITS = 6,
    DRAIN_BATCH = 256,
};

struct stack {
    void **slots;       /* NULL: none yet */
    uint32_t bits;      /* the array has 1 << bits elements */
    uint32_t credit;    /* slots taken from the spans since the stack grew: a reason to grow again */
    void **disputed_at; /* Synchronization: the cache's lock */
    void *disputed;
    void **seen_top; /* by the last drain */
    bool drained;    /* some elements below the top may be NULL. Synchronization: the cache's lock */
};

struct tcache {
    struct tcache_bin bins[BIN_COUNT]; /* first: tcache_tls.bins points here */
    struct lock lock;
    struct stack stacks[BIN_COUNT];
    size_t room;                /* bytes of slots that the stacks can hold */
    struct tcache *prev, *next; /* Synchronization: registry.lock */
    _Atomic size_t refills, flushes;
};

static struct {
    struct lock lock;
    struct tcache *first;
    struct tcache *orphans; /* a fork's child: caches of threads that it does not have, by `next` */
    size_t threads;
    size_t refills, flushes; /* of threads that have ended */
    _Atomic size_t drained;
    pthread_key_t key;
    bool key_made, barrier;
} registry = {.lock = LOCK_INITIALIZER(LOCK_REGISTRY)};

/*
 * The cache of threads without one: always empty and always full. The pop of the fast path moves its tops down
 * before it finds NULL, and several threads may do so at a time; the slow path puts them back. Therefore they
 * stand at the end of a zone of NULLs with room for more threads than a process can have.
 */
static void *nulls[64 * 1024]; /* never written, so without memory */
static struct tcache_bin no_bins[BIN_COUNT] = {[0 ... BIN_COUNT - 1] = {.top = &nulls[ARRAY_LEN(nulls)]}};

__thread struct tcache_tls tcache_tls __attribute__((tls_model("initial-exec"))) = {.bins = no_bins};

static struct tcache *own_cache(void)
{
    struct tcache_bin *bins = tcache_tls.bins;
    return bins != no_bins ? (struct tcache *)bins : NULL;
}

static void no_bin_reset(unsigned bin)
{
    store_relaxed(&no_bins[bin].top, &nulls[ARRAY_LEN(nulls)]);
}

/* ---- stacks; all with the cache's lock held, and `c` the caller's own cache unless said otherwise ---- */

static void **top_of(const struct tcache *c, unsigned bin)
{
    return load_relaxed(&c->bins[bin].top);
}

static void **bottom_of(const struct tcache *c, unsigned bin)
{
    return c->stacks[bin].slots + 1;
}

/* One element less than fits, so that no limit is 0 in its low half. */
static uint32_t capacity(const struct stack *s)
{
    return (1u << s->bits) - 2;
}

static void place(struct tcache *c, unsigned bin, void **slots, uint32_t bits, uint32_t count)
{
    struct stack *s = &c->stacks[bin];
    s->slots = slots;
    s->bits = bits;
    c->bins[bin].limit = (uint32_t)(uintptr_t)(slots + 1 + capacity(s));
    store_relaxed(&c->bins[bin].top, slots + 1 + count);
}

static uint32_t bits_for(size_t bytes, size_t size, uint32_t most)
{
    uint32_t bits = LEAST_BITS;
    while (bits < most && ((size_t)1 << (bits + 1)) * size <= bytes)
        bits++;
    return bits;
}

/* Closes the gaps that drains have left. Returns how many pointers the stack holds. */
static uint32_t compact(struct tcache *c, unsigned bin)
{
    void **bottom = bottom_of(c, bin), **top = top_of(c, bin), **to = bottom;
    if (likely(!c->stacks[bin].drained))
        return (uint32_t)(top - bottom);
    c->stacks[bin].drained = false;
    for (void **from = bottom; from < top; from++) {
        if (*from != NULL)
            *to++ = *from;
    }
    store_relaxed(&c->bins[bin].top, to);
    return (uint32_t)(to - bottom);
}

/* Any way into a slow path but reading NULL at the disputed element means that the pointer was popped. */
static void dispute_forget(struct tcache *c, unsigned bin)
{
    c->stacks[bin].disputed_at = NULL;
}

static void *dispute_claim(struct tcache *c, unsigned bin, void *const *read_null_at)
{
    struct stack *s = &c->stacks[bin];
    void *claimed = s->disputed_at == read_null_at ? s->disputed : NULL;
    s->disputed_at = NULL;
    return claimed;
}

static bool resize(struct tcache *c, unsigned bin, uint32_t bits)
{
    struct stack *s = &c->stacks[bin];
    void **slots = meta_alloc(sizeof(void *) << bits);
    if (slots == NULL)
        return false;
    uint32_t count = 0;
    slots[0] = NULL;
    if (s->slots != NULL) {
        count = compact(c, bin);
        __builtin_memcpy(slots + 1, bottom_of(c, bin), count * sizeof(void *));
        c->room -= (size_t)capacity(s) * sizeclass_table[bin].size;
        meta_free(s->slots, sizeof(void *) << s->bits);
    }
    place(c, bin, slots, bits, count);
    c->room += (size_t)capacity(s) * sizeclass_table[bin].size;
    return true;
}

/* Gives the `n` oldest pointers back to the spans. */
static void give_oldest(struct tcache *c, unsigned bin, uint32_t n, const char *call)
{
    void **bottom = bottom_of(c, bin), **top = top_of(c, bin);
    span_give(bin, bottom, n, call);
    __builtin_memmove(bottom, bottom + n, (size_t)(top - bottom - n) * sizeof(void *));
    store_relaxed(&c->bins[bin].top, top - n);
}

/*
 * A stack grows when it overflows although as many slots were taken from the spans lately as it holds: then its
 * thread allocates and frees in larger swings. One that only frees what others allocate has no use for more.
 */
static bool may_grow(const struct tcache *c, unsigned bin)
{
    const struct stack *s = &c->stacks[bin];
    size_t size = sizeclass_table[bin].size, more = ((size_t)1 << s->bits) * size;
    return s->credit >= capacity(s) && s->bits < MOST_BITS &&
           2 * more <= max_size((size_t)conf_get(CONF_cache_bin), 16 * size) &&
           c->room + more <= (size_t)conf_get(CONF_cache_thread);
}

/* ---- life of a cache ---- */

static void link_cache(struct tcache *c)
{
    c->prev = NULL;
    c->next = registry.first;
    if (registry.first != NULL)
        registry.first->prev = c;
    registry.first = c;
    registry.threads++;
}

static void unlink_cache(struct tcache *c)
{
    *(c->prev != NULL ? &c->prev->next : &registry.first) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    registry.threads--;
}

static void empty_bin(struct tcache *c, unsigned bin)
{
    dispute_forget(c, bin);
    if (c->stacks[bin].slots == NULL)
        return;
    uint32_t count = compact(c, bin);
    if (count > 0)
        give_oldest(c, bin, count, "free");
}

static void empty_cache(struct tcache *c)
{
    for (unsigned bin = 1; bin < BIN_COUNT; bin++)
        empty_bin(c, bin);
}

/* What bins without an array point at: empty and full. */
static void *none[2];

static struct tcache *new_cache(void)
{
    struct tcache *c = meta_alloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    *c = (struct tcache){.lock = LOCK_INITIALIZER(LOCK_CACHE)};
    for (unsigned bin = 0; bin < BIN_COUNT; bin++) {
        c->bins[bin].magic = sizeclass_table[bin].magic;
        store_relaxed(&c->bins[bin].top, &none[1]);
    }
    return c;
}

static void end_cache(struct tcache *c)
{
    lock_take(&registry.lock);
    unlink_cache(c);
    registry.refills += load_relaxed(&c->refills);
    registry.flushes += load_relaxed(&c->flushes);
    lock_give(&registry.lock);
    lock_take(&c->lock);
    empty_cache(c);
    lock_give(&c->lock);
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        if (c->stacks[bin].slots != NULL)
            meta_free(c->stacks[bin].slots, sizeof(void *) << c->stacks[bin].bits);
    }
    meta_free(c, sizeof(*c));
}

/* Destructor of the thread's key. Whatever the thread frees after this goes to the spans at once. */
static void thread_ends(void *cache)
{
    tcache_tls.ended = true;
    tcache_tls.bins = no_bins;
    end_cache(cache);
}

static bool caches_wanted(void)
{
    return conf_get(CONF_cache) && !conf_get(CONF_check) && !conf_get(CONF_randomize) &&
           !conf_get(CONF_zero_on_free);
}

static struct tcache *cache_of_thread(void)
{
    struct tcache *c = own_cache();
    if (likely(c != NULL) || tcache_tls.ended || !registry.key_made)
        return c;
    lock_take(&registry.lock);
    c = registry.orphans;
    if (c != NULL)
        registry.orphans = c->next;
    lock_give(&registry.lock);
    if (c == NULL && (c = new_cache()) == NULL)
        return NULL;
    lock_take(&registry.lock);
    link_cache(c);
    lock_give(&registry.lock);
    tcache_tls.bins = c->bins;
    pthread_setspecific(registry.key, c);
    return c;
}

void tcache_init(void)
{
    registry.barrier = os_barrier_init();
    registry.key_made = caches_wanted() && pthread_key_create(&registry.key, thread_ends) == 0;
}

/* ---- the slow halves of malloc and free ---- */

static void *alloc_uncached(unsigned bin)
{
    void *slot = NULL;
    no_bin_reset(bin);
    if (conf_get(CONF_randomize))
        return span_take_random(bin, background_random());
    return span_take(bin, &slot, 1) == 1 ? slot : NULL;
}

static bool make_stack(struct tcache *c, unsigned bin)
{
    return resize(c, bin, bits_for(FIRST_BYTES, sizeclass_table[bin].size, FIRST_MOST_BITS));
}

static void *refill(struct tcache *c, unsigned bin)
{
    struct stack *s = &c->stacks[bin];
    if (s->slots == NULL && !make_stack(c, bin))
        return NULL;
    uint32_t count = compact(c, bin);
    if (count == 0) {
        count = (uint32_t)span_take(bin, bottom_of(c, bin), capacity(s) / 2);
        if (count == 0)
            return NULL;
        s->credit += count;
        add_relaxed(&c->refills, 1);
    }
    void **top = bottom_of(c, bin) + count - 1;
    store_relaxed(&c->bins[bin].top, top);
    return *top;
}

void *tcache_alloc(unsigned bin)
{
    struct tcache *c = own_cache();
    if (c == NULL) {
        c = cache_of_thread();
        if (c == NULL)
            return alloc_uncached(bin);
        no_bin_reset(bin);
    } else {
        store_relaxed(&c->bins[bin].top, top_of(c, bin) + 1);
    }
    lock_take(&c->lock);
    void *slot = NULL;
    if (c->stacks[bin].slots != NULL) {
        void **read_null_at = top_of(c, bin) - 1;
        slot = dispute_claim(c, bin, read_null_at);
        if (slot != NULL)
            store_relaxed(&c->bins[bin].top, read_null_at);
    }
    if (slot == NULL)
        slot = refill(c, bin);
    lock_give(&c->lock);
    return slot;
}

/*
 * The thread frees a slot of a bin from which it has not allocated: another thread has, and may be using its
 * neighbours. So that the two do not go on to share a cache line, the slot goes beneath slots for this thread alone.
 */
static bool put_foreign(struct tcache *c, unsigned bin, void *slot)
{
    if (!make_stack(c, bin))
        return false;
    void **bottom = bottom_of(c, bin);
    size_t own = span_take(bin, bottom + 1, capacity(&c->stacks[bin]) / 2);
    *bottom = slot;
    atomic_store_explicit(&c->bins[bin].top, bottom + 1 + own, memory_order_release);
    return true;
}

/* Makes room for a pointer in a stack that is full. */
static void make_room(struct tcache *c, unsigned bin, const char *call)
{
    struct stack *s = &c->stacks[bin];
    dispute_forget(c, bin);
    if (compact(c, bin) < capacity(s))
        return;
    if (may_grow(c, bin)) {
        uint32_t used = capacity(s);
        if (resize(c, bin, s->bits + 1)) {
            s->credit -= used;
            return;
        }
    }
    give_oldest(c, bin, capacity(s) / 2, call);
    add_relaxed(&c->flushes, 1);
}

/* Puts the slot into the cache. False if there is no memory for a stack. */
static bool put(struct tcache *c, unsigned bin, void *slot, const char *call)
{
    if (c->stacks[bin].slots == NULL)
        return put_foreign(c, bin, slot);
    if ((uint32_t)(uintptr_t)top_of(c, bin) >= c->bins[bin].limit)
        make_room(c, bin, call);
    void **top = top_of(c, bin);
    *top = slot;
    atomic_store_explicit(&c->bins[bin].top, top + 1, memory_order_release);
    return true;
}

void tcache_free(unsigned bin, void *slot, const char *call)
{
    struct tcache *c = cache_of_thread();
    if (c == NULL) {
        span_give(bin, &slot, 1, call);
        background_poke();
        return;
    }
    lock_take(&c->lock);
    bool kept = put(c, bin, slot, call);
    size_t room = c->room;
    lock_give(&c->lock);
    if (!kept)
        span_give(bin, &slot, 1, call);
    background_poke_cache(room);
}

bool tcache_holds_last(unsigned bin, const void *slot)
{
    return load_relaxed((shared_slot *)(load_relaxed(&tcache_tls.bins[bin].top) - 1)) == slot;
}

bool tcache_holds(unsigned bin, const void *slot, ptrdiff_t most)
{
    struct tcache *c = own_cache();
    if (c == NULL || c->stacks[bin].slots == NULL)
        return false;
    void **top = top_of(c, bin);
    for (void **p = top - bottom_of(c, bin) > most ? top - most : bottom_of(c, bin); p < top; p++) {
        if (*p == slot)
            return true;
    }
    return false;
}

void tcache_flush(void)
{
    struct tcache *c = own_cache();
    if (c == NULL)
        return;
    lock_take(&c->lock);
    empty_cache(c);
    lock_give(&c->lock);
}

/* ---- draining another thread's cache; registry.lock and the cache's lock are held ---- */

/* Step 1 for the elements [from, to): puts what was exchanged into taken[], NULL where nothing was. */
static void exchange(void **from, void **to, void **taken)
{
    for (; from < to; from++, taken++) {
        void *p = load_relaxed((shared_slot *)from);
        if (p != NULL && !atomic_compare_exchange_strong((shared_slot *)from, &p, NULL))
            p = NULL;
        *taken = p;
    }
}

/* Step 3. Leaves in taken[0 .. n) what is the drainer's. Returns n. */
static size_t claim(struct stack *s, void **top, void **from, size_t count, void **taken)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (taken[i] == NULL)
            continue;
        if (from + i < top && load_relaxed((shared_slot *)(from + i)) == NULL) {
            taken[n++] = taken[i];
        } else if (from + i == top) {
            s->disputed_at = top;
            s->disputed = taken[i];
        }
    }
    return n;
}

static size_t drain_bin(struct tcache *c, unsigned bin)
{
    struct stack *s = &c->stacks[bin];
    void **bottom = bottom_of(c, bin), **from = bottom, *taken[DRAIN_BATCH];
    void **top = atomic_load_explicit(&c->bins[bin].top, memory_order_acquire);
    size_t drained = 0;
    if (s->disputed_at != NULL && s->disputed_at == top)
        return 0; /* the owner may still be at it */
    s->disputed_at = NULL;
    s->drained = true;
    while (from < top && s->disputed_at == NULL) {
        void **to = top - from > DRAIN_BATCH ? from + DRAIN_BATCH : top;
        exchange(from, to, taken);
        if (!os_barrier()) { /* only if a filter has come since the last one: whose these are is not known then */
            registry.barrier = false;
            break;
        }
        top = atomic_load_explicit(&c->bins[bin].top, memory_order_acquire);
        size_t n = claim(s, top, from, (size_t)(to - from), taken);
        span_give(bin, taken, n, "free");
        drained += n;
        from = to;
    }
    return drained;
}

/* Drains the stacks that hold something and have not moved since the last call. */
static size_t drain_cache(struct tcache *c, bool all)
{
    size_t drained = 0;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        struct stack *s = &c->stacks[bin];
        if (s->slots == NULL)
            continue;
        void **top = top_of(c, bin);
        bool idle = all || top == s->seen_top;
        if (idle && top > bottom_of(c, bin) && load_relaxed((shared_slot *)(top - 1)) != NULL)
            drained += drain_bin(c, bin);
        s->seen_top = top;
    }
    return drained;
}

size_t tcache_drain(bool all)
{
    size_t drained = 0;
    lock_take(&registry.lock);
    if (registry.barrier)
        registry.barrier = os_barrier(); /* a system call filter may have come since */
    if (!registry.barrier) {
        lock_give(&registry.lock);
        return 0;
    }
    for (struct tcache *c = registry.first; c != NULL; c = c->next) {
        lock_take(&c->lock);
        drained += drain_cache(c, all);
        lock_give(&c->lock);
    }
    /* Nobody owns an orphan: its stacks stand still. */
    for (struct tcache *c = registry.orphans; c != NULL; c = c->next) {
        lock_take(&c->lock);
        drained += drain_cache(c, true);
        lock_give(&c->lock);
    }
    lock_give(&registry.lock);
    add_relaxed(&registry.drained, drained);
    return drained;
}

/* ---- statistics ---- */

static size_t stack_slots(const struct tcache *c, unsigned bin)
{
    size_t n = 0;
    if (c->stacks[bin].slots != NULL) {
        void **top = top_of(c, bin);
        for (void **p = bottom_of(c, bin); p < top; p++)
            n += load_relaxed((shared_slot *)p) != NULL;
    }
    return n;
}

static size_t list_slots(struct tcache *first, unsigned bin)
{
    size_t n = 0;
    for (struct tcache *c = first; c != NULL; c = c->next) {
        lock_take(&c->lock);
        n += stack_slots(c, bin);
        lock_give(&c->lock);
    }
    return n;
}

size_t tcache_bin_slots(unsigned bin)
{
    lock_take(&registry.lock);
    size_t n = list_slots(registry.first, bin) + list_slots(registry.orphans, bin);
    lock_give(&registry.lock);
    return n;
}

void tcache_stats(struct tcache_stats *stats)
{
    *stats = (struct tcache_stats){.drained = load_relaxed(&registry.drained)};
    for (unsigned bin = 1; bin < BIN_COUNT; bin++)
        stats->bytes += tcache_bin_slots(bin) * sizeclass_table[bin].size;
    lock_take(&registry.lock);
    stats->threads = registry.threads;
    stats->refills = registry.refills;
    stats->flushes = registry.flushes;
    for (struct tcache *c = registry.first; c != NULL; c = c->next) {
        stats->refills += load_relaxed(&c->refills);
        stats->flushes += load_relaxed(&c->flushes);
    }
    lock_give(&registry.lock);
}

/* ---- fork: no thread is in a slow path or drained while the child is made ---- */

void tcache_fork_prepare(void)
{
    lock_take(&registry.lock);
    for (struct tcache *c = registry.first; c != NULL; c = c->next)
        lock_take(&c->lock);
}

void tcache_fork_parent(void)
{
    for (struct tcache *c = registry.first; c != NULL; c = c->next)
        lock_give(&c->lock);
    lock_give(&registry.lock);
}

void tcache_fork_child(void)
{
    struct tcache *own = own_cache(), *next;
    for (struct tcache *c = registry.first; c != NULL; c = next) {
        next = c->next;
        lock_reset(&c->lock);
        if (c == own)
            continue;
        unlink_cache(c);
        c->next = registry.orphans;
        registry.orphans = c;
    }
    lock_reset(&registry.lock);
    /* The child is a new process to membarrier(2). */
    registry.barrier = os_barrier_init();
}
