/*
 * The mover: what the background thread does beside giving free memory back. It answers faults, packs pages, and
 * takes calls from other threads through the doorbell. This is what its own parts know of each other.
 *
 * Its states, all changes made by the mover unless said otherwise:
 *
 *   IDLE         nothing has been worth packing so far: no userfaultfd, no table. Others may set `wanted`.
 *   ACTIVE       has a descriptor; for good.
 *   UNAVAILABLE  cannot have one here; nothing is tried again.
 *   INHERITED    made by the thread that forked, in the child of an ACTIVE process: memory is armed, and the parent's mover
 *                serves it. The new mover makes it READY or REFUSED.
 *   READY        it has a descriptor; the forking thread now takes leave of the parent's mover and makes it LEFT.
 *   REFUSED      it has none; the forking thread has the parent send everything and makes it UNAVAILABLE.
 *   LEFT         nobody serves the memory, and nobody touches it; the mover registers it: ACTIVE.
 */
#ifndef SINTER_MOVER_H
#define SINTER_MOVER_H

#include "family.h"
#include "lock.h"
#include "uffd.h"

enum mover_state { IDLE, ACTIVE, UNAVAILABLE, INHERITED, READY, REFUSED, LEFT };

extern HIDDEN struct mover {
    _Atomic int state; /* a futex */
    _Atomic bool wanted;
    enum uffd_lack lack;
    long process;         /* whose mover this is */
    bool reports_forks;   /* children are served */
    int pressure;         /* descriptor of the pressure stall trigger, -1: none */
    bool recall;          /* asked for here: everything is to come back */
    bool restoring;       /* everything is on its way back */
    _Atomic bool resting; /* in its sleep, holding nothing: what a debugger may do then, see mover.c */
} mover;

static inline enum mover_state mover_state(void)
{
    return (enum mover_state)atomic_load(&mover.state);
}

void mover_become(enum mover_state next);

/*
 * Waits while the state is this one; for as long as the thread lives, because on a machine with too much to do it may take
 * any time until it runs. Returns the state.
 */
enum mover_state mover_wait_while(enum mover_state state);

/* Is the caller in the process whose mover is active? Not so in a child that was made without fork(3). */
bool mover_is_here(void);

/* On the mover: opens what it needs. */
enum uffd_lack mover_open(void);

/* All pages are here, and nothing is registered. */
void mover_start_over(enum mover_state next);

#endif
