/*
 * The time that guarding may take. A guarded block costs some ten microseconds: two stacks and three system calls. Where
 * allocations follow each other by nanoseconds, one in a thousand would take more time than all the others.
 *
 * So a thread whose turn comes too soon after the last one *rests*: it does not count its allocations, which is a cost of its own,
 * and takes the fast path again. Its states, in struct tcache_tls:
 *
 *   COUNTING  `direct` is 0. To RESTING by the thread itself, when a turn comes before the ticks `rests`.
 *   RESTING   `direct` is DIRECT_MAX; the thread is in the list here, if it has a cache, by whose end it leaves it. To COUNTING by
 *             itself, on a slow path, of which every sixteenth looks whether the ticks have passed; or by the background thread, which ends all rests every
 *             GUARD_REST_MS, because a thread may live on what its cache has and never come to a slow path.
 *
 * The list, and `direct` of those in it, are changed with the lock held; but for the change to COUNTING by the thread itself,
 * which the background thread's does no harm to.
 */
#ifndef SINTER_GUARD_REST_H
#define SINTER_GUARD_REST_H

#include "tcache.h"

enum { GUARD_REST_MS = 10 };

/* Is it too soon for the calling thread's turn? Then it rests from now on, if there is somebody to end that. */
bool guard_rest_is_due(void);

/* Is the calling thread not to count yet? For slow paths. */
bool guard_rest_goes_on(void);

/* The calling thread has begun at these ticks what it is done with now. */
void guard_rest_after(uint64_t begun);

/* Does any thread rest? */
bool guard_rest_any(void);

/* On the background thread: those that rest count again. */
void guard_rest_end_all(void);

/* The calling thread's cache ends. */
void guard_rest_thread_ends(void);

void guard_rest_fork_prepare(void);
void guard_rest_fork_parent(void);
void guard_rest_fork_child(void);

#endif
