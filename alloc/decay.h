/*
 * How many free pages may still have memory behind them: a limit that falls along a smooth curve.
 *
 * Time is cut into epochs. Pages that became dirty in an epoch may stay for `decay` milliseconds, first nearly
 * all, then fewer and fewer, by the curve 6t^5 - 15t^4 + 10t^3 ("smootherstep", as jemalloc does; its derivative
 * is 0 at both ends, so that neither the freeing nor the end of the time shows as a burst of system calls).
 */
#ifndef SINTER_DECAY_H
#define SINTER_DECAY_H

#include "base.h"

enum { DECAY_EPOCHS = 50 };

struct decay {
    size_t backlog[DECAY_EPOCHS]; /* pages that became dirty in each epoch, the latest last */
    size_t previous;              /* dirty pages at the end of the last epoch */
    uint64_t epoch_end;           /* milliseconds; 0: not started */
};

/* Length of an epoch, in milliseconds, for the present option `decay`. */
uint64_t decay_epoch_ms(void);

/*
 * Moves on to `now` (milliseconds) with `dirty` pages present. Returns how many of them must go.
 * After a purge the caller says by decay_settle() how many are left.
 */
size_t decay_advance(struct decay *decay, uint64_t now, size_t dirty);
void decay_settle(struct decay *decay, size_t dirty);

/* Dirty pages of the whole allocator: free spans, free runs and cached mappings. */
extern HIDDEN _Atomic size_t decay_dirty_pages;

/* About as many pages' worth of slots became free in spans that stay in use, since the last span_sweep(). */
extern HIDDEN _Atomic size_t decay_sparse_pages;

#endif
