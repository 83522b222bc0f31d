/*
 * Blocks: which are free, who gets them, and giving memory back.
 */
#ifndef SINTER_GC_SPACE_H
#define SINTER_GC_SPACE_H

#include "heap.h"

enum { NO_BLOCK = UINT32_MAX };

/* Reserves the windows and tables. 0, or ENOMEM. */
int space_create(sinter_gc_heap *heap);
void space_destroy(sinter_gc_heap *heap);

/*
 * A zeroed block for small objects, OPEN; NO_BLOCK if there is none, or the heap is full. What counts against the budget
 * may call for a cycle.
 */
uint32_t space_take(sinter_gc_heap *heap, bool leaf);

/* `blocks` of them in a row, LARGE and TAIL, for one object. */
uint32_t space_take_run(sinter_gc_heap *heap, uint32_t blocks, bool leaf);

/* A block that is at neither address, CLOSED, at home in the to-window: objects are to be gathered there. */
uint32_t space_take_destination(sinter_gc_heap *heap, bool leaf);

/* The block has no objects any more: FREE, its pages stock. */
void space_free(sinter_gc_heap *heap, uint32_t block);

/* So many blocks may become LEFT: noting them takes no memory then. */
void space_expect_left(sinter_gc_heap *heap, uint32_t blocks);

/* All of its objects have moved to other blocks: LEFT, and its pages may be used. */
void space_leave(sinter_gc_heap *heap, uint32_t block);

/* A block that is LEFT with pages, which are the caller's to move away now; NO_BLOCK if there is none. */
uint32_t space_take_pages(sinter_gc_heap *heap);

/* The end of a cycle: nothing is LEFT any more. */
void space_settle(sinter_gc_heap *heap);

/* Blocks of stock that are not needed before the next cycle. */
uint32_t space_surplus(sinter_gc_heap *heap);

/* Gives so many blocks of stock back to the system. */
void space_release(sinter_gc_heap *heap, uint32_t blocks);

/* Moves stock from the other window to this one, which is registered and empty where blocks are free. */
void space_bring_stock(sinter_gc_heap *heap, unsigned window);

#endif
