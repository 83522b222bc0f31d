/* Blocks of 1 MiB and more, touched in every page: how often an allocator goes to the kernel for them. */
#include "cases.h"
#include "workload.h"

enum { BLOCKS = 16, LIVE = 4, MIB = 1 << 20 };

/* args: smallest size, size limit. One block alive at a time. */
void run_large(struct bench_state *state)
{
    struct rng rng = rng_seed(5);
    struct sizes sizes;
    sizes_fill(&sizes, &rng, bench_arg(state, 0), bench_arg(state, 1));
    while (bench_next(state)) {
        sizes.next = 0;
        for (int i = 0; i < BLOCKS; i++) {
            size_t size = sizes_next(&sizes);
            char *block = malloc(size);
            touch_pages(block, 0, size);
            free(block);
        }
    }
    bench_items(state, BLOCKS);
}

/* args: smallest size, size limit. A random one of several blocks is freed and replaced. */
void run_large_live(struct bench_state *state)
{
    char *blocks[LIVE] = {NULL};
    struct rng rng = rng_seed(6);
    struct sizes sizes;
    sizes_fill(&sizes, &rng, bench_arg(state, 0), bench_arg(state, 1));
    while (bench_next(state)) {
        sizes.next = 0;
        for (int i = 0; i < BLOCKS; i++) {
            size_t size = sizes_next(&sizes);
            char **block = &blocks[rng_below(&rng, LIVE)];
            free(*block);
            *block = malloc(size);
            touch_pages(*block, 0, size);
        }
    }
    for (int i = 0; i < LIVE; i++)
        free(blocks[i]);
    bench_items(state, BLOCKS);
}

/* args: size. Cleared blocks of which each page is written. */
void run_calloc(struct bench_state *state)
{
    size_t size = bench_arg(state, 0);
    while (bench_next(state)) {
        for (int i = 0; i < BLOCKS; i++) {
            char *block = calloc(1, size);
            touch_pages(block, 0, size);
            free(block);
        }
    }
    bench_items(state, BLOCKS);
    bench_bytes(state, BLOCKS * size);
}
