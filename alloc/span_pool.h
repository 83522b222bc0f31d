/*
 * Free spans: those that still have memory, by age, and those that have none.
 */
#ifndef SINTER_SPAN_POOL_H
#define SINTER_SPAN_POOL_H

#include "base.h"

/* A span of nobody's, preferably one with memory; 0 if memory is exhausted. */
uint32_t span_pool_take(void);

/* Takes back a span that is IN_USE no longer. */
void span_pool_give(uint32_t span);

/* Is there a free span that has memory? A hint. */
bool span_pool_has_dirty(void);

/* The first span that was never used. */
uint32_t span_pool_frontier(void);

/* Gives the end of the zone up, as far as its spans are free. */
void span_pool_retract(void);

/* Gives about `most` pages of free spans back to the system, oldest first. Returns how many. */
size_t span_purge(size_t most);

/* Pages of free spans that may have memory behind them. */
size_t span_dirty_pages(void);

/* With --enable-debug: dies if an invariant is broken. Returns the number of spans in use. */
size_t span_pool_check(void);

void span_pool_fork_prepare(void);
void span_pool_fork_parent(void);
void span_pool_fork_child(void);

#endif
