/*
 * What happens beside the program: free memory goes back to the system, idle thread caches are drained. One
 * thread a process does it; it starts when there is something to give back and ends when nothing is left.
 */
#ifndef SINTER_BACKGROUND_H
#define SINTER_BACKGROUND_H

#include "base.h"
#include "decay.h"

/* Dirty pages, and bytes in one thread's cache, from which the thread is worth starting. */
enum { BACKGROUND_PAGES = 256, BACKGROUND_CACHE = 512 * 1024 };

extern HIDDEN _Atomic int background_state;
enum { BACKGROUND_OFF, BACKGROUND_ON };

void background_init(void);
void background_start(void);

/* After something was freed; no lock may be held. */
static inline void background_poke(void)
{
    bool worth = load_relaxed(&decay_dirty_pages) >= BACKGROUND_PAGES ||
                 load_relaxed(&decay_sparse_pages) >= BACKGROUND_PAGES;
    if (unlikely(worth && atomic_load(&background_state) == BACKGROUND_OFF))
        background_start();
}

/* The same, from a thread whose cache has room for `bytes`. */
static inline void background_poke_cache(size_t bytes)
{
    if (unlikely(bytes >= BACKGROUND_CACHE && atomic_load(&background_state) == BACKGROUND_OFF))
        background_start();
    else
        background_poke();
}

/* Gives everything that is free back to the system, now. Returns whether there was anything. */
bool background_trim(void);

/* Memory is short: gives back everything that is free, and the free ends of the zones with it. */
void background_reclaim(void);

/* With --enable-debug: walks spans and runs and dies if an invariant is broken. */
void background_check(void);

struct background_stats {
    uint64_t purged_bytes, purge_calls;
};

void background_stats(struct background_stats *stats);

/* Random bits for the option randomize. */
uint64_t background_random(void);

void background_fork_prepare(void);
void background_fork_parent(void);
void background_fork_child(void);

#endif
