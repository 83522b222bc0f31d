/*
 * Passes over the span zone: pages that are worth it go out, and those whose probation is over are packed. In steps that
 * end soon, begun as the policy says, by compact:stress, or by a call. On the mover, the maintain lock held.
 */
#ifndef SINTER_PASSES_H
#define SINTER_PASSES_H

#include "base.h"

/* A step. Returns in how many milliseconds the next is due. */
int64_t passes_work(uint64_t now_ms);

/* A call for everything to be packed waits for a pass of its own. */
bool passes_called(void);

/* Asks for everything to be packed; is that still to be done? */
void passes_want(void);
bool passes_are_wanted(void);

/* CPU time that packing and answering have taken, nanoseconds. */
uint64_t passes_cpu_ns(void);

/* In the child of a fork: none is under way. */
void passes_forget(void);

#endif
