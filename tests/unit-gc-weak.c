/* What belongs to objects: weak references, ephemerons, finalizers, identity hashes. */
#include "unit-gc.h"

#include <string.h>

enum { MANY = 3000 };

static int open_heap(void **state)
{
    (void)state;
    open_pairs(256 << 20, true);
    return 0;
}

static uint64_t number_of(const void *object)
{
    assert_non_null(object);
    return ((const struct pair *)object)->number;
}

/* ---- weak references ---- */

static void weak_references(void **state)
{
    (void)state;
    static void *weak[MANY], *strong[MANY];
    memset(weak, 0, sizeof(weak));
    memset(strong, 0, sizeof(strong));
    SINTER_GC_ROOT_ARRAY(m, weak, MANY);
    SINTER_GC_ROOT_ARRAY(m, strong, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        struct pair *p = new_pair(i);
        strong[i] = i % 2 ? p : NULL;
        weak[i] = sinter_gc_weak_new(m, p);
        assert_int_equal(number_of(sinter_gc_weak_get(weak[i])), i);
    }
    for (int round = 0; round < 4; round++) {
        compact();
        for (unsigned i = 0; i < MANY; i++)
            assert_ptr_equal(sinter_gc_weak_get(weak[i]), strong[i]);
        for (unsigned i = 0; i < MANY && round == 2; i++)
            strong[i] = i % 4 == 1 ? strong[i] : NULL;
    }
}

/* A chain of weak references keeps its first only. */
static void weak_chain(void **state)
{
    (void)state;
    void *chain = NULL, *middle = NULL;
    SINTER_GC_ROOTS(m, chain, middle);
    middle = sinter_gc_weak_new(m, new_pair(1));
    chain = sinter_gc_weak_new(m, middle);
    compact();
    assert_ptr_equal(sinter_gc_weak_get(chain), middle);
    assert_null(sinter_gc_weak_get(middle));
    middle = NULL;
    compact();
    assert_null(sinter_gc_weak_get(chain));
}

/* ---- ephemerons ---- */

static void ephemerons(void **state)
{
    (void)state;
    void *e = NULL, *key = NULL;
    SINTER_GC_ROOTS(m, e, key);
    key = new_pair(1);
    e = sinter_gc_ephemeron_new(m, key, new_pair(2));
    compact();
    assert_ptr_equal(sinter_gc_ephemeron_key(e), key);
    assert_int_equal(number_of(sinter_gc_ephemeron_value(e)), 2);
    sinter_gc_ephemeron_set_value(e, new_pair(3));
    compact();
    assert_int_equal(number_of(sinter_gc_ephemeron_value(e)), 3);
    key = NULL;
    compact();
    assert_null(sinter_gc_ephemeron_key(e));
    assert_null(sinter_gc_ephemeron_value(e));
    sinter_gc_ephemeron_set_value(e, e);
    assert_null(sinter_gc_ephemeron_value(e));
}

/* The value refers to its key, and nothing else does. */
static void key_only_through_the_value(void **state)
{
    (void)state;
    void *e = NULL, *f = NULL;
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, e, f, p);
    p = new_pair(1);
    p->first = p;
    e = sinter_gc_ephemeron_new(m, p, p);
    p = new_pair(2);
    p->first = new_pair(3);
    f = sinter_gc_ephemeron_new(m, p->first, p);
    p = NULL;
    compact();
    assert_null(sinter_gc_ephemeron_key(e));
    assert_null(sinter_gc_ephemeron_value(f));
}

/* The value of each is the key of the next, in this and the other order of making; the first key lives, then dies. */
static void chains(void **state)
{
    (void)state;
    static void *all[MANY];
    struct pair *key = NULL, *next = NULL;
    SINTER_GC_ROOTS(m, key, next);
    for (int backwards = 0; backwards < 2; backwards++) {
        memset(all, 0, sizeof(all));
        SINTER_GC_ROOT_ARRAY(m, all, MANY);
        key = new_pair(0);
        next = key;
        for (unsigned i = 0; i < MANY; i++) {
            struct pair *value = new_pair(i + 1);
            SINTER_GC_ROOTS(m, value);
            all[backwards ? MANY - 1 - i : i] = sinter_gc_ephemeron_new(m, next, value);
            next = value;
        }
        next = NULL;
        compact();
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(number_of(sinter_gc_ephemeron_value(all[backwards ? MANY - 1 - i : i])), i + 1);
        key = NULL;
        compact();
        for (unsigned i = 0; i < MANY; i++)
            assert_null(sinter_gc_ephemeron_key(all[i]));
    }
}

