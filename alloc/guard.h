/*
 * Guard mode: some allocations, or all, get a slot of their own between pages that nobody may touch, and the slot is closed when
 * they are freed. Mistakes then stop the program at the instruction that makes them. See docs/guard.md.
 *
 *     | guard page | data pages        | guard page of the next slot ...
 *                          [ object  ]
 *
 * Slots have 2 to 512 pages, a power of two, the first of which is the guard page; chunks of 2 MiB hold slots of one size. Only
 * the pages under a live object are open: G1  every other page of the region is closed.
 */
#ifndef SINTER_GUARD_H
#define SINTER_GUARD_H

#include "arena.h"
#include "guard_stack.h"
#include "tcache.h"

/*
 * A slot's states, and who changes them:
 *
 *   UNUSED       closed. Becomes OPENING when it is taken for an allocation; what it knows of an earlier one stays until then.
 *   OPENING      the allocating thread's alone. LIVE before the program gets the pointer; UNUSED again if it cannot be opened.
 *   LIVE         the program's. CLOSING by the one thread that frees it, with the lock held: a second one finds it out.
 *   CLOSING      the freeing thread's alone. QUARANTINED once the pages are closed.
 *   QUARANTINED  closed, in the queue. UNUSED, with the lock held, when it is the oldest and the queue is too long.
 */
#define GUARD_STATES(X) X(UNUSED) X(OPENING) X(LIVE) X(CLOSING) X(QUARANTINED)

enum guard_state {
#define X(name) GUARD_##name,
    GUARD_STATES(X)
#undef X
};

/* An allocation or a free. */
struct guard_event {
    uint64_t ns; /* of the monotonic clock */
    uint32_t thread;
    struct guard_stack stack;
};

struct guard_slot {
    _Atomic uint8_t state; /* enum guard_state */
    uint32_t next;         /* of the free list, or of the queue: its number + 1. Synchronization: the lock */
    uintptr_t start;       /* of the object; 0: there has been none yet */
    size_t size;
    struct guard_event allocated, freed;
};

_Static_assert(sizeof(struct guard_slot) <= GUARD_INFO_BYTES, "the layout of the arena has room for it");

enum {
    GUARD_MAX = 511 * 4096, /* bytes of the largest object that gets a slot */
    GUARD_CANARY = 0xcb,    /* what the bytes around the object on its pages hold */
};

/* The words of option `guard_place`: at which end of its pages an object lies. */
enum { GUARD_ALTERNATE, GUARD_END, GUARD_START };

/* At load time, once options can be read. */
void guard_init(void);

/* One in so many allocations; 0: guard mode is off. */
extern HIDDEN uint32_t guard_rate;

/* Has the calling thread start to count its allocations. False if it does, or need not, or must go on where it is. */
bool guard_thread_begins(void);

/* Does the calling thread count its allocations? */
static inline bool guard_counts(void)
{
    return tcache_tls.direct == 0;
}

/* For each allocation of a thread that counts: is it to be guarded? In others it never is: their countdown starts at 0. */
static inline bool guard_is_turn(void)
{
    return unlikely(--tcache_tls.countdown == 0);
}

/* The slow half of guard_take(). errno stays. */
void *guard_alloc(size_t size, size_t align);

/*
 * Called for each allocation of a thread that counts: a guarded, zeroed block if it is this one's turn. NULL if not, or if there
 * can be none: `size` is too large, or memory exhausted.
 */
static inline void *guard_take(size_t size, size_t align)
{
    return guard_is_turn() ? guard_alloc(size, align) : NULL;
}

static inline bool guard_contains(const void *p)
{
    return (uintptr_t)p - (uintptr_t)arena_start(REGION_GUARD) < arena_committed(REGION_GUARD);
}

/* For pointers that guard_contains(). Whatever is not the start of a live block is reported. */
void guard_free(void *p, const char *call);
void guard_free_sized(void *p, size_t size, const char *call);
size_t guard_usable_size(const void *p, const char *call);

/* ---- for reports ---- */

/* Here and now, in the calling thread. */
void guard_event_now(struct guard_event *event);

/* The slot that the address lies in; NULL if the region has none there. */
struct guard_slot *guard_slot_at(uintptr_t address);

/* The block that an access of the address, in the region or just behind it, was meant for, or is nearest to. NULL if none is near. */
struct guard_slot *guard_blame(uintptr_t address);

/* The first byte of the range that lies on a closed page; 0 if there is none. */
uintptr_t guard_closed_in(uintptr_t start, size_t size);

/* Is the address one whose access guard_init() has made an error? */
bool guard_covers(uintptr_t address);

/* Opens the page of such an address, so that the program can go on: one mistake on it has been reported. */
bool guard_let(uintptr_t address);

struct guard_stats {
    size_t live, live_bytes;  /* objects */
    size_t quarantined_bytes; /* of slots */
    uint64_t guarded;         /* objects so far */
    uint64_t unclosed;        /* frees whose pages the kernel would not close */
};

void guard_stats(struct guard_stats *stats);

void guard_fork_prepare(void);
void guard_fork_parent(void);
void guard_fork_child(void);

#endif
