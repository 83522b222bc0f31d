/*
 * Mutators, and having them stand still.
 *
 * A mutator is running, or not: then it stands at a safepoint or is in a blocking region, and touches neither heap nor roots.
 * It becomes running, under the world lock, only while nobody wants the world stopped.
 */
#ifndef SINTER_GC_WORLD_H
#define SINTER_GC_WORLD_H

#include "heap.h"

/* Has all mutators stand still; afterwards they belong to the caller. Nanoseconds of os_now_ns() when it was asked for. */
uint64_t world_stop(sinter_gc_heap *heap);

/* `stopped_at`: what world_stop() returned; the time since is noted as a pause. */
void world_resume(sinter_gc_heap *heap, uint64_t stopped_at);

/* The calling thread's mutator stands still from here on; or all that it has. */
void world_leave(struct mutator *m);
void world_leave_all(void);

/*
 * None of them does any more, but for those in blocking regions. While it waits for one heap the thread stands still for the
 * others: their collectors may be waiting for a thread that waits for it.
 */
void world_enter(void);

/* Calls `function` while the calling thread stands still. */
void world_outside(void (*function)(void *data), void *data);

/* The calling thread's mutator of this heap, NULL if it has none. */
struct mutator *world_of_this_thread(const sinter_gc_heap *heap);

/* After a fork, in the child: all other mutators are gone. */
void world_keep_this_thread(sinter_gc_heap *heap);

#endif
