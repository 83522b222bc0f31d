/*
 * Programs that leave holes. Time does not matter here: the results are the peak memory and the settled memory,
 * which is what remains when the program has gone on quietly for longer than allocators keep free pages.
 */
#include <time.h>

#include "cases.h"
#include "process.h"
#include "workload.h"

enum { LIVE_BYTES = 64 << 20, OBJECTS_MAX = 1 << 20, PHASES = 8, KEEP_ONE_IN = 10 };
enum { SETTLE_MS = 12000, SETTLE_TICK_MS = 10, SETTLE_OBJECTS = 2000 };

struct heap {
    size_t count, bytes;
    void *objects[OBJECTS_MAX];
    uint32_t sizes[OBJECTS_MAX];
};

static struct heap heap;

static void heap_put(size_t size)
{
    heap.objects[heap.count] = make(size);
    heap.sizes[heap.count++] = (uint32_t)size;
    heap.bytes += size;
}

static void heap_drop(size_t index)
{
    free(heap.objects[index]);
    heap.bytes -= heap.sizes[index];
    heap.objects[index] = heap.objects[--heap.count];
    heap.sizes[index] = heap.sizes[heap.count];
}

static void heap_shrink(struct rng *rng, size_t bytes)
{
    while (heap.bytes > bytes)
        heap_drop(rng_below(rng, heap.count));
}

/* Small things come and go, which gives an allocator the occasion to give memory back; the heap stays. */
static void settle(struct rng *rng)
{
    static const struct timespec tick = {.tv_nsec = SETTLE_TICK_MS * 1000000};
    void *objects[SETTLE_OBJECTS];
    struct sizes sizes;
    sizes_fill(&sizes, rng, 16, 1024);
    for (int elapsed = 0; elapsed < SETTLE_MS; elapsed += SETTLE_TICK_MS) {
        for (int i = 0; i < SETTLE_OBJECTS; i++)
            objects[i] = make(sizes_next(&sizes));
        for (int i = 0; i < SETTLE_OBJECTS; i++)
            free(objects[i]);
        nanosleep(&tick, NULL);
    }
}

static void report(struct bench_state *state, struct rng *rng)
{
    settle(rng);
    bench_counter(state, "settled_bytes", (double)process_rss());
    bench_counter(state, "live_bytes", (double)heap.bytes);
    while (heap.count > 0)
        heap_drop(heap.count - 1);
}

/*
 * A steady amount of live data whose sizes drift: each phase replaces random objects, as many bytes as there
 * are, and every other phase does so with larger ones. Places left by one size are of no use to the next.
 */
void run_phases(struct bench_state *state)
{
    struct rng rng = rng_seed(8);
    struct sizes sizes;
    while (bench_next(state)) {
        for (size_t phase = 0; phase < PHASES; phase++) {
            sizes_fill(&sizes, &rng, (size_t)64 << phase / 2, (size_t)256 << phase / 2);
            for (size_t made = 0; made < LIVE_BYTES;) {
                size_t size = sizes_next(&sizes);
                heap_shrink(&rng, LIVE_BYTES - size);
                heap_put(size);
                made += size;
            }
        }
    }
    report(state, &rng);
}

/* A heap of which a random tenth survives, filled up again with objects of another size, several times over. */
void run_survivors(struct bench_state *state)
{
    struct rng rng = rng_seed(9);
    struct sizes sizes;
    while (bench_next(state)) {
        for (size_t phase = 0; phase < PHASES; phase++) {
            size_t size = (size_t)96 << phase % 4;
            sizes_fill(&sizes, &rng, size, 2 * size);
            while (heap.bytes < LIVE_BYTES)
                heap_put(sizes_next(&sizes));
            heap_shrink(&rng, LIVE_BYTES / KEEP_ONE_IN);
        }
    }
    report(state, &rng);
}
