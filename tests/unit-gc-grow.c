/* Collections that begin by themselves, and what goes back to the system. When exactly: unit-gc-pace.c. */
#include "unit.h"

#include "sinter/gc.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MiB = 1 << 20, KEPT = 8 * MiB, PIECE = 1024 };

struct chain {
    uint64_t header;
    struct chain *next;
    char bytes[PIECE - 16];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type chain_type, array_type;

static void open_with(const char *text)
{
    struct sinter_gc_layout chain = {.name = "chain", .size = sizeof(struct chain), .references = 2};
    struct sinter_gc_layout array = {
        .size = 16, .element_size = 8, .element_references = 1, .count_offset = 8, .name = "array"};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 256 * MiB;
    config.minimum = MiB;
    assert_int_equal(sinter_gc_config_parse(&config, text, NULL), 0);
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    chain_type = sinter_gc_type_new(heap, &chain);
    array_type = sinter_gc_type_new(heap, &array);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
}

static void close_heap(void)
{
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
}

static struct sinter_gc_stats stats(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s;
}

static struct chain *new_chain(size_t bytes)
{
    struct chain *list = NULL;
    SINTER_GC_ROOTS(m, list);
    for (size_t i = 0; i < bytes / PIECE; i++) {
        struct chain *c = sinter_gc_alloc(m, chain_type, sizeof(*c));
        assert_non_null(c);
        c->next = list;
        list = c;
    }
    return list;
}

/* Garbage, slowly enough for the collector to keep up: the collections that it takes. */
static uint64_t collections_of(const char *text, size_t kept, size_t garbage)
{
    open_with(text);
    uint64_t before;
    {
        struct chain *list = NULL;
        SINTER_GC_ROOTS(m, list);
        list = new_chain(kept);
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
        before = stats().collections;
        for (size_t i = 0; i < garbage / (MiB / 4); i++) {
            new_chain(MiB / 4);
            sinter_gc_block(m);
            usleep(300);
            sinter_gc_unblock(m);
        }
    }
    uint64_t after = stats().collections;
    close_heap();
    return after - before;
}

static void below_the_minimum(void **state)
{
    (void)state;
    assert_int_equal(collections_of("minimum:100m", 0, 60 * MiB), 0);
    assert_in_range(collections_of("minimum:10m", 0, 60 * MiB), 1, 8);
}

/* With 8 MiB live, a factor of 150 leaves 4 MiB until the next, and one of 300 leaves 16 MiB. The collector may come late. */
static void by_factor(void **state)
{
    (void)state;
    assert_in_range(collections_of("factor:150", KEPT, 80 * MiB), 1, 25);
    assert_in_range(collections_of("factor:300", KEPT, 80 * MiB), 1, 6);
}

static void by_fixed_size(void **state)
{
    (void)state;
    assert_in_range(collections_of("growth:fixed,fixed:4m", KEPT, 80 * MiB), 1, 25);
    assert_in_range(collections_of("growth:fixed,fixed:40m", KEPT, 80 * MiB), 1, 3);
}

static void by_time(void **state)
{
    (void)state;
    assert_true(collections_of("growth:time,gc_share:90", KEPT, 100 * MiB) > 0);
}

static void the_soft_limit(void **state)
{
    (void)state;
    uint64_t without = collections_of("factor:800", KEPT, 100 * MiB),
             with = collections_of("factor:800,soft_limit:12m", KEPT, 100 * MiB);
    assert_in_range(without, 1, 3);
    assert_in_range(with, 1, 40);
}

static void under_stress(void **state)
{
    (void)state;
    open_with("stress:10");
    new_chain(100 * PIECE);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT); /* waits for the end of the last one */
    assert_int_equal(stats().collections, 10 + 1);
    close_heap();
}

/* ---- memory ---- */

static size_t resident(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void given_back(const char *text)
{
    open_with(text);
    size_t before = resident();
    {
        struct chain *list = NULL;
        SINTER_GC_ROOTS(m, list);
        list = new_chain(64 * MiB);
        assert_in_range(resident(), before + 60 * MiB, before + 140 * MiB);
        for (struct chain *c = list; c != NULL; c = c->next) { /* one in eight stays */
            for (int i = 0; i < 7 && c->next != NULL; i++)
                c->next = c->next->next;
        }
        sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
        assert_in_range(resident(), before, before + 14 * MiB);
        list = NULL;
        sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
        assert_in_range(resident(), 0, before + 4 * MiB);
    }
    close_heap();
}

static void released_on_demand(void **state)
{
    (void)state;
    given_back("concurrent:on");
    given_back("concurrent:off");
}

static void released_in_time(void **state)
{
    (void)state;
    open_with("release_ms:50,minimum:4m");
    size_t before = resident();
    new_chain(64 * MiB);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_block(m);
    for (int i = 0; i < 100 && resident() > before + 8 * MiB; i++)
        usleep(50000);
    sinter_gc_unblock(m);
    assert_in_range(resident(), 0, before + 8 * MiB);
    close_heap();
}

/* What was never touched of a large object takes no memory, however often it moves. */
static void holes_stay(const char *text)
{
    open_with(text);
    {
        void **array = NULL;
        SINTER_GC_ROOTS(m, array);
        sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
        size_t before = resident();
        array = sinter_gc_alloc_array(m, array_type, 128 * MiB / 8);
        assert_non_null(array);
        array[2 + 64 * MiB / 8] = array;
        for (int i = 0; i < 4; i++) {
            sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
            assert_ptr_equal(array[2 + 64 * MiB / 8], array);
        }
        size_t now = resident();
        if (now > before + 32 * MiB)
            fail_msg("%s: an array of holes takes %zu MiB", text, (now - before) / MiB);
    }
    close_heap();
}

static void holes_stay_holes(void **state)
{
    (void)state;
    holes_stay("concurrent:off");
    holes_stay("concurrent:on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_minimum),  cmocka_unit_test(by_factor),
        cmocka_unit_test(by_fixed_size),      cmocka_unit_test(by_time),
        cmocka_unit_test(the_soft_limit),     cmocka_unit_test(under_stress),
        cmocka_unit_test(released_on_demand), cmocka_unit_test(released_in_time),
        cmocka_unit_test(holes_stay_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
