/*
 * What it costs the library to move large objects of which little is there: tables of references and buffers of bytes, of 1 MiB
 * each, in which one page in many was ever written to. All of them stay alive, and are compacted again and again.
 */
#include "../process.h"
#include "../workload.h"
#include "program.h"

enum { BYTES = 1 << 20, ELEMENTS = BYTES / sizeof(uint64_t), WRITTEN_ONE_IN = 16, OBJECTS_MOST = 8192 };

/* Of tables the words are references, to themselves; of buffers they are numbers. */
struct object {
    HEAP_HEADER
    struct object *other;
    size_t count;
    uint64_t words[];
};

static heap_kind kinds[2];
static struct object *objects[OBJECTS_MOST];

static void make_kinds(void)
{
    struct heap_layout layout = {
        .name = "table",
        .size = sizeof(struct object),
        .references = HEAP_REFERENCE(struct object, other),
        .element_size = sizeof(uint64_t),
        .element_references = 1,
        .count_offset = offsetof(struct object, count),
    };
    kinds[0] = heap_kind_new(&layout);
    layout.name = "buffer";
    layout.element_references = 0;
    kinds[1] = heap_kind_new(&layout);
}

static bool is_table(size_t at)
{
    return at % 2 == 0;
}

/* The same words each time. How many pages they are on. */
static size_t each_word(size_t at, uint64_t seed, void (*visit)(size_t at, uint64_t *word))
{
    struct rng rng = rng_seed(seed + at);
    size_t pages = 0;
    for (size_t page = 0; page < ELEMENTS; page += PAGE_BYTES / sizeof(uint64_t)) {
        size_t offset = rng_below(&rng, WRITTEN_ONE_IN * PAGE_BYTES / sizeof(uint64_t));
        if (offset >= PAGE_BYTES / sizeof(uint64_t))
            continue;
        visit(at, &objects[at]->words[page + offset]);
        pages++;
    }
    return pages;
}

static void write_word(size_t at, uint64_t *word)
{
    *word = is_table(at) ? (uint64_t)(uintptr_t)objects[at] : at;
}

static void check_word(size_t at, uint64_t *word)
{
    check(*word == (is_table(at) ? (uint64_t)(uintptr_t)objects[at] : at), "a word has changed");
}

static uint64_t fill(mutator *m, size_t count, uint64_t seed)
{
    size_t pages = 0;
    for (size_t at = 0; at < count; at++) {
        struct object *object = heap_zeroed(m, kinds[at % 2], sizeof *object + BYTES);
        object->count = ELEMENTS;
        objects[at] = object;
        pages += each_word(at, seed, write_word);
    }
    return pages * PAGE_BYTES;
}

static void compact(mutator *m, const struct options *options, struct report *report)
{
    struct sinter_gc_stats before, after;
    heap_collect(m);
    size_t resident = process_rss();
    sinter_gc_stats_get(heap_itself(), &before, sizeof before);
    for (size_t i = 0; i < options->work; i++)
        heap_collect(m);
    sinter_gc_stats_get(heap_itself(), &after, sizeof after);
    report_number(report, "moving_time", after.move_time - before.move_time);
    report_number(report, "marking_time", after.mark_time - before.mark_time);
    report_number(report, "moved_whole", after.moved_whole - before.moved_whole);
    report_number(report, "resident_before", resident);
    report_number(report, "resident_after", process_rss());
}

static void run(const struct options *options, struct report *report)
{
    size_t count = options->size;
    check(count <= OBJECTS_MOST, "too many objects are wanted");
    heap_open(options->factor, 0);
    mutator *m = heap_attach();
    make_kinds();
    {
        HEAP_ROOT_ARRAY(m, objects, OBJECTS_MOST);
        uint64_t live = fill(m, count, options->seed);
        compact(m, options, report);
        for (size_t at = 0; at < count; at++)
            each_word(at, options->seed, check_word);
        report_settled(report, m, live);
    }
    heap_detach(m);
}

const struct workload workload_sparse = {"sparse", run, 512, 8, "size: objects of 1 MiB; work: compactions"};
