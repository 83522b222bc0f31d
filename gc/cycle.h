/*
 * Collections: when they begin, and their phases. One thread, the *collector*, makes them.
 */
#ifndef SINTER_GC_CYCLE_H
#define SINTER_GC_CYCLE_H

#include "heap.h"

/* One is due. Takes no lock. */
void cycle_want(sinter_gc_heap *heap);

/* Has one made that begins from now on. The mutator stands still meanwhile. */
void cycle_collect(struct mutator *m, enum sinter_gc_collect how);

/* The collector's thread. 0, or ENOMEM and the like. */
int cycle_start(sinter_gc_heap *heap);
void cycle_stop(sinter_gc_heap *heap);

/* In the child of a fork: the threads are gone, and so is what is in the parent's descriptor table. */
void cycle_forget(sinter_gc_heap *heap);

/* Starts them again if need be. Not with a lock held. */
void cycle_revive(sinter_gc_heap *heap);

#endif
