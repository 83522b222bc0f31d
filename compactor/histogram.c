#include "histogram.h"

static size_t bucket_of(uint64_t value)
{
    enum { SUB = 1 << HISTOGRAM_SUB_BITS };
    if (value < SUB)
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    size_t bucket = (size_t)((shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift) - SUB;
    return min_size(bucket, HISTOGRAM_BUCKETS - 1);
}

/* The largest value of the bucket. */
static uint64_t bucket_end(size_t bucket)
{
    enum { SUB = 1 << HISTOGRAM_SUB_BITS };
    if (bucket < SUB)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return ((uint64_t)(bucket % SUB + SUB + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    add_relaxed(&h->counts[bucket_of(value)], 1);
    add_relaxed(&h->total, 1);
    uint64_t max = load_relaxed(&h->max);
    while (value > max && !atomic_compare_exchange_weak(&h->max, &max, value))
        ;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
        add_relaxed(&h->counts[bucket], load_relaxed(&other->counts[bucket]));
    add_relaxed(&h->total, load_relaxed(&other->total));
    if (load_relaxed(&other->max) > load_relaxed(&h->max))
        store_relaxed(&h->max, load_relaxed(&other->max));
}

uint64_t histogram_percentile(const struct histogram *h, unsigned per_mille)
{
    uint64_t total = load_relaxed(&h->total), seen = 0, most = load_relaxed(&h->max);
    uint64_t wanted = (total * per_mille + 999) / 1000;
    for (size_t bucket = 0; total > 0 && bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += load_relaxed(&h->counts[bucket]);
        if (seen >= wanted && bucket < HISTOGRAM_BUCKETS - 1) /* the last one has no end */
            return bucket_end(bucket) < most ? bucket_end(bucket) : most;
    }
    return most;
}
