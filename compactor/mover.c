/*
 * The mover: what the background thread does beside giving free memory back. It answers faults, packs pages, and
 * takes calls from other threads through the doorbell.
 *
 * Its states, all changes made by the mover unless said otherwise:
 *
 *   IDLE         nothing has been worth packing so far: no userfaultfd, no table. Others may set `wanted`.
 *   ACTIVE       has a descriptor; for good.
 *   UNAVAILABLE  cannot have one here; nothing is tried again.
 *   INHERITED    made by the thread that forked, in the child of an ACTIVE process: memory is armed, and the parent's mover
 *                serves it. The new mover makes it READY or REFUSED.
 *   READY        it has a descriptor; the forking thread now takes leave of the parent's mover and makes it LEFT.
 *   REFUSED      it has none; the forking thread has the parent send everything and makes it UNAVAILABLE.
 *   LEFT         nobody serves the memory, and nobody touches it; the mover registers it: ACTIVE.
 */
#include "background.h"
#include "conf.h"
#include "evacuate.h"
#include "family.h"
#include "fatal.h"
#include "follow.h"
#include "heap.h"
#include "lock.h"
#include "os.h"
#include "pages.h"
#include "policy.h"
#include "service.h"
#include "span_pages.h"
#include "span_pool.h"
#include "store.h"

#include "sinter/malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

enum mover_state { IDLE, ACTIVE, UNAVAILABLE, INHERITED, READY, REFUSED, LEFT };

enum {
    STEP_NS = 200000,  /* a step of packing; faults are answered in between */
    STEP_SPANS = 8,    /* and its pieces */
    STEP_PACK = 64,    /* pages */
    BUSY_SHARE = 4,    /* so much less CPU time where the program is busy itself */
    BUSY_PERCENT = 30, /* of a CPU */
    SPIN_NS = 60000,   /* after an answer: the next fault often follows at once, and waking up takes longer */
    STRESS_MS = 1,     /* between passes of compact:stress */
    START_MS = 5000,   /* most time for the thread to come up */
    PARENT_WAIT_MS = 200, /* for a child to take over */
    CHILDREN_POLLED = 30,
    PRESSURE_STALL_US = 150000, /* of PRESSURE_WINDOW_US, during which some task waited for memory */
    PRESSURE_WINDOW_US = 2000000,
};

static struct {
    _Atomic int state; /* a futex */
    _Atomic bool wanted;
    enum uffd_lack lack;
    long process;       /* whose mover this is */
    bool reports_forks; /* children are served */
    bool own_table;     /* of descriptors */
    int pressure;       /* descriptor of the pressure stall trigger, -1: none */
    struct lock bell_locks[BELL_PAGES];
    _Atomic uint64_t cpu_ns;
    uint64_t answered_at; /* ns: the last fault */

    /* The pass over all chunks that is under way. */
    bool in_pass, force;
    bool called;          /* for a call: it began after that */
    uint32_t cursor;      /* span */
    uint32_t pack_cursor; /* chunk */
    uint64_t pass_began;  /* ms */
    bool busy;            /* the program uses CPU time */
    uint64_t cpu_seen, own_cpu_seen, seen_at;
    size_t moved;
} mover = {.pressure = -1};

static enum mover_state state(void)
{
    return (enum mover_state)atomic_load(&mover.state);
}

static void become(enum mover_state next)
{
    atomic_store(&mover.state, next);
    os_futex_wake(&mover.state, INT32_MAX);
}

/* Waits until the state is none of the two, at most so long. */
static void wait_beyond(enum mover_state a, enum mover_state b, uint64_t most_ms)
{
    uint64_t end = os_now_ms() + most_ms;
    for (uint64_t now = os_now_ms(); now < end; now = os_now_ms()) {
        enum mover_state present = state();
        if (present != a && present != b)
            return;
        os_futex_wait(&mover.state, (int)present, (int64_t)(end - now));
    }
}

static bool stress(void)
{
    return conf_get(CONF_compact) == COMPACT_STRESS;
}

static bool frozen(void)
{
    return atomic_load(&family_frozen) != 0;
}

/* Is the caller in the process whose mover is active? Not so in a child that was made without fork(3). */
static bool is_here(void)
{
    return state() == ACTIVE && mover.process == os_process_id();
}

/* ---- starting ---- */

