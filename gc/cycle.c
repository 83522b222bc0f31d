#include "cycle.h"

#include "alloc.h"
#include "crew.h"
#include "fatal.h"
#include "mark.h"
#include "move.h"
#include "os.h"
#include "own.h"
#include "pace.h"
#include "plan.h"
#include "poison.h"
#include "roots.h"
#include "service.h"
#include "sigbus.h"
#include "space.h"
#include "verify.h"
#include "weak.h"
#include "world.h"
#include "written.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* ---- asking for one ---- */

static void ring(sinter_gc_heap *heap)
{
    if (atomic_exchange(&heap->wanted, 1) == 0)
        os_futex_wake(&heap->wanted, 1);
}

void cycle_want(sinter_gc_heap *heap)
{
    if (load_relaxed(&heap->wanted) == 0)
        ring(heap);
}

static void want_at_least(sinter_gc_heap *heap, enum sinter_gc_collect how)
{
    int present = load_relaxed(&heap->how);
    while (present < (int)how && !atomic_compare_exchange_weak(&heap->how, &present, (int)how))
        ;
}

void cycle_collect(struct mutator *m, enum sinter_gc_collect how)
{
    sinter_gc_heap *heap = m->heap;
    cycle_revive(heap);
    world_leave_all();
    pthread_mutex_lock(&heap->world_lock);
    uint64_t mine = heap->asked = heap->begun + 1;
    want_at_least(heap, how);
    ring(heap);
    while ((how <= SINTER_GC_COLLECT ? heap->flipped : heap->ended) < mine)
        pthread_cond_wait(&heap->finished, &heap->world_lock);
    pthread_mutex_unlock(&heap->world_lock);
    world_enter();
}

void sinter_gc_collect(sinter_gc_mutator *mutator, enum sinter_gc_collect how)
{
    cycle_collect((struct mutator *)mutator, how);
}

/* ---- the phases ---- */

static uint64_t lap(_Atomic uint64_t *sum, uint64_t since)
{
    uint64_t now = os_now_ns();
    add_relaxed(sum, now - since);
    return now;
}

static void tell(const sinter_gc_heap *heap, void (*event)(void *data))
{
    if (event != NULL)
        event(heap->events.data);
}

static void rewrite_roots(sinter_gc_heap *heap)
{
    roots_visit(heap, move_root, heap);
    weak_visit_queue(heap, move_root, heap);
    weak_visit_finalizers(heap, move_root, heap);
}

/* Everything moves; with `moving_served`, after mutators have gone on. */
static void flip(sinter_gc_heap *heap)
{
    if (heap->own_served)
        sigbus_keep();
    heap->moving_served =
        heap->config.concurrent && heap->lack == UFFD_READY && service_begin(heap, 1u - heap->to);
    uint64_t start = os_now_ns();
    plan_compaction(heap);
    start = lap(&heap->plan_ns, start);
    rewrite_roots(heap);
    move_rewrite_staying(heap);
    if (heap->moving_served)
        heap->phase = PHASE_MOVING;
    else
        move_all(heap, crew_size(heap->crew));
    histogram_add(&heap->flips, lap(&heap->flip_ns, start) - start);
    add_relaxed(&heap->compactions, 1);
}

/* Mutators stand still. Returns whether objects move. */
static bool stopped(sinter_gc_heap *heap, enum sinter_gc_collect how)
{
    uint64_t start = os_now_ns();
    pthread_mutex_lock(&heap->roots_lock);
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next)
        alloc_close(m);
    tell(heap, heap->events.stopped);
    mark_all(heap);
    weak_after_mark(heap);
    if (heap->config.verify)
        verify_marked(heap);
    start = lap(&heap->mark_ns, start);
    plan_sweep(heap);
    bool move = !heap->minor && pace_compacts(heap, how);
    lap(&heap->plan_ns, start);
    if (heap->events.marked != NULL)
        heap->events.marked(heap->events.data, load_relaxed(&heap->live));
    if (move)
        flip(heap);
    pthread_mutex_unlock(&heap->roots_lock);
    pace_next(heap, move);
    return move;
}

/* One CPU is left to the mutators. */
static unsigned moving_workers(const sinter_gc_heap *heap)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned size = crew_size(heap->crew);
    return cpus > 1 && (unsigned)cpus - 1 < size ? (unsigned)cpus - 1 : size;
}

static void move(sinter_gc_heap *heap)
{
    uint64_t start = os_now_ns();
    if (heap->moving_served)
        move_all(heap, moving_workers(heap));
    if (heap->config.verify)
        poison_note(heap);
    space_settle(heap);
    if (heap->moving_served) {
        space_bring_stock(heap, heap->to);
        service_end(heap);
    }
    pthread_mutex_lock(&heap->space_lock);
    heap->phase = PHASE_IDLE;
    pthread_mutex_unlock(&heap->space_lock);
    lap(&heap->move_ns, start);
}

static void note(sinter_gc_heap *heap, uint64_t *counter, uint64_t value)
{
    pthread_mutex_lock(&heap->world_lock);
    *counter = value;
    pthread_cond_broadcast(&heap->finished);
    pthread_mutex_unlock(&heap->world_lock);
}

static void verify_moved(sinter_gc_heap *heap)
{
    uint64_t since = world_stop(heap);
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next)
        alloc_close(m);
    if (heap->moving_served)
        poison_left(heap);
    verify_all(heap);
    world_resume(heap, since);
}

