/*
 * Single pages of spans in use whose slots are all free.
 */
#ifndef SINTER_SPAN_SWEEP_H
#define SINTER_SPAN_SWEEP_H

#include "base.h"

/*
 * Gives those pages back to the system whose slots have all been free since the last call (all: are free), and calls
 * `breathe` (if not NULL) every so often. Returns how many; *waiting is how many the next call may give back. One call at a time.
 */
size_t span_sweep(bool all, size_t *waiting, void (*breathe)(void));

#endif
