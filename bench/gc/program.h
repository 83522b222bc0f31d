/* What the workloads share: their options, checks, and saying what they found. */
#ifndef BENCH_GC_PROGRAM_H
#define BENCH_GC_PROGRAM_H

#include <stdatomic.h>

#include "../gbench.h"
#include "heap.h"

struct options {
    size_t size;      /* how much is live; each workload has its own unit */
    size_t work;      /* how much is done with it */
    unsigned factor;  /* see heap_open() */
    unsigned threads; /* those that run the workload */
    uint64_t seed;
};

struct report {
    struct bench_state *state;
    _Atomic uint64_t checks; /* that passed, of all threads */
};

struct workload {
    const char *name;
    void (*run)(const struct options *options, struct report *report);
    size_t size, work; /* the defaults */
    const char *help;
};

#define ON_ALL_HEAPS(X) X(gcbench) X(forest) X(binary_trees) X(lru) X(lists) X(graph) X(arrays) X(fragment)
#if HEAP_SINTER
#define WORKLOADS(X) ON_ALL_HEAPS(X) X(flip) X(dense) X(sparse)
#else
#define WORKLOADS(X) ON_ALL_HEAPS(X)
#endif

#define X(name) extern const struct workload workload_##name;
WORKLOADS(X)
#undef X

/* Those of this thread that passed and were not counted yet. */
extern __thread uint64_t checks_here;

_Noreturn void wrong(const char *what);

/* Ends the program if that is not so. */
static inline void check(bool holds, const char *what)
{
    if (__builtin_expect(!holds, 0))
        wrong(what);
    checks_here++;
}

/* To be called at the end of each thread but the first. */
void count_checks(struct report *report);

void report_number(struct report *report, const char *key, uint64_t value);
void report_ratio(struct report *report, const char *key, double value);
void report_durations(struct report *report, const char *key, const struct durations *durations);

/*
 * Notes what is resident, after a collection that gives back what it can, while the workload still holds `live` bytes, as it
 * reckons.
 */
void report_settled(struct report *report, mutator *m, uint64_t live);

#endif
