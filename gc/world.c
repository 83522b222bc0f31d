#include "world.h"

#include "alloc.h"
#include "os.h"

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

static void go_on(struct mutator *m)
{
    while (m->heap->stopping)
        pthread_cond_wait(&m->heap->resumed, &m->heap->world_lock);
    atomic_store(&m->running, true);
}

void world_leave(struct mutator *m)
{
    int error = errno;
    if (m->scan_stack)
        getcontext(&m->registers);
    m->stack_top = __builtin_frame_address(0);
    pthread_mutex_lock(&m->heap->world_lock);
    stand(m);
    pthread_mutex_unlock(&m->heap->world_lock);
    errno = error;
}

void world_enter(struct mutator *m)
{
    int error = errno;
    pthread_mutex_lock(&m->heap->world_lock);
    go_on(m);
    pthread_mutex_unlock(&m->heap->world_lock);
    errno = error;
}

void world_outside(struct mutator *m, void (*function)(void *data), void *data)
{
    if (m->blocked++ == 0)
        world_leave(m);
    function(data);
    if (--m->blocked == 0)
        world_enter(m);
}

/* ---- what mutators call ---- */

void sinter_gc_safepoint_slow(sinter_gc_mutator *mutator)
{
    struct mutator *m = internal(mutator);
    if (m->blocked > 0)
        return;
    world_leave(m);
    world_enter(m);
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
        world_enter(m);
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
    while (heap->stopping)
        pthread_cond_wait(&heap->resumed, &heap->world_lock);
    m->next = heap->mutators;
    heap->mutators = m;
    atomic_store(&m->running, true);
    pthread_mutex_unlock(&heap->world_lock);
    m->next_here = of_thread;
    of_thread = m;
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
    forget_here(m);
    pthread_mutex_lock(&heap->world_lock);
    if (m->blocked == 0)
        stand(m); /* and waits: while the world is stopped it does not belong to this thread */
    while (heap->stopping)
        pthread_cond_wait(&heap->resumed, &heap->world_lock);
    unlink_locked(m);
    pthread_mutex_unlock(&heap->world_lock);
    free(m);
}

static struct mutator *attached_here(const sinter_gc_heap *heap)
{
    struct mutator *m = of_thread;
    while (m != NULL && m->heap != heap)
        m = m->next_here;
    return m;
}

int sinter_gc_with_mutator(sinter_gc_heap *heap, void (*function)(sinter_gc_mutator *mutator, void *data),
                           void *data)
{
    struct mutator *here = attached_here(heap);
    unsigned blocked = here != NULL ? here->blocked : 0;
    sinter_gc_mutator *mutator = here != NULL ? &here->public : sinter_gc_attach(heap);
    if (mutator == NULL)
        return -1;
    if (blocked > 0) { /* it calls back from a blocking region */
        here->blocked = 0;
        world_enter(here);
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

struct mutator *world_of_this_thread(const sinter_gc_heap *heap)
{
    return attached_here(heap);
}