/* Requests from now on are for the next one. */
static enum sinter_gc_collect begin(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->world_lock);
    heap->begun++;
    int how = atomic_exchange(&heap->how, SINTER_GC_COLLECT_MINOR);
    pthread_mutex_unlock(&heap->world_lock);
    return (enum sinter_gc_collect)how;
}

static void cycle(sinter_gc_heap *heap)
{
    uint64_t began = os_now_ns();
    enum sinter_gc_collect how = begin(heap);
    pace_begin(heap, how, began);
    uint64_t since = world_stop(heap);
    heap->phase = PHASE_STOPPED;
    bool moves = stopped(heap, how);
    if (!moves)
        heap->phase = PHASE_IDLE;
    world_resume(heap, since);
    note(heap, &heap->flipped, heap->begun);
    tell(heap, heap->events.flipped);
    if (moves)
        move(heap);
    if (moves && heap->config.verify)
        verify_moved(heap);
    if (how == SINTER_GC_COLLECT_RELEASE)
        space_release(heap, UINT32_MAX);
    add_relaxed(&heap->collections, 1);
    heap->last_end = os_now_ns();
    heap->last_ns = heap->last_end - began;
    store_relaxed(&heap->cpu_ns, os_thread_cpu_ns());
    tell(heap, heap->events.finished);
    if (heap->queue.count > heap->queue_taken)
        tell(heap, heap->events.finalizers);
    note(heap, &heap->ended, heap->begun);
}

static void whole_cycle(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->look_lock);
    cycle(heap);
    pthread_mutex_unlock(&heap->look_lock);
}

/* ---- the thread ---- */

/* Blocks that were taken while the last cycle was about to stop their takers have asked for no further one. */
static bool is_due(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->world_lock);
    bool asked = heap->asked > heap->begun;
    pthread_mutex_unlock(&heap->world_lock);
    return asked || load_relaxed(&heap->budget) < 0;
}

/* What was free for so long is not needed soon. Milliseconds until there is something to do; -1: nothing. */
static int64_t release(sinter_gc_heap *heap)
{
    uint32_t surplus = space_surplus(heap);
    if (surplus == 0)
        return -1;
    int64_t left = (int64_t)(heap->last_end / 1000000 + heap->config.release_ms) - (int64_t)os_now_ms();
    if (left <= 0)
        space_release(heap, surplus);
    return left > 0 ? left : (int64_t)heap->config.release_ms + 1;
}

/*
 * What the embedder does to its descriptors must not reach ours: a registration ends with the last reference to one. Nor may what
 * a callback writes to 0, 1 or 2 in our threads: ours are others, and these are closed.
 */
static void start_apart(sinter_gc_heap *heap)
{
    enum { FIRST = 3 };
    if (heap->config.concurrent)
        own_open(heap);
    int own = own_descriptor(heap);
    if (!(own >= 0 && os_own_descriptors_but(own)) && !os_own_descriptors()) {
        heap->lack = UFFD_NO_TABLE;
        return;
    }
    while (open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 && fcntl(FIRST - 1, F_GETFD) < 0)
        ;
    if (heap->config.concurrent)
        service_start(heap);
    if (heap->config.generational)
        written_start(heap);
    os_syscall(SYS_close_range, 0, FIRST - 1, 0, 0, 0, 0);
}

static void *run(void *argument)
{
    sinter_gc_heap *heap = argument;
    crew_enlist();
    if (heap->config.concurrent || heap->config.generational)
        start_apart(heap);
    heap->crew = crew_start(heap->config.workers); /* has the descriptors that there are by now */
    bool complete = heap->crew != NULL;
    sem_post(&heap->started);
    while (complete && !atomic_load(&heap->quit)) {
        os_futex_wait(&heap->wanted, 0, release(heap));
        if (atomic_exchange(&heap->wanted, 0) != 0 && !atomic_load(&heap->quit) && is_due(heap))
            whole_cycle(heap);
    }
    service_stop(heap);
    written_stop(heap);
    if (complete)
        crew_stop(heap->crew);
    return NULL;
}

/* Signals are the embedder's. */
static int start_thread(sinter_gc_heap *heap)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&heap->collector, NULL, run, heap);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

int cycle_start(sinter_gc_heap *heap)
{
    sem_init(&heap->started, 0, 0);
    heap->lack = UFFD_NO_RESOURCES;
    heap->watch = (struct uffd){.fd = -1, .pagemap = -1};
    heap->last_end = os_now_ns();
    int error = start_thread(heap);
    if (error != 0)
        return error;
    while (sem_wait(&heap->started) != 0)
        ;
    if (!heap->own_served)
        own_forget(heap);
    if (heap->crew != NULL)
        return 0;
    pthread_join(heap->collector, NULL);
    return ENOMEM;
}

void cycle_forget(sinter_gc_heap *heap)
{
    own_forget(heap);
    heap->own_served = false;
    heap->service = NULL;
    heap->crew = NULL;
    heap->lack = UFFD_NO_RESOURCES;
    heap->watched = false;
    atomic_store(&heap->dormant, true);
}

void cycle_revive(sinter_gc_heap *heap)
{
    if (load_relaxed(&heap->dormant) && atomic_exchange(&heap->dormant, false) && cycle_start(heap) != 0)
        fatal("a child process cannot start its collector");
}

void cycle_stop(sinter_gc_heap *heap)
{
    if (load_relaxed(&heap->dormant))
        return;
    atomic_store(&heap->quit, true);
    atomic_store(&heap->wanted, 1);
    os_futex_wake(&heap->wanted, 1);
    pthread_join(heap->collector, NULL);
}
