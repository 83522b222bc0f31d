#include "os.h"
#include "span.h"
#include "tcache_table.h"

enum { DRAIN_BATCH = 256 };

/* ---- draining another thread's cache; tcache_registry.lock and the cache's lock are held ---- */

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
    void **bottom = tcache_bottom(c, bin), **from = bottom, *taken[DRAIN_BATCH];
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
            tcache_registry.barrier = false;
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
        void **top = tcache_top(c, bin);
        bool idle = all || top == s->seen_top;
        if (idle && top > tcache_bottom(c, bin) && load_relaxed((shared_slot *)(top - 1)) != NULL)
            drained += drain_bin(c, bin);
        s->seen_top = top;
    }
    return drained;
}

size_t tcache_drain(bool all)
{
    size_t drained = 0;
    lock_take(&tcache_registry.lock);
    if (tcache_registry.barrier)
        tcache_registry.barrier = os_barrier(); /* a system call filter may have come since */
    if (!tcache_registry.barrier) {
        lock_give(&tcache_registry.lock);
        return 0;
    }
    for (struct tcache *c = tcache_registry.first; c != NULL; c = c->next) {
        lock_take(&c->lock);
        drained += drain_cache(c, all);
        lock_give(&c->lock);
    }
    /* Nobody owns an orphan: its stacks stand still. */
    for (struct tcache *c = tcache_registry.orphans; c != NULL; c = c->next) {
        lock_take(&c->lock);
        drained += drain_cache(c, true);
        lock_give(&c->lock);
    }
    lock_give(&tcache_registry.lock);
    add_relaxed(&tcache_registry.drained, drained);
    return drained;
}

/* ---- statistics ---- */

static size_t stack_slots(const struct tcache *c, unsigned bin)
{
    size_t n = 0;
    if (c->stacks[bin].slots != NULL) {
        void **top = tcache_top(c, bin);
        for (void **p = tcache_bottom(c, bin); p < top; p++)
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
    lock_take(&tcache_registry.lock);
    size_t n = list_slots(tcache_registry.first, bin) + list_slots(tcache_registry.orphans, bin);
    lock_give(&tcache_registry.lock);
    return n;
}

void tcache_stats(struct tcache_stats *stats)
{
    *stats = (struct tcache_stats){.drained = load_relaxed(&tcache_registry.drained)};
    for (unsigned bin = 1; bin < BIN_COUNT; bin++)
        stats->bytes += tcache_bin_slots(bin) * sizeclass_table[bin].size;
    lock_take(&tcache_registry.lock);
    stats->threads = tcache_registry.threads;
    stats->refills = tcache_registry.refills;
    stats->flushes = tcache_registry.flushes;
    for (struct tcache *c = tcache_registry.first; c != NULL; c = c->next) {
        stats->refills += load_relaxed(&c->refills);
        stats->flushes += load_relaxed(&c->flushes);
    }
    lock_give(&tcache_registry.lock);
}
