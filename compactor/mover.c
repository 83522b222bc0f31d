#include "mover.h"

#include "background.h"
#include "bulk.h"
#include "conf.h"
#include "control.h"
#include "doorbell.h"
#include "evacuate.h"
#include "family.h"
#include "heap.h"
#include "idle_poll.h"
#include "layout.h"
#include "map.h"
#include "os.h"
#include "pages.h"
#include "passes.h"
#include "policy.h"
#include "pressure.h"
#include "service.h"
#include "span_pages.h"
#include "store.h"
#include "takeover.h"

#include "sinter/malloc.h"

#include <errno.h>
#include <poll.h>

enum { CHILDREN_POLLED = 30 };

struct mover mover = {.pressure = -1};

void mover_become(enum mover_state next)
{
    atomic_store(&mover.state, next);
    os_futex_wake(&mover.state, INT32_MAX);
}

enum mover_state mover_wait_while(enum mover_state state)
{
    enum { LOOK_MS = 100 };
    while (mover_state() == state && background_is_alive())
        os_futex_wait(&mover.state, (int)state, LOOK_MS);
    return mover_state();
}

bool mover_is_here(void)
{
    return mover_state() == ACTIVE && mover.process == os_process_id();
}

/* ---- starting ---- */

static void open_pressure(void)
{
    long fd = conf_get(CONF_compact_pressure) ? pressure_open() : -1;
    mover.pressure = fd >= 0 ? (int)fd : -1;
}

enum uffd_lack mover_open(void)
{
    /*
     * A registration ends with the last reference to its descriptor, and absent pages then read as zeros. So nothing that the
     * program does to its descriptors may reach ours.
     */
    if (!background_own_table())
        return UFFD_NO_TABLE;
    enum uffd_lack lack = uffd_open(&service_uffd, UFFD_FORKS);
    if (lack != UFFD_READY)
        return lack;
    if (family_doorbell == NULL)
        family_doorbell = os_map(BELL_PAGES * PAGE_BYTES, PAGE_BYTES);
    if (family_doorbell == NULL) {
        uffd_close(&service_uffd);
        return UFFD_NO_RESOURCES;
    }
    mover.reports_forks = uffd_reports_forks(&service_uffd);
    service_start_family();
    open_pressure();
    return UFFD_READY;
}

static void inject(void)
{
    uint64_t seed = (uint64_t)conf_get(CONF_seed);
    uffd_inject((uint64_t)conf_get(CONF_compact_inject), seed != 0 ? seed : os_random());
}

static void activate(void)
{
    mover.lack = mover_open();
    if (mover.lack == UFFD_READY) {
        inject();
        os_purge(family_doorbell, BELL_PAGES * PAGE_BYTES);
        if (uffd_register(&service_uffd, family_doorbell, BELL_PAGES * PAGE_BYTES) != 0) {
            uffd_close(&service_uffd);
            mover.lack = UFFD_NO_RESOURCES;
        }
    }
    mover.process = os_process_id();
    mover_become(mover.lack == UFFD_READY ? ACTIVE : UNAVAILABLE);
}

/* ---- a step, the maintain lock held ---- */

/* Before there is a descriptor: is it time for one? */
static int64_t watch(uint64_t now)
{
    policy_look(now);
    if (load_relaxed(&mover.wanted) || conf_compact_stress() || policy_start_pass(now)) {
        activate();
        return 0;
    }
    return policy_worth() ? policy_until_look(now) : ENGINE_DONE;
}

/* Somebody wants everything back: nothing goes meanwhile. */
static bool restoring(void)
{
    return mover.recall || service_bell_rung(BELL_RESTORE) || service_bell_rung(BELL_FORK) ||
           service_bell_rung(BELL_LEAVE);
}

static int64_t step(uint64_t now)
{
    switch (mover_state()) {
    case IDLE:
        return conf_get(CONF_compact) != COMPACT_OFF ? watch(now) : ENGINE_DONE;
    case ACTIVE:
        return family_is_frozen() || restoring() ? 1 : passes_work(now);
    case UNAVAILABLE:
        return ENGINE_DONE;
    default:
        return takeover_step();
    }
}

/* ---- waiting, and answering ---- */

void mover_start_over(enum mover_state next)
{
    bulk_cancel();
    pages_forget();
    store_forget();
    for (uint32_t span = 1; span < pages_limit / SPAN_PAGES; span++)
        span_pages_back(span, UINT16_MAX);
    pages_limit = 0;
    mover_become(next);
}

