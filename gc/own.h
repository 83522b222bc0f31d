/*
 * Own faults: a thread that touches an object on the move brings it itself, in the handler of SIGBUS.
 *
 * What holds for the handler, and why it neither waits for itself nor for ever:
 *  - No mutator touches an object on the move while it holds one of our locks: the service, which takes the space lock, could not
 *    bring it the object otherwise. So the handler, which takes that lock and no other, never holds it already.
 *  - What the handler itself touches is never on the move: tables, pages at hand, and blocks in the from-window. So it causes no
 *    fault of its own; and no other signal's handler, which might, runs inside it: all but those of errors are blocked.
 *  - Who has claimed a block goes on until it is there, or has the service do so. Waiting is without locks.
 *  - The mutator is running, so neither does this cycle's end unmap anything, nor does the next cycle begin, before it returns.
 *  - The collector's threads have SIGBUS blocked, and touch no absent page of the to-window. All pages of small blocks are there,
 *    by space_take() and because all of a gathered block's are moved; of large objects that stay they read, after the
 *    registration, what marking has read in the same pause, or ask which pages there are.
 *
 * The descriptor is in the program's table, where the handler needs it, and under the same number in the collector's. If the program
 * closes it, or has another file there, the handler's calls fail, and the service makes them; what is registered stays so.
 */
#ifndef SINTER_GC_OWN_H
#define SINTER_GC_OWN_H

#include "heap.h"

/*
 * Opens the descriptor, in the calling thread's table, which is the program's. heap->own is NULL if that fails, or if faults are not
 * to be own.
 */
void own_open(sinter_gc_heap *heap);

/* Its number; -1: there is none. */
int own_descriptor(const sinter_gc_heap *heap);

/* The descriptor becomes heap->uffd, in a table that is the collector's, where it still is. */
enum uffd_lack own_take_over(sinter_gc_heap *heap);

/* Closes the program's, unless the program has done so. Not by a thread of the collector's. */
void own_forget(sinter_gc_heap *heap);

/* In a signal handler: a touch of this address has raised SIGBUS with BUS_ADRERR. False: that was for another reason. */
bool own_serve(sinter_gc_heap *heap, char *address);

/* The calling thread's SIGBUS is not blocked from here on, as long as it has one mutator or more of heaps that are to be own. */
void own_attach(struct mutator *m);

/* `others`: the mutators that the thread still has, linked by next_here. */
void own_detach(const struct mutator *m, struct mutator *others);

/* Faults, those of them that the service had no part in, and how long they took. */
uint64_t own_faults(const sinter_gc_heap *heap);
uint64_t own_alone(const sinter_gc_heap *heap);
const struct histogram *own_stalls(const sinter_gc_heap *heap);

#endif
