/*
 * What it costs to move dense blocks of objects with UFFDIO_MOVE, row by row, against copying them to fresh pages. Those with
 * references have them rewritten, whichever way they go; those without are not looked into. An item is a block, its time CPU
 * time of the thread that moves. Repetitions, in random order, are left to Google Benchmark.
 * Arguments: mib, even; neighbours: threads that keep touching memory of their own meanwhile.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../main.h"
#include "../workload.h"
#include "fatal.h"
#include "uffd.h"

enum {
    BLOCK = 16384, /* what the collector moves */
    ROW = 16,      /* blocks at a time */
    RUN = 128,     /* blocks without references, which nobody has to look into first */
    OBJECT = 64,
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

static void *touch_always(void *argument)
{
    enum { OWN = 1 << 20 };
    char *own = map(OWN);
    (void)argument;
    for (;;)
        touch_pages(own, 0, OWN);
    return NULL;
}

/* They go on until the program ends. */
static void start_neighbours(size_t count)
{
    pthread_t thread;
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&thread, NULL, touch_always, NULL) == 0)
            continue;
        fputs("no thread\n", stderr);
        exit(1);
    }
}

/* ---- the whole ---- */

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
    go(COPY_WARM);
}

/* All cases of a process share what there is to move, in turn. */
static void begin(size_t mib, size_t neighbours)
{
    if (bytes != 0)
        return;
    if (mib == 0 || mib % 2 != 0 || neighbours > NEIGHBOURS_MOST) {
        fprintf(stderr, "mib is even and at least 2, neighbours at most %d\n", NEIGHBOURS_MOST);
        exit(2);
    }
    bytes = mib << 20;
    prepare();
    start_neighbours(neighbours);
}

static void run(struct bench_state *state)
{
    const enum way *way = bench_subject(state);
    begin(bench_arg(state, 0), bench_arg(state, 1));
    while (bench_next(state))
        bench_time(state, (double)go(*way) / 1e9);
    check(from);
    bench_items(state, bytes / BLOCK);
}

const char *const arg_names[] = {"mib", "neighbours", NULL};

const struct bench_case *case_at(size_t index)
{
    static struct bench_case cases[WAYS];
    static enum way ways[WAYS];
    if (index >= WAYS)
        return NULL;
    ways[index] = (enum way)index;
    cases[index] = (struct bench_case){
        .name = names[index],
        .run = run,
        .threads = 1,
        .args = {64, 0},
        .kind = BENCH_STEP,
        .subject = &ways[index],
    };
    return &cases[index];
}
