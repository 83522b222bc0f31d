/*
 * Large blocks: runs of pages in the run zone, with coalescing.
 */
#ifndef SINTER_RUN_H
#define SINTER_RUN_H

#include "arena.h"
#include "base.h"
#include "map.h"

/* Larger blocks get a mapping of their own. */
#define RUN_MAX (128 * MiB)

static inline bool run_zone_contains(const void *p)
{
    return (uintptr_t)p - (uintptr_t)arena_start(REGION_RUNS) < arena_committed(REGION_RUNS);
}

/*
 * Allocates whole pages for `bytes` (1 .. RUN_MAX) at a multiple of `align` (a power of two). NULL if memory is
 * exhausted.
 */
void *run_alloc(size_t bytes, size_t align);

/* Makes the pages of a live run read as zeros where they might not. Touches them: no lock may be held. */
void run_clear(void *p, size_t bytes);

enum run_kind { RUN_KIND_NONE, RUN_KIND_LIVE, RUN_KIND_FREE };

struct run_location {
    enum run_kind kind;
    void *start;
    size_t bytes;
};

/* The live run that starts at `p`: its bytes, 0 if there is none. Needs no lock for a run the caller owns. */
size_t run_bytes(const void *p);

/* The run that covers `p`, an address in the run zone, for messages. */
struct run_location run_find(const void *p);

/* For signal handlers: the live run that the address, on a closed page, is next to. `start` is NULL if there is none. */
struct block_place run_border_find(const void *p);

/* Frees a live run. False if none starts at `p`. */
bool run_free(void *p);

/* Changes the size of a live run where it stands. False if there is no room. */
bool run_resize(void *p, size_t bytes);

/* Gives the end of the zone up, if it is free. */
void run_retract(void);

/* Gives about `most` dirty pages of free runs back to the system, oldest first. Returns how many. */
size_t run_purge(size_t most);

size_t run_dirty_pages(void);

struct run_stats {
    size_t runs, bytes; /* live */
    size_t dirty_pages;
};

void run_stats(struct run_stats *stats);

/* What the pages from `first` on are, all of them in the zone; see map.h. The maintain lock is held. */
void run_map(size_t first, size_t count, struct map_page *pages);

/* With --enable-debug: walks everything and dies if an invariant is broken. */
void run_check(void);

void run_fork_prepare(void);
void run_fork_parent(void);
void run_fork_child(void);

#endif
