/*
 * How long a touch of a packed page takes: makes the heap sparse, has everything packed, and touches one packed
 * page after the other, in random order, with a pause between. Prints one JSON object, times in nanoseconds.
 * usage: stall [PAUSE_US [TOUCHES [OBJECTS]]]
 */
#include <dlfcn.h>
#include <sinter/malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../durations.h"
#include "../process.h"
#include "../workload.h"

enum { OBJECT_BYTES = 256, KEEP_ONE_IN = 10 };

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static unsigned char content(const void *object)
{
    return (unsigned char)((uintptr_t)object >> 4);
}

/* Leaves a random tenth of the objects, shuffled; returns how many. */
static size_t make_sparse(unsigned char **objects, size_t count, struct rng *rng)
{
    size_t keep = count / KEEP_ONE_IN;
    for (size_t i = 0; i < count; i++) {
        objects[i] = malloc(OBJECT_BYTES);
        if (!objects[i])
            return 0;
        memset(objects[i], content(objects[i]), OBJECT_BYTES);
    }
    for (; count > keep; count--) {
        size_t i = rng_below(rng, count);
        free(objects[i]);
        objects[i] = objects[count - 1];
    }
    for (size_t i = keep; i > 1; i--) {
        size_t j = rng_below(rng, i);
        unsigned char *other = objects[j];
        objects[j] = objects[i - 1];
        objects[i - 1] = other;
    }
    return keep;
}

static bool pack_everything(void)
{
    int (*compact)(void);
    *(void **)&compact = dlsym(RTLD_DEFAULT, "sinter_compact");
    return compact && compact() == 0;
}

/* The page of an object that is away is not in the page table. */
static bool is_away(const void *object)
{
    unsigned char present = 1;
    uintptr_t page = (uintptr_t)object & ~(uintptr_t)(PAGE_BYTES - 1);
    return mincore((void *)page, PAGE_BYTES, &present) == 0 && !(present & 1);
}

static uint64_t touch_timed(const unsigned char *object)
{
    uint64_t start = now_ns();
    unsigned char found = *(const volatile unsigned char *)object;
    uint64_t spent = now_ns() - start;
    if (found != content(object)) {
        fprintf(stderr, "the object at %p is damaged\n", (const void *)object);
        exit(1);
    }
    return spent;
}

/* Until `wanted` of them were touched in all. How many that were this time. */
static size_t touch_once(unsigned char **objects, size_t count, struct durations *times, size_t wanted,
                         long pause_us)
{
    const struct timespec pause = {pause_us / 1000000, pause_us % 1000000 * 1000};
    uint64_t before = times->total;
    for (size_t i = 0; i < count && times->total < wanted; i++) {
        if (!is_away(objects[i]))
            continue;
        durations_add(times, touch_timed(objects[i]));
        if (pause_us)
            nanosleep(&pause, NULL);
    }
    return times->total - before;
}

/* A library that sees pages come back in floods may bring back the rest: then all is packed again. */
static void touch_packed(unsigned char **objects, size_t count, struct durations *times, size_t wanted,
                         long pause_us)
{
    while (times->total < wanted && pack_everything() &&
           touch_once(objects, count, times, wanted, pause_us) > 0)
        ;
}

static void print_times(const struct durations *times)
{
    printf("\"touches\": %llu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu",
           (unsigned long long)times->total, (unsigned long long)durations_quantile(times, 0.5),
           (unsigned long long)durations_quantile(times, 0.99),
           (unsigned long long)durations_quantile(times, 0.999), (unsigned long long)times->max);
}

/* What the library says of the same: every page that was touched while away, by whomever. */
static void print_library(void)
{
    struct sinter_stats stats = {.size = sizeof stats};
    int (*get)(struct sinter_stats *);
    *(void **)&get = dlsym(RTLD_DEFAULT, "sinter_stats_get");
    if (get && get(&stats) == 0 && stats.faults > 0)
        printf(
            ", \"library\": {\"faults\": %llu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu}",
            (unsigned long long)stats.faults, (unsigned long long)stats.stall_p50,
            (unsigned long long)stats.stall_p99, (unsigned long long)stats.stall_p999,
            (unsigned long long)stats.stall_max);
}

int main(int argc, char **argv)
{
    long pause_us = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    size_t wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000000;
    unsigned char **objects = map(count * sizeof *objects);
    static struct durations times;
    struct rng rng = rng_seed(1);
    process_check_allocator();
    size_t left = objects ? make_sparse(objects, count, &rng) : 0;
    if (left == 0) {
        fprintf(stderr, "no memory for %zu objects\n", count);
        return 1;
    }
    touch_packed(objects, left, &times, wanted, pause_us);
    printf("{");
    print_times(&times);
    print_library();
    printf("}\n");
    return 0;
}
