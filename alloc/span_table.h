/*
 * The descriptors of spans, shared by those who place in spans (span.c), keep free ones (span_pool.c) and sweep
 * them (span_sweep.c).
 */
#ifndef SINTER_SPAN_TABLE_H
#define SINTER_SPAN_TABLE_H

#include "arena.h"
#include "base.h"
#include "sizeclass.h"

/*
 * The states of a span, who may change them, and how.
 *
 *   UNUSED   at or beyond the frontier of the zone. The holder of the pool lock makes it IN_USE.
 *   IN_USE   cut into slots of its bin. The holder of the bin's lock lists it by fullness, or takes it out
 *            when no slot is free; makes it DIRTY when every slot is free.
 *   DIRTY    free, in the pool's list of spans with memory. The holder of the pool lock makes it IN_USE
 *            (newest first) or PURGING (oldest first).
 *   PURGING  owned by the thread that gives its memory back, which makes it CLEAN. The maintain lock is held
 *            meanwhile, so that no fork sees this state.
 *   CLEAN    free, without memory, in the pool's second list. The holder of the pool lock makes it IN_USE.
 *
 * The holder of the pool lock also makes DIRTY and CLEAN spans at the end of the zone UNUSED, when memory is short.
 */
#define SPAN_STATES(X) X(UNUSED) X(IN_USE) X(DIRTY) X(PURGING) X(CLEAN)

enum span_state {
#define X(name) SPAN_##name,
    SPAN_STATES(X)
#undef X
};

/* Numbers of spans serve as links; span 0 is never used, so that 0 means none. */
struct span {
    _Atomic int32_t free_slots; /* added to after the bits are set, subtracted from under the bin's lock */
    _Atomic uint8_t state;      /* Synchronization: the bin's lock if IN_USE, otherwise the pool's */
    _Atomic uint8_t bin;        /* the same */
    uint8_t closed; /* pages at its end that are closed. Synchronization: whoever starts the span */
    uint8_t list;   /* of the bin, by fullness; 0: in none. Synchronization: the bin's lock */
    /* A bit for each page. Synchronization: the bin's lock */
    uint16_t populated;  /* may have memory: a slot on it was taken since it was last given back */
    uint16_t idle;       /* populated, and all its slots were free at the last sweep and have been since */
    uint32_t prev, next; /* Synchronization: the lock of the list */
    /* For the compactor, see span_pages.h. */
    _Atomic uint16_t away;  /* a bit for each page that is not here. Only the background thread writes it */
    _Atomic uint8_t recent; /* slots were taken since the last look */
    int32_t seen_free;      /* free_slots at the last look. Only the background thread uses it */
} CACHE_ALIGNED;

_Static_assert(sizeof(struct span) == SPAN_INFO_BYTES, "the arena's layout relies on it");
_Static_assert(SLOT_WORDS * 8 == SPAN_BITS_BYTES + SPAN_MORE_BYTES, "the arena's layout relies on it");
_Static_assert(SLOT_WORDS * 8 == SPAN_HELD_BYTES, "the arena's layout relies on it");
_Static_assert(BIN_COUNT * 16 <= UINT16_MAX, "a page map entry is a bin number times 16");

enum { SPAN_PAGES = SPAN_BYTES / PAGE_BYTES };

static inline struct span *span_info(uint32_t span)
{
    return (struct span *)arena_start(REGION_SPAN_INFO) + span;
}

/*
 * Word `w` of the span's slot bitmap. It lies in two tables, because few bins need more than the first words, and a table
 * of rows that are mostly unused would still have memory behind all of it.
 */
static inline _Atomic uint64_t *span_word(uint32_t span, unsigned w)
{
    enum { FIRST = SPAN_BITS_BYTES / 8, MORE = SPAN_MORE_BYTES / 8 };
    return likely(w < FIRST)
               ? (_Atomic uint64_t *)arena_start(REGION_SPAN_BITS) + (size_t)span * FIRST + w
               : (_Atomic uint64_t *)arena_start(REGION_SPAN_MORE) + (size_t)span * MORE + (w - FIRST);
}

/* Word `w` of the slots that are in quarantine; only while the option is on. Synchronization: the quarantine's lock */
static inline _Atomic uint64_t *span_held_word(uint32_t span, unsigned w)
{
    return (_Atomic uint64_t *)arena_start(REGION_SPAN_HELD) + (size_t)span * SLOT_WORDS + w;
}

static inline char *span_address(uint32_t span)
{
    return (char *)arena_base + (size_t)span * SPAN_BYTES;
}

/* Words of the bitmap that spans of the bin use. */
static inline unsigned span_words(unsigned bin)
{
    return (sizeclass_table[bin].slots + 63u) / 64;
}

/* ---- of span.c, for the sweep and for span_pages.c ---- */

void span_lock_bin(unsigned bin);
void span_unlock_bin(unsigned bin);

/* With the bin's lock held: `count` free slots of the span, whose bits are clear already, are the caller's. */
void span_claimed_locked(unsigned bin, uint32_t span, int32_t count);

/* `n` slots of the span, whose bits are set already, are free. */
void span_add_free(unsigned bin, uint32_t span, int32_t n);

/* Puts the span into the list where it belongs, if it is in use by `bin`. */
void span_settle_list(unsigned bin, uint32_t span);

#endif
