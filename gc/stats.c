#include "crew.h"
#include "fmt.h"
#include "heap.h"
#include "own.h"
#include "service.h"

#include <errno.h>
#include <string.h>

#define STATS(X)                                                                                             \
    X(served)                                                                                                \
    X(used)                                                                                                  \
    X(live)                                                                                                  \
    X(stock)                                                                                                 \
    X(allocated)                                                                                             \
    X(collections)                                                                                           \
    X(compactions)                                                                                           \
    X(moved_whole)                                                                                           \
    X(moved_copied)                                                                                          \
    X(moved_pinned)                                                                                          \
    X(released)                                                                                              \
    X(faults)                                                                                                \
    X(pauses)                                                                                                \
    X(pause_p50)                                                                                             \
    X(pause_p99)                                                                                             \
    X(pause_p999)                                                                                            \
    X(pause_max)                                                                                             \
    X(flip_p50)                                                                                              \
    X(flip_p99)                                                                                              \
    X(flip_max)                                                                                              \
    X(stall_p50)                                                                                             \
    X(stall_p99)                                                                                             \
    X(stall_p999)                                                                                            \
    X(stall_max)                                                                                             \
    X(mark_time)                                                                                             \
    X(plan_time)                                                                                             \
    X(flip_time)                                                                                             \
    X(move_time)                                                                                             \
    X(cpu)                                                                                                   \
    X(threads)                                                                                               \
    X(minor)                                                                                                 \
    X(faults_mode)                                                                                           \
    X(faults_own)

static void of_space(sinter_gc_heap *heap, struct sinter_gc_stats *s)
{
    pthread_mutex_lock(&heap->space_lock);
    s->used = (uint64_t)heap->in_use * BLOCK_BYTES;
    s->stock = (uint64_t)heap->stock * BLOCK_BYTES;
    s->allocated = heap->taken * BLOCK_BYTES;
    pthread_mutex_unlock(&heap->space_lock);
    s->live = load_relaxed(&heap->live);
    s->moved_whole = load_relaxed(&heap->whole);
    s->moved_copied = load_relaxed(&heap->copied);
    s->moved_pinned = load_relaxed(&heap->kept);
    s->released = load_relaxed(&heap->released);
}

static void add_stalls(const sinter_gc_heap *heap, struct histogram *all)
{
    if (heap->lack == UFFD_READY)
        histogram_merge(all, service_stalls(heap));
    if (heap->own_served)
        histogram_merge(all, own_stalls(heap));
}

/* Whenever a mutator could not go on: because the world was stopped, or because it waited for an object. */
static void of_pauses(sinter_gc_heap *heap, struct sinter_gc_stats *s)
{
    struct histogram all = {0};
    histogram_merge(&all, &heap->pauses);
    add_stalls(heap, &all);
    s->pauses = load_relaxed(&all.total);
    s->pause_p50 = histogram_percentile(&all, 500);
    s->pause_p99 = histogram_percentile(&all, 990);
    s->pause_p999 = histogram_percentile(&all, 999);
    s->pause_max = load_relaxed(&all.max);
}

static void of_times(sinter_gc_heap *heap, struct sinter_gc_stats *s)
{
    s->flip_p50 = histogram_percentile(&heap->flips, 500);
    s->flip_p99 = histogram_percentile(&heap->flips, 990);
    s->flip_max = load_relaxed(&heap->flips.max);
    s->mark_time = load_relaxed(&heap->mark_ns);
    s->plan_time = load_relaxed(&heap->plan_ns);
    s->flip_time = load_relaxed(&heap->flip_ns);
    s->move_time = load_relaxed(&heap->move_ns);
    s->cpu = load_relaxed(&heap->cpu_ns) + service_cpu_ns(heap);
    if (heap->crew != NULL)
        s->cpu += crew_cpu_ns(heap->crew);
}

static void of_service(const sinter_gc_heap *heap, struct sinter_gc_stats *s)
{
    if (heap->lack != UFFD_READY)
        return;
    struct histogram stalls = {0};
    add_stalls(heap, &stalls);
    s->served = heap->uffd.user_mode || heap->own_served ? SINTER_GC_SERVED_USER : SINTER_GC_SERVED_ALL;
    s->faults = service_faults(heap) + own_faults(heap);
    s->faults_mode = heap->own_served ? SINTER_GC_FAULTS_OWN : SINTER_GC_FAULTS_SERVICE;
    s->faults_own = own_alone(heap);
    s->stall_p50 = histogram_percentile(&stalls, 500);
    s->stall_p99 = histogram_percentile(&stalls, 990);
    s->stall_p999 = histogram_percentile(&stalls, 999);
    s->stall_max = load_relaxed(&stalls.max);
}

static uint64_t count_threads(sinter_gc_heap *heap)
{
    uint64_t n = 0;
    pthread_mutex_lock(&heap->world_lock);
    for (const struct mutator *m = heap->mutators; m != NULL; m = m->next)
        n++;
    pthread_mutex_unlock(&heap->world_lock);
    return n;
}

void sinter_gc_stats_get(sinter_gc_heap *heap, struct sinter_gc_stats *stats, size_t size)
{
    struct sinter_gc_stats s = {.size = sizeof(s)};
    of_space(heap, &s);
    of_pauses(heap, &s);
    of_times(heap, &s);
    of_service(heap, &s);
    s.collections = load_relaxed(&heap->collections);
    s.minor = load_relaxed(&heap->minors);
    s.compactions = load_relaxed(&heap->compactions);
    s.threads = count_threads(heap);
    memcpy(stats, &s, min_size(size, sizeof(s)));
}

static int finish(struct fmt *f)
{
    long error = fmt_flush(f);
    if (error == 0)
        return 0;
    errno = (int)-error;
    return -1;
}

static int bad_descriptor(void)
{
    errno = EBADF;
    return -1;
}

int sinter_gc_stats_text(sinter_gc_heap *heap, int fd)
{
    if (fd < 0)
        return bad_descriptor();
    struct sinter_gc_stats s;
    struct fmt f;
    char text[512];
    sinter_gc_stats_get(heap, &s, sizeof(s));
    fmt_to_fd(&f, fd, text, sizeof(text));
#define X(name) fmt_print(&f, "%-14s %20lu\n", #name, (unsigned long)s.name);
    STATS(X)
#undef X
    return finish(&f);
}

int sinter_gc_stats_json(sinter_gc_heap *heap, int fd)
{
    if (fd < 0)
        return bad_descriptor();
    struct sinter_gc_stats s;
    struct fmt f;
    char text[512];
    sinter_gc_stats_get(heap, &s, sizeof(s));
    fmt_to_fd(&f, fd, text, sizeof(text));
    const char *separator = "{";
#define X(name)                                                                                              \
    fmt_print(&f, "%s\"%s\": %lu", separator, #name, (unsigned long)s.name);                                 \
    separator = ", ";
    STATS(X)
#undef X
    fmt_print(&f, "}\n");
    return finish(&f);
}
