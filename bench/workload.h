/* What workloads are made of: reproducible random numbers, sizes, and touching memory. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { PAGE_BYTES = 4096, SIZE_COUNT = 4096 };

/* Xorshift; the same seed gives the same sequence everywhere. */
struct rng {
    uint64_t state;
};

static inline struct rng rng_seed(uint64_t seed)
{
    return (struct rng){(seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};
}

static inline uint64_t rng_next(struct rng *rng)
{
    rng->state ^= rng->state << 13;
    rng->state ^= rng->state >> 7;
    rng->state ^= rng->state << 17;
    return rng->state;
}

/* A number below `bound`, which is less than 2^32. */
static inline size_t rng_below(struct rng *rng, size_t bound)
{
    return (size_t)(((rng_next(rng) >> 32) * bound) >> 32);
}

/* Sizes drawn beforehand, so that a timed loop needs one load for one. */
struct sizes {
    unsigned next;
    uint32_t size[SIZE_COUNT];
};

static inline size_t sizes_next(struct sizes *sizes)
{
    return sizes->size[sizes->next++ % SIZE_COUNT];
}

/*
 * Sizes from `min` to below `max`, which is `min` times a power of two. Each doubling is as likely as the next,
 * because programs ask for small sizes most.
 */
void sizes_fill(struct sizes *sizes, struct rng *rng, size_t min, size_t max);

/* Puts 0 to count - 1 into `order`, shuffled. */
void shuffle(uint32_t *order, size_t count, struct rng *rng);

/* The one write that every object gets. */
static inline void touch(void *object)
{
    *(volatile char *)object = 1;
}

/* One write in each page from `offset` on. */
static inline void touch_pages(void *block, size_t offset, size_t size)
{
    for (; offset < size; offset += PAGE_BYTES)
        touch((char *)block + offset);
}

/* malloc and the write. */
static inline void *make(size_t size)
{
    void *object = malloc(size);
    touch(object);
    return object;
}

#endif
