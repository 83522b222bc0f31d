#include "workload.h"

void sizes_fill(struct sizes *sizes, struct rng *rng, size_t min, size_t max)
{
    size_t octaves = 0;
    while (min << (octaves + 1) <= max)
        octaves++;
    sizes->next = 0;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        size_t low = min << rng_below(rng, octaves);
        sizes->size[i] = (uint32_t)(low + rng_below(rng, low));
    }
}

void shuffle(uint32_t *order, size_t count, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
}
