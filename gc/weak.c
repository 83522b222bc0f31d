#include "weak.h"

#include "keys.h"
#include "mark.h"
#include "object.h"
#include "vector.h"
#include "world.h"

#include <errno.h>

struct weak {
    uint64_t header;
    void *target;
};

struct ephemeron {
    uint64_t header;
    void *key, *value;
};

struct finalizer {
    void *object, *data;
};

/* ---- objects ---- */

/* What is to be in a new object is a root while that is made. */
void *sinter_gc_weak_new(sinter_gc_mutator *mutator, void *target)
{
    SINTER_GC_ROOTS(mutator, target);
    struct weak *w = sinter_gc_alloc(mutator, TYPE_WEAK, sizeof(*w));
    if (w != NULL)
        w->target = target;
    return w;
}

void *sinter_gc_weak_get(const void *weak)
{
    return ((const struct weak *)weak)->target;
}

void *sinter_gc_ephemeron_new(sinter_gc_mutator *mutator, void *key, void *value)
{
    SINTER_GC_ROOTS(mutator, key, value);
    struct ephemeron *e = sinter_gc_alloc(mutator, TYPE_EPHEMERON, sizeof(*e));
    if (e != NULL) {
        e->key = key;
        e->value = value;
    }
    return e;
}

void *sinter_gc_ephemeron_key(const void *ephemeron)
{
    return ephemeron_key(ephemeron);
}

void *sinter_gc_ephemeron_value(const void *ephemeron)
{
    return ((const struct ephemeron *)ephemeron)->value;
}

void sinter_gc_ephemeron_set_value(void *ephemeron, void *value)
{
    struct ephemeron *e = ephemeron;
    if (e->key != NULL)
        e->value = value;
}

void *ephemeron_key(const void *ephemeron)
{
    return ((const struct ephemeron *)ephemeron)->key;
}

