/*
 * What it costs to move dense blocks of objects with UFFDIO_MOVE, row by row, against copying them to fresh pages. Those with
 * references have them rewritten, whichever way they go; those without are not looked into. Each is done in turn with the
 * others, several times; prints the medians, in nanoseconds of CPU time a block, as a line of JSON.
 * usage: moving [MIB [ROUNDS [NEIGHBOURS]]], MIB even; NEIGHBOURS: threads that keep touching memory of their own meanwhile
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../workload.h"
#include "fatal.h"
#include "uffd.h"

enum {
    BLOCK = 16384, /* what the collector moves */
    ROW = 16,      /* blocks at a time */
    RUN = 128,     /* blocks without references, which nobody has to look into first */
    OBJECT = 64,
    ROUNDS_MOST = 1000,
    NEIGHBOURS_MOST = 64,
    STAYS = 0,
    MOVES = 1,
};

/* Each object has a reference to a neighbour and one to anywhere. */
struct object {
    uint64_t number;
    struct object *near, *far;
    uint64_t more[OBJECT / 8 - 3];
};

/* As much as the collector keeps for a block, so that looking up what becomes of a reference costs as much. */
struct entry {
    unsigned char plan, more[127];
};

enum way { COPY, MOVE, COPY_LEAF, MOVE_LEAF, MOVE_RUN, COPY_WARM, WAYS };

static const char *const names[WAYS] = {"copy",      "move",          "copy_leaf",
                                        "move_leaf", "move_leaf_run", "copy_leaf_warm"};

static struct uffd uffd;
static size_t bytes;
static struct entry *table;
static char *windows[2]; /* registered; what moves goes from one to the other */
static char *from, *to;

/* The engine asks this of the library that it is part of. */
bool fatal_in_own_thread(void)
{
    return true;
}

static char *map(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    madvise(memory, size, MADV_NOHUGEPAGE);
    return memory;
}

/* ---- what moves ---- */

static void fill(char *memory)
{
    struct rng rng = rng_seed(1);
    struct object *objects = (struct object *)memory;
    size_t count = bytes / sizeof *objects;
    for (size_t i = 0; i < count; i++) {
        objects[i].number = i;
        objects[i].near = &objects[i ^ 1];
        objects[i].far = &objects[rng_below(&rng, count)];
    }
}

static void check(const char *memory)
{
    const struct object *objects = (const struct object *)memory;
    for (size_t i = 0; i < bytes / sizeof *objects; i++) {
        if (objects[i].number == i && objects[i].near == &objects[i ^ 1] &&
            (size_t)((const char *)objects[i].far - memory) < bytes)
            continue;
        fprintf(stderr, "object %zu is damaged\n", i);
        exit(1);
    }
}

static inline void rewrite(struct object **reference, char *target)
{
    size_t offset = (size_t)((char *)*reference - from);
    if (offset < bytes && table[offset / BLOCK].plan == MOVES)
        *reference = (struct object *)(target + offset);
}

static void rewrite_row(char *row, char *target)
{
    for (struct object *o = (struct object *)row, *end = o + ROW * BLOCK / OBJECT; o < end; o++) {
        rewrite(&o->near, target);
        rewrite(&o->far, target);
    }
}

/* ---- the ways ---- */

/* Of this thread: what others do with the CPU does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void move_pages(size_t offset, size_t pages)
{
    static uint8_t result[RUN * BLOCK / PAGE_BYTES];
    if (uffd_move(&uffd, to + offset, from + offset, pages, 0, result) != pages) {
        fputs("a page was not moved\n", stderr);
        exit(1);
    }
}

/* Moves all, and then it is the other window that is `from`. */
static uint64_t move(bool leaf, size_t blocks)
{
    uint64_t start = cpu_ns();
    for (size_t offset = 0; offset < bytes; offset += blocks * BLOCK) {
        if (!leaf)
            rewrite_row(from + offset, to);
        move_pages(offset, blocks * BLOCK / PAGE_BYTES);
    }
    uint64_t spent = cpu_ns() - start;
    char *other = from;
    from = to;
    to = other;
    return spent;
}

