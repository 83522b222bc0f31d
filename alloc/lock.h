/*
 * A futex lock (states as in U. Drepper, "Futexes Are Tricky", mutex 2). Not a pthread mutex, because the
 * background thread, which libc does not know, takes these as well.
 */
#ifndef SINTER_LOCK_H
#define SINTER_LOCK_H

#include "base.h"

/* The order in which locks are taken, first to last; the fork handlers take them all in this order. */
enum lock_rank {
    LOCK_INIT,       /* first use */
    LOCK_BACKGROUND, /* start of the background thread */
    LOCK_BELL,       /* one call of the mover of a kind at a time */
    LOCK_MAINTAIN,   /* one purge, drain or packing step at a time */
    LOCK_SERVICE,    /* one fault at a time */
    LOCK_REGISTRY,   /* the list of thread caches */
    LOCK_CACHE,      /* one thread cache's slow paths */
    LOCK_QUARANTINE, /* freed blocks that wait */
    LOCK_BIN,        /* one size class's span lists */
    LOCK_SPAN_POOL,  /* free spans */
    LOCK_RUN,        /* page runs */
    LOCK_HUGE,       /* huge mappings */
    LOCK_GUARD_REST, /* threads that do not count */
    LOCK_GUARD,      /* guarded slots */
    LOCK_GUARD_UFFD, /* the descriptor that poisons */
    LOCK_META,       /* metadata blocks */
    LOCK_ARENA,      /* growth of the arena */
    LOCK_RANKS
};

struct lock {
    _Atomic int state; /* 0 free, 1 held, 2 held and somebody may be waiting */
    enum lock_rank rank;
};

#define LOCK_INITIALIZER(r)                                                                                  \
    {                                                                                                        \
        .rank = (r)                                                                                          \
    }

void lock_slow(struct lock *lock);
void lock_wake(struct lock *lock);

/* With --enable-debug: dies if a lock of the same or a later rank is held already. */
void lock_note_taken(const struct lock *lock);
void lock_note_given(const struct lock *lock);

static inline void lock_take(struct lock *lock)
{
    if (SINTER_DEBUG)
        lock_note_taken(lock);
    int expected = 0;
    if (unlikely(!atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                          memory_order_relaxed)))
        lock_slow(lock);
}

/* Takes the lock if that needs no waiting. */
static inline bool lock_try(struct lock *lock)
{
    int expected = 0;
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    if (SINTER_DEBUG)
        lock_note_taken(lock);
    return true;
}

static inline void lock_give(struct lock *lock)
{
    if (SINTER_DEBUG)
        lock_note_given(lock);
    if (unlikely(atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2))
        lock_wake(lock);
}

/* In the child of a fork, whose only thread is the one that took the lock before it. */
static inline void lock_reset(struct lock *lock)
{
    if (SINTER_DEBUG)
        lock_note_given(lock);
    store_relaxed(&lock->state, 0);
}

#endif
