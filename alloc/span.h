/*
 * Spans of small blocks and the central lists of each size class.
 *
 * A span's bitmap has a bit set for each free slot. Slots are taken in batches, under the bin's lock, from the
 * fullest span that has any, so that sparse spans drain. They are given back by atomic operations without a
 * lock, whichever thread does it; only when that moves the span to another list is the bin's lock taken.
 */
#ifndef SINTER_SPAN_H
#define SINTER_SPAN_H

#include "arena.h"
#include "base.h"
#include "sizeclass.h"

void span_init(void);

/*
 * Takes up to `want` free slots of `bin` and writes their addresses to out[0 .. n), the lowest addresses last.
 * Returns n, which is less than `want` only if memory is exhausted, or if no new span is started for the rest:
 * the first slot may bring a fresh span, further ones only come from spans in use.
 */
size_t span_take(unsigned bin, void **out, size_t want);

/* As span_take for one slot, but a random one of its span. */
void *span_take_random(unsigned bin, uint64_t random);

/*
 * Gives `n` slots of `bin` back. Each must have been checked by span_find(). A slot that is free already is misuse of the
 * public function `call`.
 */
void span_give(unsigned bin, void *const *slots, size_t n, const char *call);

struct span_location {
    unsigned bin;    /* 0: no span in use there */
    uint32_t slot;   /* number of the slot */
    uint32_t offset; /* of the address into the slot */
    void *start;     /* of the slot */
    bool free;       /* the slot is free in its span, or in quarantine (not: in a thread cache) */
};

static inline bool span_zone_contains(const void *p)
{
    return ((uintptr_t)p - arena_base) >> SPAN_BITS < read_racy(arena_span_limit);
}

/* What lies at `p`, an address in the span zone. `bin` is 0 also for the waste behind the last slot. */
struct span_location span_find(const void *p);

struct span_stats {
    size_t spans; /* in use */
    size_t dirty_pages;
    size_t slot_bytes; /* of all slots that are not free */
};

void span_stats(struct span_stats *stats);

struct span_bin_stats {
    size_t spans, slots; /* in use; in them, not free */
};

/* Of every bin. */
void span_bin_stats(struct span_bin_stats bins_stats[BIN_COUNT]);

/* With --enable-debug: walks everything and dies if an invariant is broken. Takes the locks. */
void span_check(void);

void span_fork_prepare(void);
void span_fork_parent(void);
void span_fork_child(void);

#endif
