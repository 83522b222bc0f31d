#include "durations.h"

enum { SUB = 1 << DURATION_SUB_BITS };

static size_t bucket_of(uint64_t ns)
{
    if (ns < SUB)
        return (size_t)ns;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ns) - DURATION_SUB_BITS;
    size_t bucket = ((size_t)octave << DURATION_SUB_BITS) + (size_t)(ns >> octave);
    return bucket < DURATION_BUCKETS ? bucket : DURATION_BUCKETS - 1;
}

/* The largest value that belongs there. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < 2 * SUB)
        return bucket;
    unsigned octave = (unsigned)(bucket >> DURATION_SUB_BITS) - 1;
    uint64_t mantissa = SUB + bucket % SUB;
    return ((mantissa + 1) << octave) - 1;
}

void durations_add(struct durations *d, uint64_t ns)
{
    d->counts[bucket_of(ns)]++;
    d->total++;
    if (ns > d->max)
        d->max = ns;
}

uint64_t durations_quantile(const struct durations *d, double share)
{
    uint64_t rank = (uint64_t)((double)d->total * share), seen = 0;
    for (size_t bucket = 0; bucket < DURATION_BUCKETS; bucket++) {
        seen += d->counts[bucket];
        if (seen > rank || (seen == d->total && seen > 0)) {
            uint64_t end = bucket_end(bucket);
            return end < d->max ? end : d->max;
        }
    }
    return 0;
}
