/* Roots that are frames are of no use here: the collector reads the C stack by itself. */
#include "heap.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char heap_name[] = "libgc";

static sinter_gc_mutator mutator;
sinter_gc_mutator *heap_mutator = &mutator;

static const struct heap_range *ranges[HEAP_RANGES];
static size_t range_count;
static sinter_gc_type last_type;
static GC_push_other_roots_proc push_others;

static void push_ranges(void)
{
    for (size_t i = 0; i < range_count; i++)
        GC_push_all(ranges[i]->start, ranges[i]->end);
    if (push_others != NULL)
        push_others();
}

void heap_open(void)
{
    GC_set_all_interior_pointers(0); /* in the heap; small integers would look like references otherwise */
    GC_INIT();
    push_others = GC_get_push_other_roots();
    GC_set_push_other_roots(push_ranges);
}

void heap_close(void) {}

sinter_gc_type heap_type(const struct sinter_gc_layout *layout)
{
    return ++last_type | (sinter_gc_type)layout->pointer_free << 23;
}

void heap_range_add(const struct heap_range *range)
{
    if (range_count == HEAP_RANGES)
        abort();
    ranges[range_count++] = range;
}

/* Objects stay where they are. */
uint32_t heap_hash(void *object)
{
    return (uint32_t)((uintptr_t)object >> 4) | 1;
}

static void free_memory(void *object, void *memory)
{
    (void)object;
    free(memory);
}

void heap_free_with(void *object, void *memory)
{
    GC_register_finalizer_no_order(object, free_memory, memory, NULL, NULL);
}

void heap_collect(void)
{
    GC_gcollect();
}

size_t heap_statistics(struct heap_number *numbers, size_t most)
{
    size_t size = GC_get_heap_size(), unused = GC_get_free_bytes();
    const struct heap_number all[] = {
        {"collections", GC_get_gc_no()},
        {"allocated", GC_get_total_bytes()},
        {"used", size - unused},
    };
    size_t count = sizeof(all) / sizeof(all[0]);
    for (size_t i = 0; i < count && i < most; i++)
        numbers[i] = all[i];
    return count < most ? count : most;
}

void heap_block(void) {}

void heap_unblock(void) {}

void *heap_alloc_slow(sinter_gc_type type, size_t size)
{
    bool pointer_free = type >> 23 & 1;
    void *object = pointer_free ? GC_MALLOC_ATOMIC(size) : GC_MALLOC(size);
    if (object == NULL)
        heap_exhausted(size);
    if (pointer_free)
        memset(object, 0, size);
    *(uint64_t *)object = type;
    return object;
}

void heap_safepoint(void) {}
