#include "alloc.h"

#include "cycle.h"
#include "object.h"
#include "space.h"
#include "world.h"

#include <errno.h>

enum { OVERDRAFT = 256 }; /* blocks that may be taken while a cycle is due, by all mutators */

/* The pointers that objects are taken from; under stress not the public ones. */
static struct sinter_gc_bump *bumps(struct mutator *m)
{
    return m->heap->config.stress != 0 ? m->real : m->public.bump;
}

static void close_bump(sinter_gc_heap *heap, struct sinter_gc_bump *bump)
{
    if (bump->limit == NULL)
        return;
    char *start = bump->limit - BLOCK_BYTES;
    struct block *b = &heap->blocks[block_of(heap, start)];
    pthread_mutex_lock(&heap->space_lock);
    b->used = (uint16_t)((size_t)(bump->next - start) >> GRANULE_BITS);
    b->state = BLOCK_CLOSED;
    pthread_mutex_unlock(&heap->space_lock);
    *bump = (struct sinter_gc_bump){NULL, NULL};
}

void alloc_close(struct mutator *m)
{
    for (int leaf = 0; leaf < 2; leaf++)
        close_bump(m->heap, &bumps(m)[leaf]);
}

static void *take(struct sinter_gc_bump *bump, sinter_gc_type type, size_t rounded)
{
    if (rounded > (size_t)(bump->limit - bump->next))
        return NULL;
    char *object = bump->next;
    bump->next += rounded;
    *(uint64_t *)object = type;
    return object;
}

static void *small(struct mutator *m, sinter_gc_type type, size_t rounded)
{
    bool leaf = (type & LEAF_BIT) != 0;
    struct sinter_gc_bump *bump = &bumps(m)[leaf];
    void *object = take(bump, type, rounded);
    if (object != NULL)
        return object;
    uint32_t block = space_take(m->heap, leaf);
    if (block == NO_BLOCK)
        return NULL;
    if (unlikely(load_relaxed(&m->heap->dormant)) && load_relaxed(&m->heap->wanted) != 0)
        cycle_revive(m->heap);
    close_bump(m->heap, bump);
    bump->next = block_home(m->heap, block);
    bump->limit = bump->next + BLOCK_BYTES;
    return take(bump, type, rounded);
}

static void *large(struct mutator *m, sinter_gc_type type, size_t size)
{
    if (size > m->heap->config.maximum)
        return NULL;
    uint32_t blocks = (uint32_t)((size + BLOCK_BYTES - 1) >> BLOCK_BITS);
    uint32_t first = space_take_run(m->heap, blocks, (type & LEAF_BIT) != 0);
    if (first == NO_BLOCK)
        return NULL;
    char *object = block_home(m->heap, first);
    *(uint64_t *)object = type;
    return object;
}

static void *try(struct mutator *m, sinter_gc_type type, size_t size)
{
    size_t rounded = align_up(size, GRANULE_BYTES);
    return rounded <= LARGE_BYTES ? small(m, type, rounded) : large(m, type, size);
}

static bool ask_embedder(struct mutator *m, size_t size)
{
    const struct sinter_gc_events *events = &m->heap->events;
    return events->out_of_memory != NULL && events->out_of_memory(events->data, &m->public, size);
}

static void *make_room_and_try(struct mutator *m, sinter_gc_type type, size_t size)
{
    void *object = NULL;
    for (enum sinter_gc_collect how = SINTER_GC_COLLECT; object == NULL && how <= SINTER_GC_COLLECT_COMPACT;
         how++) {
        cycle_collect(m, how);
        object = try(m, type, size);
    }
    while (object == NULL && ask_embedder(m, size)) {
        object = try(m, type, size);
        if (object == NULL) {
            cycle_collect(m, SINTER_GC_COLLECT_COMPACT);
            object = try(m, type, size);
        }
    }
    return object;
}

static bool is_known(const sinter_gc_heap *heap, sinter_gc_type type)
{
    uint32_t number = type & ~(uint32_t)LEAF_BIT;
    return number != 0 && number < atomic_load(&heap->type_count) &&
           heap->types[number].layout.pointer_free == ((type & LEAF_BIT) != 0);
}

/* Every kind takes its turn; a minor one needs one before it that moves nothing. */
static enum sinter_gc_collect stress_kind(uint64_t number)
{
    static const enum sinter_gc_collect kinds[] = {SINTER_GC_COLLECT_COMPACT, SINTER_GC_COLLECT,
                                                   SINTER_GC_COLLECT_MINOR, SINTER_GC_COLLECT_MINOR};
    return kinds[number % ARRAY_LEN(kinds)];
}

void *sinter_gc_alloc_slow(sinter_gc_mutator *mutator, sinter_gc_type type, size_t size)
{
    struct mutator *m = (struct mutator *)mutator;
    if (size < sizeof(uint64_t) || !is_known(m->heap, type)) {
        errno = EINVAL;
        return NULL;
    }
    if (unlikely(load_relaxed(&m->heap->budget) < -OVERDRAFT)) /* the collector does not get to run */
        cycle_collect(m, SINTER_GC_COLLECT_MINOR);
    unsigned stress = m->heap->config.stress;
    if (stress != 0 && ++m->allocations % stress == 0)
        cycle_collect(m, stress_kind(m->allocations / stress));
    sinter_gc_safepoint(mutator);
    void *object = size < SIZE_MAX - GRANULE_BYTES ? try(m, type, size) : NULL;
    if (object == NULL && size <= m->heap->config.maximum)
        object = make_room_and_try(m, type, size);
    if (object == NULL)
        errno = ENOMEM;
    return object;
}

void *sinter_gc_alloc_array(sinter_gc_mutator *mutator, sinter_gc_type type, size_t count)
{
    const struct mutator *m = (struct mutator *)mutator;
    size_t size;
    if (!is_known(m->heap, type) || m->heap->types[type & ~(uint32_t)LEAF_BIT].layout.element_size == 0) {
        errno = EINVAL;
        return NULL;
    }
    const struct sinter_gc_layout *layout = &m->heap->types[type & ~(uint32_t)LEAF_BIT].layout;
    if (__builtin_mul_overflow(count, layout->element_size, &size) ||
        __builtin_add_overflow(size, layout->size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    char *object = sinter_gc_alloc(mutator, type, size);
    if (object != NULL)
        *(size_t *)(object + layout->count_offset) = count;
    return object;
}

void *sinter_gc_alloc_pinned(sinter_gc_mutator *mutator, sinter_gc_type type, size_t size)
{
    void *object = sinter_gc_alloc(mutator, type, size);
    return object != NULL && sinter_gc_pin(mutator, object) == 0 ? object : NULL;
}

size_t sinter_gc_size_of(const sinter_gc_heap *heap, const void *object)
{
    return object_size(heap, object);
}
