#include "stats.h"

#include "arena.h"
#include "background.h"
#include "decay.h"
#include "fmt.h"
#include "guard.h"
#include "guard_pages.h"
#include "huge.h"
#include "meta.h"
#include "os.h"
#include "run.h"
#include "sizeclass.h"
#include "span.h"
#include "tcache.h"

/* X(field, unit, help): the fields of struct sinter_stats in their order, without `size`. */
#define STATS_TABLE(X)                                                                                       \
    X(allocated, BYTES, "in blocks the program holds")                                                       \
    X(cached, BYTES, "free, in thread caches")                                                               \
    X(active, BYTES, "in spans and runs in use")                                                             \
    X(dirty, BYTES, "free, with memory behind it")                                                           \
    X(metadata, BYTES, "the allocator's own tables")                                                         \
    X(committed, BYTES, "address space for blocks")                                                          \
    X(huge, BYTES, "in mappings of their own")                                                               \
    X(purged, BYTES, "given back to the system so far")                                                      \
    X(purge_calls, NUMBER, "times that was done")                                                            \
    X(threads, NUMBER, "threads with a cache")                                                               \
    X(drained, NUMBER, "blocks drained from idle caches")                                                    \
    X(refills, NUMBER, "times a cache was filled")                                                           \
    X(flushes, NUMBER, "times a cache was flushed")                                                          \
    X(spans, NUMBER, "spans in use")                                                                         \
    X(runs, NUMBER, "page runs in use")                                                                      \
    X(background, NUMBER, "background threads running")                                                      \
    X(compactor, NUMBER, "0: not needed so far, 1: at work, 2: not available")                               \
    X(aside, BYTES, "of pages moved out, on probation")                                                      \
    X(packed, BYTES, "of pages moved out and packed")                                                        \
    X(store, BYTES, "that packed pages take")                                                                \
    X(saved, BYTES, "by packing")                                                                            \
    X(moved_out, NUMBER, "pages moved out so far")                                                           \
    X(pages_packed, NUMBER, "pages packed so far")                                                           \
    X(pages_returned, NUMBER, "pages that came back")                                                        \
    X(faults, NUMBER, "touches of pages that were away")                                                     \
    X(stall_p50, NANOSECONDS, "how long they waited: median")                                                \
    X(stall_p99, NANOSECONDS, "99 of 100 waited less")                                                       \
    X(stall_p999, NANOSECONDS, "999 of 1000 waited less")                                                    \
    X(stall_max, NANOSECONDS, "the longest wait")                                                            \
    X(compactor_cpu, NANOSECONDS, "CPU time of the thread that packs")                                       \
    X(guard_way, NUMBER, "0: none, 1: poison, 2: madvise, 3: mprotect")                                      \
    X(guarded, BYTES, "in guarded blocks the program holds")                                                 \
    X(guards, NUMBER, "blocks guarded so far")                                                               \
    X(quarantined, BYTES, "address space of freed guarded blocks")                                           \
    X(guards_failed, NUMBER, "of them, whose pages were not closed")

enum unit { BYTES, NUMBER, NANOSECONDS };

static const struct field {
    const char *name;
    enum unit unit;
    size_t offset;
    const char *help;
} fields[] = {
#define X(field, unit, help) {#field, unit, offsetof(struct sinter_stats, field), help},
    STATS_TABLE(X)
#undef X
};

static const char *const units[] = {[BYTES] = "B ", [NUMBER] = "  ", [NANOSECONDS] = "ns"};

_Static_assert(sizeof(struct sinter_stats) == (ARRAY_LEN(fields) + 1) * sizeof(uint64_t),
               "a field lacks its row");

static uint64_t value_of(const struct sinter_stats *stats, const struct field *field)
{
    return *(const uint64_t *)((const char *)stats + field->offset);
}

