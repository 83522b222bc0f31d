/*
 * Runs one workload on one heap, which was chosen when this was compiled, and prints a line of JSON: seconds, bytes and, where
 * times are distributed, nanoseconds.
 * usage: heap-NAME WORKLOAD [--size N] [--work N] [--factor N] [--threads N] [--seed N]
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../process.h"
#include "program.h"

static const struct workload *const workloads[] = {
#define X(name) &workload_##name,
    WORKLOADS(X)
#undef X
#if HEAP_SINTER
        & workload_flip,
    &workload_dense,
#endif
};

enum { WORKLOAD_COUNT = sizeof workloads / sizeof *workloads };

/* ---- the report ---- */

static void append(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(struct report *report, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    size_t room = sizeof report->text - report->length;
    int written = vsnprintf(report->text + report->length, room, format, values);
    va_end(values);
    if (written < 0 || (size_t)written >= room) {
        fputs("there is more to report than fits\n", stderr);
        exit(1);
    }
    report->length += (size_t)written;
}

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
    append(report, ", \"%s\": %llu", key, (unsigned long long)value);
}

void report_ratio(struct report *report, const char *key, double value)
{
    append(report, ", \"%s\": %.6f", key, value);
}

static void append_times(struct report *report, const char *key, uint64_t count, uint64_t p50, uint64_t p99,
                         uint64_t p999, uint64_t max)
{
    append(report, ", \"%s\": {\"count\": %llu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu}",
           key, (unsigned long long)count, (unsigned long long)p50, (unsigned long long)p99,
           (unsigned long long)p999, (unsigned long long)max);
}

void report_durations(struct report *report, const char *key, const struct durations *d)
{
    append_times(report, key, d->total, durations_quantile(d, 0.5), durations_quantile(d, 0.99),
                 durations_quantile(d, 0.999), d->max);
}

void report_settled(struct report *report, mutator *m, uint64_t live)
{
    heap_release(m);
    report->live = live;
    report->settled = process_rss();
}

static void report_heap(struct report *report)
{
    struct heap_numbers n;
    if (!heap_numbers(&n))
        return;
    report_number(report, "collections", n.collections);
    report_number(report, "compactions", n.compactions);
    report_number(report, "found_live", n.live);
    report_number(report, "collecting_cpu", n.collecting_cpu);
    append_times(report, "pauses", n.pauses, n.p50, n.p99, n.p999, n.max);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void run(const struct workload *workload, const struct options *options)
{
    static struct report report;
    uint64_t start = now_ns();
    workload->run(options, &report);
    double seconds = (double)(now_ns() - start) / 1e9, cpu = cpu_seconds();
    count_checks(&report);
    report_heap(&report);
    printf("{\"workload\": \"%s\", \"heap\": \"%s\", \"size\": %zu, \"work\": %zu, \"factor\": %u, "
           "\"threads\": %u, "
           "\"seconds\": %.4f, \"cpu\": %.4f, \"peak\": %zu, \"live\": %llu, \"settled\": %llu, \"checks\": "
           "%llu%s}\n",
           workload->name, heap_name, options->size, options->work, options->factor, options->threads,
           seconds, cpu, process_peak_rss(), (unsigned long long)report.live,
           (unsigned long long)report.settled, (unsigned long long)report.checks, report.text);
}

/* ---- the command line ---- */

_Noreturn static void usage(const char *program)
{
    fprintf(stderr, "usage: %s WORKLOAD [--size N] [--work N] [--factor N] [--threads N] [--seed N]\n",
            program);
    for (size_t i = 0; i < WORKLOAD_COUNT; i++)
        fprintf(stderr, "  %-12s %s; by default %zu and %zu\n", workloads[i]->name, workloads[i]->help,
                workloads[i]->size, workloads[i]->work);
    exit(2);
}

static const struct workload *find(const char *name)
{
    for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    }
    return NULL;
}

static bool set(struct options *options, const char *key, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value == 0)
        return false;
    if (strcmp(key, "--size") == 0)
        options->size = value;
    else if (strcmp(key, "--work") == 0)
        options->work = value;
    else if (strcmp(key, "--factor") == 0)
        options->factor = (unsigned)value;
    else if (strcmp(key, "--threads") == 0)
        options->threads = (unsigned)value;
    else if (strcmp(key, "--seed") == 0)
        options->seed = value;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    const struct workload *workload = argc > 1 ? find(argv[1]) : NULL;
    if (workload == NULL || argc % 2 != 0)
        usage(argv[0]);
    struct options options = {
        .size = workload->size, .work = workload->work, .factor = 200, .threads = 1, .seed = 1};
    for (int i = 2; i < argc; i += 2) {
        if (!set(&options, argv[i], argv[i + 1]))
            usage(argv[0]);
    }
    run(workload, &options);
    return 0;
}
