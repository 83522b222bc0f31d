/*
 * The runtime heap: what its modules share.
 *
 * Glossary
 *   window   one of two ranges of address space, each as large as the heap may grow, `window_bytes` apart.
 *   block    16 KiB. Block n is at one of two addresses, n * 16 KiB into either window; the other is empty. *Home* is the
 *            window where it is.
 *   run      blocks that hold one large object; they move one by one, and keep their numbers.
 *   leaf     of objects and blocks: without references.
 *   granule  16 bytes; objects are whole granules. Two bits each: `starts` (an object begins here) and `live` (part of a live
 *            object); both as of the last mark.
 *   cycle    one collection: mark, plan, flip, move.
 *   old      of objects: that survived a cycle; of blocks: that hold such. The others are *fresh*.
 *   minor    of cycles: old objects count as alive, and only those that were written to since are looked into. It moves nothing.
 *            *Full* are the others.
 *   stock    free blocks with memory behind them, to be used again or given back.
 *   own      of faults: answered by the thread that has them, in a handler of SIGBUS, rather than by the *service*. Of a heap: one
 *            whose faults are.
 *
 * A cycle that compacts moves to the *to-window*, whose empty blocks are registered with userfaultfd until it has ended; the
 * other is the *from-window*. New blocks come from the from-window meanwhile, so that mutators need no service to touch them.
 */
#ifndef SINTER_GC_HEAP_H
#define SINTER_GC_HEAP_H

#include "base.h"
#include "histogram.h"
#include "sinter/gc.h"
#include "uffd.h"

#include <pthread.h>
#include <semaphore.h>

enum {
    BLOCK_BITS = 14,
    BLOCK_BYTES = 1 << BLOCK_BITS,
    BLOCK_PAGES = BLOCK_BYTES >> PAGE_BITS,
    GRANULE_BITS = 4,
    GRANULE_BYTES = 1 << GRANULE_BITS,
    BLOCK_GRANULES = BLOCK_BYTES >> GRANULE_BITS,
    WORD_GRANULES = 32, /* whose bits are in one word */
    BLOCK_WORDS = BLOCK_GRANULES / WORD_GRANULES,
    LARGE_BYTES = BLOCK_BYTES / 2, /* larger objects have blocks of their own */
    WORKERS_MAX = 8,
    RUN_CLASSES = 32,
    WINDOWS = 2,
};

_Static_assert(GRANULE_BYTES == SINTER_GC_GRANULE, "");

/*
 * The states of a block. Changes are made with the space lock held, or by the collector while mutators stand still.
 *
 *   FREE   holds no object. `stock`: there are pages at home. Else at neither address.
 *          -> OPEN    a mutator takes it.                    -> LARGE, TAIL  for a large object.
 *          -> CLOSED  a cycle gathers objects there.         -> BUSY         its pages are being moved or given back.
 *   OPEN   a mutator's bump pointer is in it.
 *          -> CLOSED  it is full, or a cycle begins.
 *   CLOSED holds objects, which are found by `starts`, or, if it is `fresh`, one behind the other up to `used`.
 *          -> FREE    nothing in it was marked.
 *          -> LEFT    all of it has moved to other blocks.
 *   LARGE  the first of a run of `length`.  TAIL  the others, `length` behind it.
 *          -> FREE    the object was not marked.
 *   LEFT   where its objects are now is computed from what is written down here, until no old reference is left. Its pages, if
 *          it is `stock`, are used for other blocks' contents.
 *          -> FREE    at the end of the cycle.
 *   BUSY   -> FREE    by the thread that made it so, with or without pages.
 */
#define BLOCK_STATES(X) X(FREE) X(OPEN) X(CLOSED) X(LARGE) X(TAIL) X(LEFT) X(BUSY)

enum block_state {
#define X(name) BLOCK_##name,
    BLOCK_STATES(X)
#undef X
};

/* What a cycle does with a block that holds live objects. */
enum plan {
    PLAN_STAY,    /* nothing */
    PLAN_REWRITE, /* it stays, but its references are rewritten, before mutators go on */
    PLAN_WHOLE,   /* references rewritten in place, moved to the same number in the to-window */
    PLAN_SLIDE,   /* its objects go to other blocks */
};

/*
 * Who brings a block to the to-window; changed by compare and exchange.
 *
 *   NONE     nobody: nothing is to come.
 *   PENDING  -> CLAIMED  by the thread that will do it, a worker, the fault service or, in an own heap, who touched it.
 *   CLAIMED  -> DONE     by that thread, when all that there is of the block is there; then it wakes whoever waits. A thread
 *                        that serves its own fault and cannot move the pages leaves both to the service.
 *   DONE     -> NONE     at the end of the cycle.
 *
 * Who touches what is not there waits in the kernel, and the service reads of it. Is the job PENDING, the service does it; is it
 * CLAIMED, the service answers nothing; is it DONE or NONE, it answers with zeros: a hole was touched. In an own heap the thread
 * does the same itself, except that it waits while the job is CLAIMED; then nobody is in the kernel's queue, and nobody is woken.
 *
 * Nobody is forgotten, because the one wake comes after the change to DONE. Whose fault was read while the job was CLAIMED was in
 * the kernel's queue before the change, so the wake reaches them; they touch again, and find the page, or fault on a hole once
 * more. Whose fault is read later finds the job DONE. A wake before the change, such as the kernel's own at the end of a move,
 * does not do: who is woken by it and touches a hole is back in the queue while the job is still CLAIMED, and stays there until
 * the registration ends with the cycle.
 */
