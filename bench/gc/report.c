#include <stdio.h>

#include "../process.h"
#include "program.h"

__thread uint64_t checks_here;

_Noreturn void wrong(const char *what)
{
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
}

void count_checks(struct report *report)
{
    atomic_fetch_add(&report->checks, checks_here);
    checks_here = 0;
}

void report_number(struct report *report, const char *key, uint64_t value)
{
    bench_counter(report->state, key, (double)value);
}

void report_ratio(struct report *report, const char *key, double value)
{
    bench_counter(report->state, key, value);
}

void report_durations(struct report *report, const char *key, const struct durations *d)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
    char name[64];
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        snprintf(name, sizeof name, "%s_%s", key, quantiles[i].name);
        report_number(report, name, durations_quantile(d, quantiles[i].share));
    }
    snprintf(name, sizeof name, "%s_max", key);
    report_number(report, name, d->max);
    snprintf(name, sizeof name, "%s_count", key);
    report_number(report, name, d->total);
}

void report_settled(struct report *report, mutator *m, uint64_t live)
{
    heap_release(m);
    report_number(report, "live_bytes", live);
    report_number(report, "settled_bytes", process_rss());
}
