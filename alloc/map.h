/*
 * What each page of the arena is used for, and how full it is: read part by part, for pictures of the heap (`sinter map`).
 */
#ifndef SINTER_MAP_H
#define SINTER_MAP_H

#include "base.h"

/* X(state, name, help) */
#define MAP_STATES(X)                                                                                        \
    X(UNUSED, "unused", "address space that nothing has lain in so far")                                     \
    X(RETURNED, "returned", "free, given back to the system")                                                \
    X(DIRTY, "dirty", "free, with memory behind it")                                                         \
    X(EMPTY, "empty", "in a span in use, without a block and without memory")                                \
    X(SMALL, "small", "small blocks, or slots for such")                                                     \
    X(ASIDE, "aside", "small blocks, moved out, on probation")                                               \
    X(PACKED, "packed", "small blocks, moved out and packed")                                                \
    X(LARGE, "large", "part of a large block")                                                               \
    X(GUARDED, "guarded", "a block of guard mode")                                                           \
    X(CLOSED, "closed", "closed by guard mode")

enum map_state {
#define X(state, name, help) MAP_##state,
    MAP_STATES(X)
#undef X
        MAP_STATE_COUNT
};

enum map_zone { MAP_SPANS, MAP_RUNS, MAP_GUARD, MAP_ZONE_COUNT };

struct map_page {
    uint8_t state;
    uint8_t fill; /* bytes of blocks on it, thread caches' included, in units of 4096 / 255, rounded up */
};

/* A part of a zone. */
struct map_part {
    uint64_t zone_pages; /* of the whole zone */
    uint32_t count;      /* pages that follow; fewer than asked for, if that would take long */
    uint32_t zone;
    struct map_page pages[];
};

/* Zone and first page of the part that is wanted, in one word. */
static inline uint64_t map_argument(enum map_zone zone, uint64_t first)
{
    return (uint64_t)zone << 56 | first;
}

/*
 * Fills `part` from the page on, at most `size` bytes. Returns how many it is long, 0 if there is no such zone. On the background
 * thread, the maintain lock held: nothing moves meanwhile.
 */
size_t map_read(uint64_t argument, struct map_part *part, size_t size);

#endif
