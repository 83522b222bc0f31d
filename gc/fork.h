/*
 * fork(2): the child has the heap, and only the thread that forked. No object is on the move when it is made, for nobody would
 * bring it there. The collecting threads start again when there is something to collect: most children call execve(2) first.
 */
#ifndef SINTER_GC_FORK_H
#define SINTER_GC_FORK_H

#include "heap.h"

void fork_register(sinter_gc_heap *heap);
void fork_unregister(sinter_gc_heap *heap);

#endif