enum job { JOB_NONE, JOB_PENDING, JOB_CLAIMED, JOB_DONE };

struct block {
    uint8_t state;
    uint8_t home;
    uint8_t plan;
    _Atomic uint8_t job; /* of this number in the to-window */
    bool leaf, stock, fresh;
    bool pinned;         /* in this cycle */
    bool together;       /* LARGE, TAIL: the object's type cannot tell which references lie in which block */
    _Atomic bool marked; /* LARGE */
    uint8_t poisoned;    /* windows, one bit each */
    _Atomic bool rescan; /* the mark stack was full: some marked objects in it were not looked into */
    _Atomic bool calls;  /* objects in it, or to be gathered in it, cannot be moved without a callback */
    uint16_t used;       /* granules */
    uint16_t live;       /* granules that are marked */
    uint32_t length;
    uint64_t done_at; /* ns; of the job */
    /* PLAN_SLIDE: the first `split` live granules go to block to[0], from granule `at` on, the others to to[1]. */
    uint32_t to[2];
    uint16_t at, split;
    _Atomic uint8_t destinations; /* that are not done */
    /* Where objects are gathered: from `source` on, without its first `skip` live granules; sources are linked by `next`. */
    uint16_t skip;
    uint32_t source, next;
    union {
        uint16_t before[BLOCK_WORDS]; /* PLAN_SLIDE: live granules before each word of the map */
        struct {                      /* PLAN_WHOLE, LARGE: what cannot be read from an object on the move */
            const struct sinter_gc_layout *layout;
            size_t count;
        };
    };
};

/*
 * The bits of a block's granules, so that those of a small object are set by one operation:
 *
 *   63             32 31              0
 *   live, 32 granules starts, the same
 */
struct maps {
    _Atomic uint64_t words[BLOCK_WORDS];
};

enum special { ORDINARY, WEAK, EPHEMERON };

struct type {
    struct sinter_gc_layout layout; /* `name` is owned */
    enum special special;
};

/* What marking needs of most types: objects of one size whose references a map tells. Else `granules` is 0. */
struct quick_type {
    uint64_t references;
    uint32_t granules;
};

enum { TYPES_MAX = 1 << 20, LEAF_BIT = 1 << 23, TYPE_WEAK = 1, TYPE_EPHEMERON = 2 };

struct mutator {
    struct sinter_gc_mutator public;
    sinter_gc_heap *heap;
    struct mutator *next;      /* of the heap; world_lock */
    struct mutator *next_here; /* of the thread */
    _Atomic bool running;      /* false: stands still, or is in a blocking region */
    unsigned blocked;          /* depth of blocking regions */
    bool scan_stack;
    bool unblocked;                     /* SIGBUS was blocked in the thread before this one was attached */
    const char *stack_base, *stack_top; /* of the thread; where it stands still */
    uintptr_t registers[128]; /* what its frames below that have saved, if the stack is to be scanned */
    pthread_t thread;
    struct sinter_gc_bump
        real[2]; /* under stress: the public ones are empty, so that each allocation is counted */
    uint64_t allocations;
};

/* A growing array. */
struct vector {
    void *items;
    size_t count, room;
};

enum phase { PHASE_IDLE, PHASE_STOPPED, PHASE_MOVING };

struct sinter_gc_heap {
    struct sinter_gc_config config;
    sinter_gc_heap *next; /* of all heaps */

    /* Address space. Constant. */
    char *base;
    size_t window_bytes;
    uint32_t limit; /* blocks in a window */
    uint32_t most;  /* blocks that may hold objects */
    struct block *blocks;
    struct maps *maps;
    struct type *types;
    struct quick_type *quick_types;
    _Atomic uint32_t type_count;

    /* Synchronization: space_lock. */
    pthread_mutex_t space_lock;
    uint32_t frontier; /* no block from here on was ever used */
    uint32_t cursor;   /* no block below is FREE without pages */
    uint32_t
        run_hint[RUN_CLASSES]; /* [k]: no run of 2^k or more FREE blocks starts below, but for `freed_low` */
    uint32_t freed_low;        /* no block below has become FREE since the hints were set */
    uint32_t in_use;           /* blocks that are OPEN, CLOSED, LARGE or TAIL */
    uint32_t stock;            /* blocks */
    struct vector left;        /* uint32_t: blocks that are LEFT with pages */
    struct vector
        stocks[WINDOWS];    /* uint32_t: FREE blocks with pages there; some may have become something else */
    _Atomic int64_t budget; /* blocks until the next cycle begins */
    uint64_t taken;         /* blocks, ever */

