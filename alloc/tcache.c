#include "background.h"
#include "conf.h"
#include "guard_rest.h"
#include "meta.h"
#include "os.h"
#include "quarantine.h"
#include "span.h"
#include "tcache_table.h"

enum {
    LEAST_BITS = 4, /* the smallest array has 16 elements */
    MOST_BITS = 14, /* the largest 16384 */
    FIRST_BYTES = 16 * 1024,
    FIRST_MOST_BITS = 6,
};

struct tcache_registry tcache_registry = {.lock = LOCK_INITIALIZER(LOCK_REGISTRY)};

/*
 * The cache of threads without one: always empty and always full. The pop of the fast path moves its tops down
 * before it finds NULL, and several threads may do so at a time; the slow path puts them back. Therefore they
 * stand at the end of a zone of NULLs with room for more threads than a process can have.
 */
static void *nulls[64 * 1024]; /* never written, so without memory */
static struct tcache_bin no_bins[BIN_COUNT] = {[0 ... BIN_COUNT - 1] = {.top = &nulls[ARRAY_LEN(nulls)]}};

__thread struct tcache_tls tcache_tls
    __attribute__((tls_model("initial-exec"))) = {.bins = no_bins, .direct = DIRECT_MAX, .small = SMALL_MAX};

struct tcache *tcache_own(void)
{
    struct tcache_bin *bins = tcache_tls.bins;
    return bins != no_bins ? (struct tcache *)bins : NULL;
}

static void no_bin_reset(unsigned bin)
{
    store_relaxed(&no_bins[bin].top, &nulls[ARRAY_LEN(nulls)]);
}

/* ---- stacks; all with the cache's lock held, and `c` the caller's own cache unless said otherwise ---- */

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
    void **bottom = tcache_bottom(c, bin), **top = tcache_top(c, bin), **to = bottom;
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
        __builtin_memcpy(slots + 1, tcache_bottom(c, bin), count * sizeof(void *));
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
    void **bottom = tcache_bottom(c, bin), **top = tcache_top(c, bin);
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
    c->next = tcache_registry.first;
    if (tcache_registry.first != NULL)
        tcache_registry.first->prev = c;
    tcache_registry.first = c;
    tcache_registry.threads++;
}

static void unlink_cache(struct tcache *c)
{
    *(c->prev != NULL ? &c->prev->next : &tcache_registry.first) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    tcache_registry.threads--;
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
    lock_take(&tcache_registry.lock);
    unlink_cache(c);
    tcache_registry.refills += load_relaxed(&c->refills);
    tcache_registry.flushes += load_relaxed(&c->flushes);
    lock_give(&tcache_registry.lock);
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
    guard_rest_thread_ends();
    tcache_tls.bins = no_bins;
    end_cache(cache);
}

static bool caches_wanted(void)
{
    return conf_get(CONF_cache) && !conf_get(CONF_check) && !conf_get(CONF_randomize) &&
           !conf_get(CONF_zero_on_free) && !conf_get(CONF_canary) && !quarantine_is_on();
}

static struct tcache *cache_of_thread(void)
{
    struct tcache *c = tcache_own();
    if (likely(c != NULL) || tcache_tls.ended || !tcache_registry.key_made)
        return c;
    lock_take(&tcache_registry.lock);
    c = tcache_registry.orphans;
    if (c != NULL)
        tcache_registry.orphans = c->next;
    lock_give(&tcache_registry.lock);
    if (c == NULL && (c = new_cache()) == NULL)
        return NULL;
    lock_take(&tcache_registry.lock);
    link_cache(c);
    lock_give(&tcache_registry.lock);
    tcache_tls.bins = c->bins;
    pthread_setspecific(tcache_registry.key, c);
    return c;
}

void tcache_init(void)
{
    tcache_registry.barrier = os_barrier_init();
    tcache_registry.key_made = caches_wanted() && pthread_key_create(&tcache_registry.key, thread_ends) == 0;
}

/* ---- the slow halves of malloc and free ---- */

void tcache_undo_pop(unsigned bin)
{
    if (tcache_own() == NULL)
        no_bin_reset(bin);
}

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
        count = (uint32_t)span_take(bin, tcache_bottom(c, bin), capacity(s) / 2);
        if (count == 0)
            return NULL;
        s->credit += count;
        add_relaxed(&c->refills, 1);
    }
    void **top = tcache_bottom(c, bin) + count - 1;
    store_relaxed(&c->bins[bin].top, top);
    return *top;
}

void *tcache_alloc(unsigned bin)
{
    struct tcache *c = tcache_own();
    if (c == NULL) {
        c = cache_of_thread();
        if (c == NULL)
            return alloc_uncached(bin);
        no_bin_reset(bin);
    } else {
        store_relaxed(&c->bins[bin].top, tcache_top(c, bin) + 1);
    }
    lock_take(&c->lock);
    void *slot = NULL;
    if (c->stacks[bin].slots != NULL) {
        void **read_null_at = tcache_top(c, bin) - 1;
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
    void **bottom = tcache_bottom(c, bin);
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
    if ((uint32_t)(uintptr_t)tcache_top(c, bin) >= c->bins[bin].limit)
        make_room(c, bin, call);
    void **top = tcache_top(c, bin);
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
    struct tcache *c = tcache_own();
    if (c == NULL || c->stacks[bin].slots == NULL)
        return false;
    void **top = tcache_top(c, bin);
    for (void **p = top - tcache_bottom(c, bin) > most ? top - most : tcache_bottom(c, bin); p < top; p++) {
        if (*p == slot)
            return true;
    }
    return false;
}

void tcache_flush(void)
{
    struct tcache *c = tcache_own();
    if (c == NULL)
        return;
    lock_take(&c->lock);
    empty_cache(c);
    lock_give(&c->lock);
}

/* ---- fork: no thread is in a slow path or drained while the child is made ---- */

void tcache_fork_prepare(void)
{
    lock_take(&tcache_registry.lock);
    for (struct tcache *c = tcache_registry.first; c != NULL; c = c->next)
        lock_take(&c->lock);
}

void tcache_fork_parent(void)
{
    for (struct tcache *c = tcache_registry.first; c != NULL; c = c->next)
        lock_give(&c->lock);
    lock_give(&tcache_registry.lock);
}

void tcache_fork_child(void)
{
    struct tcache *own = tcache_own(), *next;
    for (struct tcache *c = tcache_registry.first; c != NULL; c = next) {
        next = c->next;
        lock_reset(&c->lock);
        if (c == own)
            continue;
        unlink_cache(c);
        c->next = tcache_registry.orphans;
        tcache_registry.orphans = c;
    }
    lock_reset(&tcache_registry.lock);
    /* The child is a new process to membarrier(2). */
    tcache_registry.barrier = os_barrier_init();
}