/* Everything is here again: ends with the descriptor. */
static void leave(void)
{
    service_bell_answer(BELL_LEAVE);
    uffd_close(&service_uffd);
    mover.lack = UFFD_NO_RESOURCES;
    mover_start_over(UNAVAILABLE);
}

static bool restore_step(void)
{
    if (!restoring())
        return false;
    if (!mover.restoring) {
        mover.restoring = true;
        bulk_want_all();
    }
    if (bulk_step() || family_is_frozen())
        return true;
    mover.restoring = mover.recall = false;
    if (service_bell_rung(BELL_RESTORE))
        service_bell_answer(BELL_RESTORE);
    if (service_bell_rung(BELL_FORK))
        service_bell_answer(BELL_FORK);
    if (service_bell_rung(BELL_LEAVE))
        leave();
    return true;
}

static bool exit_step(void)
{
    if (!service_bell_rung(BELL_EXIT))
        return false;
    if (family_give_some(os_now_ms(), true))
        return true;
    control_remove();
    service_bell_answer(BELL_EXIT);
    return true;
}

/* What can be done without the maintain lock. Returns whether there is more. */
static bool aside_work(void)
{
    bool more = restore_step();
    more |= exit_step();
    if (family_has_children())
        more |= family_give_some(os_now_ms(), false);
    more |= bulk_step();
    return more;
}

/* Waits for events, at most so long. */
static void sleep_polling(int64_t ms)
{
    struct pollfd fds[CHILDREN_POLLED + 2];
    int children[CHILDREN_POLLED];
    size_t n = 0, born = family_descriptors(children, CHILDREN_POLLED);
    fds[n++] = (struct pollfd){.fd = service_uffd.fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = mover.pressure, .events = POLLPRI};
    for (size_t i = 0; i < born; i++)
        fds[n++] = (struct pollfd){.fd = children[i], .events = POLLIN};
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    store_relaxed(&mover.resting, true);
    if (os_syscall(SYS_ppoll, (long)fds, (long)n, (long)&time, 0, 0, 0) == -EINVAL)
        os_sleep(ms > 0); /* more than RLIMIT_NOFILE, which may have become 0 */
    store_relaxed(&mover.resting, false);
    if (fds[1].revents & POLLPRI)
        policy_pressure(os_now_ms());
}

/*
 * Threads that were woken go first; but a flood is over the sooner the more of this CPU is had for bringing back the rest, and
 * then it is enough that they do before anything else is done.
 */
static void wait_serving(int64_t ms)
{
    uint64_t now = os_now_ns(), end = now + (uint64_t)ms * 1000000;
    bool owed = false;
    do {
        bool expecting = faults_are_expected(&service_faults, now);
        bool more = aside_work();
        if (!expecting)
            sleep_polling(more ? 0 : family_has_children() ? 1 : (int64_t)((end - now + 999999) / 1000000));
        else if (!more)
            os_yield();
        if (mover_state() != ACTIVE)
            return;
        now = os_now_ns();
        if (service_drain(now)) {
            now = os_now_ns();
            if (faults_are_expected(&service_faults, now))
                idle_poll_expect(service_last_thread(), now + FAULTS_EXPECTED_NS);
            owed = service_is_flooded();
            if (!owed)
                os_yield();
        }
    } while (now < end && !passes_called());
    if (owed)
        os_yield();
}

static void wait(int64_t ms)
{
    if (mover_state() == ACTIVE)
        wait_serving(ms);
    else
        background_sleep(ms);
}

static void breathe(void)
{
    if (mover_state() == ACTIVE)
        service_breathe();
}

/* ---- what is asked for here ---- */

static int begin_compact(void)
{
    if (conf_get(CONF_compact) == COMPACT_OFF || mover_state() == UNAVAILABLE)
        return ENOTSUP;
    atomic_store(&mover.wanted, true);
    passes_want();
    return EINPROGRESS;
}

static int begin_restore(void)
{
    policy_hold();
    mover.recall = mover_state() == ACTIVE;
    return mover.recall ? EINPROGRESS : 0;
}

static int progress(void)
{
    if (!mover.recall && !passes_are_wanted())
        return 0;
    if (mover_state() != UNAVAILABLE)
        return EINPROGRESS;
    bool compact = !mover.recall;
    mover.recall = false;
    passes_forget();
    return compact ? ENOTSUP : 0;
}