    pthread_mutex_t look_lock; /* held throughout a cycle, or while somebody looks at all objects */

    /* Synchronization: world_lock. */
    pthread_mutex_t world_lock;
    pthread_cond_t stopped, resumed, finished;
    struct mutator *mutators;
    bool stopping;
    _Atomic int wanted;                    /* futex of the collector's sleep: something is wanted */
    _Atomic int how;                       /* enum sinter_gc_collect */
    uint64_t asked, begun, flipped, ended; /* cycles */
    _Atomic bool quit;

    /* Roots and what belongs to objects. Synchronization: roots_lock. */
    pthread_mutex_t roots_lock;
    struct vector variables; /* void ** */
    struct vector callbacks, ranges, finalizers, queue;
    void *pins; /* of tsearch(3) */
    struct handles *handles;
    struct sinter_gc_handle *free_handles;
    size_t queue_taken;
    _Atomic uint32_t hashes;

    /* The collector's. */
    pthread_t collector;
    sem_t started;
    _Atomic bool dormant; /* none of the threads runs: in the child of a fork */
    /* For the growth by time: nanoseconds, and blocks taken, between cycles; and how long the last one took. */
    uint64_t between_ns, taken_between, taken_before, last_ns, last_end;
    bool minor;     /* this cycle is a minor one */
    size_t written; /* pages of old objects that it found written to */
    struct uffd watch;
    bool watched;         /* the windows are registered with it: it can be told what is written */
    bool full_due;        /* the next cycle is a full one */
    uint64_t full_live;   /* bytes: `live` after the last full one */
    uint32_t full_in_use; /* blocks, then */
    int64_t full_budget;  /* blocks, then */
    uint32_t last_in_use; /* blocks, after the last cycle */
    unsigned rests, rest; /* full cycles until minor ones are tried again: at first, and left */
    struct crew *crew;
    struct service *service;
    enum uffd_lack lack;
    struct uffd uffd;
    struct own *own;    /* NULL: no faults are */
    bool own_served;    /* they are */
    bool moving_served; /* blocks move while mutators run */
    uint8_t to;         /* window: of the last compaction */
    uint32_t planned;   /* blocks below have a plan */
    _Atomic enum phase phase;
    struct mark *mark;
    struct vector pinned;  /* void *: objects, while a mark begins */
    struct vector staying; /* uint32_t: blocks whose references are rewritten where they are */
    struct vector vacated; /* addresses to be poisoned; see poison.c */
    struct vector first;   /* uint32_t: blocks that the roots point at */
    struct sinter_gc_events events;

    /* Statistics. */
    struct histogram pauses, flips;
    _Atomic uint64_t live, collections, minors, compactions, whole, copied, kept, released;
    _Atomic uint64_t mark_ns, plan_ns, flip_ns, move_ns, cpu_ns;
};

static inline char *block_at(const sinter_gc_heap *heap, uint32_t block, unsigned window)
{
    return heap->base + window * heap->window_bytes + (size_t)block * BLOCK_BYTES;
}

static inline char *block_home(const sinter_gc_heap *heap, uint32_t block)
{
    return block_at(heap, block, heap->blocks[block].home);
}

/* Is this the address of an object, rather than NULL, a number or a pointer elsewhere? */
static inline bool is_reference(const sinter_gc_heap *heap, const void *value)
{
    size_t offset = (size_t)((const char *)value - heap->base);
    return offset < WINDOWS * heap->window_bytes && offset % GRANULE_BYTES == 0;
}

/* Its block; `window_bytes` is a power of two. */
static inline uint32_t block_of(const sinter_gc_heap *heap, const void *address)
{
    return (uint32_t)(((size_t)((const char *)address - heap->base) & (heap->window_bytes - 1)) >>
                      BLOCK_BITS);
}

static inline unsigned window_of(const sinter_gc_heap *heap, const void *address)
{
    return (size_t)((const char *)address - heap->base) >= heap->window_bytes;
}

static inline unsigned granule_of(const sinter_gc_heap *heap, const void *address)
{
    return (unsigned)((size_t)((const char *)address - heap->base) % BLOCK_BYTES) >> GRANULE_BITS;
}

static inline const struct type *type_of(const sinter_gc_heap *heap, const void *object)
{
    return &heap->types[sinter_gc_type_of(object) & ~(uint32_t)LEAF_BIT];
}

/* The first block of the run that this one is of. */
static inline uint32_t first_of_run(const sinter_gc_heap *heap, uint32_t block)
{
    const struct block *b = &heap->blocks[block];
    return b->state == BLOCK_TAIL ? block - b->length : block;
}

static inline uint64_t round_up_granules(uint64_t bytes)
{
    return (bytes + GRANULE_BYTES - 1) >> GRANULE_BITS;
}

#endif