const char *stats_read(struct sinter_stats *stats)
{
    struct span_stats spans;
    struct run_stats runs;
    struct huge_stats huge;
    struct tcache_stats caches;
    struct background_stats background;
    struct guard_stats guards;
    span_stats(&spans);
    run_stats(&runs);
    huge_stats(&huge);
    tcache_stats(&caches);
    background_stats(&background);
    guard_stats(&guards);
    uint64_t small = spans.slot_bytes > caches.bytes ? spans.slot_bytes - caches.bytes : 0;
    *stats = (struct sinter_stats){
        .size = sizeof(*stats),
        .allocated = small + runs.bytes + huge.bytes + guards.live_bytes,
        .cached = caches.bytes,
        .active = spans.spans * SPAN_BYTES + runs.bytes + huge.bytes,
        .dirty = load_relaxed(&decay_dirty_pages) * PAGE_BYTES,
        .metadata = meta_bytes() + arena_metadata_bytes(),
        .committed = arena_committed(REGION_SPANS) + arena_committed(REGION_RUNS) + huge.bytes,
        .huge = huge.bytes,
        .purged = background.purged_bytes,
        .purge_calls = background.purge_calls,
        .threads = caches.threads,
        .drained = caches.drained,
        .refills = caches.refills,
        .flushes = caches.flushes,
        .spans = spans.spans,
        .runs = runs.runs,
        .background = atomic_load(&background_state) == BACKGROUND_ON,
        .guard_way = guard_rate != 0 ? guard_pages_way() : 0,
        .guarded = guards.live_bytes,
        .guards = guards.guarded,
        .quarantined = guards.quarantined_bytes,
        .guards_failed = guards.unclosed,
    };
    return background_engine_stats(stats);
}

struct class_row {
    size_t size, live, cached, spans;
    bool first;
};

/* One row for each size class in use, by `row`. */
static void each_bin(struct fmt *f, void (*row)(struct fmt *f, const struct class_row *c))
{
    bool first = true;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        size_t slots, spans, cached = tcache_bin_slots(bin);
        span_bin_stats(bin, &slots, &spans);
        if (spans == 0)
            continue;
        struct class_row c = {sizeclass_table[bin].size, slots > cached ? slots - cached : 0, cached, spans,
                              first};
        row(f, &c);
        first = false;
    }
}

static void text_row(struct fmt *f, const struct class_row *c)
{
    size_t room = c->spans * (SPAN_BYTES / c->size);
    fmt_print(f, "  %8zu %12zu %12zu %10zu %5zu%%\n", c->size, c->live, c->cached, c->spans,
              c->live * 100 / room);
}

long stats_print_text(int fd)
{
    char buffer[1024];
    struct fmt f;
    struct sinter_stats stats;
    const char *lack = stats_read(&stats);
    fmt_to_fd(&f, fd, buffer, sizeof(buffer));
    fmt_print(&f, "sinter %s, process %ld\n", SINTER_VERSION_STRING, os_process_id());
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fmt_print(&f, "  %-14s %16lu %s  %s\n", fields[i].name, value_of(&stats, &fields[i]),
                  units[fields[i].unit], fields[i].help);
    if (lack != NULL)
        fmt_print(&f, "  pages are not packed: %s\n", lack);
    fmt_print(&f, "  %8s %12s %12s %10s %6s\n", "class", "allocated", "cached", "spans", "used");
    each_bin(&f, text_row);
    return fmt_flush(&f);
}

static void json_row(struct fmt *f, const struct class_row *c)
{
    fmt_print(f, "%s{\"size\":%zu,\"allocated\":%zu,\"cached\":%zu,\"spans\":%zu}", c->first ? "" : ",",
              c->size, c->live, c->cached, c->spans);
}

long stats_print_json(int fd)
{
    char buffer[1024];
    struct fmt f;
    struct sinter_stats stats;
    const char *lack = stats_read(&stats);
    fmt_to_fd(&f, fd, buffer, sizeof(buffer));
    fmt_print(&f, "{\"version\":\"%s\",\"pid\":%ld", SINTER_VERSION_STRING, os_process_id());
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fmt_print(&f, ",\"%s\":%lu", fields[i].name, value_of(&stats, &fields[i]));
    if (lack != NULL)
        fmt_print(&f, ",\"compactor_lack\":\"%s\"", lack);
    fmt_print(&f, ",\"classes\":[");
    each_bin(&f, json_row);
    fmt_print(&f, "]}\n");
    return fmt_flush(&f);
}
