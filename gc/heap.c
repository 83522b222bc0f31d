#include "heap.h"

#include "config_check.h"
#include "cycle.h"
#include "fatal.h"
#include "fork.h"
#include "mark.h"
#include "own.h"
#include "pace.h"
#include "roots.h"
#include "sigbus.h"
#include "space.h"
#include "type.h"
#include "weak.h"

#include <errno.h>
#include <stdlib.h>

static bool configure(struct sinter_gc_config *config)
{
    const char *text = getenv("SINTER_GC_CONF"), *error;
    if (text != NULL && sinter_gc_config_parse(config, text, &error) != 0)
        warning("SINTER_GC_CONF: \"%s\" is not understood; none of it is used", error);
    if (config_complete(config))
        return true;
    errno = EINVAL;
    return false;
}

static void init_locks(sinter_gc_heap *heap)
{
    pthread_mutex_init(&heap->space_lock, NULL);
    pthread_mutex_init(&heap->world_lock, NULL);
    pthread_mutex_init(&heap->roots_lock, NULL);
    pthread_mutex_init(&heap->look_lock, NULL);
    pthread_cond_init(&heap->stopped, NULL);
    pthread_cond_init(&heap->resumed, NULL);
    pthread_cond_init(&heap->finished, NULL);
}

static void free_all(sinter_gc_heap *heap)
{
    own_forget(heap);
    mark_destroy(heap);
    roots_destroy(heap);
    weak_destroy(heap);
    if (heap->types != NULL)
        types_destroy(heap);
    space_destroy(heap);
    free(heap);
}

/* Poisons, or is an own heap, or may be one in a child. */
static bool handles_sigbus(const sinter_gc_heap *heap)
{
    return heap->config.verify || heap->config.faults == SINTER_GC_FAULTS_OWN;
}

static int set_up(sinter_gc_heap *heap)
{
    init_locks(heap);
    int error = space_create(heap);
    error = error != 0 ? error : types_create(heap);
    if (error == 0 && !mark_create(heap))
        error = ENOMEM;
    if (error != 0)
        return error;
    store_relaxed(&heap->budget, pace_budget(heap));
    error = cycle_start(heap);
    if (error == 0 && handles_sigbus(heap) && !sigbus_watch(heap)) {
        cycle_stop(heap);
        error = ENOMEM;
    }
    return error;
}

sinter_gc_heap *sinter_gc_create(const struct sinter_gc_config *config)
{
    struct sinter_gc_config defaults;
    sinter_gc_config_init(&defaults);
    if (config != NULL)
        defaults = *config;
    if (!configure(&defaults))
        return NULL;
    sinter_gc_heap *heap = calloc(1, sizeof(*heap));
    if (heap == NULL)
        return NULL;
    heap->config = defaults;
    int error = set_up(heap);
    if (error != 0) {
        free_all(heap);
        errno = error;
        return NULL;
    }
    fork_register(heap);
    return heap;
}

void sinter_gc_destroy(sinter_gc_heap *heap)
{
    always_assert(heap->mutators == NULL);
    fork_unregister(heap);
    cycle_stop(heap);
    sigbus_forget(heap);
    free_all(heap);
}

void sinter_gc_listen(sinter_gc_heap *heap, const struct sinter_gc_events *events)
{
    pthread_mutex_lock(&heap->roots_lock);
    heap->events = events != NULL ? *events : (struct sinter_gc_events){0};
    pthread_mutex_unlock(&heap->roots_lock);
}