static void open_pressure(void)
{
    static const char trigger[] = "some 150000 2000000";
    _Static_assert(PRESSURE_STALL_US == 150000 && PRESSURE_WINDOW_US == 2000000, "the text above");
    if (!conf_get(CONF_compact_pressure))
        return;
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)"/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC,
                         0, 0, 0);
    if (fd >= 0 && os_write((int)fd, trigger, sizeof(trigger)) < 0) {
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        fd = -1;
    }
    mover.pressure = fd >= 0 ? (int)fd : -1;
}

/*
 * A registration ends with the last reference to its descriptor, and absent pages then read as zeros. So nothing that the
 * program does to its descriptors may reach ours: a table of our own.
 */
static bool take_own_table(void)
{
    if (!mover.own_table)
        mover.own_table = os_syscall(SYS_close_range, 0, UINT32_MAX, CLOSE_RANGE_UNSHARE, 0, 0, 0) == 0;
    return mover.own_table;
}

static enum uffd_lack open_descriptors(void)
{
    if (!take_own_table())
        return UFFD_NO_RESOURCES;
    enum uffd_lack lack = uffd_open(&service_uffd);
    if (lack != UFFD_READY)
        return lack;
    if (family_doorbell == NULL)
        family_doorbell = os_map(BELL_PAGES * PAGE_BYTES, PAGE_BYTES);
    if (family_doorbell == NULL || !service_init()) {
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
    mover.lack = open_descriptors();
    if (mover.lack == UFFD_READY) {
        inject();
        os_purge(family_doorbell, BELL_PAGES * PAGE_BYTES);
        if (uffd_register(&service_uffd, family_doorbell, BELL_PAGES * PAGE_BYTES) != 0) {
            uffd_close(&service_uffd);
            mover.lack = UFFD_NO_RESOURCES;
        }
    }
    mover.process = os_process_id();
    become(mover.lack == UFFD_READY ? ACTIVE : UNAVAILABLE);
}

/* Registers spans that were not in use the last time, and no more of those that never were than the last chunk has. */
static void extend(void)
{
    uint32_t pages = span_pool_frontier() * SPAN_PAGES, part = CHUNK_PAGES - 1;
    uint32_t limit = (pages + part) & ~part, old = pages_limit;
    if (limit <= old || !pages_cover(limit) || arena_hold_spans(limit * PAGE_BYTES) < limit * PAGE_BYTES)
        return;
    if (uffd_register(&service_uffd, page_address(old), (limit - old) * PAGE_BYTES) == 0)
        pages_limit = limit;
}

/* ---- packing, the maintain lock held ---- */

static bool compact_asked(void)
{
    return service_bell_rung(BELL_COMPACT);
}

static void start_pass(bool force)
{
    extend();
    if (force)
        service_cancel_bulk();
    mover.called = compact_asked();
    mover.in_pass = true;
    mover.force = force;
    mover.cursor = mover.pack_cursor = 0;
    mover.pass_began = os_now_ms();
    mover.moved = 0;
}

/* What is aside from an earlier pass is packed first: its probation is the chunk's. */
static bool takes_part(struct chunk *c, uint64_t now)
{
    bool earlier = c->shadow && (int32_t)(c->aside_since - (uint32_t)mover.pass_began) < 0;
    return mover.force || (!earlier && !c->bulk && !tick_ahead(&c->refused_until, now));
}

/* Some spans of the pass, or its end. */
static void pass_step(uint64_t now)
{
    uint32_t span = mover.cursor;
    if (span < pages_limit / SPAN_PAGES) {
        mover.cursor += STEP_SPANS;
        if (takes_part(chunk_info(span / CHUNK_SPANS), now))
            mover.moved += evacuate_spans(span, STEP_SPANS, mover.force, stress());
        return;
    }
    mover.in_pass = false;
    if (!mover.force)
        policy_pass_done(now, mover.moved);
}

static bool on_probation(const struct chunk *c, uint64_t now)
{
    return !mover.force &&
           (uint32_t)((uint32_t)now - c->aside_since) < (uint32_t)conf_get(CONF_compact_probation);
}

/* Packs, shrinks or verifies the next chunk that needs it. False if there is none on this round. */
static bool chunk_step(uint64_t now)
{
    while (mover.pack_cursor < pages_chunks()) {
        uint32_t chunk = mover.pack_cursor++;
        struct chunk *c = chunk_info(chunk);
        if (c->unverified && c->aside + c->packed > 0)
            service_verify(chunk);
        if (c->shadow && !on_probation(c, now)) {
            enum evacuate_result result = evacuate_pack(chunk, STEP_PACK);
            if (result == EVACUATE_NO_MEMORY)
                policy_pass_done(now, 0);
            else if (result == EVACUATE_INTERRUPTED)
                mover.pack_cursor = chunk;
        } else if (c->changed) {
            evacuate_shrink(chunk);
        } else {
            continue;
        }
        return true;
    }
    mover.pack_cursor = 0;
    return false;
}

/* Everything that was asked for is done. */
static void forced_done(void)
{
    mover.force = false;
    if (mover.called)
        service_bell_answer(BELL_COMPACT);
}

/* A piece of work; false if there is nothing more to do at present. */
static bool piece(uint64_t now)
{
    if (mover.in_pass) {
        pass_step(now);
        return true;
    }
    if (chunk_step(now))
        return true;
    if (evacuate_clean_store())
        return true;
    if (mover.force) {
        forced_done();
        return false;
    }
    return false;
}

/* Does the program use more than a part of a CPU beside this thread? */
static void look_at_load(void)
{
    uint64_t now = os_now_ns(), all = os_process_cpu_ns(), own = os_thread_cpu_ns();
    uint64_t used = all - mover.cpu_seen - (own - mover.own_cpu_seen), time = now - mover.seen_at;
    mover.busy = used > time / 100 * BUSY_PERCENT;
    mover.cpu_seen = all;
    mover.own_cpu_seen = own;
    mover.seen_at = now;
}

static void begin(uint64_t now)
{
    bool looked = policy_look(now);
    if (looked)
        look_at_load();
    if (mover.in_pass)
        return;
    if (compact_asked() && !mover.force) {
        policy_release();
        start_pass(true);
    } else if (stress() && !mover.force && !policy_held()) {
        start_pass(true);
    } else if (looked && policy_start_pass(now)) {
        start_pass(false);
    }
}

/* Somebody wants everything back: nothing goes meanwhile. */
static bool restoring(void)
{
    return service_bell_rung(BELL_RESTORE) || service_bell_rung(BELL_FORK) || service_bell_rung(BELL_LEAVE);
}

/* When the next step is due, after one that took so much CPU time. */
static int64_t pause_after(uint64_t now, bool more, uint64_t cpu_ns)
{
    if (mover.force || compact_asked())
        return 0;
    if (stress())
        return STRESS_MS;
    if (more) {
        uint64_t percent = max_size((size_t)conf_get(CONF_compact_cpu) / (mover.busy ? BUSY_SHARE : 1), 1);
        return (int64_t)(cpu_ns * (100 - percent) / percent / 1000000);
    }
    int64_t look = policy_until_look(now), probation = conf_get(CONF_compact_probation) / 4 + 1;
    return load_relaxed(&pages_aside) > 0 && probation < look ? probation : look;
}

static int64_t work(uint64_t now)
{
    uint64_t start = os_thread_cpu_ns(), used = 0;
    bool more = true;
    begin(now);
    while (more && !frozen() && used < STEP_NS) {
        more = piece(now);
        service_breathe();
        used = os_thread_cpu_ns() - start;
    }
    store_relaxed(&mover.cpu_ns, start + used);
    return frozen() ? 2 : pause_after(now, more, used);
}

/* Before there is a descriptor: is it time for one? */
static int64_t watch(uint64_t now)
{
    policy_look(now);
    if (load_relaxed(&mover.wanted) || stress() || policy_start_pass(now)) {
        activate();
        return 0;
    }
    return policy_worth() ? policy_until_look(now) : ENGINE_DONE;
}

static int64_t step_inherited(void);

static int64_t step(uint64_t now)
{
    switch (state()) {
    case IDLE:
        return conf_get(CONF_compact) != COMPACT_OFF ? watch(now) : ENGINE_DONE;
    case ACTIVE:
        return frozen() || restoring() ? 1 : work(now);
    case UNAVAILABLE:
        return ENGINE_DONE;
    default:
        return step_inherited();
    }
}

/* ---- waiting, and answering ---- */

/* All pages are here, and nothing is registered. */
static void start_over(enum mover_state next)
{
    pages_forget();
    store_forget();
    for (uint32_t span = 1; span < pages_limit / SPAN_PAGES; span++)
        span_pages_back(span, UINT16_MAX);
    pages_limit = 0;
    become(next);
}

/* Everything is here again: ends with the descriptor. */
static void leave(void)
{
    service_bell_answer(BELL_LEAVE);
    uffd_close(&service_uffd);
    mover.lack = UFFD_NO_RESOURCES;
    start_over(UNAVAILABLE);
}

static bool restore_step(void)
{
    static bool started;
    if (!restoring())
        return false;
    if (!started) {
        started = true;
        service_want_all();
    }
    if (service_bulk() || frozen())
        return true;
    started = false;
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
    if (!family_give_some(os_now_ms(), true))
        service_bell_answer(BELL_EXIT);
    return true;
}

/* What can be done without the maintain lock. Returns whether there is more. */
static bool aside_work(void)
{
    bool more = restore_step();
    more |= exit_step();
    more |= service_bulk();
    more |= family_give_some(os_now_ms(), false);
    more |= service_refill();
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
    if (os_syscall(SYS_ppoll, (long)fds, (long)n, (long)&time, 0, 0, 0) == -EINVAL)
        os_sleep(ms > 0); /* more than RLIMIT_NOFILE, which may have become 0 */
    if (fds[1].revents & POLLPRI)
        policy_pressure(os_now_ms());
}

static void wait_serving(int64_t ms)
{
    uint64_t now = os_now_ns(), end = now + (uint64_t)ms * 1000000;
    do {
        bool more = aside_work();
        if (now < mover.answered_at + SPIN_NS) {
            os_yield();
        } else {
            follow_nobody();
            int64_t left = (int64_t)((end - now + 999999) / 1000000);
            sleep_polling(more ? 0 : family_has_children() ? 1 : left);
        }
        if (state() != ACTIVE)
            return;
        now = os_now_ns();
        if (service_drain(now)) {
            follow_thread(service_last_thread());
            mover.answered_at = now = os_now_ns();
        }
    } while (now < end && !(compact_asked() && !mover.force));
    follow_nobody();
}

static void wait(int64_t ms)
{
    if (state() == ACTIVE)
        wait_serving(ms);
    else
        background_sleep(ms);
}

static void breathe(void)
{
    if (state() == ACTIVE)
        service_breathe();
}

/* ---- calls from other threads ---- */

/*
 * Returns when the mover has answered. It must be active in this process. The page must be absent before the touch, which
 * mlockall(2) may have changed.
 */
static void ring(enum bell bell)
{
    char *page = family_bell(bell);
    atomic_store(&family_calls[bell], true);
    while (atomic_load(&family_calls[bell])) {
        os_unlock_pages(page, PAGE_BYTES);
        os_purge(page, PAGE_BYTES);
        *(volatile char *)page;
    }
    os_purge(page, PAGE_BYTES);
}

static void call(enum bell bell)
{
    mover.bell_locks[bell].rank = LOCK_BELL;
    lock_take(&mover.bell_locks[bell]);
    ring(bell);
    lock_give(&mover.bell_locks[bell]);
}

/* Has the mover start if it has not yet. */
static bool want(void)
{
    if (conf_get(CONF_compact) == COMPACT_OFF)
        return false;
    if (state() == IDLE) {
        atomic_store(&mover.wanted, true);
        if (background_run())
            wait_beyond(IDLE, IDLE, START_MS);
    }
    return is_here();
}

static int compact(bool always)
{
    if (!always && (conf_get(CONF_compact) == COMPACT_OFF || !policy_worth_now()))
        return EAGAIN;
    if (!want())
        return ENOTSUP;
    call(BELL_COMPACT);
    return 0;
}

static int restore(void)
{
    policy_hold();
    if (is_here())
        call(BELL_RESTORE);
    return 0;
}

static void exiting(void)
{
    if (is_here() && family_count() > 0)
        call(BELL_EXIT);
}

static void stats(struct sinter_stats *s)
{
    static const uint64_t shown[] = {
        [ACTIVE] = 1, [UNAVAILABLE] = 2, [REFUSED] = 2, [INHERITED] = 1, [READY] = 1, [LEFT] = 1};
    s->compactor = shown[state()];
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
    s->compactor_cpu = load_relaxed(&mover.cpu_ns);
}

/* ---- fork ---- */

static void fork_prepare(void)
{
    if (!is_here())
        return;
    if (!mover.reports_forks) {
        ring(BELL_FORK);
    } else if (!uffd_may_read_forks()) {
        ring(BELL_LEAVE);
        wait_beyond(ACTIVE, ACTIVE, START_MS);
        return;
    }
    atomic_fetch_or(&family_frozen, FROZEN_FORK);
    service_pass();
}

static void fork_parent(void)
{
    /* The kernel lets this thread go when the fork's event has been read: now it has been noted as well. */
    if (is_here())
        service_pass();
    atomic_fetch_and(&family_frozen, ~FROZEN_FORK);
}

static void fork_parent_wait(void)
{
    if (is_here())
        family_wait(PARENT_WAIT_MS);
}

static void mask_signals(uint64_t set, uint64_t *old)
{
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&set, (long)old, sizeof(set), 0, 0);
}