static uint64_t copy(char *target, bool leaf)
{
    uint64_t start = cpu_ns();
    for (size_t offset = 0; offset < bytes; offset += ROW * BLOCK) {
        memcpy(target + offset, from + offset, ROW * BLOCK);
        if (!leaf)
            rewrite_row(target + offset, target);
    }
    return cpu_ns() - start;
}

static uint64_t go(enum way way)
{
    static char *warm;
    if (way == MOVE)
        return move(false, ROW);
    if (way == MOVE_LEAF || way == MOVE_RUN) {
        uint64_t spent = move(true, way == MOVE_RUN ? RUN : ROW);
        move(true, RUN); /* back, where the references are right */
        return spent;
    }
    if (warm == NULL) {
        warm = map(bytes);
        memset(warm, 1, bytes);
    }
    char *target = way == COPY_WARM ? warm : map(bytes);
    uint64_t spent = copy(target, way != COPY);
    if (way == COPY)
        check(target);
    if (way != COPY_WARM)
        munmap(target, bytes);
    return spent;
}

/* ---- the neighbours ---- */

static _Atomic bool enough;

static void *touch_always(void *argument)
{
    enum { OWN = 1 << 20 };
    char *own = map(OWN);
    (void)argument;
    while (!atomic_load_explicit(&enough, memory_order_relaxed))
        touch_pages(own, 0, OWN);
    return NULL;
}

/* ---- the whole ---- */

static int ascending(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static void prepare(void)
{
    enum uffd_lack lack = uffd_open(&uffd, 0);
    if (lack != UFFD_READY) {
        fprintf(stderr, "%s\n", uffd_lack_text(lack));
        exit(77);
    }
    table = (struct entry *)map(bytes / BLOCK * sizeof *table);
    for (size_t block = 0; block < bytes / BLOCK; block++)
        table[block].plan = MOVES;
    for (int i = 0; i < 2; i++)
        windows[i] = map(bytes);
    from = windows[0];
    to = windows[1];
    fill(from);
    for (int i = 0; i < 2; i++) {
        if (uffd_register(&uffd, windows[i], bytes) != 0) {
            fputs("no registration\n", stderr);
            exit(1);
        }
    }
}

static void measure(size_t rounds, size_t neighbours)
{
    static uint64_t spent[WAYS][ROUNDS_MOST];
    go(COPY_WARM);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < WAYS; i++) {
            enum way way = (enum way)((i + round) % WAYS);
            spent[way][round] = go(way);
        }
    }
    check(from);
    printf("{\"bytes\": %zu, \"rounds\": %zu, \"neighbours\": %zu, \"block\": %d", bytes, rounds, neighbours,
           BLOCK);
    for (size_t way = 0; way < WAYS; way++) {
        qsort(spent[way], rounds, sizeof *spent[way], ascending);
        printf(", \"%s\": %.1f", names[way], (double)spent[way][rounds / 2] / (double)(bytes / BLOCK));
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 15;
    size_t neighbours = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    pthread_t threads[NEIGHBOURS_MOST];
    if (mib == 0 || mib % 2 != 0 || rounds == 0 || rounds > ROUNDS_MOST || neighbours > NEIGHBOURS_MOST) {
        fputs("usage: moving [MIB [ROUNDS [NEIGHBOURS]]]\n", stderr);
        return 2;
    }
    bytes = mib << 20;
    prepare();
    for (size_t i = 0; i < neighbours; i++) {
        if (pthread_create(&threads[i], NULL, touch_always, NULL) != 0)
            return 1;
    }
    measure(rounds, neighbours);
    atomic_store(&enough, true);
    for (size_t i = 0; i < neighbours; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