/* The upper half of the header; whoever is first decides. */
uint32_t sinter_gc_hash(sinter_gc_mutator *mutator, void *object)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    uint64_t header = __atomic_load_n((uint64_t *)object, __ATOMIC_RELAXED);
    while (header >> 32 == 0) {
        uint32_t hash = (uint32_t)((uint64_t)(add_relaxed(&heap->hashes, 1) + 1) * 0x9e3779b97f4a7c15u >> 24);
        uint64_t with = (header & UINT32_MAX) | (uint64_t)(hash != 0 ? hash : 1) << 32;
        if (__atomic_compare_exchange_n((uint64_t *)object, &header, with, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            header = with;
    }
    return (uint32_t)(header >> 32);
}

/* ---- after marking ---- */

/* Of those found from *taken on: values whose keys are marked are marked, the others wait. False if memory is exhausted. */
static bool take_found(sinter_gc_heap *heap, unsigned worker, size_t *taken, struct keys *keys)
{
    struct vector *found = &mark_found(heap, worker)->ephemerons;
    for (; *taken < found->count; ++*taken) {
        struct ephemeron *e = ((struct ephemeron **)found->items)[*taken];
        if (mark_is_marked(heap, e->key))
            mark_more(heap, e->value); /* may find more, and the vector may move */
        else if (!keys_add(keys, e->key, e))
            return false;
    }
    return true;
}

/* Marks values as their keys are marked; leaves those for which there is no memory. */
static void settle_by_keys(sinter_gc_heap *heap)
{
    struct keys keys = {0};
    size_t taken[WORKERS_MAX] = {0};
    bool room = true;
    struct ephemeron *e;
    mark_tell(heap, &keys);
    do {
        for (unsigned i = 0; room && i < mark_workers(heap); i++)
            room = take_found(heap, i, &taken[i], &keys);
        e = keys_take(&keys);
        if (e != NULL)
            mark_more(heap, e->value);
    } while (e != NULL);
    mark_tell(heap, NULL);
    keys_free(&keys);
}

/* Values whose keys have been marked meanwhile are marked. False if there were none. */
static bool ephemerons_step(sinter_gc_heap *heap, struct vector *found)
{
    bool any = false;
    size_t left = 0;
    void **items = found->items;
    for (size_t i = 0; i < found->count; i++) {
        struct ephemeron *e = items[i];
        if (mark_is_marked(heap, e->key)) {
            any = true;
            mark_more(heap, e->value); /* may find more, and the vector may move */
            items = found->items;
        } else {
            items[left++] = e;
        }
    }
    found->count = left;
    return any;
}

static void ephemerons_settle(sinter_gc_heap *heap)
{
    bool more = true;
    settle_by_keys(heap);
    while (more) {
        more = false;
        for (unsigned i = 0; i < mark_workers(heap); i++)
            more |= ephemerons_step(heap, &mark_found(heap, i)->ephemerons);
    }
}

/* What points at the dead is cleared. */
static void clear(sinter_gc_heap *heap)
{
    for (unsigned i = 0; i < mark_workers(heap); i++) {
        struct found *found = mark_found(heap, i);
        for (size_t n = 0; n < found->weak.count; n++) {
            struct weak *w = ((struct weak **)found->weak.items)[n];
            if (!mark_is_marked(heap, w->target))
                w->target = NULL;
        }
        for (size_t n = 0; n < found->ephemerons.count; n++) {
            struct ephemeron *e = ((struct ephemeron **)found->ephemerons.items)[n];
            e->key = e->value = NULL;
        }
        found->weak.count = found->ephemerons.count = 0;
    }
}

/* The queue has room for all that are registered; see sinter_gc_finalizer_add(). */
static void queue_dead(sinter_gc_heap *heap)
{
    struct finalizer *all = heap->finalizers.items;
    size_t left = 0;
    for (size_t i = 0; i < heap->finalizers.count; i++) {
        if (mark_is_marked(heap, all[i].object))
            all[left++] = all[i];
        else
            ((struct finalizer *)heap->queue.items)[heap->queue.count++] = all[i];
    }
    heap->finalizers.count = left;
}

void weak_after_mark(sinter_gc_heap *heap)
{
    ephemerons_settle(heap);
    clear(heap);
    size_t queued = heap->queue.count;
    queue_dead(heap);
    for (size_t i = queued; i < heap->queue.count; i++)
        mark_more(heap, ((struct finalizer *)heap->queue.items)[i].object);
    ephemerons_settle(heap);
    clear(heap);
}

static void visit(struct vector *finalizers, size_t from, sinter_gc_edge edge, void *context)
{
    for (size_t i = from; i < finalizers->count; i++)
        edge(&((struct finalizer *)finalizers->items)[i].object, context);
}

void weak_visit_queue(sinter_gc_heap *heap, sinter_gc_edge edge, void *context)
{
    visit(&heap->queue, heap->queue_taken, edge, context);
}

void weak_visit_finalizers(sinter_gc_heap *heap, sinter_gc_edge edge, void *context)
{
    visit(&heap->finalizers, 0, edge, context);
}

/* ---- finalizers ---- */

int sinter_gc_finalizer_add(sinter_gc_mutator *mutator, void *object, void *data)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    struct finalizer f = {object, data};
    pthread_mutex_lock(&heap->roots_lock);
    size_t most = heap->queue.count + heap->finalizers.count + 1;
    bool done =
        vector_reserve(&heap->queue, most, sizeof(f)) && vector_push(&heap->finalizers, &f, sizeof(f));
    pthread_mutex_unlock(&heap->roots_lock);
    if (!done)
        errno = ENOMEM;
    return done ? 0 : -1;
}

void *sinter_gc_finalizer_next(sinter_gc_mutator *mutator, void **data)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    struct finalizer f = {NULL, NULL};
    pthread_mutex_lock(&heap->roots_lock);
    if (heap->queue_taken < heap->queue.count)
        f = ((struct finalizer *)heap->queue.items)[heap->queue_taken++];
    if (heap->queue_taken == heap->queue.count)
        heap->queue.count = heap->queue_taken = 0;
    pthread_mutex_unlock(&heap->roots_lock);
    if (f.object != NULL && data != NULL)
        *data = f.data;
    return f.object;
}

void weak_destroy(sinter_gc_heap *heap)
{
    vector_free(&heap->finalizers);
    vector_free(&heap->queue);
}
