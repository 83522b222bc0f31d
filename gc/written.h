/*
 * Which of the objects that survived the last cycle were written to since, without a barrier: their pages are write-protected,
 * the kernel itself lets a write pass and remembers it, for 0.8 microseconds a page, and tells which pages that were.
 */
#ifndef SINTER_GC_WRITTEN_H
#define SINTER_GC_WRITTEN_H

#include "heap.h"

/* Called by the collecting thread, which owns the descriptors. Without what it takes, written_watch() is false. */
void written_start(sinter_gc_heap *heap);
void written_stop(sinter_gc_heap *heap);

/*
 * Mutators stand still, and all blocks have been swept: from now on. False if that cannot be told; heap->watched says the same.
 * Until written_ignore() the heap's windows cannot be registered for anything else.
 */
bool written_watch(sinter_gc_heap *heap);
void written_ignore(sinter_gc_heap *heap);

/*
 * Calls `visit` with each block that holds older objects, and those of its pages, one bit each, that were written to. The blocks
 * of a large object come in order. Returns how many pages that were.
 */
size_t written_visit(sinter_gc_heap *heap, void (*visit)(void *context, uint32_t block, unsigned pages),
                     void *context);

#endif
