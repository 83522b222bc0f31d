#include "world.h"

#include "alloc.h"
#include "os.h"
#include "own.h"

#include <errno.h>
#include <stdlib.h>

static __thread struct mutator *of_thread; /* all that this thread has attached, linked by `of_thread` */

static struct mutator *internal(sinter_gc_mutator *public)
{
    return (struct mutator *)public;
}

_Static_assert(offsetof(struct mutator, public) == 0, "for internal()");

/* ---- stopping ---- */

static bool all_stand(const sinter_gc_heap *heap)
{
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next) {
        if (atomic_load(&m->running))
            return false;
    }
    return true;
}

static void set_stop(sinter_gc_heap *heap, uint32_t stop)
{
    heap->stopping = stop != 0;
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next)
        __atomic_store_n(&m->public.stop, stop, __ATOMIC_RELAXED);
}

uint64_t world_stop(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->world_lock);
    uint64_t now = os_now_ns();
    set_stop(heap, 1);
    while (!all_stand(heap))
        pthread_cond_wait(&heap->stopped, &heap->world_lock);
    pthread_mutex_unlock(&heap->world_lock);
    return now;
}

void world_resume(sinter_gc_heap *heap, uint64_t stopped_at)
{
    pthread_mutex_lock(&heap->world_lock);
    set_stop(heap, 0);
    histogram_add(&heap->pauses, os_now_ns() - stopped_at);
    pthread_cond_broadcast(&heap->resumed);
    pthread_mutex_unlock(&heap->world_lock);
}

/* The world lock is held. */
static void stand(struct mutator *m)
{
    atomic_store(&m->running, false);
    if (m->heap->stopping)
        pthread_cond_signal(&m->heap->stopped);
}

/* What callers keep in registers is in the frames from here to `end`, which may be gone while the thread is in a blocking region. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void note_frames(struct mutator *m,
                                                                                    const char *end)
{
    enum { ABOVE = 128 }; /* bytes that surely hold what leave() has saved */
    const uintptr_t *from = __builtin_frame_address(0);
    for (size_t i = 0; i < ARRAY_LEN(m->registers); i++, from++)
        m->registers[i] = (const char *)from < end + ABOVE && (const char *)from < m->stack_base ? *from : 0;
}

static __attribute__((noinline)) void leave(struct mutator *m)
{
    if (m->scan_stack) {
        __builtin_unwind_init();
        note_frames(m, __builtin_frame_address(0));
    }
    m->stack_top = __builtin_frame_address(0);
    pthread_mutex_lock(&m->heap->world_lock);
    stand(m);
    pthread_mutex_unlock(&m->heap->world_lock);
}

void world_leave(struct mutator *m)
{
    int error = errno;
    leave(m);
    errno = error;
}

static void leave_running(void)
{
    for (struct mutator *m = of_thread; m != NULL; m = m->next_here) {
        if (atomic_load(&m->running))
            leave(m);
    }
}

/* False if its world is stopped. */
static bool try_enter(struct mutator *m)
{
    pthread_mutex_lock(&m->heap->world_lock);
    bool may = !m->heap->stopping;
    if (may)
        atomic_store(&m->running, true);
    pthread_mutex_unlock(&m->heap->world_lock);
    return may;
}

static void wait_until_resumed(struct mutator *m)
{
    pthread_mutex_lock(&m->heap->world_lock);
    while (m->heap->stopping)
        pthread_cond_wait(&m->heap->resumed, &m->heap->world_lock);
    pthread_mutex_unlock(&m->heap->world_lock);
}

/* Who waits for one heap keeps no other waiting: its collector may wait for a thread that waits for that one. */
void world_enter(void)
{
    int error = errno;
    for (struct mutator *m = of_thread; m != NULL;) {
        if (m->blocked > 0 || atomic_load(&m->running) || try_enter(m)) {
            m = m->next_here;
            continue;
        }
        leave_running();
        wait_until_resumed(m);
        m = of_thread;
    }
    errno = error;
}

void world_leave_all(void)
{
    int error = errno;
    leave_running();
    errno = error;
}