/* ---- finalizers ---- */

static void *next_finalized(uintptr_t expected)
{
    void *data = NULL, *object = sinter_gc_finalizer_next(m, &data);
    assert_int_equal((uintptr_t)data, expected);
    return object;
}

static void finalizers_in_order(void **state)
{
    (void)state;
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    for (unsigned i = 0; i < MANY; i++) { /* each refers to the one before */
        struct pair *q = new_pair(i);
        q->first = p;
        p = q;
        assert_int_equal(sinter_gc_finalizer_add(m, q, (void *)(uintptr_t)i), 0);
    }
    compact();
    assert_null(next_finalized(0));
    p = NULL;
    compact();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(number_of(next_finalized(i)), i);
        if (i % 500 == 0)
            compact(); /* the queue keeps them */
    }
    assert_null(next_finalized(0));
    compact();
    assert_null(next_finalized(0)); /* once */
}

static void taken_and_kept(void **state)
{
    (void)state;
    void *weak = NULL;
    struct pair *kept = NULL;
    SINTER_GC_ROOTS(m, weak, kept);
    kept = new_pair(1);
    kept->first = new_pair(2);
    weak = sinter_gc_weak_new(m, kept);
    assert_int_equal(sinter_gc_finalizer_add(m, kept, (void *)5), 0);
    kept = NULL;
    compact();
    assert_null(sinter_gc_weak_get(weak)); /* it has died */
    kept = next_finalized(5);
    compact();
    assert_int_equal(kept->number, 1);
    assert_int_equal(number_of(kept->first), 2);
    assert_null(next_finalized(0));
    assert_int_equal(sinter_gc_finalizer_add(m, kept, (void *)6), 0); /* again */
    compact();
    assert_null(next_finalized(0));
    kept = NULL;
    compact();
    assert_int_equal(number_of(next_finalized(6)), 1);
}

static void added_twice(void **state)
{
    (void)state;
    {
        struct pair *p = new_pair(1);
        SINTER_GC_ROOTS(m, p);
        assert_int_equal(sinter_gc_finalizer_add(m, p, (void *)1), 0);
        assert_int_equal(sinter_gc_finalizer_add(m, p, (void *)2), 0);
    }
    compact();
    const void *first = next_finalized(1), *second = next_finalized(2);
    assert_ptr_equal(first, second);
    assert_null(sinter_gc_finalizer_next(m, NULL));
}

/* Ephemerons and weak references that only a finalizable object refers to. */
static void weak_behind_finalizers(void **state)
{
    (void)state;
    struct pair *p = NULL, *alive = NULL;
    SINTER_GC_ROOTS(m, p, alive);
    alive = new_pair(9);
    p = new_pair(1);
    p->first = sinter_gc_weak_new(m, alive);
    p->second = sinter_gc_ephemeron_new(m, alive, new_pair(7));
    assert_int_equal(sinter_gc_finalizer_add(m, p, NULL), 0);
    p = NULL;
    compact();
    compact();
    p = next_finalized(0);
    assert_non_null(p);
    assert_ptr_equal(sinter_gc_weak_get(p->first), alive);
    assert_int_equal(number_of(sinter_gc_ephemeron_value(p->second)), 7);
}

/* ---- hashes ---- */

static void hashes_stay(void **state)
{
    (void)state;
    static struct pair *pairs[MANY];
    static uint32_t hashes[MANY];
    memset(pairs, 0, sizeof(pairs));
    SINTER_GC_ROOT_ARRAY(m, pairs, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        pairs[i] = new_pair(i);
        new_pair(i);
        hashes[i] = i % 3 ? sinter_gc_hash(m, pairs[i]) : 0;
        assert_true(hashes[i] != 0 || i % 3 == 0);
    }
    for (int round = 0; round < 4; round++) {
        compact();
        for (unsigned i = 0; i < MANY; i++) {
            assert_int_equal(sinter_gc_type_of(pairs[i]), pair_type);
            hashes[i] = hashes[i] != 0 ? hashes[i] : sinter_gc_hash(m, pairs[i]);
            assert_int_equal(sinter_gc_hash(m, pairs[i]), hashes[i]);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(weak_references), TEST(weak_chain),
        TEST(ephemerons),      TEST(key_only_through_the_value),
        TEST(chains),          TEST(hashes_stay),
        TEST(added_twice),     TEST(finalizers_in_order),
        TEST(taken_and_kept),  TEST(weak_behind_finalizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
