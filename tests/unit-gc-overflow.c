/*
 * No memory for the mark stack: malloc refuses while the collector marks. Nothing that is alive is lost, and nothing that is
 * dead stays.
 */
#include "unit-gc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TABLES = 600, /* roots: more than a piece of the stack holds */
    FEW = 100,
    MANY = 1100, /* more than that, too, and a large object */
    NODES = 1 << 16,
    LENGTH = 20000,
    WEAK = 3000,
    DYING = 10,
    ROUNDS = 3,
    GARBAGE = 1000000000,
    HANG_SECONDS = 120
};

struct table {
    uint64_t header;
    size_t count;
    void *items[];
};

struct text {
    uint64_t header;
    size_t length;
    char bytes[];
};

/* How many threads mark, and what is refused: one call in so many; 0: none. */
struct refusal {
    const char *conf;
    unsigned pieces, lists;
};

static struct refusal now;
static _Atomic bool marking;
static _Atomic unsigned asked, refused, asked_lists, refused_lists;
static sinter_gc_type table_type;
static uint32_t seed;

/* Everything that is to live. */
static struct table *tables[TABLES];
static struct pair *tree, *list;
static void *weak[WEAK], *ephemerons[WEAK];

/* ---- malloc, the library's as well ---- */

void *__libc_malloc(size_t size);
void *__libc_realloc(void *block, size_t size);

static bool is_refused(unsigned one_in, _Atomic unsigned *calls, _Atomic unsigned *refusals)
{
    if (!atomic_load(&marking))
        return false;
    unsigned call = atomic_fetch_add(calls, 1);
    if (one_in == 0 || call % one_in != 0)
        return false;
    atomic_fetch_add(refusals, 1);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return is_refused(now.pieces, &asked, &refused) ? NULL : __libc_malloc(size);
}

void *realloc(void *block, size_t size)
{
    return is_refused(now.lists, &asked_lists, &refused_lists) ? NULL : __libc_realloc(block, size);
}

static void begin_refusing(void *unused)
{
    (void)unused;
    atomic_store(&marking, true);
}

static void end_refusing(void *unused, size_t live)
{
    (void)unused;
    (void)live;
    atomic_store(&marking, false);
}

/* ---- the heap ---- */

static int open_heap(void **state)
{
    struct sinter_gc_layout table = {.name = "table",
                                     .size = sizeof(struct table),
                                     .element_size = sizeof(void *),
                                     .element_references = 1,
                                     .count_offset = offsetof(struct table, count)};
    struct sinter_gc_events events = {.stopped = begin_refusing, .marked = end_refusing};
    alarm(HANG_SECONDS);
    now = *(const struct refusal *)*state;
    setenv("SINTER_GC_CONF", now.conf, 1);
    open_pairs(512 << 20, true);
    table_type = sinter_gc_type_new(heap, &table);
    asked = refused = asked_lists = refused_lists = 0;
    seed = 1;
    sinter_gc_listen(heap, &events);
    return 0;
}

static int end_heap(void **state)
{
    marking = false;
    alarm(0);
    return close_heap(state);
}

/* ---- a graph, wide and deep, with garbage everywhere ---- */

static void waste(void)
{
    struct pair *p = new_pair(GARBAGE);
    SINTER_GC_ROOTS(m, p);
    p->first = p;
    p->second = (void *)sinter_gc_alloc(m, bytes_type, 16);
}

static struct table *new_table(size_t count)
{
    struct table *t = sinter_gc_alloc_array(m, table_type, count);
    assert_non_null(t);
    return t;
}

/* A pair with a leaf that holds its number. */
static struct pair *new_pair_with_leaf(uint64_t number)
{
    struct pair *p = new_pair(number);
    SINTER_GC_ROOTS(m, p);
    struct text *t = sinter_gc_alloc_array(m, bytes_type, sizeof(number));
    assert_non_null(t);
    memcpy(t->bytes, &number, sizeof(number));
    p->first = (void *)t;
    return p;
}

static void check_leaf(const struct pair *p)
{
    const struct text *t = (const void *)p->first;
    assert_int_equal(t->length, sizeof(p->number));
    assert_memory_equal(t->bytes, &p->number, sizeof(p->number));
}

static struct table *filled_table(size_t count, uint64_t from)
{
    struct table *t = new_table(count);
    SINTER_GC_ROOTS(m, t);
    for (size_t i = 0; i < count; i++) {
        struct pair *p = new_pair_with_leaf(from + i);
        t->items[i] = p;
        p->second = i > 0 ? t->items[i - 1] : NULL;
        waste();
    }
    return t;
}

