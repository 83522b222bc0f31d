/*
 * Where references into the heap come from.
 */
#ifndef SINTER_GC_ROOTS_H
#define SINTER_GC_ROOTS_H

#include "heap.h"

/* Calls `edge` with every root that is exact. Mutators stand still. */
void roots_visit(sinter_gc_heap *heap, sinter_gc_edge edge, void *context);

/* Calls `word` with every word that may be a reference, and with every pinned object. */
void roots_visit_ambiguous(sinter_gc_heap *heap, void (*word)(void *value, void *context), void *context);

void roots_destroy(sinter_gc_heap *heap);

#endif
