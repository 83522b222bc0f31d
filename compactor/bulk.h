/*
 * What is to come back though nobody waits for it: the neighbours of a page that was touched, whole chunks from which
 * touches come in floods, or everything. A few pages at a time, between looks for faults.
 */
#ifndef SINTER_BULK_H
#define SINTER_BULK_H

#include "base.h"

/* Pages [first, end), all in one chunk. The latest come first; the oldest are forgotten when there are too many. */
void bulk_want_pages(uint32_t first, uint32_t end);

/* The whole chunk; its flag `bulk` is set until it is here. */
void bulk_want_chunk(uint32_t chunk);

/* Everything. */
void bulk_want_all(void);

/* Everything is to go: nothing of it any more. */
void bulk_cancel(void);

/* In the child of a fork, where no flag is set any more. */
void bulk_forget(void);

/* Brings back some pages. Returns whether there were any to bring, and nothing is frozen. */
bool bulk_step(void);

#endif
