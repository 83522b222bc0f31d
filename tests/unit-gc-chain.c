/*
 * Ephemerons by the thousand whose keys are reached through other ephemerons: how often one is looked at does not grow with
 * their number. The linker sends weak.c's calls through here to be counted, or refused.
 */
#include "unit-gc.h"

#include <string.h>

enum { MANY = 20000, FEW = 1000, MOST_LOOKS = 8 };

enum order { FORWARDS, BACKWARDS, SHUFFLED };

static size_t looks, added, most_added;

struct keys;
bool __real_mark_is_marked(const sinter_gc_heap *h, const void *object);
bool __wrap_mark_is_marked(const sinter_gc_heap *h, const void *object);
bool __real_keys_add(struct keys *keys, const void *key, void *ephemeron);
bool __wrap_keys_add(struct keys *keys, const void *key, void *ephemeron);

bool __wrap_mark_is_marked(const sinter_gc_heap *h, const void *object)
{
    looks++;
    return __real_mark_is_marked(h, object);
}

bool __wrap_keys_add(struct keys *keys, const void *key, void *ephemeron)
{
    return added++ < most_added && __real_keys_add(keys, key, ephemeron);
}

static int open_heap(void **state)
{
    (void)state;
    open_pairs(256 << 20, true);
    most_added = SIZE_MAX;
    return 0;
}

/* How many looks a collection takes. */
static size_t looks_now(void)
{
    looks = added = 0;
    compact();
    return looks;
}

static uint64_t number_of(const void *object)
{
    assert_non_null(object);
    return ((const struct pair *)object)->number;
}

/* ---- a chain: the value of each is, or refers to, the key of the next ---- */

static void *chain[MANY];
static unsigned place[MANY]; /* in `chain`, of each link */

static void set_places(unsigned count, enum order order)
{
    uint32_t seed = 1;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = order == SHUFFLED ? unit_random(&seed) % (i + 1) : i;
        place[i] = place[at];
        place[at] = order == BACKWARDS ? count - 1 - i : i;
    }
}

static void make_chain(unsigned count, enum order order, struct pair *first)
{
    struct pair *key = first, *value = NULL;
    SINTER_GC_ROOTS(m, key, value);
    memset(chain, 0, sizeof(chain));
    set_places(count, order);
    for (unsigned i = 0; i < count; i++) {
        value = new_pair(i);
        struct pair *next = i % 2 ? new_pair(i) : value;
        value->first = next;
        chain[place[i]] = sinter_gc_ephemeron_new(m, key, value);
        key = value->first;
    }
}

static void check_chain(unsigned count, bool alive)
{
    for (unsigned i = 0; i < count; i++) {
        const void *e = chain[place[i]];
        assert_int_equal(sinter_gc_ephemeron_key(e) != NULL, alive);
        if (alive)
            assert_int_equal(number_of(sinter_gc_ephemeron_value(e)), i);
        else
            assert_null(sinter_gc_ephemeron_value(e));
    }
}

static void chain_in_order(enum order order)
{
    struct pair *first = NULL;
    SINTER_GC_ROOTS(m, first);
    SINTER_GC_ROOT_ARRAY(m, chain, MANY);
    first = new_pair(0);
    make_chain(MANY, order, first);
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    check_chain(MANY, true);
    first = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    check_chain(MANY, false);
}

static void forwards(void **state)
{
    (void)state;
    chain_in_order(FORWARDS);
}

static void backwards(void **state)
{
    (void)state;
    chain_in_order(BACKWARDS);
}

static void shuffled(void **state)
{
    (void)state;
    chain_in_order(SHUFFLED);
}

/* Without memory to find them by their keys, at once and after a while. */
static void without_memory(void **state)
{
    (void)state;
    struct pair *first = NULL;
    SINTER_GC_ROOTS(m, first);
    SINTER_GC_ROOT_ARRAY(m, chain, MANY);
    for (most_added = 0; most_added < FEW / 2; most_added += FEW / 4) {
        first = new_pair(0);
        make_chain(FEW, SHUFFLED, first);
        looks_now();
        assert_true(added > most_added);
        check_chain(FEW, true);
        first = NULL;
        looks_now();
        check_chain(FEW, false);
    }
}

/* ---- others ---- */

/* Each is found only through the one before, when others wait already. */
static void nested(void **state)
{
    (void)state;
    struct pair *outer = NULL, *key = NULL, *first = NULL;
    void *e = NULL, *head = NULL;
    SINTER_GC_ROOTS(m, outer, key, first, e, head);
    key = new_pair(MANY); /* of the last, which holds nothing */
    e = sinter_gc_ephemeron_new(m, key, NULL);
    for (unsigned i = MANY; i-- > 0;) {
        outer = new_pair(i);
        outer->first = e;
        outer->second = key; /* may be marked after the ephemeron was looked at, or before */
        key = new_pair(i);
        e = sinter_gc_ephemeron_new(m, key, outer);
    }
    first = key;
    head = e;
    outer = key = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    for (unsigned i = 0; i < MANY; i++) {
        outer = sinter_gc_ephemeron_value(e);
        assert_int_equal(number_of(outer), i);
        e = outer->first;
    }
    outer = NULL;
    e = NULL;
    first = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    assert_null(sinter_gc_ephemeron_value(head));
}

/* All wait for one key, without references, that is the value of the last. */
static void one_key(void **state)
{
    (void)state;
    struct pair *key = NULL, *first = NULL;
    SINTER_GC_ROOTS(m, key, first);
    memset(chain, 0, sizeof(chain));
    SINTER_GC_ROOT_ARRAY(m, chain, MANY);
    key = (void *)sinter_gc_alloc_array(m, bytes_type, 100);
    first = new_pair(0);
    for (unsigned i = 0; i < MANY; i++)
        chain[i] = sinter_gc_ephemeron_new(m, key, new_pair(i));
    chain[MANY / 2] = sinter_gc_ephemeron_new(m, first, key);
    key = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    for (unsigned i = 0; i < MANY; i++) {
        if (i != MANY / 2)
            assert_int_equal(number_of(sinter_gc_ephemeron_value(chain[i])), i);
    }
    first = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_null(sinter_gc_ephemeron_key(chain[i]));
}

/* The first key is kept by an object that is to be finalized. */
static void behind_a_finalizer(void **state)
{
    (void)state;
    struct pair *dying = NULL;
    SINTER_GC_ROOTS(m, dying);
    SINTER_GC_ROOT_ARRAY(m, chain, MANY);
    dying = new_pair(1);
    dying->first = new_pair(0);
    assert_int_equal(sinter_gc_finalizer_add(m, dying, NULL), 0);
    struct pair *table = new_pair(2);
    dying->second = table;
    make_chain(MANY, BACKWARDS, dying->first);
    for (unsigned i = 0; i < MANY; i++) { /* found only when that has been marked */
        struct pair *holder = new_pair(i);
        holder->first = chain[i];
        holder->second = dying->second->first;
        dying->second->first = holder;
    }
    memset(chain, 0, sizeof(chain));
    dying = NULL;
    assert_in_range(looks_now(), 1, MOST_LOOKS * MANY);
    dying = sinter_gc_finalizer_next(m, NULL);
    struct pair *holder = dying->second->first;
    for (unsigned i = MANY; i-- > 0; holder = holder->second)
        chain[i] = holder->first;
    check_chain(MANY, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(forwards), TEST(backwards), TEST(shuffled),           TEST(without_memory),
        TEST(nested),   TEST(one_key),   TEST(behind_a_finalizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
