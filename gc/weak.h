/*
 * Weak references, ephemerons, finalizers and identity hashes.
 */
#ifndef SINTER_GC_WEAK_H
#define SINTER_GC_WEAK_H

#include "heap.h"

void *ephemeron_key(const void *ephemeron);

/* After marking: ephemerons, then weak references, then finalizers, each as gc.h says. */
void weak_after_mark(sinter_gc_heap *heap);

/* References in the queue of objects to be finalized, which keep them alive. */
void weak_visit_queue(sinter_gc_heap *heap, sinter_gc_edge edge, void *context);

/* References in the table of finalizers, which do not. */
void weak_visit_finalizers(sinter_gc_heap *heap, sinter_gc_edge edge, void *context);

void weak_destroy(sinter_gc_heap *heap);

#endif
