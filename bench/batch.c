/*
 * Objects that live briefly: allocated and freed one at a time, or in batches of `args[0]`.
 *
 * The fast paths of an allocator: what a batch shows beyond a pair is how its thread cache fills and empties.
 */
#include "cases.h"
#include "workload.h"

enum { PAIRS = 100, BATCH_MAX = 5000 };

/* args: size */
void run_pair(struct bench_state *state)
{
    size_t size = bench_arg(state, 0);
    while (bench_next(state)) {
        for (int i = 0; i < PAIRS; i++)
            free(make(size));
    }
    bench_items(state, PAIRS);
}

/* args: objects, size. Freed in the order of allocation. */
void run_batch(struct bench_state *state)
{
    size_t count = bench_arg(state, 0);
    size_t size = bench_arg(state, 1);
    void *objects[BATCH_MAX];
    while (bench_next(state)) {
        for (size_t i = 0; i < count; i++)
            objects[i] = make(size);
        for (size_t i = 0; i < count; i++)
            free(objects[i]);
    }
    bench_items(state, count);
}

/* args: objects, size. Freed in random order. */
void run_batch_shuffled(struct bench_state *state)
{
    size_t count = bench_arg(state, 0);
    size_t size = bench_arg(state, 1);
    void *objects[BATCH_MAX];
    uint32_t order[BATCH_MAX];
    struct rng rng = rng_seed(1);
    shuffle(order, count, &rng);
    while (bench_next(state)) {
        for (size_t i = 0; i < count; i++)
            objects[i] = make(size);
        for (size_t i = 0; i < count; i++)
            free(objects[order[i]]);
    }
    bench_items(state, count);
}

/* args: objects, size limit. Sizes from 8 bytes on. */
void run_batch_mixed(struct bench_state *state)
{
    size_t count = bench_arg(state, 0);
    void *objects[BATCH_MAX];
    struct rng rng = rng_seed(2);
    struct sizes sizes;
    sizes_fill(&sizes, &rng, 8, bench_arg(state, 1));
    while (bench_next(state)) {
        for (size_t i = 0; i < count; i++)
            objects[i] = make(sizes_next(&sizes));
        for (size_t i = 0; i < count; i++)
            free(objects[i]);
    }
    bench_items(state, count);
}

/* args: objects, alignment. Sizes from one to four times the alignment. */
void run_batch_aligned(struct bench_state *state)
{
    size_t count = bench_arg(state, 0);
    size_t alignment = bench_arg(state, 1);
    void *objects[BATCH_MAX];
    struct rng rng = rng_seed(3);
    struct sizes sizes;
    sizes_fill(&sizes, &rng, alignment, 4 * alignment);
    while (bench_next(state)) {
        for (size_t i = 0; i < count; i++) {
            if (posix_memalign(&objects[i], alignment, sizes_next(&sizes)) != 0)
                abort();
            touch(objects[i]);
        }
        for (size_t i = 0; i < count; i++)
            free(objects[i]);
    }
    bench_items(state, count);
}
