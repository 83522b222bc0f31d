/* Objects that move: contents and references survive, however dense, large or pinned they are, and in every mode. */
#include "unit.h"

#include "sinter/gc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OBJECTS = 6000, PINNED = 50, LARGE = 50000, HANG_SECONDS = 100 };

/* An object with references in front, and behind them as many bytes as it says, filled by its number. */
struct object {
    uint64_t header;
    size_t count;
    struct object *next, *any;
    uint64_t number;
    unsigned char bytes[];
};

struct table {
    uint64_t header;
    size_t count;
    struct object *objects[];
};

/* A table that only callbacks can tell: its references are those entries that are not odd. */
struct vague {
    uint64_t header;
    uint32_t entries, unused;
    void *entry[];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type object_type, table_type, vague_type;
static uint32_t seed = 1;

static void visit_vague(void *object, sinter_gc_edge edge, void *context)
{
    struct vague *v = object;
    for (uint32_t i = 0; i < v->entries; i++) {
        if (((uintptr_t)v->entry[i] & 1) == 0)
            edge(&v->entry[i], context);
    }
}

static size_t size_of_vague(const void *object)
{
    const struct vague *v = object;
    return sizeof(*v) + v->entries * sizeof(void *);
}

static void open_with(const char *text)
{
    struct sinter_gc_layout object = {.name = "object",
                                      .size = sizeof(struct object),
                                      .references = 12,
                                      .element_size = 1,
                                      .count_offset = offsetof(struct object, count)},
                            table = {.name = "table",
                                     .size = sizeof(struct table),
                                     .element_size = 8,
                                     .element_references = 1,
                                     .count_offset = offsetof(struct table, count)},
                            vague = {.name = "vague", .visit = visit_vague, .size_of = size_of_vague};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 512 << 20;
    assert_int_equal(sinter_gc_config_parse(&config, text, NULL), 0);
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    object_type = sinter_gc_type_new(heap, &object);
    table_type = sinter_gc_type_new(heap, &table);
    vague_type = sinter_gc_type_new(heap, &vague);
    m = sinter_gc_attach(heap);
    assert_true(m != NULL && object_type != 0 && table_type != 0 && vague_type != 0);
    alarm(HANG_SECONDS);
}

static void close_heap(void)
{
    m->frames = NULL;
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    alarm(0);
}

static void compact(void)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

/* ---- a graph of all kinds of objects ---- */

static unsigned char pattern(uint64_t number, size_t at)
{
    return (unsigned char)(number * 31 + at * 7);
}

/* Granules are 16 bytes: every count of them up to the largest small object, and beyond. */
static size_t bytes_of(uint64_t number)
{
    return number % 1000 == 999 ? LARGE : number % 97 == 0 ? number % 9000 : number % 500;
}

static struct object *new_object(uint64_t number)
{
    struct object *o = sinter_gc_alloc_array(m, object_type, bytes_of(number));
    assert_non_null(o);
    o->number = number;
    for (size_t i = 0; i < o->count; i++)
        o->bytes[i] = pattern(number, i);
    return o;
}

static void check_object(const struct object *o, uint64_t number)
{
    if (sinter_gc_type_of(o) != object_type || o->number != number || o->count != bytes_of(number))
        fail_msg("object %lu at %p is wrong", (unsigned long)number, (const void *)o);
    for (size_t i = 0; i < o->count; i++) {
        if (o->bytes[i] != pattern(number, i))
            fail_msg("byte %zu of object %lu is wrong", i, (unsigned long)number);
    }
}

/* A list of OBJECTS; between two of them are up to `waste` that die. */
static struct object *new_list(unsigned waste)
{
    struct object *list = NULL;
    SINTER_GC_ROOTS(m, list);
    for (unsigned i = OBJECTS; i-- > 0;) {
        for (unsigned n = waste != 0 ? unit_random(&seed) % waste : 0; n > 0; n--)
            new_object(unit_random(&seed) % 300);
        struct object *o = new_object(i);
        o->next = list;
        o->any = i % 3 == 0 ? o : list;
        list = o;
    }
    return list;
}

static void check_list(const struct object *list)
{
    unsigned i = 0;
    for (const struct object *o = list; o != NULL; o = o->next, i++) {
        check_object(o, i);
        if (o->any != (i % 3 == 0 ? o : o->next))
            fail_msg("a reference of object %u is wrong", i);
    }
    assert_int_equal(i, OBJECTS);
}

static struct table *new_table(struct object *list, unsigned step)
{
    struct table *t = NULL;
    SINTER_GC_ROOTS(m, t, list);
    t = sinter_gc_alloc_array(m, table_type, LARGE);
    assert_non_null(t);
    for (unsigned i = 0; list != NULL && i < LARGE; i += step, list = list->next)
        t->objects[i] = list;
    return t;
}

static void check_table(const struct table *t, unsigned step)
{
    assert_int_equal(t->count, LARGE);
    for (unsigned i = 0; i < LARGE; i++) {
        bool full = i % step == 0 && i / step < OBJECTS;
        if ((t->objects[i] != NULL) != full)
            fail_msg("entry %u of a table is %p", i, (void *)t->objects[i]);
        if (full)
            assert_int_equal(t->objects[i]->number, i / step);
    }
}

static struct vague *new_vague(struct object *list, uint32_t entries)
{
    SINTER_GC_ROOTS(m, list);
    struct vague *v = sinter_gc_alloc(m, vague_type, sizeof(*v) + entries * sizeof(void *));
    assert_non_null(v);
    v->entries = entries;
    for (uint32_t i = 0; i < entries; i++) {
        v->entry[i] = i % 3 == 0 && list != NULL ? list : (void *)(uintptr_t)(2 * i + 1);
        list = i % 3 == 0 && list != NULL ? list->next : list;
    }
    return v;
}

static void check_vague(const struct vague *v, uint32_t entries)
{
    assert_int_equal(v->entries, entries);
    for (uint32_t i = 0; i < entries; i++) {
        if (i % 3 == 0 && i / 3 < OBJECTS)
            assert_int_equal(((struct object *)v->entry[i])->number, i / 3);
        else
            assert_int_equal((uintptr_t)v->entry[i], 2 * i + 1);
    }
}

/* ---- what moves ---- */

static void lists(unsigned waste)
{
    struct object *list = NULL, *other = NULL;
    SINTER_GC_ROOTS(m, list, other);
    list = new_list(waste);
    for (int round = 0; round < 8; round++) {
        compact();
        check_list(list);
        if (round % 3 == 1)
            other = new_list(waste);
        if (round % 3 == 2)
            check_list(other);
        if (round == 5)
            list = other;
    }
}

static void tables(unsigned waste)
{
    struct object *list = NULL;
    struct table *full = NULL, *holes = NULL;
    struct vague *large = NULL, *small = NULL;
    SINTER_GC_ROOTS(m, list, full, holes, large, small);
    for (int round = 0; round < 12; round++) {
        if (round % 4 == 0) {
            list = new_list(waste);
            full = new_table(list, 1);
            holes = new_table(list, 1999);
            large = new_vague(list, 30000);
            small = new_vague(list, 30);
        }
        compact();
        check_table(full, 1);
        check_table(holes, 1999);
        check_vague(large, 30000);
        check_vague(small, 30);
    }
    check_list(list);
}

static void pinned(unsigned waste)
{
    struct object *list = NULL, *pins[PINNED] = {NULL}, *held[PINNED];
    SINTER_GC_ROOTS(m, list);
    for (int round = 0; round < 8; round++) {
        list = new_list(waste);
        struct object *at = list;
        for (unsigned i = 0; i < PINNED; i++, at = at->next->next->next) {
            assert_int_equal(sinter_gc_pin(m, at), 0);
            held[i] = pins[i];
            pins[i] = at;
            if (held[i] != NULL)
                sinter_gc_unpin(m, held[i]);
        }
        compact();
        at = list;
        for (unsigned i = 0; i < PINNED; i++, at = at->next->next->next)
            assert_ptr_equal(at, pins[i]);
        check_list(list);
        compact();
        check_list(list);
    }
}

/* Alone in a block that was gathered and then held back once; its pages are the next to be used. */
static void pinned_in_turns(unsigned waste)
{
    struct object *keep = NULL, *list = NULL;
    SINTER_GC_ROOTS(m, keep, list);
    for (int round = 0; round < 20; round++) {
        keep = new_object(77);
        list = NULL;
        compact();
        assert_int_equal(sinter_gc_pin(m, keep), 0);
        compact();
        sinter_gc_unpin(m, keep);
        list = new_list(waste);
        compact();
        check_object(keep, 77);
        check_list(list);
    }
}

/* Frames end before the heap does. */
static void in_mode(const char *text, void (*body)(unsigned), unsigned waste)
{
    open_with(text);
    body(waste);
    close_heap();
}

static const char *const modes[] = {
    "verify:off",
    "verify:on",
    "concurrent:off,verify:on",
    "compact:off,verify:on",
    "whole:1",
    "whole:100",
    "whole:100,verify:on,workers:8",
    "workers:1,verify:on",
    "whole:1,concurrent:off",
    "whole:100,concurrent:off,workers:1",
};

static void in_all_modes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        in_mode(modes[i], lists, 0);
        in_mode(modes[i], lists, 3);
        in_mode(modes[i], lists, 15);
        in_mode(modes[i], tables, 5);
        in_mode(modes[i], pinned, 8);
        in_mode(modes[i], pinned_in_turns, 3);
    }
}

static void moves(unsigned expected)
{
    struct object *o = NULL;
    SINTER_GC_ROOTS(m, o);
    o = new_object(1);
    const void *was = o;
    compact();
    assert_int_equal((const void *)o != was, expected);
}

/* Nothing moves without compaction, and everything that is sparse does with it. */
static void who_moves(void **state)
{
    (void)state;
    in_mode("compact:on", moves, 1);
    in_mode("concurrent:off", moves, 1);
    in_mode("compact:off", moves, 0);
}

static void make_and_check(unsigned waste)
{
    struct object *list = NULL;
    SINTER_GC_ROOTS(m, list);
    list = new_list(waste);
    check_list(list);
}

/* A collection at every few allocations. */
static void under_stress(void **state)
{
    (void)state;
    in_mode("stress:500,verify:on", make_and_check, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_moves),
        cmocka_unit_test(in_all_modes),
        cmocka_unit_test(under_stress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
