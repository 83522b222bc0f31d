/*
 * The pacer: when the next cycle is due, of which kind it is, and whether it compacts.
 */
#ifndef SINTER_GC_PACE_H
#define SINTER_GC_PACE_H

#include "heap.h"

/* Blocks that may be taken until the next cycle is due, after one. */
int64_t pace_budget(const sinter_gc_heap *heap);

/* A cycle is about to stop the mutators; sets heap->minor. */
void pace_begin(sinter_gc_heap *heap, enum sinter_gc_collect how, uint64_t now_ns);

/* Does compacting win enough, or was it asked for? All blocks have been swept. */
bool pace_compacts(const sinter_gc_heap *heap, enum sinter_gc_collect how);

/* Mutators are about to go on, while objects move or none does: settles what the next cycle will be. */
void pace_next(sinter_gc_heap *heap, bool moves);

#endif
