#include "stats.h"

#include "arena.h"
#include "background.h"
#include "control.h"
#include "decay.h"
#include "guard.h"
#include "guard_pages.h"
#include "guard_system_call.h"
#include "huge.h"
#include "meta.h"
#include "os.h"
#include "quarantine.h"
#include "run.h"
#include "sizeclass.h"
#include "span.h"
#include "tcache.h"

#include <string.h>

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
    size_t held = quarantine_bytes(), free_slots = caches.bytes + held;
    uint64_t small = spans.slot_bytes > free_slots ? spans.slot_bytes - free_slots : 0;
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
        .control = control_stats(),
        .guard_efaults = guard_efaults(),
        .held = held,
    };
    return background_engine_stats(stats);
}

static void copy_text(char *to, size_t size, const char *text)
{
    size_t length = min_size(strlen(text), size - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

_Static_assert(BIN_COUNT - 1 <= STATS_CLASSES, "a row for each class");

void stats_add_classes(struct stats_report *report)
{
    struct span_bin_stats spans[BIN_COUNT];
    span_bin_stats(spans);
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        size_t cached = spans[bin].spans != 0 ? tcache_bin_slots(bin) : 0, slots = spans[bin].slots;
        if (spans[bin].spans != 0)
            report->rows[report->classes++] =
                (struct stats_class){.size = sizeclass_table[bin].size,
                                     .spans = (uint32_t)spans[bin].spans,
                                     .live = slots > cached ? slots - cached : 0,
                                     .cached = cached};
    }
}

void stats_report(struct stats_report *report)
{
    const char *lack = stats_read(&report->totals);
    copy_text(report->version, sizeof(report->version), SINTER_VERSION_STRING);
    copy_text(report->lack, sizeof(report->lack), lack != NULL ? lack : "");
    report->process = (uint32_t)os_process_id();
    report->classes = 0;
}

static long print(int fd, void (*form)(struct fmt *f, const struct stats_report *report))
{
    char buffer[1024];
    struct fmt f;
    struct stats_report report;
    stats_report(&report);
    stats_add_classes(&report);
    fmt_to_fd(&f, fd, buffer, sizeof(buffer));
    form(&f, &report);
    return fmt_flush(&f);
}

long stats_print_text(int fd)
{
    return print(fd, stats_report_text);
}

long stats_print_json(int fd)
{
    return print(fd, stats_report_json);
}
