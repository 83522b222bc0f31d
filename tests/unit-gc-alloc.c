/* New objects: their memory, and what happens when there is none. */
#include "unit.h"

#include "sinter/gc.h"

#include <errno.h>
#include <string.h>

enum { MiB = 1 << 20, MAXIMUM = 32 * MiB };

struct chain {
    uint64_t header;
    size_t count;
    struct chain *next;
    unsigned char bytes[];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type chain_type, bytes_type;

static void make_types(void)
{
    struct sinter_gc_layout chain = {
        .name = "chain", .size = sizeof(struct chain), .references = 4, .element_size = 1, .count_offset = 8};
    struct sinter_gc_layout bytes = {
        .size = 16, .element_size = 1, .count_offset = 8, .pointer_free = true, .name = "bytes"};
    chain_type = sinter_gc_type_new(heap, &chain);
    bytes_type = sinter_gc_type_new(heap, &bytes);
    assert_true(chain_type != 0 && bytes_type != 0);
}

static int open_heap(void **state)
{
    (void)state;
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = MAXIMUM;
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    make_types();
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

static struct sinter_gc_stats stats(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s;
}

static void is_zero(const void *object, size_t size)
{
    const unsigned char *bytes = object;
    for (size_t i = 8; i < size; i++) {
        if (bytes[i] != 0)
            fail_msg("byte %zu of %zu of a new object is %d", i, size, bytes[i]);
    }
}

/* ---- memory ---- */

/* Also where others were before. */
static void new_objects_are_zero(void **state)
{
    (void)state;
    uint32_t seed = 3;
    for (int i = 0; i < 40000; i++) {
        size_t count = unit_random(&seed) % (i % 100 == 0 ? 100000 : 1000);
        char *object = sinter_gc_alloc_array(m, i % 2 ? chain_type : bytes_type, count);
        size_t fixed = i % 2 ? sizeof(struct chain) : 16;
        assert_non_null(object);
        assert_int_equal(((struct chain *)object)->count, count);
        ((struct chain *)object)->count = 0;
        is_zero(object, fixed + count);
        ((struct chain *)object)->count = count;
        memset(object + fixed, 0xa5, count);
        if (i % 5000 == 0)
            sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    }
}

static void every_size(void **state)
{
    (void)state;
    char *previous = NULL;
    for (size_t size = 8; size < 40000; size += size < 1100 ? 1 : 97) {
        struct sinter_gc_layout layout = {.size = size, .pointer_free = size % 2, .name = "sized"};
        sinter_gc_type type = sinter_gc_type_new(heap, &layout);
        char *object = sinter_gc_alloc(m, type, size);
        assert_non_null(object);
        assert_int_equal((uintptr_t)object % SINTER_GC_GRANULE, 0);
        assert_ptr_not_equal(object, previous);
        assert_int_equal(sinter_gc_type_of(object), type);
        assert_int_equal(sinter_gc_size_of(heap, object), size);
        is_zero(object, (size + 15) & ~(size_t)15);
        memset(object + 8, 0xff, size - 8);
        previous = object;
    }
}

static void bad_arguments(void **state)
{
    (void)state;
    struct sinter_gc_layout plain = {.size = 16, .name = "plain"};
    sinter_gc_type type = sinter_gc_type_new(heap, &plain);
    errno = 0;
    assert_null(sinter_gc_alloc_array(m, type, 1)); /* it has no tail */
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(sinter_gc_alloc(m, type, 0));
    assert_int_equal(errno, EINVAL);
    assert_null(sinter_gc_alloc_slow(m, 12345, 16)); /* no such type */
    assert_int_equal(errno, EINVAL);
    assert_null(sinter_gc_alloc_array(m, 0, 1));
    assert_int_equal(errno, EINVAL);
}

static void counts_that_overflow(void **state)
{
    (void)state;
    struct sinter_gc_layout wide = {.size = 16, .element_size = 24, .count_offset = 8, .name = "wide"};
    sinter_gc_type type = sinter_gc_type_new(heap, &wide);
    static const size_t counts[] = {SIZE_MAX,     SIZE_MAX / 24,     SIZE_MAX / 24 + 1,
                                    SIZE_MAX / 2, SIZE_MAX / 24 - 1, (size_t)1 << 40,
                                    MAXIMUM};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        errno = 0;
        assert_null(sinter_gc_alloc_array(m, type, counts[i]));
        assert_int_equal(errno, ENOMEM);
    }
    for (size_t n = 0; n < 20; n++) {
        errno = 0;
        assert_null(sinter_gc_alloc_array(m, bytes_type, SIZE_MAX - 16 - n));
        assert_int_equal(errno, ENOMEM);
    }
}

static void pinned_ones_stay(void **state)
{
    (void)state;
    struct chain *small = sinter_gc_alloc_pinned(m, chain_type, sizeof(*small)),
                 *large = sinter_gc_alloc_pinned(m, chain_type, sizeof(*large) + 100000);
    assert_true(small != NULL && large != NULL);
    large->count = 100000;
    memset(large->bytes, 'l', large->count);
    assert_int_equal(sinter_gc_pin(m, small), 0); /* they count */
    sinter_gc_unpin(m, small);
    for (int i = 0; i < 4; i++) {
        sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
        assert_int_equal(sinter_gc_type_of(small), chain_type);
        assert_int_equal(large->bytes[99999], 'l');
    }
    assert_int_not_equal(stats().live, 0);
    sinter_gc_unpin(m, small);
    sinter_gc_unpin(m, large);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    assert_int_equal(stats().live, 0);
}

/* ---- none left ---- */

/* Fills the heap; returns how many bytes went in. */
static size_t fill(struct chain **list, size_t bytes)
{
    size_t sum = 0;
    for (struct chain *c; (c = sinter_gc_alloc_array(m, chain_type, bytes)) != NULL; sum += bytes) {
        c->next = *list;
        *list = c;
    }
    assert_int_equal(errno, ENOMEM);
    return sum;
}

static void full_of(size_t bytes)
{
    struct chain *list = NULL;
    SINTER_GC_ROOTS(m, list);
    for (int round = 0; round < 3; round++) {
        size_t sum = fill(&list, bytes);
        assert_in_range(sum, MAXIMUM / 4 * 3, MAXIMUM);
        assert_in_range(stats().used, 0, MAXIMUM);
        list = NULL;
    }
    list = NULL;
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

static void full_of_small_ones(void **state)
{
    (void)state;
    full_of(200);
}

static void full_of_large_ones(void **state)
{
    (void)state;
    full_of(300000);
}

static void garbage_makes_room(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++)
        assert_non_null(sinter_gc_alloc_array(m, bytes_type, MAXIMUM / 8));
    assert_int_not_equal(stats().collections, 0);
}

static struct {
    struct chain *cache;
    unsigned asked;
    size_t size;
} handler;

static bool refuse(void *data, sinter_gc_mutator *mutator, size_t size)
{
    assert_ptr_equal(data, &handler);
    assert_ptr_equal(mutator, m);
    handler.asked++;
    handler.size = size;
    return false;
}

/* Lets go what it keeps, once. */
static bool let_go(void *data, sinter_gc_mutator *mutator, size_t size)
{
    (void)data;
    (void)mutator;
    (void)size;
    bool any = handler.cache != NULL;
    handler.asked++;
    handler.cache = NULL;
    return any;
}

static void full_with(bool (*out_of_memory)(void *, sinter_gc_mutator *, size_t), bool works)
{
    struct sinter_gc_events events = {.data = &handler, .out_of_memory = out_of_memory};
    struct chain *list = NULL;
    SINTER_GC_ROOTS(m, list, handler.cache);
    memset(&handler, 0, sizeof(handler));
    handler.cache = sinter_gc_alloc_array(m, chain_type, MAXIMUM / 2);
    sinter_gc_listen(heap, &events);
    size_t sum = fill(&list, 5000);
    assert_int_equal(handler.asked, works ? 2 : 1);
    assert_in_range(sum, works ? MAXIMUM / 4 * 3 : MAXIMUM / 4, works ? MAXIMUM : MAXIMUM / 2);
    sinter_gc_listen(heap, NULL);
    assert_null(sinter_gc_alloc_array(m, chain_type, MAXIMUM / 2));
    assert_int_equal(handler.asked, works ? 2 : 1);
}

static void the_handler_is_asked(void **state)
{
    (void)state;
    full_with(refuse, false);
    assert_int_equal(handler.size, 5000 + sizeof(struct chain));
}

static void the_handler_makes_room(void **state)
{
    (void)state;
    full_with(let_go, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(new_objects_are_zero),   TEST(every_size),         TEST(bad_arguments),
        TEST(counts_that_overflow),   TEST(pinned_ones_stay),   TEST(full_of_small_ones),
        TEST(full_of_large_ones),     TEST(garbage_makes_room), TEST(the_handler_is_asked),
        TEST(the_handler_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
