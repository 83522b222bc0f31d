#include "fork.h"

#include "cycle.h"
#include "world.h"

static pthread_mutex_t heaps_lock = PTHREAD_MUTEX_INITIALIZER;
static sinter_gc_heap *heaps;

/* Whoever holds it may wait for collections. */
static void lock_heaps(void)
{
    world_leave_all();
    pthread_mutex_lock(&heaps_lock);
}

/* The locks of all heaps that are held briefly, when no cycle is under way in any. */
static void prepare_heap(sinter_gc_heap *heap)
{
    struct mutator *m = world_of_this_thread(heap);
    pthread_mutex_lock(&heap->world_lock);
    if (m != NULL && m->blocked == 0)
        atomic_store(&m->running, true);
    pthread_mutex_lock(&heap->roots_lock);
    pthread_mutex_lock(&heap->space_lock);
}

static void parent_heap(sinter_gc_heap *heap)
{
    pthread_mutex_unlock(&heap->space_lock);
    pthread_mutex_unlock(&heap->roots_lock);
    pthread_mutex_unlock(&heap->world_lock);
    pthread_mutex_unlock(&heap->look_lock);
}

static void child_heap(sinter_gc_heap *heap)
{
    pthread_cond_init(&heap->stopped, NULL);
    pthread_cond_init(&heap->resumed, NULL);
    pthread_cond_init(&heap->finished, NULL);
    parent_heap(heap);
    world_keep_this_thread(heap);
    cycle_forget(heap);
}

static void prepare(void)
{
    lock_heaps();
    for (sinter_gc_heap *heap = heaps; heap != NULL; heap = heap->next)
        pthread_mutex_lock(&heap->look_lock);
    for (sinter_gc_heap *heap = heaps; heap != NULL; heap = heap->next)
        prepare_heap(heap);
}

static void parent(void)
{
    for (sinter_gc_heap *heap = heaps; heap != NULL; heap = heap->next)
        parent_heap(heap);
    pthread_mutex_unlock(&heaps_lock);
}

static void child(void)
{
    for (sinter_gc_heap *heap = heaps; heap != NULL; heap = heap->next)
        child_heap(heap);
    pthread_mutex_unlock(&heaps_lock);
}

static void install(void)
{
    pthread_atfork(prepare, parent, child);
}

void fork_register(sinter_gc_heap *heap)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    lock_heaps();
    heap->next = heaps;
    heaps = heap;
    pthread_mutex_unlock(&heaps_lock);
    world_enter();
}

void fork_unregister(sinter_gc_heap *heap)
{
    lock_heaps();
    sinter_gc_heap **at = &heaps;
    while (*at != heap)
        at = &(*at)->next;
    *at = heap->next;
    pthread_mutex_unlock(&heaps_lock);
    world_enter();
}
