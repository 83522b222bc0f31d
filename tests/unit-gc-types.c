/* Types: what layouts are refused, and that references are found where they say. */
#include "unit.h"

#include "sinter/gc.h"

#include <errno.h>
#include <string.h>

enum { MANY = 1000 };

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type leaf_type;

struct leaf {
    uint64_t header, number;
};

static int open_heap(void **state)
{
    (void)state;
    struct sinter_gc_layout leaf = {.name = "leaf", .size = sizeof(struct leaf), .pointer_free = true};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 256 << 20;
    config.verify = true;
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    leaf_type = sinter_gc_type_new(heap, &leaf);
    assert_int_not_equal(leaf_type, 0);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
    return 0;
}

static int close_heap(void **state)
{
    (void)state;
    m->frames = NULL; /* of a test that failed */
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    return 0;
}

static void compact(void)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

static struct leaf *new_leaf(uint64_t number)
{
    struct leaf *l = sinter_gc_alloc(m, leaf_type, sizeof(*l));
    assert_non_null(l);
    l->number = number;
    return l;
}

static void edge_nothing(void **reference, void *context)
{
    (void)reference;
    (void)context;
}

static void visit_nothing(void *object, sinter_gc_edge edge, void *context)
{
    (void)object;
    (void)edge;
    (void)context;
    (void)edge_nothing;
}

/* ---- layouts ---- */

static void refuses(int line, struct sinter_gc_layout layout)
{
    errno = 0;
    if (sinter_gc_type_new(heap, &layout) != 0)
        fail_msg("the layout in line %d is not refused", line);
    assert_int_equal(errno, EINVAL);
}
#define REFUSES(...) refuses(__LINE__, (struct sinter_gc_layout){__VA_ARGS__})

static void accepts(int line, struct sinter_gc_layout layout)
{
    if (sinter_gc_type_new(heap, &layout) == 0)
        fail_msg("the layout in line %d is refused", line);
}
#define ACCEPTS(...) accepts(__LINE__, (struct sinter_gc_layout){__VA_ARGS__})

static void contradictions(void **state)
{
    (void)state;
    REFUSES(.size = 0);
    REFUSES(.size = 7);
    REFUSES(.size = SIZE_MAX);
    REFUSES(.size = 16, .references = 1); /* the header */
    REFUSES(.size = 16, .references = 3);
    REFUSES(.size = 16, .references = 4); /* behind the end */
    REFUSES(.size = 15, .references = 2);
    REFUSES(.size = 504, .references = (uint64_t)1 << 63);
    REFUSES(.size = 16, .element_references = 1); /* of no elements */
    REFUSES(.size = 16, .element_size = 8, .count_offset = 0);
    REFUSES(.size = 16, .element_size = 8, .count_offset = 4);
    REFUSES(.size = 16, .element_size = 8, .count_offset = 16);
    REFUSES(.size = 20, .element_size = 8, .count_offset = 16);
    REFUSES(.size = 16, .element_size = 8, .count_offset = SIZE_MAX - 7);
    REFUSES(.size = 16, .element_size = SIZE_MAX, .count_offset = 8);
    REFUSES(.size = 16, .element_size = 8, .element_references = 2, .count_offset = 8);
    REFUSES(.size = 16, .element_size = 12, .element_references = 1, .count_offset = 8);
    REFUSES(.size = 20, .element_size = 8, .element_references = 1, .count_offset = 8);
    REFUSES(.size = 16, .references = 2, .pointer_free = true);
    REFUSES(.size = 16, .element_size = 8, .element_references = 1, .count_offset = 8, .pointer_free = true);
    REFUSES(.size = 16, .visit = visit_nothing, .pointer_free = true);
}

static size_t sixteen(const void *object)
{
    (void)object;
    return 16;
}

static void what_is_accepted(void **state)
{
    (void)state;
    ACCEPTS(.size = 8);
    ACCEPTS(.size = 9);
    ACCEPTS(.size = 512, .references = ~(uint64_t)1);
    ACCEPTS(.size = 16, .element_size = 1, .count_offset = 8);
    ACCEPTS(.size = 17, .element_size = 3, .count_offset = 8, .pointer_free = true);
    ACCEPTS(.size = 16, .element_size = 8, .element_references = 1, .count_offset = 8);
    ACCEPTS(.size_of = sixteen);
    ACCEPTS(.size_of = sixteen, .pointer_free = true);
    ACCEPTS(.size = 16, .visit = visit_nothing);
    ACCEPTS(.size_of = sixteen, .visit = visit_nothing);
}

static void names_and_numbers(void **state)
{
    (void)state;
    char name[32] = "first";
    struct sinter_gc_layout layout = {.name = name, .size = 16};
    sinter_gc_type first = sinter_gc_type_new(heap, &layout);
    strcpy(name, "second");
    layout.pointer_free = true;
    sinter_gc_type second = sinter_gc_type_new(heap, &layout);
    layout.name = NULL;
    sinter_gc_type third = sinter_gc_type_new(heap, &layout);
    assert_string_equal(sinter_gc_type_name(heap, first), "first");
    assert_string_equal(sinter_gc_type_name(heap, second), "second");
    assert_non_null(sinter_gc_type_name(heap, third));
    assert_true(first != second && second != third);
    assert_int_equal(first >> 23 & 1, 0); /* what compilers are told */
    assert_int_equal(second >> 23 & 1, 1);
    assert_int_equal(second >> 24, 0);
    assert_int_equal(sinter_gc_type_of(sinter_gc_alloc(m, first, 16)), first);
    assert_int_equal(sinter_gc_type_of(sinter_gc_alloc(m, second, 16)), second);
}

