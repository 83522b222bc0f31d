/*
 * What is reported of a process's allocator: one table of what there is, the figures as a plain struct that another process can
 * read, and their printed forms.
 */
#ifndef SINTER_STATS_REPORT_H
#define SINTER_STATS_REPORT_H

#include "fmt.h"
#include "sinter/malloc.h"

/* X(field, unit, kind, help): the fields of struct sinter_stats in their order, without `size`. COUNTER: only ever grows. */
#define STATS_TABLE(X)                                                                                       \
    X(allocated, BYTES, GAUGE, "in blocks the program holds")                                                \
    X(cached, BYTES, GAUGE, "free, in thread caches")                                                        \
    X(active, BYTES, GAUGE, "in spans and runs in use")                                                      \
    X(dirty, BYTES, GAUGE, "free, with memory behind it")                                                    \
    X(metadata, BYTES, GAUGE, "the allocator's own tables")                                                  \
    X(committed, BYTES, GAUGE, "address space for blocks")                                                   \
    X(huge, BYTES, GAUGE, "in mappings of their own")                                                        \
    X(purged, BYTES, COUNTER, "given back to the system so far")                                             \
    X(purge_calls, NUMBER, COUNTER, "times that was done")                                                   \
    X(threads, NUMBER, GAUGE, "threads with a cache")                                                        \
    X(drained, NUMBER, COUNTER, "blocks drained from idle caches")                                           \
    X(refills, NUMBER, COUNTER, "times a cache was filled")                                                  \
    X(flushes, NUMBER, COUNTER, "times a cache was flushed")                                                 \
    X(spans, NUMBER, GAUGE, "spans in use")                                                                  \
    X(runs, NUMBER, GAUGE, "page runs in use")                                                               \
    X(background, NUMBER, GAUGE, "background threads running")                                               \
    X(compactor, NUMBER, GAUGE, "0: not needed so far, 1: at work, 2: not available")                        \
    X(aside, BYTES, GAUGE, "of pages moved out, on probation")                                               \
    X(packed, BYTES, GAUGE, "of pages moved out and packed")                                                 \
    X(store, BYTES, GAUGE, "that packed pages take")                                                         \
    X(saved, BYTES, GAUGE, "by packing")                                                                     \
    X(moved_out, NUMBER, COUNTER, "pages moved out so far")                                                  \
    X(pages_packed, NUMBER, COUNTER, "pages packed so far")                                                  \
    X(pages_returned, NUMBER, COUNTER, "pages that came back")                                               \
    X(faults, NUMBER, COUNTER, "touches of pages that were away")                                            \
    X(stall_p50, NANOSECONDS, GAUGE, "how long they waited: median")                                         \
    X(stall_p99, NANOSECONDS, GAUGE, "99 of 100 waited less")                                                \
    X(stall_p999, NANOSECONDS, GAUGE, "999 of 1000 waited less")                                             \
    X(stall_max, NANOSECONDS, GAUGE, "the longest wait")                                                     \
    X(compactor_cpu, NANOSECONDS, COUNTER, "CPU time of the thread that packs")                              \
    X(guard_way, NUMBER, GAUGE, "0: none, 1: poison, 2: madvise, 3: mprotect")                               \
    X(guarded, BYTES, GAUGE, "in guarded blocks the program holds")                                          \
    X(guards, NUMBER, COUNTER, "blocks guarded so far")                                                      \
    X(quarantined, BYTES, GAUGE, "address space of freed guarded blocks")                                    \
    X(guards_failed, NUMBER, COUNTER, "of them, whose pages were not closed")                                \
    X(control, NUMBER, GAUGE, "0: no page for the command sinter so far, 1: reachable, 2: not available")    \
    X(guard_efaults, NUMBER, COUNTER, "system calls that were refused a guarded page")                       \
    X(held, BYTES, GAUGE, "in freed small blocks that wait in quarantine")

enum stats_unit { STATS_BYTES, STATS_NUMBER, STATS_NANOSECONDS };
enum stats_kind { STATS_GAUGE, STATS_COUNTER };

struct stats_field {
    const char *name;
    enum stats_unit unit;
    enum stats_kind kind;
    size_t offset;
    const char *help;
};

enum { STATS_FIELDS = sizeof(struct sinter_stats) / sizeof(uint64_t) - 1, STATS_CLASSES = 96 };

extern HIDDEN const struct stats_field stats_fields[STATS_FIELDS];

struct stats_class {
    uint32_t size, spans;  /* of a slot, in bytes; how many spans of such slots are in use */
    uint64_t live, cached; /* slots */
};

struct stats_report {
    struct sinter_stats totals;
    char version[16];
    char lack[192];            /* why pages cannot be packed; "" if they can */
    uint32_t process, classes; /* as the process knows itself; rows that follow */
    struct stats_class rows[STATS_CLASSES];
};

uint64_t stats_value(const struct sinter_stats *stats, const struct stats_field *field);

void stats_report_text(struct fmt *f, const struct stats_report *report);
void stats_report_json(struct fmt *f, const struct stats_report *report);

#endif
