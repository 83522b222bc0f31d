/* Workloads on several threads, each of which has a part of its own. */
#ifndef BENCH_GC_THREADS_H
#define BENCH_GC_THREADS_H

#include "../workload.h"
#include "program.h"

enum { THREADS_MOST = 64 };

struct part {
    const struct options *options;
    unsigned number; /* 0 to options->threads - 1 */
    size_t bytes;    /* that are to be live */
    struct rng rng;
};

/*
 * Runs `work` once in each thread and notes what is resident when all have called part_settle(). The thread that calls is
 * attached as `m`.
 */
void parts_run(const struct options *options, struct report *report, mutator *m,
               void (*work)(mutator *m, struct part *part));

/* At the end of the work, with `live` bytes still held; comes back when the rest was collected. */
void part_settle(mutator *m, uint64_t live);

#endif
