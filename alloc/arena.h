/*
 * The arena: one contiguous piece of address space that holds the two zones and, apart from them, their tables.
 *
 *     base - MAP_BYTES   page map: a bin for each span
 *     base               span zone: 64 KiB spans of small blocks
 *     ...                run zone: page runs of large blocks
 *     ...                what the compactor needs: its store, the shadow of the span zone
 *     ...                guarded slots
 *
 * and at another random address, so that no distance leads from blocks to tables, everything else:
 *
 *     span descriptors, slot bitmaps, run descriptors, dirty bits, page descriptors of the compactor, what is known of
 *     guarded slots, other memory of the allocator's own (meta.h)
 *
 * Each part is a region with 2 MiB of nothing at least on either side. It is mapped from its start, as far as it is needed, with MAP_FIXED_NOREPLACE, in a part
 * of the address space that neither the kernel nor other runtimes choose by themselves. Nothing is reserved ahead:
 * a reservation of the whole (1 TiB) counts against RLIMIT_AS and RLIMIT_MEMLOCK, and a process that limits its
 * own address space then cannot even grow its stack. Should something settle in the way all the same, the zone
 * counts as exhausted, and blocks go to the other zone and to mappings of their own.
 *
 * Only where those addresses do not exist is the arena reserved without access, and smaller if need be.
 */
#ifndef SINTER_ARENA_H
#define SINTER_ARENA_H

#include "base.h"

#define ZONE_MAX (512 * GiB) /* bytes of a zone at most */

enum { MAP_BYTES = 16 * 1024 * 1024 }; /* two bytes a span of the largest span zone, 512 GiB */

/* What the fast path of free reads; two variables, because the address of a struct would cost an instruction. */
extern HIDDEN uintptr_t arena_base;    /* start of the span zone */
extern HIDDEN size_t arena_span_limit; /* spans that the page map covers */

enum arena_region {
    REGION_MAP,
    REGION_SPANS,
    REGION_RUNS,
    REGION_SPAN_INFO,
    REGION_SPAN_BITS,
    REGION_SPAN_MORE,
    REGION_SPAN_HELD, /* untouched without quarantine */
    REGION_RUN_INFO,
    REGION_RUN_DIRTY,
    /* For packing, and untouched without it; see compactor/pages.h and compactor/store.h. */
    REGION_PAGE_INFO,
    REGION_CHUNK_INFO,
    REGION_STORE,
    REGION_SHADOW, /* mapped piece by piece */
    /* For guard mode, and untouched without it; see guard.h. */
    REGION_GUARD,
    REGION_GUARD_INFO,
    REGION_META, /* see meta.h */
    REGION_COUNT
};

/* Sizes of the table entries that the layout has to know; the modules assert them. */
enum {
    SPAN_INFO_BYTES = 64,
    SPAN_BITS_BYTES = 128, /* of slot bitmaps, what slots of 64 bytes and more need */
    SPAN_MORE_BYTES = 384, /* the rest */
    SPAN_HELD_BYTES = 512, /* as many bits as both have */
    RUN_INFO_BYTES = 32,
    PAGE_INFO_BYTES = 8,
    CHUNK_INFO_BYTES = 16,
    GUARD_INFO_BYTES = 384, /* for each slot of the smallest kind, two pages */
};

/* What guarded slots take of the address space, as a part of a zone. */
enum { GUARD_PART = 8 };

/* Chooses the addresses. False if the system has no room for even a small arena. */
bool arena_init(void);

/* Where each region starts, or would. */
extern HIDDEN char *arena_starts[REGION_COUNT];

static inline char *arena_start(enum arena_region region)
{
    return arena_starts[region];
}

/* Bytes of the region that are readable and writable. */
size_t arena_committed(enum arena_region region);

/*
 * Commits a region up to at least `bytes` from its start; zones ahead of need, by a part of what they have.
 * False if the region or the system's memory is exhausted; nothing is lost then. Thread-safe.
 */
bool arena_grow(enum arena_region region, size_t bytes);

/* Takes the end of a zone, beyond `bytes` from its start, out of use, so that others can have what it counts for. */
void arena_shrink(enum arena_region zone, size_t bytes);

/* The span zone shall not shrink below `bytes` from its start any more. Returns how much of it is committed. */
size_t arena_hold_spans(size_t bytes);

/*
 * Maps, and unmaps, a piece of the shadow: addresses at the constant distance `arena_shadow` from those of the span zone,
 * to which the compactor moves pages. Never populated ahead and never locked, whatever mlockall(2) has been told.
 */
bool arena_shadow_map(size_t offset, size_t size);
void arena_shadow_unmap(size_t offset, size_t size);

/*
 * Gives memory of a zone back to the system; the pages read as zeros afterwards. False if the kernel refused.
 * Chunks that this leaves with holes are no longer to be huge pages: the kernel would fill the holes again.
 */
bool arena_purge(enum arena_region zone, void *addr, size_t size);

/* Does the system offer huge pages, and the option thp not forbid them? */
bool arena_may_use_huge_pages(void);

/* Address space committed for metadata. */
size_t arena_metadata_bytes(void);

void arena_fork_prepare(void);
void arena_fork_parent(void);
void arena_fork_child(void);

/* The entry of the page map: bin number times 16, 0 for a span that is not in use. */
static inline _Atomic uint16_t *arena_map_entry(size_t span)
{
    return (_Atomic uint16_t *)(arena_base - MAP_BYTES) + span;
}

#endif