/* Rings in the child; the parent's mover answers. */
static void ring_parent(enum bell bell)
{
    if (*(volatile int *)family_bell(bell) != BELL_ANSWER)
        fatal("the parent process died before its child had taken over pages that were packed at the fork");
}

/* The parent's mover closes the old descriptor just now; and there is no way back. */
static void register_again(void *address, size_t size)
{
    uint64_t end = os_now_ms() + START_MS;
    long ret;
    while ((ret = uffd_register(&service_uffd, address, size)) != 0) {
        if (os_now_ms() > end)
            fatal("a child process cannot register its packed pages (error %ld)", -ret);
        os_yield();
    }
}

static void register_inherited(void)
{
    register_again(family_doorbell, BELL_PAGES * PAGE_BYTES);
    if (pages_limit > 0)
        register_again(page_address(0), pages_limit * PAGE_BYTES);
    for (uint32_t chunk = 0; chunk < pages_chunks(); chunk++) {
        if (chunk_info(chunk)->shadow)
            register_again(page_shadow(chunk * CHUNK_PAGES), CHUNK_BYTES);
    }
}

/* On the new mover, in the child. */
static int64_t step_inherited(void)
{
    if (state() == INHERITED) {
        mover.lack = open_descriptors();
        mover.process = os_process_id();
        become(mover.lack == UFFD_READY ? READY : REFUSED);
    }
    wait_beyond(READY, REFUSED, START_MS);
    if (state() == LEFT) {
        register_inherited();
        become(ACTIVE);
    }
    return state() == ACTIVE ? 0 : ENGINE_DONE;
}

