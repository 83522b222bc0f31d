/*
 * Calls of the mover by other threads, which need nothing but memory: a touch of a page that is absent until it is answered.
 * The mover must be active in this process.
 */
#ifndef SINTER_DOORBELL_H
#define SINTER_DOORBELL_H

#include "family.h"

/* Returns when the mover has answered. One thread at a time. */
void doorbell_ring(enum bell bell);

/* The same on any number of threads. */
void doorbell_call(enum bell bell);

/* Before a fork: what the child rings must be absent. */
void doorbell_prepare(void);

/* In the child of a fork: no thread calls. */
void doorbell_forget(void);

#endif
