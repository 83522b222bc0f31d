#include "unit.h"

#include "conf.h"
#include "heap.h"
#include "run.h"

#include <string.h>

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static void sizes_and_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 64 * MiB; align *= 4) {
        for (size_t bytes = 1; bytes <= 8 * MiB; bytes = bytes * 5 + 1) {
            char *p = run_alloc(bytes, align);
            assert_non_null(p);
            assert_true((uintptr_t)p % (align > PAGE_BYTES ? align : PAGE_BYTES) == 0);
            assert_true(run_zone_contains(p));
            assert_int_equal(run_bytes(p), align_up(bytes, PAGE_BYTES));
            p[0] = p[bytes - 1] = 1;
            assert_true(run_free(p));
            assert_int_equal(run_bytes(p), 0);
            assert_false(run_free(p));
        }
    }
    run_check();
}

static void lookup(void **state)
{
    (void)state;
    char *a = run_alloc(5 * PAGE_BYTES, 1), *b = run_alloc(3 * PAGE_BYTES, 1), *c = run_alloc(PAGE_BYTES, 1);
    for (size_t offset = 0; offset < 3 * PAGE_BYTES; offset += 1000) {
        struct run_location at = run_find(b + offset);
        assert_int_equal(at.kind, RUN_KIND_LIVE);
        assert_ptr_equal(at.start, b);
        assert_int_equal(at.bytes, 3 * PAGE_BYTES);
        assert_int_equal(run_bytes(b + offset), offset == 0 ? 3 * PAGE_BYTES : 0);
        if (offset > 0)
            assert_false(run_free(b + offset));
    }
    assert_true(run_free(b));
    assert_int_equal(run_find(b + PAGE_BYTES).kind, RUN_KIND_FREE);
    assert_int_equal(run_find(a).kind, RUN_KIND_LIVE);
    assert_true(run_free(a));
    assert_int_equal(run_find(a).kind, RUN_KIND_FREE);
    assert_true(run_free(c));
    run_check();
}

/* Neighbours that are free grow together, in whatever order they were freed. */
static void coalescing(void **state)
{
    (void)state;
    enum { N = 7, BYTES = 3 * 4096 };
    static const int orders[][N] = {{0, 1, 2, 3, 4, 5, 6},
                                    {6, 5, 4, 3, 2, 1, 0},
                                    {1, 3, 5, 0, 2, 4, 6},
                                    {3, 2, 4, 1, 5, 0, 6},
                                    {0, 6, 1, 5, 2, 4, 3}};
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        char *whole = run_alloc(N * BYTES, 1);
        assert_non_null(whole);
        char *guard = run_alloc(PAGE_BYTES, 1);
        char *part[N];
        assert_true(run_free(whole));
        for (int i = 0; i < N; i++) {
            part[i] = run_alloc(BYTES, 1);
            assert_non_null(part[i]);
        }
        for (int i = 0; i < N; i++) {
            assert_true(run_free(part[orders[o][i]]));
            run_check();
        }
        char *again = run_alloc(N * BYTES, 1);
        assert_non_null(again);
        assert_true(run_free(again));
        assert_true(run_free(guard));
    }
}

static void resize_in_place(void **state)
{
    (void)state;
    char *p = run_alloc(10 * PAGE_BYTES, 1);
    memset(p, 0x11, 10 * PAGE_BYTES);
    assert_true(run_resize(p, 4 * PAGE_BYTES));
    assert_int_equal(run_bytes(p), 4 * PAGE_BYTES);
    run_check();
    assert_true(run_resize(p, 9 * PAGE_BYTES)); /* into what it has just left */
    assert_int_equal(run_bytes(p), 9 * PAGE_BYTES);
    run_check();
    /* Single pages fill every gap, so in the end one stands right behind. */
    char *q;
    do {
        q = run_alloc(PAGE_BYTES, 1);
        assert_non_null(q);
    } while (q != p + 9 * PAGE_BYTES);
    assert_false(run_resize(p, 10 * PAGE_BYTES));
    assert_int_equal(run_bytes(p), 9 * PAGE_BYTES);
    for (size_t i = 0; i < 4 * PAGE_BYTES; i++)
        assert_int_equal(p[i], 0x11);
    assert_true(run_free(p));
    run_check();
}

static void clearing(void **state)
{
    (void)state;
    for (size_t pages = 1; pages < 600; pages = pages * 3 + 1) {
        size_t bytes = pages * PAGE_BYTES;
        char *p = run_alloc(bytes, 1);
        memset(p, 0xff, bytes);
        assert_true(run_free(p));
        for (int round = 0; round < 2; round++) {
            p = run_alloc(bytes, 1);
            run_clear(p, bytes);
            assert_true(p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
            memset(p, 0xff, bytes);
            assert_true(run_free(p));
        }
        run_purge(pages);
    }
}

static void purging(void **state)
{
    (void)state;
    while (run_purge(SIZE_MAX) > 0)
        ;
    assert_int_equal(run_dirty_pages(), 0);
    char *p = run_alloc(2000 * PAGE_BYTES, 1), *q = run_alloc(PAGE_BYTES, 1);
    memset(p, 1, 2000 * PAGE_BYTES);
    assert_true(run_free(p));
    assert_int_equal(run_dirty_pages(), 2000);
    size_t done = run_purge(2000);
    assert_int_equal(done, 2000);
    assert_int_equal(run_dirty_pages(), 0);
    run_check();
    assert_int_equal(p[0] | p[1000 * PAGE_BYTES] | p[2000 * PAGE_BYTES - 1], 0);
    assert_true(run_free(q));
}

static void random_operations(void **state)
{
    (void)state;
    enum { N = 200 };
    static struct {
        unsigned char *p;
        size_t bytes;
    } live[N];
    uint32_t seed = 7;
    struct run_stats before, after;
    run_stats(&before);
    for (int op = 0; op < 20000; op++) {
        int i = (int)(unit_random(&seed) % N);
        size_t bytes = unit_random(&seed) % (unit_random(&seed) % 20 ? 300000 : 4000000) + 1;
        if (!live[i].p) {
            live[i].p = run_alloc(bytes, unit_random(&seed) % 8 ? 1 : (size_t)1 << unit_random(&seed) % 23);
            assert_non_null(live[i].p);
            live[i].bytes = bytes;
            live[i].p[0] = live[i].p[bytes - 1] = (unsigned char)i;
        } else if (unit_random(&seed) % 3 == 0 && run_resize(live[i].p, bytes)) {
            assert_int_equal(live[i].p[0], i);
            live[i].bytes = bytes;
            assert_int_equal(run_bytes(live[i].p), align_up(bytes, PAGE_BYTES));
            live[i].p[bytes - 1] = live[i].p[0] = (unsigned char)i;
        } else {
            assert_true(live[i].p[0] == i && live[i].p[live[i].bytes - 1] == i);
            assert_true(run_free(live[i].p));
            live[i].p = NULL;
        }
        if (op % 500 == 0) {
            run_purge(unit_random(&seed) % 1000);
            run_check();
        }
    }
    for (int i = 0; i < N; i++) {
        if (live[i].p)
            assert_true(run_free(live[i].p));
    }
    run_check();
    run_stats(&after);
    assert_int_equal(after.runs, before.runs);
    assert_int_equal(after.bytes, before.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_alignment),
        cmocka_unit_test(lookup),
        cmocka_unit_test(coalescing),
        cmocka_unit_test(clearing),
        cmocka_unit_test(purging),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(resize_in_place),
    };
    return cmocka_run_group_tests_name("run", tests, setup, NULL);
}
