/*
 * Thread caches as seen from inside: by their threads (tcache.c) and by others (tcache_drain.c).
 */
#ifndef SINTER_TCACHE_TABLE_H
#define SINTER_TCACHE_TABLE_H

#include "base.h"
#include "lock.h"
#include "tcache.h"

#include <pthread.h>

/*
 * The protocol between a thread and those that drain its cache.
 *
 * A stack is an array whose first element is NULL for ever; `top` is where the next pointer goes. The owner
 *   pushes p:  *top = p;  top = top + 1                              (in this order)
 *   pops:      top = top - 1;  p = *top;  if p is NULL: slow path    (in this order)
 * and its slow paths hold the cache's lock. A drainer holds the lock as well, so that only the owner's fast paths
 * run beside it. It never writes `top`. It
 *   1. reads top, and for each element below it exchanges the pointer p for NULL, by compare-and-swap: a pointer
 *      that the owner pushes meanwhile is never lost;
 *   2. calls membarrier(2): the owner now either has moved `top` visibly before reading an element, or reads NULL;
 *   3. reads top again, then the elements. For element i that it has exchanged:
 *        i < top and still NULL   the owner has not popped p, and if it comes to it, it will read NULL: p is the
 *                                 drainer's.
 *        i < top and not NULL     the owner has popped p and pushed another: p is the program's.
 *        i > top                  the owner popped p, or it would not have gone on: p is the program's.
 *        i = top                  the owner has just popped this element, and has read p or NULL: *disputed*.
 *      There is at most one of the last kind. It is written down for the owner to settle: coming into a slow
 *      path of the bin because it has read NULL at this very element, the owner knows that p is free and takes
 *      it; coming in any other way, it knows that it popped p long ago.
 * So the owner's fast paths need no atomic read-modify-write, no flag and no fence.
 */

struct stack {
    void **slots;       /* NULL: none yet */
    uint32_t bits;      /* the array has 1 << bits elements */
    uint32_t credit;    /* slots taken from the spans since the stack grew: a reason to grow again */
    void **disputed_at; /* Synchronization: the cache's lock */
    void *disputed;
    void **seen_top; /* by the last drain */
    bool drained;    /* some elements below the top may be NULL. Synchronization: the cache's lock */
};

struct tcache {
    struct tcache_bin bins[BIN_COUNT]; /* first: tcache_tls.bins points here */
    struct lock lock;
    struct stack stacks[BIN_COUNT];
    size_t room;                /* bytes of slots that the stacks can hold */
    struct tcache *prev, *next; /* Synchronization: registry.lock */
    _Atomic size_t refills, flushes;
};

struct tcache_registry {
    struct lock lock;
    struct tcache *first;
    struct tcache *orphans; /* a fork's child: caches of threads that it does not have, by `next` */
    size_t threads;
    size_t refills, flushes; /* of threads that have ended */
    _Atomic size_t drained;
    pthread_key_t key;
    bool key_made, barrier;
};

extern HIDDEN struct tcache_registry tcache_registry;

static inline void **tcache_top(const struct tcache *c, unsigned bin)
{
    return load_relaxed(&c->bins[bin].top);
}

static inline void **tcache_bottom(const struct tcache *c, unsigned bin)
{
    return c->stacks[bin].slots + 1;
}

/* The calling thread's cache, NULL if it has none. */
struct tcache *tcache_own(void);

#endif
