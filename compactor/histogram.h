/*
 * A histogram of durations: eight buckets a doubling, so that percentiles are right to 9 %.
 */
#ifndef SINTER_HISTOGRAM_H
#define SINTER_HISTOGRAM_H

#include "base.h"

enum { HISTOGRAM_SUB_BITS = 3, HISTOGRAM_BUCKETS = 40 << HISTOGRAM_SUB_BITS };

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
    _Atomic uint64_t total, max;
};

/* Threads may add at the same time. */
void histogram_add(struct histogram *h, uint64_t value);

/* Adds what the other has. */
void histogram_merge(struct histogram *h, const struct histogram *other);

/* A value that `per_mille` of 1000 do not exceed; 0 if there is none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned per_mille);

#endif
