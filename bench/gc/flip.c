/*
 * What a thread notices of compaction: one thread has everything compacted again and again, another one reads random objects,
 * replaces some, and notes how long each step takes, first while nothing is compacted, then while it is.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../workload.h"
#include "program.h"
#include "stops.h"
#include "utilisation.h"

enum {
    GROUP = 256, /* objects that one object of the table refers to */
    SMALLEST = 64,
    LARGEST = 2048,
    MEAN = 595, /* of sizes that are equally likely in each doubling */
    REPLACE_ONE_IN = 16,
    GAP_NS = 5000, /* what takes longer is a gap */
    QUIET_MS = 1000,
    REST_MS = 20, /* between compactions */
    MS = 1000000,
};

struct item {
    HEAP_HEADER
    struct item *peer;
    size_t count;
    uint64_t number, mirrored; /* the number's complement */
    unsigned char bytes[];
};

struct table {
    HEAP_HEADER
    size_t count;
    void *items[];
};

/* What the touching thread saw in one of the two phases. */
struct seen {
    struct durations touches, replacements, stops;
    struct durations waits;  /* touches that took so long that they were gaps */
    struct gaps all, faults; /* the second with the time of stops cut out */
};

enum { QUIET, COMPACTING, PHASES, ENOUGH = PHASES };

static heap_kind kinds[2], table_kind; /* with a reference, without */
static struct table *groups;
static struct seen seen[PHASES];
static _Atomic int phase, entered; /* what is wanted; which one the touching thread is in */
static struct sizes sizes;

/* ---- what there is ---- */

static void make_kinds(void)
{
    struct heap_layout item = {
        .name = "item",
        .size = sizeof(struct item),
        .references = HEAP_REFERENCE(struct item, peer),
        .element_size = 1,
        .count_offset = offsetof(struct item, count),
    };
    kinds[0] = heap_kind_new(&item);
    item.references = 0;
    item.leaf = true;
    kinds[1] = heap_kind_new(&item);
    table_kind = HEAP_TABLE_KIND(table);
}

static struct table *table_new(mutator *m, size_t count)
{
    struct table *table = heap_zeroed(m, table_kind, sizeof *table + count * sizeof(void *));
    table->count = count;
    return table;
}

static struct table *group_at(size_t g)
{
    return groups->items[g];
}

/* Puts a new item in the place of another one, which refers to nobody from then on. Its size. */
static size_t replace(mutator *m, size_t g, size_t i, struct rng *rng)
{
    size_t size = sizes_next(&sizes);
    bool leaf = rng_next(rng) >> 63;
    struct item *item = heap_new(m, kinds[leaf], size);
    item->count = size - sizeof *item;
    item->number = rng_next(rng);
    item->mirrored = ~item->number;
    struct table *group = group_at(g);
    struct item *old = group->items[i];
    if (old != NULL)
        old->peer = NULL;
    item->peer = leaf ? NULL : group->items[rng_below(rng, GROUP)];
    group->items[i] = item;
    return size;
}

/* About so many bytes. What is made together does not belong to the same group. */
static uint64_t fill(mutator *m, size_t bytes, struct rng *rng)
{
    size_t count = bytes / MEAN / GROUP;
    uint64_t live = 0;
    groups = table_new(m, count);
    for (size_t g = 0; g < count; g++) {
        struct table *group = table_new(m, GROUP);
        groups->items[g] = group;
    }
    for (size_t i = 0; i < GROUP; i++) {
        for (size_t g = 0; g < count; g++)
            live += replace(m, g, i, rng);
    }
    return live;
}

/* ---- the thread that touches ---- */

static void note(struct seen *s, struct durations *durations, uint64_t start, uint64_t end, uint64_t stopped)
{
    durations_add(durations, end - start);
    if (end - start < GAP_NS)
        return;
    gaps_add(&s->all, start, end);
    if (durations == &s->touches)
        durations_add(&s->waits, end - start);
    if (durations != &s->stops)
        gaps_add(&s->faults, start - stopped, end - stopped);
}

static bool touch_item(size_t g, size_t i)
{
    const struct item *item = group_at(g)->items[i];
    return item->mirrored == ~item->number;
}

static void touch_on(mutator *m, int during, struct rng *rng)
{
    struct seen *s = &seen[during];
    uint64_t stopped = 0, start = now_ns(), end;
    gaps_begin(&s->all, start);
    gaps_begin(&s->faults, start);
    atomic_store(&entered, during);
    for (uint64_t step = 0; atomic_load_explicit(&phase, memory_order_relaxed) == during; step++) {
        size_t g = rng_below(rng, groups->count), i = rng_below(rng, GROUP);
        start = now_ns();
        check(touch_item(g, i), "an item is damaged");
        note(s, &s->touches, start, end = now_ns(), stopped);
        if (step % REPLACE_ONE_IN == 0) {
            replace(m, g, i, rng);
            start = end;
            note(s, &s->replacements, start, end = now_ns(), stopped);
        }
        if (__atomic_load_n(&m->stop, __ATOMIC_RELAXED) == 0)
            continue;
        sinter_gc_safepoint(m);
        start = end;
        note(s, &s->stops, start, end = now_ns(), stopped);
        stopped += end - start;
    }
    end = now_ns();
    gaps_end(&s->all, end);
    gaps_end(&s->faults, end - stopped);
}

