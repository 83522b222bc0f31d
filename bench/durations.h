/* Many durations in little room: 32 buckets a doubling, so that quantiles are right to 3 %. The largest is exact. */
#ifndef BENCH_DURATIONS_H
#define BENCH_DURATIONS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { DURATION_SUB_BITS = 5, DURATION_BUCKETS = 48 << DURATION_SUB_BITS };

struct durations {
    uint64_t counts[DURATION_BUCKETS];
    uint64_t total, max;
};

static inline uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void durations_add(struct durations *d, uint64_t ns);

/* The value that `share` of them do not exceed; 0 if there is none. */
uint64_t durations_quantile(const struct durations *d, double share);

#endif
