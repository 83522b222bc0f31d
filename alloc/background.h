/*
 * What happens beside the program: free memory goes back to the system, idle thread caches are drained, requests of other
 * processes are answered (control.h). One thread a process does it; it starts when there is something to give back, and ends, or
 * sleeps where requests wake it, when nothing is left.
 */
#ifndef SINTER_BACKGROUND_H
#define SINTER_BACKGROUND_H

#include "base.h"
#include "decay.h"

/* Dirty pages, and bytes in one thread's cache, from which the thread is worth starting. */
enum { BACKGROUND_PAGES = 256, BACKGROUND_CACHE = 512 * 1024 };

extern HIDDEN _Atomic int background_state;
enum { BACKGROUND_OFF, BACKGROUND_ON, BACKGROUND_PARKED };

struct sinter_stats;

/*
 * Who packs pages plugs in here; this side knows no more about it. See compactor/mover.c.
 */
struct background_engine {
    /* On the background thread: */
    int64_t (*step)(
        uint64_t now); /* a small piece of work, the maintain lock held; its result is when it wants the
                          next, in milliseconds, or ENGINE_DONE if it needs the thread no longer */
    void (*wait)(int64_t ms); /* sleeps, or serves faults; it may return early */
    void (*breathe)(void);    /* between pieces of other work: serves faults */
    /* As compact(true) and restore(): 0, an errno value, or EINPROGRESS; then progress() says how it stands. The maintain lock is
       held. */
    int (*begin_compact)(void);
    int (*begin_restore)(void);
    int (*progress)(void);
    /* Where a page of a span is that is not here: MAP_ASIDE or MAP_PACKED. */
    uint8_t (*page_state)(uint32_t page);

    /* On any thread: */
    int (*compact)(
        bool always); /* packs now, all or (not `always`) if it is worth it. 0 or a positive errno value */
    int (*restore)(void);
    void (*stats)(struct sinter_stats *stats);
    const char *(*lack)(void); /* why it cannot work here; NULL if it can */
    void (*exiting)(void);

    /* On the thread that forks. prepare: the maintain lock is held, others are not. */
    void (*fork_prepare)(void);
    void (*fork_parent)(void);
    void (*fork_parent_wait)(void); /* no lock is held any more */
    void (*fork_child)(void);
};

enum { ENGINE_DONE = -1 };

/* At load time, by a constructor. */
void background_plug(const struct background_engine *engine);

void background_init(void);
void background_start(void);

/* Has the thread run, and look for work at once. False if it cannot run. */
bool background_run(void);

/* The thread's sleep where no engine has another: until background_run() is called, at most `ms` milliseconds. */
void background_sleep(int64_t ms);

/* On the thread: gives it a descriptor table of its own, empty, if it has none yet. False if that is not possible. */
bool background_own_table(void);

/* Is the caller the background thread? */
bool background_is_caller(void);

/* Has the thread been started, and not ended yet? */
bool background_is_alive(void);

/* sinter_compact() and sinter_restore(): 0 or a positive errno value. */
int background_compact(void);
int background_restore(void);

/*
 * The same as the thread itself does them, the maintain lock held: 0, an errno value, or EINPROGRESS. One at a time; then
 * background_progress() says how it stands.
 */
int background_begin_compact(void);
int background_begin_restore(void);
int background_progress(void);

/* On the thread, between pieces of work that take some hundred microseconds: faults are answered. */
void background_breathe(void);

/* On the thread: where a page of a span is that is not here; see map.h. */
uint8_t background_page_state(uint32_t page);

/* Adds the engine's part. Returns why it cannot work here, NULL if it can. */
const char *background_engine_stats(struct sinter_stats *stats);

/* The process is about to exit. */
void background_exiting(void);

/* After something was freed; no lock may be held. */
static inline void background_poke(void)
{
    bool worth = load_relaxed(&decay_dirty_pages) >= BACKGROUND_PAGES ||
                 load_relaxed(&decay_sparse_pages) >= BACKGROUND_PAGES;
    if (unlikely(worth && atomic_load(&background_state) != BACKGROUND_ON))
        background_start();
}

/* The same, from a thread whose cache has room for `bytes`. */
static inline void background_poke_cache(size_t bytes)
{
    if (unlikely(bytes >= BACKGROUND_CACHE && atomic_load(&background_state) != BACKGROUND_ON))
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
