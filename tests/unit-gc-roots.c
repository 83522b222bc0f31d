/* Roots of the runtime heap: whatever holds a reference keeps its object, and follows it when it moves. */
#include "unit-gc.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { MANY = 1000, LARGE = 100000 };

static int open_heap(void **state)
{
    (void)state;
    open_pairs(64 << 20, true);
    return 0;
}

/* ---- frames ---- */

static void variables_follow(void **state)
{
    (void)state;
    struct pair *a = new_pair(1), *b = NULL, *number = (struct pair *)(uintptr_t)0x1001;
    SINTER_GC_ROOTS(m, a, b, number);
    b = new_pair(2);
    uintptr_t was = hide(a);
    compact();
    assert_int_not_equal(hide(a), was);
    assert_int_equal(a->number, 1);
    assert_int_equal(b->number, 2);
    assert_ptr_equal(number, 0x1001);
}

static void twelve_in_a_frame(void **state)
{
    (void)state;
    struct pair *a = NULL, *b = NULL, *c = NULL, *d = NULL, *e = NULL, *f = NULL, *g = NULL, *h = NULL,
                *i = NULL, *j = NULL, *k = NULL, *l = NULL;
    SINTER_GC_ROOTS(m, a, b, c, d, e, f, g, h, i, j, k, l);
    struct pair **const all[] = {&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l};
    for (unsigned n = 0; n < 12; n++)
        *all[n] = new_pair(n);
    compact();
    for (unsigned n = 0; n < 12; n++)
        assert_int_equal((*all[n])->number, n);
}

/* Two frames in one block, and one in each call. */
static struct pair *nested(unsigned depth)
{
    struct pair *left = NULL, *right = NULL;
    SINTER_GC_ROOTS(m, left);
    SINTER_GC_ROOTS(m, right);
    if (depth == 0) {
        compact();
        return new_pair(0);
    }
    left = nested(depth - 1);
    right = new_pair(depth);
    struct pair *p = new_pair(1000 + depth);
    p->first = left;
    p->second = right;
    return p;
}

static void frames_nest(void **state)
{
    (void)state;
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    p = nested(50);
    compact();
    const struct pair *at = p;
    for (unsigned depth = 50; depth > 0; depth--, at = at->first) {
        assert_int_equal(at->number, 1000 + depth);
        assert_int_equal(at->second->number, depth);
    }
    assert_int_equal(at->number, 0);
}

static int leaves_early(int where)
{
    struct pair *p = new_pair(7);
    SINTER_GC_ROOTS(m, p);
    for (int i = 0; i < 3; i++) {
        struct pair *q = new_pair(8);
        SINTER_GC_ROOTS(m, q);
        if (i == where)
            return i;
        if (i > where)
            continue;
        compact();
        assert_int_equal(q->number, 8);
    }
    return -1;
}

static void frames_end_on_every_way_out(void **state)
{
    (void)state;
    for (int where = -1; where < 3; where++) {
        assert_int_equal(leaves_early(where), where);
        assert_null(m->frames);
    }
}

static void arrays_follow(void **state)
{
    (void)state;
    static struct pair *array[MANY];
    memset(array, 0, sizeof(array));
    SINTER_GC_ROOT_ARRAY(m, array, MANY);
    SINTER_GC_ROOT_ARRAY(m, array, 0);
    for (unsigned i = 0; i < MANY; i++)
        array[i] = new_pair(i);
    uintptr_t was = hide(array[0]);
    compact();
    assert_int_not_equal(hide(array[0]), was);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(array[i]->number, i);
}

/* One that is known twice is rewritten as one. */
static void twice_the_same(void **state)
{
    (void)state;
    static struct pair *p;
    p = new_pair(5);
    SINTER_GC_ROOTS(m, p, p);
    assert_int_equal(sinter_gc_root_add(heap, (void **)&p), 0);
    for (int i = 0; i < 5; i++) {
        compact();
        assert_int_equal(p->number, 5);
    }
    assert_int_equal(sinter_gc_root_remove(heap, (void **)&p), 0);
}

/* ---- handles, variables, callbacks ---- */

static void handles_follow(void **state)
{
    (void)state;
    static sinter_gc_handle *handles[MANY];
    for (unsigned i = 0; i < MANY; i++)
        assert_non_null(handles[i] = sinter_gc_handle_new(m, new_pair(i)));
    compact();
    for (unsigned i = 0; i < MANY; i++) {
        struct pair *p = sinter_gc_handle_get(m, handles[i]);
        assert_int_equal(p->number, i);
        if (i % 3 == 0)
            sinter_gc_handle_set(m, handles[i], new_pair(i + MANY));
        if (i % 3 == 1)
            sinter_gc_handle_free(m, handles[i]);
    }
    sinter_gc_handle_free(m, NULL);
    compact();
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 3 == 1)
            continue;
        assert_int_equal(((struct pair *)sinter_gc_handle_get(m, handles[i]))->number,
                         i % 3 == 0 ? i + MANY : i);
        sinter_gc_handle_free(m, handles[i]);
    }
    struct sinter_gc_stats s;
    compact();
    sinter_gc_stats_get(heap, &s, sizeof(s));
    assert_int_equal(s.live, 0);
}

static void variables_until_removed(void **state)
{
    (void)state;
    static struct pair *a, *b;
    struct sinter_gc_stats s;
    a = new_pair(1);
    b = new_pair(2);
    assert_int_equal(sinter_gc_root_add(heap, (void **)&a), 0);
    assert_int_equal(sinter_gc_root_add(heap, (void **)&b), 0);
    compact();
    assert_int_equal(a->number + b->number, 3);
    assert_int_equal(sinter_gc_root_remove(heap, (void **)&a), 0);
    compact();
    assert_int_equal(b->number, 2);
    sinter_gc_stats_get(heap, &s, sizeof(s));
    assert_int_equal(s.live, sizeof(struct pair));
    errno = 0;
    assert_int_equal(sinter_gc_root_remove(heap, (void **)&a), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(sinter_gc_root_remove(heap, (void **)&b), 0);
}

struct table {
    struct pair *pairs[MANY];
    unsigned calls;
};

static void visit_table(void *data, sinter_gc_edge edge, void *context)
{
    struct table *t = data;
    t->calls++;
    for (unsigned i = 0; i < MANY; i++)
        edge((void **)&t->pairs[i], context);
}

static void callbacks_follow(void **state)
{
    (void)state;
    static struct table one, two;
    assert_int_equal(sinter_gc_roots_add(heap, visit_table, &one), 0);
    assert_int_equal(sinter_gc_roots_add(heap, visit_table, &two), 0);
    for (unsigned i = 0; i < MANY; i++) {
        one.pairs[i] = new_pair(i);
        two.pairs[i] = new_pair(2 * i);
    }
    compact();
    assert_in_range(one.calls, 1, 8);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(one.pairs[i]->number, i);
        assert_int_equal(two.pairs[i]->number, 2 * i);
    }
    assert_int_equal(sinter_gc_roots_remove(heap, visit_table, &two), 0);
    unsigned calls = two.calls;
    compact();
    assert_int_equal(two.calls, calls);
    assert_int_equal(one.pairs[1]->number, 1);
    assert_int_equal(sinter_gc_roots_remove(heap, visit_table, &two), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(sinter_gc_roots_remove(heap, visit_table, &one), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(variables_follow), TEST(twelve_in_a_frame),           TEST(frames_nest),
        TEST(arrays_follow),    TEST(frames_end_on_every_way_out), TEST(twice_the_same),
        TEST(handles_follow),   TEST(variables_until_removed),     TEST(callbacks_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
