/*
 * Where the mover runs while it waits for the next fault of a thread that faults again and again.
 *
 * On the CPU of that thread: the moment the thread blocks, the mover is what runs next there. On another one the answer is
 * as quick, but the thread's own CPU has gone idle meanwhile, and waking it takes several times as long as all the rest
 * (measured on a virtual machine: 11 against 70 microseconds a touch). Only while the mover is about to answer: a thread that
 * is bound to one CPU may have to wait for it.
 */
#ifndef SINTER_FOLLOW_H
#define SINTER_FOLLOW_H

#include "base.h"

/* A fault of `thread` was answered. */
void follow_thread(uint32_t thread);

/* The mover is going to sleep, or to do other work: it may run anywhere. */
void follow_nobody(void);

#endif
