/*
 * Thread caches: for each bin an array of pointers to free slots, used as a stack by its thread without a lock or
 * an atomic read-modify-write, and yet drained by other threads when it lies idle. tcache_table.h has the protocol.
 */
#ifndef SINTER_TCACHE_H
#define SINTER_TCACHE_H

#include "base.h"
#include "sizeclass.h"

/* What the fast paths use. */
struct tcache_bin {
    _Atomic(void **) top; /* the slot above the last pointer; only the owning thread writes it */
    uint32_t limit;       /* low half of the address at which `top` may not hold another pointer */
    uint32_t magic;       /* sizeclass.magic, for the check of pointers that are freed */
};

/* An element of a stack, which others may exchange for NULL. */
typedef _Atomic(void *) shared_slot;

_Static_assert(sizeof(struct tcache_bin) == 16, "a page map entry times one is an offset into tcache.bins");

struct tcache;

/* The thread's cache: the bins come first in it. Never NULL: without a cache it is the empty one. */
struct tcache_tls {
    struct tcache_bin *bins;
    /* The sizes that the fast path and the next one take, DIRECT_MAX and SMALL_MAX; 0 in a thread that counts (guard.h). */
    size_t direct, small;
    uint64_t countdown; /* then: allocations until one is guarded */
    uint64_t rests; /* ticks before which none is, for the time that the last one took; see guard_rest.h */
    struct tcache_tls *resting; /* the next one in the list of those that rest */
    _Atomic bool is_resting;    /* it is in that list */
    uint8_t asked; /* on slow paths, whether the rest is over; all sixteen times the ticks are read */
    bool ended;    /* the thread is past its destructors: it gets no cache any more */
};

extern HIDDEN __thread CACHE_ALIGNED struct tcache_tls tcache_tls __attribute__((tls_model("initial-exec")));

void tcache_init(void);

/*
 * The slow halves of malloc and free.
 *
 * tcache_alloc: a slot of `bin` (1 .. BIN_COUNT - 1), after the fast path has found no pointer in the thread's
 * stack and left `top` one too low. NULL if memory is exhausted.
 *
 * tcache_undo_pop: instead of it, in a thread without a cache.
 *
 * tcache_free: takes back a slot that span_find() has found live. `call` is the public function that frees.
 */
void *tcache_alloc(unsigned bin);
void tcache_undo_pop(unsigned bin);
void tcache_free(unsigned bin, void *slot, const char *call);

/* Is the slot the last that the calling thread has freed of its bin? Cheap enough to ask always. */
bool tcache_holds_last(unsigned bin, const void *slot);

/* Is the slot among the `most` last ones of its bin in the calling thread's own cache? It searches. */
bool tcache_holds(unsigned bin, const void *slot, ptrdiff_t most);

/* Empties the calling thread's cache. */
void tcache_flush(void);

/*
 * Takes the pointers out of all threads' stacks that have not moved since the last call (all: of every stack).
 * Returns how many slots it gave back.
 */
size_t tcache_drain(bool all);

struct tcache_stats {
    size_t threads;
    size_t bytes; /* of the slots in caches; approximate while threads run */
    size_t refills, flushes, drained;
};

void tcache_stats(struct tcache_stats *stats);

/* Slots of `bin` in caches. */
size_t tcache_bin_slots(unsigned bin);

void tcache_fork_prepare(void);
void tcache_fork_parent(void);
void tcache_fork_child(void);

#endif
