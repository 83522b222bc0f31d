#include "background.h"

#include "attend.h"
#include "conf.h"
#include "control.h"
#include "fatal.h"
#include "guard_rest.h"
#include "huge.h"
#include "layout.h"
#include "lock.h"
#include "os.h"
#include "quarantine.h"
#include "raw_thread.h"
#include "run.h"
#include "span.h"
#include "span_pool.h"
#include "span_sweep.h"
#include "tcache.h"

#include <errno.h>
#include <sys/prctl.h>

/*
 * The thread's states, all changes atomic:
 *
 *   OFF     nobody runs. Whoever has something for it and makes it ON starts the thread.
 *   ON      the thread runs. It makes it OFF or PARKED when it has found nothing to do, and looks once more then: what came
 *           between the look and the change was added by somebody who saw ON.
 *   PARKED  the thread sleeps on the control page, where there is one, and answers what needs no work. Whoever has something
 *           for it and makes it ON, the thread itself for a request or others, has it go on.
 */
_Atomic int background_state;

enum { IDLE_MS = 1000, LINGER_PASSES = 2 };

static struct {
    struct lock start_lock;
    struct raw_thread raw;
    _Atomic int wake;                          /* futex of its sleep */
    bool refused;                              /* clone failed: give back from the program's own calls */
    bool own_table;                            /* of descriptors */
    uint64_t decayed_at, drained_at, swept_at; /* ms */
    uint64_t rests_ended_at;                   /* ms */
    int64_t engine_ms; /* when the engine wants its next step; ENGINE_DONE: not at all */
    int64_t attend_ms; /* when requests want a look; ATTEND_IDLE: when one comes */
} thread = {.start_lock = LOCK_INITIALIZER(LOCK_BACKGROUND)};

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(thread.raw.alive),
    LAYOUT_VARIABLE(thread.raw.memory),
};

static struct {
    struct lock lock; /* held while anything is detached from its lists */
    struct decay decay;
    _Atomic uint64_t purged_pages, purge_calls;
} maintain = {.lock = LOCK_INITIALIZER(LOCK_MAINTAIN)};

static _Atomic uint64_t random_state;

static const struct background_engine *engine;

void background_plug(const struct background_engine *plugged)
{
    engine = plugged;
}

bool background_is_caller(void)
{
    int id = load_relaxed(&thread.raw.alive);
    return id != 0 && id == (int)os_thread_id();
}

bool fatal_in_own_thread(void)
{
    return background_is_caller();
}

bool background_is_alive(void)
{
    return load_relaxed(&thread.raw.alive) != 0;
}

/* ---- the work ---- */

void background_breathe(void)
{
    if (engine != NULL && background_is_caller())
        engine->breathe();
}

/* A piece takes some hundred microseconds, and no longer shall a fault wait. */
enum { PIECE_PAGES = 1024 };

static size_t purge_from(size_t (*purge)(size_t), size_t most)
{
    size_t done = 0, n;
    while (done < most && (n = purge(min_size(most - done, PIECE_PAGES))) > 0) {
        done += n;
        background_breathe();
    }
    if (done > 0) {
        add_relaxed(&maintain.purged_pages, done);
        add_relaxed(&maintain.purge_calls, 1);
    }
    return done;
}

/* Gives `pages` back, each kind in proportion to what it has. */
static size_t purge_locked(size_t pages)
{
    size_t dirty = load_relaxed(&decay_dirty_pages), done = 0;
    if (dirty == 0 || pages == 0)
        return 0;
    double share = pages >= dirty ? 1 : (double)pages / (double)dirty;
    done += purge_from(span_purge, (size_t)((double)span_dirty_pages() * share + 0.5));
    done += purge_from(run_purge, (size_t)((double)run_dirty_pages() * share + 0.5));
    done += purge_from(huge_purge, (size_t)((double)huge_dirty_pages() * share + 0.5));
    return done;
}

static void decay_step_locked(uint64_t now)
{
    purge_locked(decay_advance(&maintain.decay, now, load_relaxed(&decay_dirty_pages)));
    decay_settle(&maintain.decay, load_relaxed(&decay_dirty_pages));
}

static void decay_step(void)
{
    lock_take(&maintain.lock);
    decay_step_locked(os_now_ms());
    lock_give(&maintain.lock);
}

/* Drains what has been idle for the option's time. Returns whether there was anything. */
static bool drain_step_locked(uint64_t now)
{
    int64_t idle = conf_get(CONF_cache_idle);
    if (idle < 0 || now < thread.drained_at + (uint64_t)idle)
        return false;
    thread.drained_at = now;
    return tcache_drain(false) > 0;
}

static size_t sweep_locked(bool all)
{
    size_t waiting, done = span_sweep(all, &waiting, background_breathe);
    add_relaxed(&maintain.purged_pages, done);
    return done + waiting;
}

