/*
 * Fragmenting churn: many small objects of mixed sizes, of which a random 80 % are dropped, so that hardly a page is free. What
 * is resident then, after one collection that compacts, against the bytes of those that are left.
 */
#include <time.h>

#include "../process.h"
#include "../workload.h"
#include "program.h"

enum { DROPPED_PERCENT = 80, CHAINS = 256, SMALLEST = 32, LARGEST = 512, IDLE_MS = 3000, IDLE_STEP_MS = 100 };

struct object {
    HEAP_HEADER
    struct object *next;
    size_t count; /* of bytes */
    uint64_t number;
    unsigned char bytes[];
};

static heap_kind object_kind;
static struct object
    *chains[CHAINS]; /* so that no table of all objects is needed, which would be resident too */

static unsigned char content(uint64_t number, size_t at)
{
    return (unsigned char)(number * 167 + (number >> 8) * 59 + at);
}

static size_t size_of(const struct object *object)
{
    return sizeof *object + object->count;
}

static void fill(mutator *m, size_t bytes, struct rng *rng, struct sizes *sizes)
{
    uint64_t number = 0;
    for (size_t made = 0; made < bytes; number++) {
        size_t size = sizes_next(sizes), least = sizeof(struct object), chain = rng_below(rng, CHAINS);
        size = size < least ? least : size;
        struct object *object = heap_new(m, object_kind, size);
        object->count = size - least;
        object->number = number;
        object->next = chains[chain];
        for (size_t at = 0; at < object->count; at++)
            object->bytes[at] = content(number, at);
        chains[chain] = object;
        made += size;
    }
}

/* Bytes that are left. */
static uint64_t thin_out(struct object **link, struct rng *rng)
{
    uint64_t left = 0;
    while (*link != NULL) {
        struct object *object = *link;
        if (rng_below(rng, 100) < DROPPED_PERCENT) {
            *link = object->next;
            heap_drop(object);
        } else {
            left += size_of(object);
            link = &object->next;
        }
    }
    return left;
}

/* The least that is resident within some seconds of doing nothing. */
static uint64_t idle(mutator *m)
{
    const struct timespec pause = {0, IDLE_STEP_MS * 1000000};
    uint64_t least = process_rss();
    heap_block(m);
    for (int ms = 0; ms < IDLE_MS; ms += IDLE_STEP_MS) {
        nanosleep(&pause, NULL);
        uint64_t now = process_rss();
        least = now < least ? now : least;
    }
    heap_unblock(m);
    return least;
}

static uint64_t check_chain(const struct object *object)
{
    uint64_t bytes = 0;
    bool intact = true;
    for (; object != NULL; object = object->next) {
        for (size_t at = 0; at < object->count; at++)
            intact = intact && object->bytes[at] == content(object->number, at);
        bytes += size_of(object);
    }
    check(intact, "an object is damaged");
    return bytes;
}

static void settle(mutator *m, struct report *report, uint64_t left)
{
    report_number(report, "dropped_bytes", process_rss());
    uint64_t start = now_ns(), checked = 0;
    heap_collect(m);
    report_number(report, "collecting", now_ns() - start);
    report_number(report, "collected_bytes", process_rss());
    bench_pause(report->state);
    report_number(report, "idle_bytes", idle(m));
    bench_resume(report->state);
    report_settled(report, m, left);
    for (size_t i = 0; i < CHAINS; i++)
        checked += check_chain(chains[i]);
    check(checked == left, "objects are missing");
}

static void run(const struct options *options, struct report *report)
{
    static struct sizes sizes;
    struct rng rng = rng_seed(options->seed);
    size_t bytes = options->size * 1024 * 1024;
    uint64_t left = 0;
    sizes_fill(&sizes, &rng, SMALLEST, LARGEST);
    report_number(report, "empty_bytes", process_rss());
    heap_open(options->factor, bytes);
    mutator *m = heap_attach();
    object_kind = heap_kind_new(&(struct heap_layout){
        .name = "object",
        .size = sizeof(struct object),
        .references = HEAP_REFERENCE(struct object, next),
        .element_size = 1,
        .count_offset = offsetof(struct object, count),
    });
    {
        HEAP_ROOT_ARRAY(m, chains, CHAINS);
        fill(m, bytes, &rng, &sizes);
        for (size_t i = 0; i < CHAINS; i++)
            left += thin_out(&chains[i], &rng);
        settle(m, report, left);
    }
    heap_detach(m);
}

const struct workload workload_fragment = {
    "fragment", run, 1024, 1, "size: MiB of small objects before 80 % are dropped; work: nothing"};
