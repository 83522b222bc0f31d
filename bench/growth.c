/* Blocks that grow by realloc. */
#include "cases.h"
#include "workload.h"

enum { STRINGS = 1000 };

/* args: final size, step. One block grows by half, or by `step` bytes where that is not 0, and is written to. */
void run_vector(struct bench_state *state)
{
    size_t limit = bench_arg(state, 0);
    size_t step = bench_arg(state, 1);
    size_t steps = 0;
    while (bench_next(state)) {
        char *vector = NULL;
        size_t old = 0;
        steps = 0;
        for (size_t size = 64; old < limit; steps++) {
            size = size < limit ? size : limit;
            vector = realloc(vector, size);
            touch_pages(vector, old, size);
            old = size;
            size += step ? step : size / 2;
        }
        free(vector);
    }
    bench_items(state, steps);
    bench_bytes(state, limit);
}

/* args: final length. Many strings grow in turn by a few bytes each. */
void run_strings(struct bench_state *state)
{
    size_t limit = bench_arg(state, 0);
    size_t rounds = 0;
    char *strings[STRINGS];
    while (bench_next(state)) {
        for (int i = 0; i < STRINGS; i++)
            strings[i] = make(16);
        rounds = 0;
        for (size_t length = 32; length <= limit; length += 16 + length / 8, rounds++) {
            for (int i = 0; i < STRINGS; i++) {
                strings[i] = realloc(strings[i], length + (size_t)i % 16);
                touch(strings[i] + length - 1);
            }
        }
        for (int i = 0; i < STRINGS; i++)
            free(strings[i]);
    }
    bench_items(state, STRINGS * rounds);
}
