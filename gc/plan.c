#include "plan.h"

#include "fatal.h"
#include "poison.h"
#include "space.h"
#include "vector.h"

/* ---- sweeping ---- */

static unsigned count_live(const struct maps *maps)
{
    unsigned live = 0;
    for (unsigned word = 0; word < BLOCK_WORDS; word++)
        live += count_bits(live_of(maps, word));
    return live;
}

static void sweep_small(sinter_gc_heap *heap, uint32_t block)
{
    struct block *b = &heap->blocks[block];
    if (!heap->minor || b->fresh)
        b->live = (uint16_t)count_live(&heap->maps[block]);
    b->fresh = false;
    add_relaxed(&heap->live, b->live * GRANULE_BYTES);
    if (b->live == 0)
        space_free(heap, block);
}

static void sweep_large(sinter_gc_heap *heap, uint32_t first)
{
    struct block *b = &heap->blocks[first];
    uint32_t blocks = b->length;
    bool dead = !load_relaxed(&b->marked);
    if (!dead)
        add_relaxed(&heap->live, (uint64_t)blocks * BLOCK_BYTES);
    for (uint32_t block = first; block < first + blocks; block++) {
        heap->blocks[block].fresh = false;
        if (dead)
            space_free(heap, block);
    }
}

void plan_sweep(sinter_gc_heap *heap)
{
    store_relaxed(&heap->live, 0);
    for (uint32_t block = 0; block < heap->frontier; block++) {
        if (heap->blocks[block].state == BLOCK_CLOSED)
            sweep_small(heap, block);
        else if (heap->blocks[block].state == BLOCK_LARGE)
            sweep_large(heap, block);
    }
}

/* ---- what to do with which block ---- */

static bool is_sparse(const sinter_gc_heap *heap, const struct block *b)
{
    return b->live * 100u < heap->config.whole * (unsigned)BLOCK_GRANULES;
}

uint32_t plan_gain(const sinter_gc_heap *heap)
{
    uint64_t granules = 0;
    for (uint32_t block = 0; block < heap->frontier; block++) {
        const struct block *b = &heap->blocks[block];
        if (b->state == BLOCK_CLOSED && !b->pinned && is_sparse(heap, b))
            granules += BLOCK_GRANULES - b->live;
    }
    return (uint32_t)(granules / BLOCK_GRANULES);
}

static enum plan of_small(const sinter_gc_heap *heap, const struct block *b)
{
    enum plan stay = b->leaf ? PLAN_STAY : PLAN_REWRITE;
    if (b->pinned)
        return stay;
    if (is_sparse(heap, b))
        return PLAN_SLIDE;
    if (b->leaf || !heap->moving_served)
        return stay;
    /* In the to-window there is no moving to the same number there: what came there in the last cycle is gathered. */
    return b->home == heap->to ? PLAN_SLIDE : PLAN_WHOLE;
}

static enum plan of_large(const sinter_gc_heap *heap, const struct block *b)
{
    if (b->leaf)
        return PLAN_STAY;
    bool may_move = heap->moving_served && !b->pinned && b->home != heap->to;
    return may_move ? PLAN_WHOLE : PLAN_REWRITE;
}

/* ---- gathering ---- */

/* The destination that is being filled, for objects of one kind. */
struct fill {
    uint32_t block; /* NO_BLOCK: none */
    unsigned used;
    uint32_t last; /* source */
    uint32_t sources;
};

static void count_before(struct block *b, const struct maps *maps)
{
    unsigned live = 0;
    for (unsigned word = 0; word < BLOCK_WORDS; word++) {
        b->before[word] = (uint16_t)live;
        live += count_bits(live_of(maps, word));
    }
}

/* The most live granules, in whole objects from the block's start on, that `room` granules hold. */
static unsigned objects_within(const struct block *b, const struct maps *maps, unsigned room)
{
    for (unsigned word = BLOCK_WORDS; word-- > 0;) {
        uint32_t starts = starts_of(maps, word);
        while (b->before[word] <= room && starts != 0) {
            unsigned bit = 31 - (unsigned)__builtin_clz(starts);
            unsigned before = live_before(b, maps, word * WORD_GRANULES + bit);
            if (before <= room)
                return before;
            starts &= ~((uint32_t)1 << bit);
        }
    }
    return 0;
}

static bool next_destination(sinter_gc_heap *heap, struct fill *fill, bool leaf, uint32_t source,
                             unsigned skip)
{
    uint32_t block = space_take_destination(heap, leaf);
    if (block == NO_BLOCK)
        return false;
    struct block *d = &heap->blocks[block];
    d->source = source;
    d->skip = (uint16_t)skip;
    store_relaxed(&d->job, JOB_PENDING);
    *fill = (struct fill){block, 0, fill->last, fill->sources};
    return true;
}

