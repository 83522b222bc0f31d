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

/* The block with which this page of the to-window comes; NO_BLOCK if nothing is to come there. */
uint32_t move_block_for(const sinter_gc_heap *heap, const char *address);

/*
 * For a thread that brings one block itself, in a signal handler: the steps. move_claim(), which may fail; move_put_together(), with
 * a block's pages if it needs them, says where its pages are to be moved from; then either the caller moves them, and calls
 * move_arrived(), or the service does both by move_rest(), however far the caller got. The first three take no lock but the space
 * lock, allocate nothing, call no callback and use no descriptor. What needs more is the service's altogether.
 */
bool move_needs_service(const sinter_gc_heap *heap, uint32_t block);
bool move_needs_pages(const sinter_gc_heap *heap, uint32_t block);
bool move_claim(sinter_gc_heap *heap, uint32_t block);
char *move_put_together(sinter_gc_heap *heap, uint32_t block, char *pages);
void move_arrived(sinter_gc_heap *heap, uint32_t block);
void move_rest(sinter_gc_heap *heap, uint32_t block, char *from);

#endif
