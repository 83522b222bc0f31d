#include "pace.h"

#include "plan.h"
#include "written.h"

enum {
    GAIN_SHARE = 4,   /* compact if that wins a quarter of the blocks in use */
    GAIN_BLOCKS = 64, /* and so many */
    LEAST_BUDGET = 64,
    LEAST_SHARE = 16, /* of the blocks in use */
    RESTS_MOST = 31,
};

/* ---- how much may be allocated until the next one ---- */

/* Blocks in use at which it is due. */
static double goal(const sinter_gc_heap *heap, double used)
{
    const struct sinter_gc_config *c = &heap->config;
    switch (c->growth) {
    case SINTER_GC_GROW_FIXED:
        return used + (double)(c->fixed >> BLOCK_BITS);
    case SINTER_GC_GROW_TIME:
        return used + (double)heap->taken_between * (double)heap->last_ns / (double)(heap->between_ns + 1) *
                          (100.0 - c->gc_share) / c->gc_share;
    default:
        return (double)heap->full_live / BLOCK_BYTES * c->factor / 100;
    }
}

int64_t pace_budget(const sinter_gc_heap *heap)
{
    const struct sinter_gc_config *c = &heap->config;
    double used = heap->in_use, least = used + LEAST_BUDGET + used / LEAST_SHARE, wanted = goal(heap, used);
    double soft = (double)(c->soft_limit >> BLOCK_BITS);
    if (soft > 0 && wanted > soft)
        wanted = soft;
    if (wanted < (double)(c->minimum >> BLOCK_BITS))
        wanted = (double)(c->minimum >> BLOCK_BITS);
    if (wanted < least)
        wanted = least;
    if (wanted > heap->most)
        wanted = heap->most;
    return (int64_t)(wanted - used);
}

static void set_budget(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->space_lock);
    store_relaxed(&heap->budget, pace_budget(heap));
    pthread_mutex_unlock(&heap->space_lock);
}

bool pace_compacts(const sinter_gc_heap *heap, enum sinter_gc_collect how)
{
    if (!heap->config.compact)
        return false;
    uint32_t gain = plan_gain(heap);
    return how > SINTER_GC_COLLECT || (gain >= GAIN_BLOCKS && gain >= heap->in_use / GAIN_SHARE);
}

/* ---- minor or full ---- */

/*
 * Garbage among the old stays until a full cycle. That is due when half of what could be allocated after the last one has become
 * old, or when so little was left of the fresh that objects had better be moved; and at once, and for a while, where minor
 * ones win little: most of what is fresh survives, or most of what is old is written to.
 */
static void after_minor(sinter_gc_heap *heap)
{
    int64_t kept = (int64_t)heap->in_use - heap->last_in_use, old = (int64_t)heap->in_use - heap->full_in_use;
    bool poor = kept > (int64_t)heap->taken_between / 2 ||
                heap->written > (size_t)heap->last_in_use * BLOCK_PAGES / 2;
    heap->rests = !poor ? 0 : heap->rests < RESTS_MOST ? 2 * heap->rests + 1 : RESTS_MOST;
    heap->rest = heap->rests;
    heap->full_due =
        poor || old > heap->full_budget / 2 || pace_compacts(heap, SINTER_GC_COLLECT) || !written_watch(heap);
    add_relaxed(&heap->minors, 1);
}

static void after_full(sinter_gc_heap *heap, bool moves)
{
    heap->full_in_use = heap->in_use;
    heap->full_budget = load_relaxed(&heap->budget);
    heap->full_due = moves || !heap->config.generational || heap->rest > 0 || !written_watch(heap);
    if (heap->rest > 0)
        heap->rest--;
}

/* ---- from cycle to cycle ---- */

void pace_begin(sinter_gc_heap *heap, enum sinter_gc_collect how, uint64_t now_ns)
{
    heap->between_ns = now_ns - heap->last_end;
    heap->taken_between = heap->taken - heap->taken_before;
    heap->taken_before = heap->taken;
    heap->minor = how == SINTER_GC_COLLECT_MINOR && heap->watched && !heap->full_due;
    if (!heap->minor)
        written_ignore(heap);
}

void pace_next(sinter_gc_heap *heap, bool moves)
{
    if (!heap->minor)
        heap->full_live = load_relaxed(&heap->live);
    set_budget(heap);
    if (heap->minor)
        after_minor(heap);
    else
        after_full(heap, moves);
    heap->last_in_use = heap->in_use;
}
