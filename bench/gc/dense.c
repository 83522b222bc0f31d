/*
 * What it costs the library to move a dense heap, block by block, against copying as much to fresh pages: nothing but objects
 * with references, all of which stay alive, compacted again and again while no other thread needs anything.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../workload.h"
#include "program.h"

enum { CHAINS = 256 };

struct node {
    HEAP_HEADER
    struct node *next, *other;
    uint64_t number, mirrored;
    uint64_t more[3];
};

static heap_kind node_kind;
static struct node *chains[CHAINS];

static uint64_t fill(mutator *m, size_t bytes, struct rng *rng)
{
    size_t count = bytes / sizeof(struct node);
    for (size_t i = 0; i < count; i++) {
        size_t chain = rng_below(rng, CHAINS);
        struct node *node = heap_new(m, node_kind, sizeof *node);
        node->next = chains[chain];
        node->other = chains[rng_below(rng, CHAINS)];
        node->number = i;
        node->mirrored = ~node->number;
        chains[chain] = node;
    }
    return count * sizeof(struct node);
}

static void check_chains(uint64_t bytes)
{
    size_t count = 0;
    bool intact = true;
    for (size_t i = 0; i < CHAINS; i++) {
        for (const struct node *node = chains[i]; node != NULL; node = node->next, count++)
            intact = intact && node->mirrored == ~node->number &&
                     (node->other == NULL || node->other->mirrored == ~node->other->number);
    }
    check(intact && count == bytes / sizeof(struct node), "a chain has changed");
}

/* Nanoseconds that it takes to copy so many bytes, which are there, to pages which are not. */
static uint64_t copy_to_fresh(size_t bytes)
{
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *from = mmap(NULL, bytes, protection, flags, -1, 0),
         *to = mmap(NULL, bytes, protection, flags, -1, 0);
    if (from == MAP_FAILED || to == MAP_FAILED)
        heap_full(bytes);
    madvise(from, bytes, MADV_NOHUGEPAGE);
    madvise(to, bytes, MADV_NOHUGEPAGE);
    memset(from, 1, bytes);
    uint64_t start = now_ns();
    memcpy(to, from, bytes);
    uint64_t spent = now_ns() - start;
    munmap(from, bytes);
    munmap(to, bytes);
    return spent;
}

static void compact(mutator *m, const struct options *options, struct report *report, uint64_t live)
{
    struct sinter_gc_stats before, after;
    uint64_t copying = 0;
    sinter_gc_stats_get(heap_itself(), &before, sizeof before);
    for (size_t i = 0; i < options->work; i++) {
        heap_collect(m);
        copying += copy_to_fresh(live);
    }
    sinter_gc_stats_get(heap_itself(), &after, sizeof after);
    report_number(report, "copied_to_fresh", live * options->work);
    report_number(report, "copying_time", copying);
    report_number(report, "moving_time", after.move_time - before.move_time);
    report_number(report, "moved_whole", after.moved_whole - before.moved_whole);
    report_number(report, "moved_copied", after.moved_copied - before.moved_copied);
}

static void run(const struct options *options, struct report *report)
{
    struct rng rng = rng_seed(options->seed);
    heap_open(options->factor, 0);
    mutator *m = heap_attach();
    node_kind = heap_kind_new(&(struct heap_layout){
        .name = "node",
        .size = sizeof(struct node),
        .references = HEAP_REFERENCE(struct node, next) | HEAP_REFERENCE(struct node, other),
    });
    {
        HEAP_ROOT_ARRAY(m, chains, CHAINS);
        uint64_t live = fill(m, options->size * 1024 * 1024, &rng);
        compact(m, options, report, live);
        check_chains(live);
        report_settled(report, m, live);
    }
    heap_detach(m);
}

const struct workload workload_dense = {"dense", run, 256, 5, "size: MiB that are live; work: compactions"};
