/*
 * Graphs that are full of cycles, on several threads: a random vertex is taken out and a new one put in its place, linked with
 * random others. Each link is known at both ends, so that whoever takes a vertex out knows that nobody refers to it any more.
 */
#include <string.h>

#include "threads.h"

enum { DEGREE = 6, ATTEMPTS = 12, VERTEX_BYTES = 96, WALK_ONE_IN = 64, HOPS = 16 };

struct vertex {
    HEAP_HEADER
    struct vertex *neighbours[DEGREE];
    uint64_t number, mirrored; /* the number's complement */
};

struct table {
    HEAP_HEADER
    size_t count;
    struct vertex *vertices[];
};

static heap_kind vertex_kind, table_kind;

static void make_kinds(void)
{
    vertex_kind = heap_kind_new(&(struct heap_layout){
        .name = "vertex",
        .size = sizeof(struct vertex),
        .references = ((UINT64_C(1) << DEGREE) - 1) << offsetof(struct vertex, neighbours) / 8,
    });
    table_kind = HEAP_TABLE_KIND(table);
}

/* Where it refers to `neighbour`; to NULL: where there is room for one more. */
static struct vertex **place_of(struct vertex *vertex, const struct vertex *neighbour)
{
    for (size_t i = 0; i < DEGREE; i++) {
        if (vertex->neighbours[i] == neighbour)
            return &vertex->neighbours[i];
    }
    return NULL;
}

static void link_both(struct vertex *one, struct vertex *other)
{
    struct vertex **here = place_of(one, NULL), **there = place_of(other, NULL);
    if (one == other || here == NULL || there == NULL || place_of(one, other) != NULL)
        return;
    *here = other;
    *there = one;
}

static bool is_intact(const struct vertex *vertex)
{
    return vertex->mirrored == ~vertex->number;
}

static void take_out(struct table *table, size_t at)
{
    struct vertex *vertex = table->vertices[at];
    table->vertices[at] = NULL;
    for (size_t i = 0; i < DEGREE; i++) {
        struct vertex *neighbour = vertex->neighbours[i], **place;
        if (neighbour == NULL)
            continue;
        place = place_of(neighbour, vertex);
        check(is_intact(neighbour) && place != NULL, "a link is known at one end only");
        *place = NULL;
    }
    heap_drop(vertex);
}

/* The place is empty. */
static void put_in(mutator *m, struct table *table, size_t at, struct rng *rng)
{
    HEAP_ROOTS(m, table);
    struct vertex *vertex = heap_new(m, vertex_kind, sizeof *vertex);
    memset(vertex->neighbours, 0, sizeof vertex->neighbours);
    vertex->number = rng_next(rng);
    vertex->mirrored = ~vertex->number;
    table->vertices[at] = vertex;
    for (size_t i = 0; i < ATTEMPTS && place_of(vertex, NULL) != NULL; i++) {
        struct vertex *other = table->vertices[rng_below(rng, table->count)];
        if (other != NULL)
            link_both(vertex, other);
    }
}

static void walk(const struct table *table, struct rng *rng)
{
    struct vertex *vertex = table->vertices[rng_below(rng, table->count)];
    for (size_t hop = 0; hop < HOPS && vertex != NULL; hop++) {
        struct vertex *next = vertex->neighbours[rng_below(rng, DEGREE)];
        check(is_intact(vertex) && (next == NULL || place_of(next, vertex) != NULL), "a vertex is damaged");
        vertex = next;
    }
}

static void check_all(const struct table *table)
{
    bool intact = true;
    for (size_t at = 0; at < table->count; at++) {
        const struct vertex *vertex = table->vertices[at];
        intact = intact && is_intact(vertex);
        for (size_t i = 0; i < DEGREE; i++) {
            struct vertex *neighbour = vertex->neighbours[i];
            intact = intact && (neighbour == NULL || place_of(neighbour, vertex) != NULL);
        }
    }
    check(intact, "the graph has changed");
}

static void drop_all(struct table *table)
{
    if (!HEAP_BY_HAND)
        return;
    for (size_t at = 0; at < table->count; at++)
        heap_drop(table->vertices[at]);
    heap_drop(table);
}

static void work(mutator *m, struct part *part)
{
    struct rng *rng = &part->rng;
    size_t count = part->bytes / VERTEX_BYTES;
    struct table *table = heap_zeroed(m, table_kind, sizeof *table + count * sizeof(void *));
    HEAP_ROOTS(m, table);
    table->count = count;
    for (size_t at = 0; at < count; at++)
        put_in(m, table, at, rng);
    for (size_t step = 1; step <= part->options->work * count; step++) {
        size_t at = rng_below(rng, count);
        take_out(table, at);
        put_in(m, table, at, rng);
        if (step % WALK_ONE_IN == 0)
            walk(table, rng);
    }
    check_all(table);
    part_settle(m, count * VERTEX_BYTES);
    check_all(table);
    drop_all(table);
}

static void run(const struct options *options, struct report *report)
{
    heap_open(options->factor, options->size * 1024 * 1024);
    mutator *m = heap_attach();
    make_kinds();
    parts_run(options, report, m, work);
    heap_detach(m);
}

const struct workload workload_graph = {
    "graph", run, 64, 5,
    "size: MiB of all threads' graphs; work: times that each vertex is replaced, on average"};
