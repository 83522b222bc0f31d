#include "heap.h"

#include <stdio.h>
#include <stdlib.h>

const char heap_name[] = "sinter";
sinter_gc_mutator *heap_mutator;

static sinter_gc_heap *heap;
static const struct heap_range *ranges[HEAP_RANGES];
static size_t range_count;

static _Noreturn void cannot(const char *what)
{
    perror(what);
    exit(70);
}

static void visit_ranges(void *data, sinter_gc_edge edge, void *context)
{
    (void)data;
    for (size_t i = 0; i < range_count; i++)
        for (void **v = ranges[i]->start; v < ranges[i]->end; v++)
            edge(v, context);
}

void heap_open(void)
{
    heap = sinter_gc_create(NULL);
    if (heap == NULL)
        cannot("scheme: sinter_gc_create");
    heap_mutator = sinter_gc_attach(heap);
    if (heap_mutator == NULL || sinter_gc_roots_add(heap, visit_ranges, NULL) != 0)
        cannot("scheme: cannot start the heap");
}

static void free_dead(void)
{
    void *memory;
    while (sinter_gc_finalizer_next(heap_mutator, &memory) != NULL)
        free(memory);
}

void heap_close(void)
{
    free_dead();
    sinter_gc_roots_remove(heap, visit_ranges, NULL);
    sinter_gc_detach(heap_mutator);
    sinter_gc_destroy(heap);
}

sinter_gc_type heap_type(const struct sinter_gc_layout *layout)
{
    sinter_gc_type type = sinter_gc_type_new(heap, layout);
    if (type == 0)
        cannot(layout->name);
    return type;
}

void heap_range_add(const struct heap_range *range)
{
    if (range_count == HEAP_RANGES)
        abort();
    ranges[range_count++] = range;
}

uint32_t heap_hash(void *object)
{
    return sinter_gc_hash(heap_mutator, object);
}

void heap_free_with(void *object, void *memory)
{
    if (sinter_gc_finalizer_add(heap_mutator, object, memory) != 0)
        heap_exhausted(0);
    free_dead();
}

void heap_collect(void)
{
    sinter_gc_collect(heap_mutator, SINTER_GC_COLLECT_COMPACT);
    free_dead();
}

size_t heap_statistics(struct heap_number *numbers, size_t most)
{
    struct sinter_gc_stats s = {0};
    sinter_gc_stats_get(heap, &s, sizeof(s));
    const struct heap_number all[] = {
        {"collections", s.collections},
        {"allocated", s.allocated},
        {"used", s.used},
        {"live", s.live},
        {"compactions", s.compactions},
        {"moved", s.moved_whole + s.moved_copied},
        {"pauses", s.pauses},
        {"pause-max", s.pause_max},
    };
    size_t count = sizeof(all) / sizeof(all[0]);
    for (size_t i = 0; i < count && i < most; i++)
        numbers[i] = all[i];
    return count < most ? count : most;
}

void heap_block(void)
{
    sinter_gc_block(heap_mutator);
}

void heap_unblock(void)
{
    sinter_gc_unblock(heap_mutator);
}

void *heap_alloc_slow(sinter_gc_type type, size_t size)
{
    return heap_alloc(type, size);
}

void heap_safepoint(void)
{
    sinter_gc_safepoint(heap_mutator);
}