/* Sweeps twice in the time of option `decay`. Returns whether there was anything or will be. */
static bool sweep_step_locked(uint64_t now)
{
    int64_t decay = conf_get(CONF_decay);
    if (decay <= 0 || now < thread.swept_at + (uint64_t)decay / 2)
        return false;
    thread.swept_at = now;
    return sweep_locked(false) > 0;
}

void background_check(void)
{
    if (!SINTER_DEBUG)
        return;
    lock_take(&maintain.lock);
    span_check();
    run_check();
    lock_give(&maintain.lock);
}

static void give_back_free_locked(void)
{
    tcache_drain(true);
    sweep_locked(true);
    purge_locked(SIZE_MAX);
    decay_settle(&maintain.decay, load_relaxed(&decay_dirty_pages));
}

static bool give_back_free(void)
{
    uint64_t before = load_relaxed(&maintain.purged_pages);
    tcache_flush();
    lock_take(&maintain.lock);
    give_back_free_locked();
    lock_give(&maintain.lock);
    background_check();
    return load_relaxed(&maintain.purged_pages) != before;
}

bool background_trim(void)
{
    bool any = give_back_free();
    return (engine != NULL && engine->compact(false) == 0) || any;
}

int background_compact(void)
{
    give_back_free();
    return engine != NULL ? engine->compact(true) : ENOTSUP;
}

int background_restore(void)
{
    return engine != NULL ? engine->restore() : 0;
}

int background_begin_compact(void)
{
    give_back_free_locked();
    return engine != NULL ? engine->begin_compact() : ENOTSUP;
}

int background_begin_restore(void)
{
    return engine != NULL ? engine->begin_restore() : 0;
}

int background_progress(void)
{
    return engine->progress();
}

uint8_t background_page_state(uint32_t page)
{
    return engine->page_state(page);
}

const char *background_engine_stats(struct sinter_stats *stats)
{
    if (engine == NULL)
        return "not in this build";
    engine->stats(stats);
    return engine->lack();
}

void background_exiting(void)
{
    if (engine != NULL)
        engine->exiting();
    control_exiting();
}

void background_reclaim(void)
{
    quarantine_empty();
    give_back_free();
    span_pool_retract();
    run_retract();
}

void background_stats(struct background_stats *stats)
{
    *stats = (struct background_stats){
        .purged_bytes = load_relaxed(&maintain.purged_pages) * PAGE_BYTES,
        .purge_calls = load_relaxed(&maintain.purge_calls),
    };
}