static void put(sinter_gc_heap *heap, struct fill *fill, const struct block *source, unsigned granules)
{
    struct block *d = &heap->blocks[fill->block];
    fill->used += granules;
    d->used = (uint16_t)fill->used;
    if (load_relaxed(&source->calls))
        store_relaxed(&d->calls, true);
}

/* False if there is no room left in the to-window. */
static bool gather(sinter_gc_heap *heap, struct fill *fill, uint32_t source)
{
    struct block *b = &heap->blocks[source];
    const struct maps *maps = &heap->maps[source];
    unsigned room = fill->block != NO_BLOCK ? BLOCK_GRANULES - fill->used : 0;
    count_before(b, maps);
    unsigned first = b->live <= room ? b->live : objects_within(b, maps, room);
    uint32_t here = fill->block;
    unsigned at = fill->used;
    struct fill next = *fill;
    if (first < b->live && !next_destination(heap, &next, b->leaf, source, first))
        return false;
    if (fill->last != NO_BLOCK)
        heap->blocks[fill->last].next = source;
    if (first > 0)
        put(heap, fill, b, first);
    *fill = next.block != here ? next : *fill;
    if (first < b->live)
        put(heap, fill, b, b->live - first);
    bool both = first > 0 && first < b->live;
    b->to[0] = first > 0 ? here : fill->block;
    b->at = (uint16_t)(first > 0 ? at : 0);
    b->split = first > 0 ? (uint16_t)first : b->live;
    b->to[1] = fill->block;
    b->next = NO_BLOCK;
    store_relaxed(&b->destinations, both ? 2 : 1);
    fill->last = source;
    fill->sources++;
    return true;
}

/* ---- the whole ---- */

static void set_plan(sinter_gc_heap *heap, uint32_t block, enum plan plan)
{
    struct block *b = &heap->blocks[block];
    b->plan = (uint8_t)plan;
    if (plan == PLAN_REWRITE && b->state != BLOCK_TAIL && !vector_push(&heap->staying, &block, sizeof(block)))
        fatal("out of memory while noting a block that must not move");
}

static void plan_small(sinter_gc_heap *heap, struct fill *fills, uint32_t block)
{
    struct block *b = &heap->blocks[block];
    enum plan plan = of_small(heap, b);
    if (b->pinned)
        add_relaxed(&heap->kept, BLOCK_BYTES);
    if (plan == PLAN_SLIDE && !gather(heap, &fills[b->leaf], block))
        plan = b->leaf ? PLAN_STAY : PLAN_REWRITE;
    if (plan == PLAN_WHOLE) {
        poison_clear(heap, block, heap->to);
        store_relaxed(&b->job, JOB_PENDING);
    }
    set_plan(heap, block, plan);
}

static void plan_large(sinter_gc_heap *heap, uint32_t first)
{
    struct block *head = &heap->blocks[first];
    char *object = block_home(heap, first);
    enum plan plan = of_large(heap, head);
    if (head->pinned)
        add_relaxed(&heap->kept, (uint64_t)head->length * BLOCK_BYTES);
    const struct sinter_gc_layout *layout = &type_of(heap, object)->layout;
    size_t count = object_tail(layout, object);
    for (uint32_t i = 0; i < head->length; i++) {
        struct block *b = &heap->blocks[first + i];
        set_plan(heap, first + i, plan);
        b->together = layout->visit != NULL;
        b->layout = layout;
        b->count = count;
        if (plan == PLAN_WHOLE)
            poison_clear(heap, first + i, heap->to);
        if (plan == PLAN_WHOLE && (i == 0 || !b->together))
            store_relaxed(&b->job, JOB_PENDING);
    }
}

void plan_compaction(sinter_gc_heap *heap)
{
    struct fill fills[] = {{NO_BLOCK, 0, NO_BLOCK, 0}, {NO_BLOCK, 0, NO_BLOCK, 0}};
    uint32_t frontier = heap->frontier;
    heap->staying.count = 0;
    if (heap->moving_served)
        heap->to = 1 - heap->to;
    for (uint32_t block = 0; block < frontier; block++) {
        struct block *b = &heap->blocks[block];
        /* Not what objects are to be gathered in. */
        if (b->state == BLOCK_CLOSED && load_relaxed(&b->job) == JOB_NONE)
            plan_small(heap, fills, block);
        else if (b->state == BLOCK_LARGE)
            plan_large(heap, block);
    }
    heap->planned = heap->frontier;
    space_expect_left(heap, fills[false].sources + fills[true].sources);
}
