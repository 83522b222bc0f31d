/*
 * Keeps the CPU of a thread that faults again and again from going to sleep while the thread waits.
 *
 * A fault blocks the thread, and a CPU that has nothing else to run is halted. Waking it takes several times as long as
 * the answer (measured on a virtual machine: 50 of 70 microseconds; on hardware it depends on the depth of the idle state).
 * So for as long as another fault of the thread is expected, a helper of the scheduling class SCHED_IDLE runs there in a
 * loop: it takes time from nobody who has something to do, and the thread that is woken displaces it at once. The kernel
 * has the same by the name of halt polling, but where it is switched off a program cannot switch it on.
 */
#ifndef SINTER_IDLE_POLL_H
#define SINTER_IDLE_POLL_H

#include "base.h"

/* A fault of `thread` was answered; another is expected before `until` (os_now_ns). */
void idle_poll_expect(uint32_t thread, uint64_t until);

/* CPU time that it has taken, nanoseconds. */
uint64_t idle_poll_cpu_ns(void);

/* In the child of a fork, which has no helper. */
void idle_poll_forget(void);

#endif