static void many_types(void **state)
{
    (void)state;
    static struct {
        uint64_t header;
        struct leaf *leaf;
    } * objects[MANY];
    memset(objects, 0, sizeof(objects));
    SINTER_GC_ROOT_ARRAY(m, objects, MANY);
    for (size_t i = 0; i < MANY; i++) {
        struct sinter_gc_layout layout = {.size = 16 + 8 * (i % 60), .references = 2};
        struct leaf *l = NULL;
        SINTER_GC_ROOTS(m, l);
        l = new_leaf(i);
        objects[i] = sinter_gc_alloc(m, sinter_gc_type_new(heap, &layout), layout.size);
        objects[i]->leaf = l;
    }
    compact();
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(sinter_gc_size_of(heap, objects[i]), 16 + 8 * (i % 60));
        assert_int_equal(objects[i]->leaf->number, i);
    }
}

/* ---- where references are ---- */

/* Words whose bit in the map is set are references, others keep what they hold, be it an address. */
static void check_map(uint64_t map)
{
    struct sinter_gc_layout layout = {.size = 512, .references = map};
    sinter_gc_type type = sinter_gc_type_new(heap, &layout);
    uint64_t *object = NULL, *values = NULL;
    uint64_t was[64];
    SINTER_GC_ROOTS(m, object, values);
    object = sinter_gc_alloc(m, type, 512);
    for (unsigned i = 1; i < 64; i++) {
        struct leaf *l = new_leaf(i);
        object[i] = was[i] = (uintptr_t)l;
    }
    compact();
    for (unsigned i = 1; i < 64; i++) {
        if (map >> i & 1)
            assert_int_equal(((struct leaf *)(uintptr_t)object[i])->number, i);
        else
            assert_int_equal(object[i], was[i]);
    }
}

static void maps(void **state)
{
    (void)state;
    check_map(0);
    check_map(2);
    check_map(~(uint64_t)1);
    check_map((uint64_t)1 << 63);
    uint32_t seed = 9;
    for (int i = 0; i < 30; i++)
        check_map(((uint64_t)unit_random(&seed) << 32 | unit_random(&seed)) & ~(uint64_t)1);
}

static bool is_set(uint64_t map, size_t bit)
{
    return bit < 64 && map >> bit & 1;
}

/* Elements of `words` words, the references of which are in `map`; `count` of them, behind a fixed part with one more. */
static void check_tail(size_t words, uint64_t map, size_t count)
{
    struct sinter_gc_layout layout = {
        .size = 24, .references = 4, .element_size = 8 * words, .element_references = map, .count_offset = 8};
    sinter_gc_type type = sinter_gc_type_new(heap, &layout);
    uint64_t *object = NULL;
    SINTER_GC_ROOTS(m, object);
    object = sinter_gc_alloc_array(m, type, count);
    assert_non_null(object);
    assert_int_equal(sinter_gc_size_of(heap, object), 24 + 8 * words * count);
    for (size_t i = 0; i < words * count; i++) {
        struct leaf *l = is_set(map, i % words) ? new_leaf(i) : NULL;
        object[3 + i] = l != NULL ? (uintptr_t)l : 16 * i;
    }
    for (int round = 0; round < 3; round++) {
        compact();
        assert_int_equal(object[1], count);
        for (size_t i = 0; i < words * count; i++) {
            if (is_set(map, i % words))
                assert_int_equal(((struct leaf *)(uintptr_t)object[3 + i])->number, i);
            else
                assert_int_equal(object[3 + i], 16 * i);
        }
    }
}

static void tails(void **state)
{
    (void)state;
    check_tail(1, 1, 0);
    check_tail(1, 1, 1);
    check_tail(1, 1, 1000);
    check_tail(1, 1, 100000);
    check_tail(3, 5, 50);
    check_tail(3, 5, 40000); /* elements across blocks */
    check_tail(3, 2, 40000);
    check_tail(64, (uint64_t)1 << 63 | 1, 1500);
    check_tail(600, (uint64_t)1 << 63, 70); /* longer than the map, and than a page */
}

static void numbers_are_left_alone(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 8, 16, 0x7ff0, ~(uint64_t)0, ~(uint64_t)15, (uint64_t)1 << 63};
    struct sinter_gc_layout layout = {.size = 512, .references = ~(uint64_t)1};
    uint64_t *object = NULL;
    SINTER_GC_ROOTS(m, object);
    object = sinter_gc_alloc(m, sinter_gc_type_new(heap, &layout), 512);
    for (unsigned i = 1; i < 64; i++)
        object[i] = numbers[i % 8];
    object[20] = (uintptr_t)object + 1; /* an address with a tag is none */
    uint64_t tagged = object[20];
    compact();
    assert_int_equal(object[20], tagged);
    for (unsigned i = 1; i < 64; i++) {
        if (i != 20)
            assert_int_equal(object[i], numbers[i % 8]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(contradictions),
        TEST(what_is_accepted),
        TEST(names_and_numbers),
        TEST(many_types),
        TEST(maps),
        TEST(tails),
        TEST(numbers_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
