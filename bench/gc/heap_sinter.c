#include "heap.h"

#include <stdio.h>

#include "stops.h"

static sinter_gc_heap *heap;

static void on_stopped(void *data)
{
    (void)data;
    stop_began();
}

static void on_flipped(void *data)
{
    (void)data;
    stop_ended();
}

/* The environment variable SINTER_GC_CONF has the last word. */
void heap_open(unsigned factor, size_t live)
{
    struct sinter_gc_config config;
    (void)live;
    sinter_gc_config_init(&config);
    config.factor = factor;
    config.minimum = 0;
    heap = sinter_gc_create(&config);
    if (heap == NULL) {
        perror("sinter_gc_create");
        exit(1);
    }
    stops_watch();
    sinter_gc_listen(heap, &(struct sinter_gc_events){.stopped = on_stopped, .flipped = on_flipped});
}

mutator *heap_attach(void)
{
    mutator *m = sinter_gc_attach(heap);
    if (m == NULL)
        heap_full(sizeof *m);
    return m;
}

void heap_detach(mutator *m)
{
    sinter_gc_detach(m);
}

void heap_block(mutator *m)
{
    sinter_gc_block(m);
}

void heap_unblock(mutator *m)
{
    sinter_gc_unblock(m);
}

void heap_collect(mutator *m)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

void heap_release(mutator *m)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
}

void heap_report(struct report *report)
{
    struct sinter_gc_stats stats;
    sinter_gc_stats_get(heap, &stats, sizeof stats);
    report_number(report, "found_live_bytes", stats.live); /* headers included */
    report_number(report, "collecting_cpu", stats.cpu);
#define X(name) report_number(report, #name, stats.name);
    X(collections) X(minor) X(compactions);
    X(faults) X(stall_p50) X(stall_p99) X(stall_p999) X(stall_max);
#undef X
}

_Noreturn void heap_full(size_t wanted)
{
    sinter_gc_stats_text(heap, 2);
    fprintf(stderr, "no memory for %zu bytes\n", wanted);
    exit(1);
}

heap_kind heap_kind_new(const struct heap_layout *layout)
{
    const struct sinter_gc_layout as_sinter = {
        .name = layout->name,
        .size = layout->size,
        .references = layout->references,
        .element_size = layout->element_size,
        .element_references = layout->element_references,
        .count_offset = layout->count_offset,
        .pointer_free = layout->leaf,
    };
    sinter_gc_type type = sinter_gc_type_new(heap, &as_sinter);
    if (type == 0) {
        perror(layout->name);
        exit(1);
    }
    return type;
}

sinter_gc_heap *heap_itself(void)
{
    return heap;
}
