#include "unit.h"

#include "conf.h"
#include "heap.h"
#include "huge.h"

#include <string.h>

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static void life_of_a_mapping(void **state)
{
    (void)state;
    bool zeroed;
    size_t bytes = 200 * MiB + 5;
    char *p = huge_alloc(bytes, 1, &zeroed);
    assert_non_null(p);
    assert_true(zeroed);
    assert_int_equal(huge_bytes(p), align_up(bytes, PAGE_BYTES));
    assert_int_equal(p[0] | p[bytes / 2] | p[bytes - 1], 0);
    p[0] = p[bytes - 1] = 7;
    assert_int_equal(huge_bytes(p + PAGE_BYTES), 0);
    assert_false(huge_free(p + PAGE_BYTES));
    struct huge_location at = huge_find(p + 12345);
    assert_ptr_equal(at.start, p);
    assert_true(at.live);
    assert_null(huge_find(p + align_up(bytes, PAGE_BYTES)).start);
    assert_null(huge_find(p - 1).start);

    p = huge_resize(p, 2 * bytes);
    assert_non_null(p);
    assert_true(p[0] == 7 && p[bytes - 1] == 7 && p[2 * bytes - 1] == 0);
    assert_int_equal(huge_bytes(p), align_up(2 * bytes, PAGE_BYTES));
    p = huge_resize(p, 3 * MiB);
    assert_non_null(p);
    assert_true(p[0] == 7);
    assert_true(huge_free(p));
    assert_int_equal(huge_bytes(p), 0);
    assert_false(huge_free(p));
    assert_false(huge_find(p).live);
    huge_purge(SIZE_MAX);
    assert_null(huge_find(p).start);
    assert_int_equal(huge_dirty_pages(), 0);
}

static void alignment(void **state)
{
    (void)state;
    bool zeroed;
    for (size_t align = 1; align <= 4 * GiB; align *= 8) {
        char *p = huge_alloc(5 * MiB, align, &zeroed);
        assert_non_null(p);
        assert_true((uintptr_t)p % align == 0);
        assert_true(huge_free(p));
    }
    huge_purge(SIZE_MAX);
}

static void freed_mappings_serve_again(void **state)
{
    (void)state;
    bool zeroed;
    char *p = huge_alloc(150 * MiB, 1, &zeroed);
    memset(p, 1, 8 * PAGE_BYTES);
    assert_true(huge_free(p));
    assert_int_equal(huge_dirty_pages(), 150 * MiB / PAGE_BYTES);
    assert_ptr_equal(huge_alloc(149 * MiB, 1, &zeroed), p);
    assert_false(zeroed);
    assert_int_equal(huge_dirty_pages(), 0);
    assert_true(huge_free(p));
    char *small = huge_alloc(20 * MiB, 1, &zeroed); /* would waste most of it */
    assert_ptr_not_equal(small, p);
    assert_true(huge_free(small));
    huge_purge(SIZE_MAX);
}

static void impossible_sizes(void **state)
{
    (void)state;
    bool zeroed;
    assert_null(huge_alloc(SIZE_MAX, 1, &zeroed));
    assert_null(huge_alloc(PTRDIFF_MAX, 1, &zeroed));
    assert_null(huge_alloc((size_t)1 << 47, 1, &zeroed));
    char *p = huge_alloc(3 * MiB, 1, &zeroed);
    p[0] = 9;
    assert_null(huge_resize(p, SIZE_MAX - 5));
    assert_null(huge_resize(p, (size_t)1 << 47));
    assert_int_equal(p[0], 9);
    assert_int_equal(huge_bytes(p), 3 * MiB);
    assert_true(huge_free(p));
    huge_purge(SIZE_MAX);
}

/* Enough mappings that the table grows, with removals that move its entries. */
static void many_mappings(void **state)
{
    (void)state;
    enum { N = 1500 };
    static char *live[N];
    uint32_t seed = 5;
    bool zeroed;
    struct huge_stats before, stats;
    huge_stats(&before);
    for (int op = 0; op < 12000; op++) {
        size_t i = unit_random(&seed) % N;
        if (!live[i]) {
            live[i] = huge_alloc(PAGE_BYTES * (1 + unit_random(&seed) % 8), 1, &zeroed);
            assert_non_null(live[i]);
            *(uint32_t *)live[i] = (uint32_t)i;
        } else if (unit_random(&seed) % 3 == 0) {
            live[i] = huge_resize(live[i], PAGE_BYTES * (1 + unit_random(&seed) % 8));
            assert_non_null(live[i]);
        } else {
            assert_int_equal(*(uint32_t *)live[i], i);
            assert_true(huge_free(live[i]));
            live[i] = NULL;
        }
    }
    size_t count = 0;
    for (size_t i = 0; i < N; i++) {
        if (!live[i])
            continue;
        count++;
        assert_int_equal(*(uint32_t *)live[i], i);
        assert_true(huge_bytes(live[i]) > 0);
    }
    huge_stats(&stats);
    assert_int_equal(stats.mappings - before.mappings, count);
    for (size_t i = 0; i < N; i++) {
        if (live[i])
            assert_true(huge_free(live[i]));
    }
    huge_purge(SIZE_MAX);
    huge_stats(&stats);
    assert_int_equal(stats.mappings, before.mappings);
    assert_int_equal(stats.bytes, before.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_mapping),
        cmocka_unit_test(alignment),
        cmocka_unit_test(freed_mappings_serve_again),
        cmocka_unit_test(impossible_sizes),
        cmocka_unit_test(many_mappings),
    };
    return cmocka_run_group_tests_name("huge", tests, setup, NULL);
}