static void check_table(const struct table *t, size_t count, uint64_t from)
{
    assert_int_equal(t->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct pair *p = t->items[i];
        assert_int_equal(p->number, from + i);
        assert_ptr_equal(p->second, i > 0 ? t->items[i - 1] : NULL);
        check_leaf(p);
    }
}

static size_t table_size(unsigned i)
{
    return i % 10 == 0 ? MANY : FEW;
}

/* Children lie anywhere. */
static void plant_tree(void)
{
    static struct pair *nodes[NODES];
    static unsigned order[NODES];
    memset(nodes, 0, sizeof(nodes));
    SINTER_GC_ROOT_ARRAY(m, nodes, NODES);
    for (unsigned i = 0; i < NODES; i++) {
        unsigned at = unit_random(&seed) % (i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (unsigned i = 0; i < NODES; i++) {
        nodes[order[i]] = new_pair(order[i]);
        waste();
    }
    for (unsigned i = 1; i < NODES; i++)
        *(i % 2 ? &nodes[(i - 1) / 2]->first : &nodes[(i - 1) / 2]->second) = nodes[i];
    tree = nodes[0];
}

static void check_tree(const struct pair *p, unsigned i)
{
    if (i >= NODES) {
        assert_null(p);
        return;
    }
    assert_int_equal(p->number, i);
    check_tree(p->first, 2 * i + 1);
    check_tree(p->second, 2 * i + 2);
}

static struct pair *tree_node(unsigned i)
{
    if (i == 0)
        return tree;
    struct pair *parent = tree_node((i - 1) / 2);
    return i % 2 ? parent->first : parent->second;
}

static void make_list(void)
{
    for (unsigned i = 0; i < LENGTH; i++) {
        struct pair *p = new_pair(i);
        p->first = list;
        list = p;
        waste();
    }
}

static void check_list(void)
{
    unsigned i = LENGTH;
    for (const struct pair *p = list; p != NULL; p = p->first)
        assert_int_equal(p->number, --i);
    assert_int_equal(i, 0);
}

/* Every second refers to the dead. The keys of some ephemerons are the values of others. */
static void make_weak(void)
{
    for (unsigned i = 0; i < WEAK; i++) {
        struct pair *value = new_pair_with_leaf(i % 2 ? i : GARBAGE);
        SINTER_GC_ROOTS(m, value);
        struct pair *target = i % 2 ? tree_node(i) : new_pair(GARBAGE);
        weak[i] = sinter_gc_weak_new(m, target);
        void *key = sinter_gc_weak_get(weak[i]);
        if (i % 4 == 3)
            key = sinter_gc_ephemeron_value(ephemerons[i - 2]);
        ephemerons[i] = sinter_gc_ephemeron_new(m, key, value);
    }
}

static void check_weak(void)
{
    for (unsigned i = 0; i < WEAK; i++) {
        const struct pair *value = sinter_gc_ephemeron_value(ephemerons[i]);
        assert_ptr_equal(sinter_gc_weak_get(weak[i]), i % 2 ? tree_node(i) : NULL);
        assert_int_equal(value != NULL, i % 2);
        assert_int_equal(sinter_gc_ephemeron_key(ephemerons[i]) != NULL, i % 2);
        if (value == NULL)
            continue;
        assert_int_equal(value->number, i);
        check_leaf(value);
    }
}

/* They die at the next collection, and all that they refer to has to be there when they are taken. */
static void make_dying(void)
{
    for (unsigned i = 0; i < DYING; i++) {
        struct pair *p = new_pair(i);
        SINTER_GC_ROOTS(m, p);
        struct table *t = filled_table(MANY, i);
        p->first = (void *)t;
        assert_int_equal(sinter_gc_finalizer_add(m, p, NULL), 0);
    }
}

static void check_dying(void)
{
    for (unsigned i = 0; i < DYING; i++) {
        const struct pair *p = sinter_gc_finalizer_next(m, NULL);
        assert_non_null(p);
        assert_int_equal(p->number, i);
        check_table((const void *)p->first, MANY, i);
    }
    assert_null(sinter_gc_finalizer_next(m, NULL));
}

static void make_graph(void)
{
    for (unsigned i = 0; i < TABLES; i++) {
        struct table *t = filled_table(table_size(i), i);
        tables[i] = t;
        new_table(MANY); /* garbage */
    }
    plant_tree();
    make_list();
    make_weak();
}

static void check_graph(void)
{
    for (unsigned i = 0; i < TABLES; i++)
        check_table(tables[i], table_size(i), i);
    check_tree(tree, 0);
    check_list();
}

/* ---- what is there ---- */

struct census {
    size_t pairs, tables, garbage;
};

static void count(void *data, void *object, sinter_gc_type type, size_t size)
{
    struct census *c = data;
    (void)size;
    c->pairs += type == pair_type;
    c->tables += type == table_type;
    c->garbage += type == pair_type && ((struct pair *)object)->number == GARBAGE;
}

static struct census all_objects(void)
{
    struct census c = {0};
    sinter_gc_walk(m, count, &c);
    return c;
}

static void check_census(size_t dying)
{
    struct census c = all_objects();
    size_t pairs = NODES + LENGTH + WEAK / 2 + dying * (MANY + 1);
    for (unsigned i = 0; i < TABLES; i++)
        pairs += table_size(i);
    assert_int_equal(c.garbage, 0);
    assert_int_equal(c.pairs, pairs);
    assert_int_equal(c.tables, TABLES + dying);
}

/* ---- tests ---- */

#define ALL_ROOTS()                                                                                          \
    memset(tables, 0, sizeof(tables));                                                                       \
    memset(weak, 0, sizeof(weak));                                                                           \
    memset(ephemerons, 0, sizeof(ephemerons));                                                               \
    tree = list = NULL;                                                                                      \
    SINTER_GC_ROOT_ARRAY(m, tables, TABLES);                                                                 \
    SINTER_GC_ROOT_ARRAY(m, weak, WEAK);                                                                     \
    SINTER_GC_ROOT_ARRAY(m, ephemerons, WEAK);                                                               \
    SINTER_GC_ROOTS(m, tree, list)

static void nothing_is_lost(void **state)
{
    (void)state;
    ALL_ROOTS();
    make_graph();
    for (int round = 0; round < ROUNDS; round++) {
        make_dying();
        compact();
        check_graph();
        check_weak();
        check_census(DYING);
        check_dying();
    }
    compact();
    check_census(0);
    print_message("%u of %u refused\n", refused, asked);
    assert_true(asked > 0);
    assert_true((refused > 0) == (now.pieces > 0));
}

/* Nor for the lists of weak references and ephemerons: they keep what they refer to, until there is memory again. */
static void weak_on_the_safe_side(void **state)
{
    (void)state;
    ALL_ROOTS();
    make_graph();
    compact();
    check_graph();
    print_message("%u of %u, and %u of %u for lists refused\n", refused, asked, refused_lists, asked_lists);
    assert_true(refused_lists > 0);
    for (unsigned i = 0; i < WEAK; i++) {
        assert_int_equal(((struct pair *)sinter_gc_weak_get(weak[i]))->number, i % 2 ? i : GARBAGE);
        check_leaf(sinter_gc_ephemeron_value(ephemerons[i]));
    }
    now = (struct refusal){0};
    compact();
    check_graph();
    check_weak();
    check_census(0);
}

static uint64_t minors(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.minor;
}

/* In a minor collection, by way of what was written to old objects. */
static void what_the_old_hold(void **state)
{
    (void)state;
    struct table *old = NULL;
    SINTER_GC_ROOTS(m, old);
    old = new_table(TABLES);
    sinter_gc_collect(m, SINTER_GC_COLLECT);
    for (unsigned i = 0; i < TABLES; i++) {
        struct table *t = filled_table(table_size(i), i);
        old->items[i] = t;
    }
    sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
    if (minors() == 0)
        skip(); /* the kernel does not tell what was written to */
    for (unsigned i = 0; i < TABLES; i++)
        check_table(old->items[i], table_size(i), i);
    assert_int_equal(all_objects().garbage, 0);
    assert_true(refused > 0);
}

int main(void)
{
    static struct refusal none[] = {{"workers:1", 0, 0}, {"workers:4", 0, 0}},
                          every[] = {{"workers:1", 1, 0}, {"workers:2", 1, 0}, {"workers:4", 1, 0}},
                          second[] = {{"workers:1", 2, 0}, {"workers:2", 2, 0}, {"workers:4", 2, 0}},
                          lists[] = {{"workers:1", 1, 1}, {"workers:4", 2, 1}},
                          minor[] = {{"workers:1,compact:off,minimum:300m", 1, 0},
                                     {"workers:4,compact:off,minimum:300m", 2, 0}};
#define TEST(name, refusal) cmocka_unit_test_prestate_setup_teardown(name, open_heap, end_heap, &(refusal))
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost, none[0]),        TEST(nothing_is_lost, none[1]),
        TEST(nothing_is_lost, every[0]),       TEST(nothing_is_lost, every[1]),
        TEST(nothing_is_lost, every[2]),       TEST(nothing_is_lost, second[0]),
        TEST(nothing_is_lost, second[1]),      TEST(nothing_is_lost, second[2]),
        TEST(weak_on_the_safe_side, lists[0]), TEST(weak_on_the_safe_side, lists[1]),
        TEST(what_the_old_hold, minor[0]),     TEST(what_the_old_hold, minor[1]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
