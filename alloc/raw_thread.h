/*
 * Threads of the library's own that libc knows nothing of: they hold no process that ends open, are in no list that
 * libc walks, and have no thread-local variables. What runs in them calls only what os.h offers.
 */
#ifndef SINTER_RAW_THREAD_H
#define SINTER_RAW_THREAD_H

#include "base.h"

struct raw_thread {
    char *memory;      /* its stack, then its thread-local block; kept for the next start */
    _Atomic int alive; /* thread id; the kernel clears it when the thread has left its stack */
};

/* Starts it, with all signals blocked; waits for the last one on this memory to leave. False if that is not possible. */
bool raw_thread_start(struct raw_thread *thread, int (*run)(void *unused));

/* In the child of a fork, which does not have it. */
void raw_thread_forget(struct raw_thread *thread);

#endif
