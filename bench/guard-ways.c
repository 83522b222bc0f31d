/*
 * The ways of guarding pages side by side: what it takes to open and close them, and how many blocks can be guarded at once. Prints
 * a table in Markdown; each way in a process of its own (this program again), for a process has one.
 */
#include "guard.h"
#include "guard_pages.h"
#include "heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 50, /* of which the fastest counts: others have the processor, too */
    RANGES = 1024,
    RUN = 16, /* pages */
    PAIRS = 1000,
    MOST = 1000 * 1000, /* live blocks that are tried */
};

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double best(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

/* The time of opening or closing each of `RANGES` ranges of `pages` pages, between which one stays closed, in µs a range of CPU time. */
static double time_ranges(char *base, size_t pages, bool (*change)(void *, size_t))
{
    uint64_t begun = cpu_ns();
    for (size_t i = 0; i < RANGES; i++) {
        if (!change(base + i * (pages + 1) * PAGE_BYTES, pages * PAGE_BYTES))
            exit(3);
    }
    return (double)(cpu_ns() - begun) / 1e3 / RANGES;
}

static void touch_ranges(char *base, size_t pages)
{
    for (size_t i = 0; i < RANGES; i++) {
        for (size_t k = 0; k < pages; k++)
            *(volatile char *)(base + (i * (pages + 1) + k) * PAGE_BYTES) = 1;
    }
}

static void print_ranges(char *base, size_t pages)
{
    double open = 0, close = 0;
    for (int round = 0; round < ROUNDS; round++) {
        open = best(open, time_ranges(base, pages, guard_pages_open));
        touch_ranges(base, pages);
        close = best(close, time_ranges(base, pages, guard_pages_close));
    }
    printf(" %.2f | %.2f |", open, close);
}

static void print_pairs(void)
{
    double pair = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begun = cpu_ns();
        for (int i = 0; i < PAIRS; i++) {
            char *volatile p = heap_malloc(64);
            *p = 1;
            heap_free(p, "free");
        }
        pair = best(pair, (double)(cpu_ns() - begun) / 1e3 / PAIRS);
    }
    printf(" %.1f |", pair);
}

static long mappings(void)
{
    char line[512];
    long count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
        count++;
    if (maps != NULL)
        fclose(maps);
    return count;
}

/* As the allocator's slots lie: a page of which one may be open, and a guard page. */
static void print_most(char *base)
{
    long before = mappings(), count = 0, added = 0;
    while (count < MOST && guard_pages_open(base + 2 * count * PAGE_BYTES, PAGE_BYTES)) {
        if (++count == RANGES)
            added = mappings() - before;
    }
    printf(" %.1f | %s%ld |\n", (double)added / RANGES, count == MOST ? "more than " : "", count);
}

/* What is measured here is not the allocator's own region, which is covered by another descriptor. */
static char *map_closed(enum guard_way way)
{
    size_t size = 2 * (size_t)MOST * PAGE_BYTES;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED && guard_pages_init(way, p, size) && guard_pages_way() == way ? p : NULL;
}

static int measure(enum guard_way way)
{
    heap_init();
    if (guard_rate == 0 || guard_pages_way() != way)
        return 77;
    printf("| `%s` |", guard_way_text(way));
    print_pairs();
    char *base = map_closed(way);
    if (base == NULL)
        return 2;
    print_ranges(base, 1);
    print_ranges(base, RUN);
    print_most(base);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int run(const char *self, enum guard_way way)
{
    char conf[64], number[4];
    snprintf(conf, sizeof(conf), "guard:all,guard_way:%s", guard_way_text(way));
    snprintf(number, sizeof(number), "%d", (int)way);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("SINTER_CONF", conf, 1);
        execl(self, self, number, (char *)NULL);
        _exit(99);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        printf("| `%s` | not on this system |\n", guard_way_text(way));
    else if (status != 0)
        fprintf(stderr, "guard-ways: %s: failed (status 0x%x)\n", guard_way_text(way), (unsigned)status);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return measure((enum guard_way)atoi(argv[1]));
    int failed = 0;
    printf("| way | malloc and free of 64 bytes, µs | open a page, µs | close it, µs | open %d pages, µs | "
           "close them, µs | "
           "mappings a block | live blocks |\n|---|---|---|---|---|---|---|---|\n",
           RUN);
    for (enum guard_way way = GUARD_POISON; way <= GUARD_MPROTECT; way++)
        failed += run("/proc/self/exe", way) != 0;
    return failed > 0;
}