uint64_t background_random(void)
{
    /* splitmix64 (S. Vigna): one atomic addition a number */
    uint64_t z = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- the thread ---- */

/* Caches and spans in use do not count: they are looked at every so often. */
static bool has_dirty_pages(void)
{
    return load_relaxed(&decay_dirty_pages) > 0 && conf_get(CONF_decay) >= 0;
}

static uint64_t decay_interval(void)
{
    return has_dirty_pages() ? decay_epoch_ms() : IDLE_MS;
}

/* The thread stays for a few looks at caches and spans that find nothing. */
static uint64_t linger_ms(void)
{
    int64_t idle = conf_get(CONF_cache_idle), decay = conf_get(CONF_decay),
            longer = idle > decay ? idle : decay;
    return LINGER_PASSES * (uint64_t)(longer > IDLE_MS ? longer : IDLE_MS);
}

/* Returns whether there was anything to do, or will be. */
static bool work_locked(uint64_t now)
{
    if (now >= thread.decayed_at + decay_interval()) {
        thread.decayed_at = now;
        decay_step_locked(now);
    }
    bool drained = drain_step_locked(now), swept = sweep_step_locked(now);
    thread.engine_ms = engine != NULL ? engine->step(now) : ENGINE_DONE;
    thread.attend_ms = attend_step(now);
    return attend_is_busy() || drained || swept || has_dirty_pages() || thread.engine_ms != ENGINE_DONE;
}

static void rest(uint64_t now, bool worked)
{
    int64_t ms = (int64_t)(thread.decayed_at + decay_interval() - now);
    if (!worked) /* somebody else gives memory back just now, or forks */
        ms = 1;
    else if (thread.engine_ms != ENGINE_DONE && thread.engine_ms < ms)
        ms = thread.engine_ms;
    if (thread.attend_ms != ATTEND_IDLE && thread.attend_ms < ms)
        ms = thread.attend_ms;
    if (guard_rest_any() && ms > GUARD_REST_MS)
        ms = GUARD_REST_MS;
    if (ms < 0)
        ms = 0;
    if (engine != NULL)
        engine->wait(ms);
    else
        background_sleep(ms);
}

void background_sleep(int64_t ms)
{
    if (ms != 0 && !control_sleep(&thread.wake, ms))
        os_futex_wait(&thread.wake, 0, ms);
    atomic_store(&thread.wake, 0);
}

/* A parked thread sleeps until it is called; then, so that it may answer, nobody else may hold the lock. */
static void park(void)
{
    while (atomic_load(&background_state) == BACKGROUND_PARKED) {
        bool answered = lock_try(&maintain.lock);
        if (answered) {
            attend_step(os_now_ms());
            lock_give(&maintain.lock);
        }
        int parked = BACKGROUND_PARKED;
        if (attend_is_busy() || !control_is_usable())
            atomic_compare_exchange_strong(&background_state, &parked, BACKGROUND_ON);
        else
            background_sleep(answered ? -1 : 1);
    }
}

/* Nothing to do: false if the thread ends. */
static bool idle(void)
{
    int resting = control_is_usable() ? BACKGROUND_PARKED : BACKGROUND_OFF, now = resting;
    if (resting == BACKGROUND_PARKED)
        control_report(true); /* may wait for locks: nobody's pages are away */
    atomic_store(&background_state, resting);
    if ((has_dirty_pages() || guard_rest_any()) && conf_get(CONF_background) &&
        atomic_compare_exchange_strong(&background_state, &now, BACKGROUND_ON))
        return true;
    if (resting == BACKGROUND_PARKED)
        park();
    return resting == BACKGROUND_PARKED;
}

bool background_own_table(void)
{
    if (!thread.own_table)
        thread.own_table = os_own_descriptors();
    return thread.own_table;
}

static int run(void *unused)
{
    (void)unused;
    os_syscall(SYS_prctl, PR_SET_NAME, (long)"sinter", 0, 0, 0, 0);
    uint64_t busy_at = thread.decayed_at = thread.drained_at = thread.swept_at = os_now_ms();
    thread.own_table = false;
    control_thread_began(busy_at);
    for (;;) {
        /* Never waits for this lock: a thread that forks holds it, and may be waiting for a page. */
        bool worked = lock_try(&maintain.lock);
        uint64_t now = os_now_ms();
        if (worked) {
            if (work_locked(now))
                busy_at = now;
            lock_give(&maintain.lock);
        }
        if (now >= thread.rests_ended_at + GUARD_REST_MS && guard_rest_any()) {
            thread.rests_ended_at = now;
            guard_rest_end_all();
        }
        if (!worked || now < busy_at + linger_ms() || guard_rest_any())
            rest(now, worked);
        else if (!idle())
            return 0;
        else
            busy_at = os_now_ms();
    }
}

static void wake(void)
{
    atomic_store(&thread.wake, 1);
    if (!control_wake())
        os_futex_wake(&thread.wake, 1);
}

static void forget_thread(void)
{
    raw_thread_forget(&thread.raw);
    store_relaxed(&thread.wake, 0);
    thread.refused = false;
    attend_fork_child();
    atomic_store(&background_state, BACKGROUND_OFF);
}

static void start_locked(void)
{
    int off = BACKGROUND_OFF, parked = BACKGROUND_PARKED;
    if (atomic_compare_exchange_strong(&background_state, &parked, BACKGROUND_ON)) {
        atomic_store(&thread.wake, 1);
        thread.refused = !control_wake();
        if (thread.refused)
            atomic_store(&background_state, BACKGROUND_PARKED);
    } else if (atomic_compare_exchange_strong(&background_state, &off, BACKGROUND_ON)) {
        thread.refused = !raw_thread_start(&thread.raw, run);
        if (thread.refused)
            atomic_store(&background_state, BACKGROUND_OFF);
    }
}

/* Starts the thread unless it runs. */
static void start(void)
{
    int saved = errno;
    lock_take(&thread.start_lock);
    /* A child that was made without fork(3) has not got what its parent's memory says. */
    if (atomic_load(&background_state) == BACKGROUND_PARKED && !control_is_here())
        forget_thread();
    start_locked();
    lock_give(&thread.start_lock);
    errno = saved;
}

bool background_run(void)
{
    start();
    wake();
    return !thread.refused;
}

void background_start(void)
{
    static _Atomic uint64_t stepped_at;
    int64_t decay = conf_get(CONF_decay);
    if (decay == 0) {
        decay_step();
    } else if (decay > 0 && conf_get(CONF_background) && !thread.refused) {
        start();
    } else if (decay > 0) {
        uint64_t now = os_now_ms(), last = load_relaxed(&stepped_at);
        if (now >= last + decay_epoch_ms() && atomic_compare_exchange_strong(&stepped_at, &last, now))
            decay_step();
    }
}

void background_init(void)
{
    uint64_t seed = (uint64_t)conf_get(CONF_seed);
    atomic_store(&random_state, seed != 0 ? seed : os_random());
}

/* ---- fork: the child has no such thread; it starts its own when it has something to give back ---- */

void background_fork_prepare(void)
{
    lock_take(&maintain.lock);
    if (engine != NULL)
        engine->fork_prepare();
}

void background_fork_parent(void)
{
    if (engine != NULL)
        engine->fork_parent();
    lock_give(&maintain.lock);
    if (engine != NULL)
        engine->fork_parent_wait();
}

void background_fork_child(void)
{
    lock_reset(&maintain.lock);
    store_relaxed(&thread.start_lock.state, 0);
    forget_thread();
    if (engine != NULL)
        engine->fork_child();
}
