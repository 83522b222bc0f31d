/*
 * Deciding, after a mark and before anything moves, where every object will be.
 */
#ifndef SINTER_GC_PLAN_H
#define SINTER_GC_PLAN_H

#include "heap.h"
#include "object.h"

/* Frees what was not marked and counts what was. */
void plan_sweep(sinter_gc_heap *heap);

/* What would compacting win? In blocks. */
uint32_t plan_gain(const sinter_gc_heap *heap);

/*
 * Gives every block a plan, and those that something is to come to a job, and changes the to-window. With `moving_served` off
 * blocks are not moved, only emptied.
 */
void plan_compaction(sinter_gc_heap *heap);

/* Where an object whose block is PLAN_SLIDE will be. */
static inline char *plan_slid(const sinter_gc_heap *heap, uint32_t block, const void *object)
{
    const struct block *b = &heap->blocks[block];
    unsigned before = live_before(b, &heap->maps[block], granule_of(heap, object));
    return before < b->split ? block_at(heap, b->to[0], heap->to) + (b->at + before) * GRANULE_BYTES
                             : block_at(heap, b->to[1], heap->to) + (before - b->split) * GRANULE_BYTES;
}

/* Where an object will be, or is. What is no reference is returned as it is. */
static inline void *plan_new_address(const sinter_gc_heap *heap, void *object)
{
    if (!is_reference(heap, object))
        return object;
    size_t offset = (size_t)((char *)object - heap->base) & (heap->window_bytes - 1);
    uint32_t block = (uint32_t)(offset >> BLOCK_BITS);
    switch (heap->blocks[block].plan) {
    case PLAN_WHOLE:
        return block_at(heap, 0, heap->to) + offset;
    case PLAN_SLIDE:
        return plan_slid(heap, block, object);
    default:
        return object;
    }
}

#endif