static uint8_t page_state(uint32_t page)
{
    return page < pages_limit && page_info(page)->state == PAGE_PACKED ? MAP_PACKED : MAP_ASIDE;
}

/* ---- what others ask for ---- */

/* Has the mover start if it has not yet. */
static bool want(void)
{
    if (conf_get(CONF_compact) == COMPACT_OFF)
        return false;
    if (mover_state() == IDLE) {
        atomic_store(&mover.wanted, true);
        if (background_run())
            mover_wait_while(IDLE);
    }
    return mover_is_here();
}

static int compact(bool always)
{
    if (!always && (conf_get(CONF_compact) == COMPACT_OFF || !policy_worth_now()))
        return EAGAIN;
    if (!want())
        return ENOTSUP;
    doorbell_call(BELL_COMPACT);
    return 0;
}

static int restore(void)
{
    policy_hold();
    if (mover_is_here())
        doorbell_call(BELL_RESTORE);
    return 0;
}

static void exiting(void)
{
    if (mover_is_here() && (family_count() > 0 || control_is_here()))
        doorbell_call(BELL_EXIT);
}

static void stats(struct sinter_stats *s)
{
    static const uint64_t shown[] = {
        [ACTIVE] = 1, [UNAVAILABLE] = 2, [REFUSED] = 2, [INHERITED] = 1, [READY] = 1, [LEFT] = 1};
    s->compactor = shown[mover_state()];
    s->aside = load_relaxed(&pages_aside) * PAGE_BYTES;
    s->packed = load_relaxed(&pages_packed) * PAGE_BYTES;
    s->store = store_bytes();
    s->saved = s->packed > s->store ? s->packed - s->store : 0;
    s->moved_out = load_relaxed(&evacuate_counters.moved_out);
    s->pages_packed = load_relaxed(&evacuate_counters.packed);
    s->pages_returned = load_relaxed(&service_counters.returned);
    s->faults = load_relaxed(&service_counters.faults);
    s->stall_p50 = histogram_percentile(&service_stalls, 500);
    s->stall_p99 = histogram_percentile(&service_stalls, 990);
    s->stall_p999 = histogram_percentile(&service_stalls, 999);
    s->stall_max = load_relaxed(&service_stalls.max);
    s->compactor_cpu = passes_cpu_ns();
}

static const char *lack(void)
{
    return mover_state() == UNAVAILABLE ? uffd_lack_text(mover.lack) : NULL;
}

/* ---- for a debugger ---- */

/* Has pages of the chunk that have nothing read as zeros also by ptrace(2), which gets an error where it would have to wait. */
static void fill_holes(uint32_t chunk)
{
    uint8_t here[CHUNK_PAGES], result[CHUNK_PAGES];
    char *start = page_address(chunk * CHUNK_PAGES);
    if (!uffd_present(&service_uffd, start, CHUNK_PAGES, here))
        return;
    for (uint32_t from = 0, to; from < CHUNK_PAGES; from = to) {
        for (to = from + 1; to < CHUNK_PAGES && here[to] == here[from]; to++)
            ;
        if (!here[from])
            uffd_zero(&service_uffd, start + from * PAGE_BYTES, to - from, result);
    }
}

/*
 * A debugger that has stopped all threads calls this on the mover's, if that is resting and nothing is frozen: sinter_restore()
 * without any other thread having to run, whatever locks they hold. Returns how many pages are still away.
 */
static size_t restore_resting(void)
{
    policy_hold();
    bulk_want_all();
    while (bulk_step())
        ;
    for (uint32_t chunk = 0; chunk < pages_chunks() && pages_away() == 0; chunk++)
        fill_holes(chunk);
    return pages_away();
}

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(mover.resting),
    LAYOUT_VARIABLE(family_frozen),
    LAYOUT_FUNCTION(restore_resting),
};

static const struct background_engine engine = {
    .step = step,
    .wait = wait,
    .breathe = breathe,
    .begin_compact = begin_compact,
    .begin_restore = begin_restore,
    .progress = progress,
    .page_state = page_state,
    .compact = compact,
    .restore = restore,
    .stats = stats,
    .lack = lack,
    .exiting = exiting,
    .fork_prepare = takeover_prepare,
    .fork_parent = takeover_parent,
    .fork_parent_wait = takeover_parent_wait,
    .fork_child = takeover_child,
};

__attribute__((constructor(101))) static void plug(void)
{
    background_plug(&engine);
    heap_init();
    if (conf_compact_stress())
        background_run();
}
