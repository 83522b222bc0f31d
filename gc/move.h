/*
 * Bringing blocks to where the plan has them. See enum job for who does what.
 */
#ifndef SINTER_GC_MOVE_H
#define SINTER_GC_MOVE_H

#include "heap.h"

/* Pages in which one thread puts a block's new contents together. */
struct staging {
    char *own; /* for when no block's pages are to be had */
};

/* Rewrites a reference; the block that it points at is among the first to be moved. For roots. */
void move_root(void **reference, void *heap);

/* Rewrites what stays where it is. Mutators stand still. */
void move_rewrite_staying(sinter_gc_heap *heap);

/* Moves everything, with the crew. */
void move_all(sinter_gc_heap *heap, unsigned workers);

/*
 * For the fault service: somebody waits for this page of the to-window. Brings the block if nobody has begun to. The block whose
 * job it is then, NO_BLOCK if nothing is to come there.
 */
uint32_t move_wanted(sinter_gc_heap *heap, struct staging *staging, const char *address);

void staging_free(struct staging *staging);

#endif