void world_outside(void (*function)(void *data), void *data)
{
    world_leave_all();
    function(data);
    world_enter();
}

/* ---- what mutators call ---- */

void sinter_gc_safepoint_slow(sinter_gc_mutator *mutator)
{
    struct mutator *m = internal(mutator);
    if (m->blocked > 0)
        return;
    world_leave_all();
    world_enter();
}

void sinter_gc_block(sinter_gc_mutator *mutator)
{
    struct mutator *m = internal(mutator);
    if (m->blocked++ == 0)
        world_leave(m);
}

void sinter_gc_unblock(sinter_gc_mutator *mutator)
{
    struct mutator *m = internal(mutator);
    if (--m->blocked == 0)
        world_enter();
}

sinter_gc_heap *sinter_gc_heap_of(const sinter_gc_mutator *mutator)
{
    return ((const struct mutator *)mutator)->heap;
}

void sinter_gc_scan_stack(sinter_gc_mutator *mutator, bool on)
{
    internal(mutator)->scan_stack = on;
}

/* ---- coming and going ---- */

/* The upper end of the calling thread's stack; NULL if that is not known. */
static const char *stack_base(void)
{
    pthread_attr_t attributes;
    void *start;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return NULL;
    bool known = pthread_attr_getstack(&attributes, &start, &size) == 0;
    pthread_attr_destroy(&attributes);
    return known ? (char *)start + size : NULL;
}

sinter_gc_mutator *sinter_gc_attach(sinter_gc_heap *heap)
{
    struct mutator *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->heap = heap;
    m->thread = pthread_self();
    m->stack_base = stack_base();
    pthread_mutex_lock(&heap->world_lock);
    m->next = heap->mutators;
    heap->mutators = m;
    pthread_mutex_unlock(&heap->world_lock);
    m->next_here = of_thread;
    of_thread = m;
    own_attach(m);
    world_enter();
    return &m->public;
}

static void forget_here(struct mutator *m)
{
    struct mutator **at = &of_thread;
    while (*at != NULL && *at != m)
        at = &(*at)->next_here;
    if (*at == m)
        *at = m->next_here;
}

static void unlink_locked(struct mutator *m)
{
    struct mutator **at = &m->heap->mutators;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
}

void sinter_gc_detach(sinter_gc_mutator *mutator)
{
    struct mutator *m = internal(mutator);
    sinter_gc_heap *heap = m->heap;
    always_assert(m->public.frames == NULL);
    alloc_close(m);
    world_leave_all();
    forget_here(m);
    pthread_mutex_lock(&heap->world_lock);
    while (heap->stopping)
        pthread_cond_wait(&heap->resumed, &heap->world_lock);
    unlink_locked(m);
    pthread_mutex_unlock(&heap->world_lock);
    own_detach(m, of_thread);
    free(m);
    world_enter();
}

struct mutator *world_of_this_thread(const sinter_gc_heap *heap)
{
    struct mutator *m = of_thread;
    while (m != NULL && m->heap != heap)
        m = m->next_here;
    return m;
}

int sinter_gc_with_mutator(sinter_gc_heap *heap, void (*function)(sinter_gc_mutator *mutator, void *data),
                           void *data)
{
    struct mutator *here = world_of_this_thread(heap);
    unsigned blocked = here != NULL ? here->blocked : 0;
    sinter_gc_mutator *mutator = here != NULL ? &here->public : sinter_gc_attach(heap);
    if (mutator == NULL)
        return -1;
    if (blocked > 0) { /* it calls back from a blocking region */
        here->blocked = 0;
        world_enter();
    }
    function(mutator, data);
    if (blocked > 0) {
        world_leave(here);
        here->blocked = blocked;
    }
    if (here == NULL)
        sinter_gc_detach(mutator);
    return 0;
}

/* ---- fork ---- */

/* In the child only the calling thread is left. What the others were about to allocate is zero, and read as objects without type. */
void world_keep_this_thread(sinter_gc_heap *heap)
{
    struct mutator **at = &heap->mutators;
    while (*at != NULL) {
        struct mutator *m = *at;
        if (pthread_equal(m->thread, pthread_self())) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        alloc_close(m);
        free(m);
    }
}