static void take_over(void)
{
    for (uint32_t chunk = 0; chunk < pages_chunks(); chunk++) {
        chunk_info(chunk)->unverified = true;
        chunk_info(chunk)->bulk = false;
    }
    atomic_store(&mover.state, INHERITED);
    if (background_run())
        wait_beyond(INHERITED, INHERITED, START_MS);
    if (state() == READY) {
        ring_parent(BELL_TAKE_OVER);
        become(LEFT);
        wait_beyond(LEFT, LEFT, START_MS);
    } else {
        if (mover.lack == UFFD_READY)
            mover.lack = UFFD_NO_RESOURCES; /* no thread */
        ring_parent(BELL_GIVE_ALL);
        start_over(UNAVAILABLE);
    }
}

static void fork_child(void)
{
    enum mover_state inherited = state();
    bool parents = (atomic_load(&family_frozen) & FROZEN_FORK) != 0;
    family_reset();
    mover.own_table = false;
    mover.pressure = -1;
    mover.in_pass = mover.force = false;
    for (int bell = 0; bell < BELL_PAGES; bell++) {
        store_relaxed(&mover.bell_locks[bell].state, 0);
        store_relaxed(&family_calls[bell], false);
    }
    if (inherited != ACTIVE)
        return;
    if (!parents) { /* the forking process was made without fork(3) and has no mover; some ancestor's serves it */
        mover.lack = UFFD_NO_RESOURCES;
        become(UNAVAILABLE);
        return;
    }
    uint64_t old;
    mask_signals(~(uint64_t)0, &old);
    service_reset();
    service_uffd.fd = -1;
    if (mover.reports_forks)
        take_over();
    else
        start_over(IDLE);
    mask_signals(old, NULL);
}

static const char *lack(void)
{
    return state() == UNAVAILABLE ? uffd_lack_text(mover.lack) : NULL;
}

static const struct background_engine engine = {
    .step = step,
    .wait = wait,
    .breathe = breathe,
    .compact = compact,
    .restore = restore,
    .stats = stats,
    .lack = lack,
    .exiting = exiting,
    .fork_prepare = fork_prepare,
    .fork_parent = fork_parent,
    .fork_parent_wait = fork_parent_wait,
    .fork_child = fork_child,
};

__attribute__((constructor(101))) static void plug(void)
{
    background_plug(&engine);
    heap_init();
    if (stress())
        background_run();
}
