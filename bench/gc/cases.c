/* Which workloads there are. A new one is a row in program.h; it runs on the heap that was chosen when this was compiled. */
#include <stdio.h>

#include "../main.h"
#include "program.h"
#include "stops.h"

static const struct workload *const workloads[] = {
#define X(name) &workload_##name,
    WORKLOADS(X)
#undef X
};

enum { WORKLOAD_COUNT = sizeof workloads / sizeof *workloads };
enum { SIZE, WORK, FACTOR, THREADS, SEED };

const char *const arg_names[] = {"size", "work", "factor", "threads", "seed", NULL};

static struct options options_of(const struct bench_state *state)
{
    for (int i = 0; arg_names[i]; i++) {
        if (bench_arg(state, i) > 0)
            continue;
        fprintf(stderr, "%s is at least 1\n", arg_names[i]);
        exit(2);
    }
    return (struct options){
        .size = bench_arg(state, SIZE),
        .work = bench_arg(state, WORK),
        .factor = (unsigned)bench_arg(state, FACTOR),
        .threads = (unsigned)bench_arg(state, THREADS),
        .seed = bench_arg(state, SEED),
    };
}

static void run(struct bench_state *state)
{
    static struct report report;
    const struct workload *workload = bench_subject(state);
    const struct options options = options_of(state);
    if (report.state) {
        fputs("once a process: what is left of the first time is in the way\n", stderr);
        exit(2);
    }
    report.state = state;
    while (bench_next(state))
        workload->run(&options, &report);
    count_checks(&report);
    report_number(&report, "checks", report.checks);
    report_stops(&report);
    heap_report(&report);
}

const struct bench_case *case_at(size_t index)
{
    static struct bench_case cases[WORKLOAD_COUNT];
    if (index >= WORKLOAD_COUNT)
        return NULL;
    const struct workload *workload = workloads[index];
    cases[index] = (struct bench_case){
        .name = workload->name,
        .run = run,
        .threads = 1,
        .args = {[SIZE] = workload->size, [WORK] = workload->work, [FACTOR] = 200, [THREADS] = 1, [SEED] = 1},
        .kind = BENCH_PROGRAM,
        .subject = workload,
        .help = workload->help,
    };
    return &cases[index];
}
