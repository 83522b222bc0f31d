/*
 * SIGBUS, which is one for the process: touches of objects on the move in own heaps, and of poisoned pages. What is neither goes on to
 * the action that was there before, as if the kernel had taken that.
 */
#ifndef SINTER_GC_SIGBUS_H
#define SINTER_GC_SIGBUS_H

#include "heap.h"

/* The heap's windows are looked after; installs the handler. False if memory is exhausted. */
bool sigbus_watch(sinter_gc_heap *heap);

/* No longer. It does not matter whether they were. */
void sigbus_forget(const sinter_gc_heap *heap);

/* If the program has put an action in the place of ours, ours is there again, and passes on to that. */
void sigbus_keep(void);

#endif
