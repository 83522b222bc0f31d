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

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t touch_timed(const unsigned char *object)
{
    uint64_t start = now();
    unsigned char found = *(const volatile unsigned char *)object;
    uint64_t spent = now() - start;
    if (found != content(object)) {
        fprintf(stderr, "the object at %p is damaged\n", (const void *)object);
        exit(1);
    }
    return spent;
}

static size_t touch_once(unsigned char **objects, size_t count, uint64_t *times, size_t wanted, long pause_us)
{
    const struct timespec pause = {pause_us / 1000000, pause_us % 1000000 * 1000};
    size_t touched = 0;
    for (size_t i = 0; i < count && touched < wanted; i++) {
        if (!is_away(objects[i]))
            continue;
        times[touched++] = touch_timed(objects[i]);
        if (pause_us)
            nanosleep(&pause, NULL);
    }
    return touched;
}

/* A library that sees pages come back in floods may bring back the rest: then all is packed again. */
static size_t touch_packed(unsigned char **objects, size_t count, uint64_t *times, size_t wanted,
                           long pause_us)
{
    size_t touched = 0, more = 1;
    while (touched < wanted && more > 0) {
        more =
            pack_everything() ? touch_once(objects, count, times + touched, wanted - touched, pause_us) : 0;
        touched += more;
    }
    return touched;
}

static int ascending(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The value that `share` of the sorted times do not exceed. */
static unsigned long long quantile(const uint64_t *times, size_t count, double share)
{
    size_t rank = (size_t)((double)count * share);
    return count ? times[rank < count ? rank : count - 1] : 0;
}

static void print_times(uint64_t *times, size_t count)
{
    qsort(times, count, sizeof *times, ascending);
    printf("\"touches\": %zu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu", count,
           quantile(times, count, 0.5), quantile(times, count, 0.99), quantile(times, count, 0.999),
           quantile(times, count, 1));
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
    uint64_t *times = map(wanted * sizeof *times);
    struct rng rng = rng_seed(1);
    process_check_allocator();
    size_t left = objects && times ? make_sparse(objects, count, &rng) : 0;
    if (left == 0) {
        fprintf(stderr, "no memory for %zu objects\n", count);
        return 1;
    }
    memset(times, 0, wanted * sizeof *times);
    size_t touched = touch_packed(objects, left, times, wanted, pause_us);
    printf("{");
    print_times(times, touched);
    print_library();
    printf("}\n");
    return 0;
}