static void *touch_always(void *argument)
{
    struct rng rng = rng_seed(7);
    mutator *m = heap_attach();
    for (int during = 0; during < PHASES; during++)
        touch_on(m, during, &rng);
    heap_detach(m);
    count_checks(argument);
    return NULL;
}

/* ---- the thread that compacts ---- */

static struct {
    uint64_t stopped, marked;
    struct durations mark, flip, whole;
} laps;

static void on_stopped(void *data)
{
    (void)data;
    laps.stopped = now_ns();
    stop_began();
}

static void on_marked(void *data, size_t live)
{
    (void)data, (void)live;
    laps.marked = now_ns();
    durations_add(&laps.mark, laps.marked - laps.stopped);
}

static void on_flipped(void *data)
{
    (void)data;
    uint64_t now = now_ns();
    durations_add(&laps.flip, now - laps.marked);
    durations_add(&laps.whole, now - laps.stopped);
    stop_ended();
}

static void rest(mutator *m, long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * MS};
    heap_block(m);
    nanosleep(&pause, NULL);
    heap_unblock(m);
}

static void compact(mutator *m, size_t times)
{
    static const struct sinter_gc_events events = {
        .stopped = on_stopped, .marked = on_marked, .flipped = on_flipped};
    sinter_gc_listen(heap_itself(), &events);
    for (size_t i = 0; i < times; i++) {
        heap_collect(m);
        rest(m, REST_MS);
    }
    sinter_gc_listen(heap_itself(), NULL);
}

/* ---- the report ---- */

static void report_seen(struct report *report, const char *when, const struct seen *s)
{
    char key[64];
    const struct {
        const char *name;
        const struct durations *durations;
    } durations[] = {{"touches", &s->touches},
                     {"waits", &s->waits},
                     {"replacements", &s->replacements},
                     {"stops", &s->stops}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        snprintf(key, sizeof key, "%s_%s", when, durations[i].name);
        report_durations(report, key, durations[i].durations);
    }
    for (uint64_t ms = 10; ms <= 100; ms *= 10) {
        snprintf(key, sizeof key, "%s_utilisation_%u", when, (unsigned)ms);
        report_ratio(report, key, gaps_least_utilisation(&s->all, ms * MS));
        snprintf(key, sizeof key, "%s_utilisation_%u_without_stops", when, (unsigned)ms);
        report_ratio(report, key, gaps_least_utilisation(&s->faults, ms * MS));
    }
    snprintf(key, sizeof key, "%s_utilisation_without_stops", when);
    report_ratio(report, key, gaps_utilisation(&s->faults));
    snprintf(key, sizeof key, "%s_gaps_lost", when);
    report_number(report, key, s->all.lost + s->faults.lost);
}

/*
 * Of the longest touches, as many as there were faults: what those took, in the thread that had them. By their length alone they cannot
 * be told from what else takes a while.
 */
static void report_faulting(struct report *report, uint64_t faults)
{
    const struct durations *touches = &seen[COMPACTING].touches;
    double share = touches->total > faults ? (double)faults / (double)touches->total : 1;
    report_number(report, "faulting_touches_p50", durations_quantile(touches, 1 - share * 0.5));
    report_number(report, "faulting_touches_p90", durations_quantile(touches, 1 - share * 0.1));
    report_number(report, "faulting_touches_p99", durations_quantile(touches, 1 - share * 0.01));
}

static void report_library(struct report *report)
{
    struct sinter_gc_stats stats;
    sinter_gc_stats_get(heap_itself(), &stats, sizeof stats);
    report_durations(report, "mark", &laps.mark);
    report_durations(report, "marked_to_flipped", &laps.flip);
    report_durations(report, "stopped_to_flipped", &laps.whole);
#define X(name) report_number(report, #name, stats.name);
    X(served) X(faults_mode) X(faults_own) X(flip_p50) X(flip_p99) X(flip_max);
    X(mark_time) X(plan_time) X(flip_time) X(move_time) X(moved_whole) X(moved_copied) X(moved_pinned);
#undef X
    report_faulting(report, stats.faults);
}

static void measure(mutator *m, const struct options *options, struct report *report)
{
    pthread_t thread;
    check(pthread_create(&thread, NULL, touch_always, report) == 0, "no thread");
    rest(m, QUIET_MS);
    atomic_store(&phase, COMPACTING);
    while (atomic_load(&entered) != COMPACTING)
        rest(m, 1);
    compact(m, options->work);
    atomic_store(&phase, ENOUGH);
    heap_block(m);
    pthread_join(thread, NULL);
    heap_unblock(m);
}

static void run(const struct options *options, struct report *report)
{
    struct rng rng = rng_seed(options->seed);
    sizes_fill(&sizes, &rng, SMALLEST, LARGEST);
    heap_open(options->factor, 0);
    mutator *m = heap_attach();
    make_kinds();
    check(sinter_gc_root_add(heap_itself(), (void **)&groups) == 0, "no root");
    uint64_t live = fill(m, options->size * 1024 * 1024, &rng);
    measure(m, options, report);
    for (int during = 0; during < PHASES; during++)
        report_seen(report, during == QUIET ? "quiet" : "compacting", &seen[during]);
    report_library(report);
    report_settled(report, m, live);
    heap_detach(m);
}

const struct workload workload_flip = {"flip", run, 1024, 50, "size: MiB that are live; work: compactions"};
