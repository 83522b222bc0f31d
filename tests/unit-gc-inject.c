/* A kernel that refuses, does a part only, or forgets to wake: a graph that moves again and again loses nothing. */
#include "unit.h"

#include "sinter/gc.h"
#include "uffd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NODES = 20000, LARGE = 60000, HANG_SECONDS = 60 };

struct node {
    uint64_t header;
    struct node *next, *other;
    uint64_t number;
};

struct table {
    uint64_t header;
    size_t count;
    struct node *nodes[];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type node_type, table_type;
static _Atomic bool stop;
static uint32_t seed = 1;

static int open_heap_whose(enum sinter_gc_faults faults)
{
    struct sinter_gc_layout node = {.name = "node", .size = sizeof(struct node), .references = 6};
    struct sinter_gc_layout table = {.name = "table",
                                     .size = sizeof(struct table),
                                     .element_size = 8,
                                     .element_references = 1,
                                     .count_offset = offsetof(struct table, count)};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 256 << 20;
    config.faults = faults;
    atomic_store(&stop, false);
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    node_type = sinter_gc_type_new(heap, &node);
    table_type = sinter_gc_type_new(heap, &table);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
    alarm(HANG_SECONDS);
    return 0;
}

static int open_heap(void **state)
{
    (void)state;
    return open_heap_whose(SINTER_GC_FAULTS_SERVICE);
}

static int open_own_heap(void **state)
{
    (void)state;
    return open_heap_whose(SINTER_GC_FAULTS_OWN);
}

static int close_heap(void **state)
{
    (void)state;
    uffd_inject(0, 0);
    m->frames = NULL; /* of a test that failed */
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    alarm(0);
    return 0;
}

static bool is_served(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.served != SINTER_GC_SERVED_NOT;
}

static struct node *new_node(sinter_gc_mutator *mutator, uint64_t number)
{
    struct node *n = sinter_gc_alloc(mutator, node_type, sizeof(*n));
    if (n == NULL)
        abort();
    n->number = number;
    return n;
}

/* A list NODES long, with rubbish between. */
static struct node *new_list(sinter_gc_mutator *mutator)
{
    struct node *list = NULL;
    SINTER_GC_ROOTS(mutator, list);
    for (unsigned i = NODES; i-- > 0;) {
        for (unsigned waste = i % 8; waste > 0; waste--)
            new_node(mutator, ~0u);
        struct node *n = new_node(mutator, i);
        n->next = list;
        n->other = list;
        list = n;
    }
    return list;
}

/* No safepoint. Aborts, for threads other than the first. */
static void check_list(const struct node *list)
{
    unsigned i = 0;
    for (const struct node *n = list; n != NULL; n = n->next, i++) {
        if (n->number != i || n->other != n->next)
            abort();
    }
    if (i != NODES)
        abort();
}

static void check_table(const struct table *t)
{
    assert_int_equal(t->count, LARGE);
    for (unsigned i = 0; i < LARGE; i++) {
        if (t->nodes[i] != NULL)
            assert_int_equal(t->nodes[i]->number, i);
    }
}

static void *look_and_make(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    {
        struct node *list = NULL;
        SINTER_GC_ROOTS(mine, list);
        while (!atomic_load(&stop)) {
            list = new_list(mine);
            sinter_gc_safepoint(mine);
            check_list(list);
        }
    }
    sinter_gc_detach(mine);
    return NULL;
}

static void change_table(struct table *t)
{
    for (unsigned i = 0; i < 2000; i++) {
        unsigned at = unit_random(&seed) % LARGE;
        t->nodes[at] = i % 2 ? NULL : t->nodes[at];
    }
}

static struct table *new_table(void)
{
    struct table *t = NULL;
    SINTER_GC_ROOTS(m, t);
    t = sinter_gc_alloc_array(m, table_type, LARGE);
    assert_non_null(t);
    for (unsigned i = 0; i < LARGE; i += 1 + i % 7) {
        struct node *n = new_node(m, i);
        t->nodes[i] = n;
    }
    return t;
}

static void compact_again_and_again(uint64_t one_in, int rounds)
{
    struct node *list = NULL;
    struct table *table = NULL;
    SINTER_GC_ROOTS(m, list, table);
    list = new_list(m);
    table = new_table();
    for (int round = 0; round < rounds; round++) {
        uffd_inject(one_in, (uint64_t)round + 1);
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
        check_list(list);
        check_table(table);
        change_table(table);
        if (round % 8 == 0)
            list = new_list(m);
        if (round % 16 == 0)
            table = new_table();
    }
}

static void one_thread(void **state)
{
    (void)state;
    if (!is_served())
        skip();
    compact_again_and_again(10, 100);
}

static void one_call_in_three(void **state)
{
    (void)state;
    if (!is_served())
        skip();
    compact_again_and_again(3, 60);
}

static void several_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    if (!is_served())
        skip();
    atomic_store(&stop, false);
    uffd_inject(10, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_and_make, NULL), 0);
    compact_again_and_again(10, 60);
    atomic_store(&stop, true);
    sinter_gc_block(m);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    sinter_gc_unblock(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
#define OWN_TEST(name)                                                                                       \
    {                                                                                                        \
        "own_" #name, name, open_own_heap, close_heap, NULL                                                  \
    }
    const struct CMUnitTest tests[] = {
        TEST(one_thread),          TEST(one_call_in_three),
        TEST(several_threads),     OWN_TEST(one_call_in_three),
        OWN_TEST(several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
