/* Minor collections: what is old is left alone, and what was written to it is seen, whoever wrote it. */
#include "unit-gc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 20000, WIDE = 1 << 19, ROUNDS = 12 };

static sinter_gc_type array_type, called_type;

struct array {
    uint64_t header;
    size_t count;
    struct pair *items[];
};

static size_t size_of_array(const void *object)
{
    return sizeof(struct array) + ((const struct array *)object)->count * sizeof(void *);
}

static void visit_array(void *object, sinter_gc_edge edge, void *context)
{
    struct array *a = object;
    for (size_t i = 0; i < a->count; i++)
        edge((void **)&a->items[i], context);
}

/* Nothing moves, so that after each full collection a minor one is possible. */
static void open_with(const char *conf)
{
    setenv("SINTER_GC_CONF", conf, 1);
    open_pairs((size_t)512 << 20, true);
    unsetenv("SINTER_GC_CONF");
    struct sinter_gc_layout array = {
        .name = "array", .size = 16, .element_size = 8, .element_references = 1, .count_offset = 8};
    struct sinter_gc_layout called = {.name = "called", .visit = visit_array, .size_of = size_of_array};
    array_type = sinter_gc_type_new(heap, &array);
    called_type = sinter_gc_type_new(heap, &called);
}

static int open_heap(void **state)
{
    (void)state;
    open_with("compact:off,minimum:300m");
    return 0;
}

static uint64_t minors(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.minor;
}

static void full(void)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT);
}

/* What can be tested of this where the kernel tells what was written. */
static void minor(void)
{
    uint64_t before = minors();
    sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
    assert_int_equal(minors(), before + 1);
}

static void litter(void)
{
    for (int i = 0; i < MANY; i++)
        new_pair(0);
}

static struct array *new_array(sinter_gc_type type, size_t count)
{
    if (type == array_type)
        return sinter_gc_alloc_array(m, type, count);
    struct array *a = sinter_gc_alloc(m, type, sizeof(*a) + count * sizeof(void *));
    if (a != NULL)
        a->count = count;
    return a;
}

/* Of pairs with these numbers. */
static struct array *numbered_pairs(void)
{
    struct array *all = NULL;
    SINTER_GC_ROOTS(m, all);
    all = new_array(array_type, MANY);
    for (size_t i = 0; i < MANY; i++)
        all->items[i] = new_pair(i);
    return all;
}

/* ---- what was written ---- */

static void the_old_hold_the_fresh(void **state)
{
    (void)state;
    struct array *old = NULL;
    SINTER_GC_ROOTS(m, old);
    uint32_t random = 7;
    static uint64_t wanted[MANY];
    old = new_array(array_type, MANY);
    for (size_t i = 0; i < MANY; i++)
        old->items[i] = new_pair(0);
    for (int round = 1; round <= ROUNDS; round++) {
        full();
        for (int i = 0; i < 20; i++) { /* on few of its pages */
            size_t at = unit_random(&random) % MANY;
            wanted[at] = unit_random(&random);
            struct pair *fresh = new_pair(wanted[at]);
            old->items[at]->first = fresh;
        }
        litter();
        minor();
        litter();
        minor(); /* of which nothing was written since */
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(old->items[i]->first != NULL ? old->items[i]->first->number : 0, wanted[i]);
    }
}

/* A large object of which few pages were written. */
static void parts_of_large_objects(sinter_gc_type type)
{
    struct array *wide = NULL;
    SINTER_GC_ROOTS(m, wide);
    uint32_t random = 11;
    wide = new_array(type, WIDE);
    assert_non_null(wide);
    for (int round = 1; round <= ROUNDS; round++) {
        full();
        size_t at[8];
        for (size_t i = 0; i < 8; i++) {
            at[i] = i == 0 ? 0 : i == 1 ? WIDE - 1 : unit_random(&random) % WIDE;
            struct pair *fresh = new_pair(at[i] + 1);
            wide->items[at[i]] = fresh;
        }
        litter();
        minor();
        litter();
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(wide->items[at[i]]->number, at[i] + 1);
    }
}

static void parts_of_arrays(void **state)
{
    (void)state;
    parts_of_large_objects(array_type);
}

static void parts_of_what_a_callback_knows(void **state)
{
    (void)state;
    parts_of_large_objects(called_type);
}

/* A large object that is young is looked into, and gone when nothing holds it. */
static void young_large_objects(void **state)
{
    (void)state;
    struct array *kept = NULL;
    struct pair *old = NULL;
    SINTER_GC_ROOTS(m, kept, old);
    old = new_pair(1);
    full();
    kept = new_array(array_type, WIDE);
    kept->items[WIDE / 2] = new_pair(2);
    struct pair *holder = (struct pair *)new_array(array_type, WIDE);
    old->first = holder;
    for (int i = 0; i < 8; i++)
        new_array(array_type, WIDE);
    litter();
    minor();
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    assert_in_range(s.live, 2 * WIDE * 8, 3 * WIDE * 8 - 1);
    assert_int_equal(kept->items[WIDE / 2]->number, 2);
    assert_int_equal(((struct array *)old->first)->count, WIDE);
}

static void written_by_the_kernel(void **state)
{
    (void)state;
    struct pair *old = NULL, *fresh = NULL;
    SINTER_GC_ROOTS(m, old, fresh);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    old = new_pair(1);
    full();
    fresh = new_pair(2);
    assert_int_equal(write(ends[1], &fresh, sizeof(fresh)), sizeof(fresh));
    assert_int_equal(read(ends[0], &old->first, sizeof(old->first)), sizeof(old->first));
    fresh = NULL;
    litter();
    minor();
    litter();
    assert_int_equal(old->first->number, 2);
    close(ends[0]);
    close(ends[1]);
}

/* ---- what belongs to objects ---- */

static void weak_and_ephemerons(void **state)
{
    (void)state;
    void *to_fresh = NULL, *to_old = NULL, *to_kept = NULL, *ephemeron = NULL;
    struct pair *key = NULL, *kept = NULL;
    SINTER_GC_ROOTS(m, to_fresh, to_old, to_kept, ephemeron, key, kept);
    key = new_pair(1);
    to_old = sinter_gc_weak_new(m, new_pair(2));
    ephemeron = sinter_gc_ephemeron_new(m, key, NULL);
    full();
    assert_null(sinter_gc_weak_get(to_old));
    to_old = new_pair(3);
    to_old = sinter_gc_weak_new(m, kept = new_pair(4));
    full();
    kept = NULL; /* old garbage now */
    to_fresh = sinter_gc_weak_new(m, new_pair(5));
    kept = new_pair(6);
    to_kept = sinter_gc_weak_new(m, kept);
    sinter_gc_ephemeron_set_value(ephemeron, new_pair(7));
    litter();
    minor();
    assert_null(sinter_gc_weak_get(to_fresh));
    assert_ptr_equal(sinter_gc_weak_get(to_kept), kept);
    assert_int_equal(((struct pair *)sinter_gc_weak_get(to_old))->number, 4); /* until a full one */
    assert_int_equal(((struct pair *)sinter_gc_ephemeron_value(ephemeron))->number, 7);
    full();
    assert_null(sinter_gc_weak_get(to_old));
    assert_int_equal(((struct pair *)sinter_gc_ephemeron_value(ephemeron))->number, 7);
}

static void finalizers(void **state)
{
    (void)state;
    struct pair *old = NULL, *kept = NULL;
    SINTER_GC_ROOTS(m, old, kept);
    old = new_pair(1);
    sinter_gc_finalizer_add(m, old, (void *)1);
    full();
    old = NULL;
    sinter_gc_finalizer_add(m, new_pair(2), (void *)2);
    kept = new_pair(3);
    sinter_gc_finalizer_add(m, kept, (void *)3);
    litter();
    minor();
    void *data = NULL;
    struct pair *dead = sinter_gc_finalizer_next(m, &data);
    assert_int_equal(dead->number, 2);
    assert_null(sinter_gc_finalizer_next(m, &data));
    full();
    dead = sinter_gc_finalizer_next(m, &data);
    assert_int_equal(dead->number, 1);
    assert_null(sinter_gc_finalizer_next(m, &data));
}

/* ---- when ---- */

static void asked_for_all(void **state)
{
    (void)state;
    void *weak = NULL;
    struct pair *target = NULL;
    SINTER_GC_ROOTS(m, weak, target);
    weak = sinter_gc_weak_new(m, target = new_pair(1));
    full();
    target = NULL;
    uint64_t before = minors();
    full();
    assert_null(sinter_gc_weak_get(weak));
    assert_int_equal(minors(), before);
}

/* Where everything that is old is written to, minor ones are tried seldom. */
static void they_rest(void **state)
{
    (void)state;
    struct array *all = NULL;
    SINTER_GC_ROOTS(m, all);
    all = numbered_pairs();
    full();
    uint64_t before = minors();
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < MANY; i++)
            all->items[i]->second = all->items[i];
        litter();
        sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
    }
    assert_in_range(minors() - before, 1, 10);
}

static void by_themselves(void **state)
{
    (void)state;
    close_heap(NULL);
    open_with("minimum:0,verify:off");
    {
        struct array *all = NULL;
        SINTER_GC_ROOTS(m, all);
        all = numbered_pairs();
        full();
        for (int i = 0; i < 500 && minors() == 0; i++) {
            litter();
            sinter_gc_block(m);
            usleep(1000);
            sinter_gc_unblock(m);
        }
        assert_true(minors() > 0);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(all->items[i]->number, i);
    }
}

static void switched_off(void **state)
{
    (void)state;
    close_heap(NULL);
    open_with("generational:off,compact:off,minimum:300m");
    {
        void *weak = NULL;
        struct pair *target = NULL;
        SINTER_GC_ROOTS(m, weak, target);
        weak = sinter_gc_weak_new(m, target = new_pair(1));
        full();
        target = NULL;
        sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
        assert_null(sinter_gc_weak_get(weak));
        assert_int_equal(minors(), 0);
    }
}

/* What has moved is fresh for the kernel: the next one is full, and after it there are minor ones again. */
static void after_a_compaction(void **state)
{
    (void)state;
    close_heap(NULL);
    open_with("minimum:300m");
    {
        struct array *all = NULL;
        SINTER_GC_ROOTS(m, all);
        all = numbered_pairs();
        for (int round = 0; round < 6; round++) {
            full();
            struct pair *fresh = new_pair(round);
            all->items[7]->first = fresh;
            litter();
            minor();
            compact();
            assert_int_equal(all->items[7]->first->number, round);
            uint64_t before = minors();
            sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
            assert_int_equal(minors(), before);
        }
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(all->items[i]->number, i);
    }
}

/* ---- other threads and processes ---- */

static struct array *shared;

static void *writer(void *argument)
{
    uint32_t random = (uint32_t)(uintptr_t)argument;
    sinter_gc_mutator *own = sinter_gc_attach(heap);
    for (int i = 0; i < 100000; i++) {
        struct pair *fresh = sinter_gc_alloc(own, pair_type, sizeof(*fresh));
        size_t at = unit_random(&random) % MANY / 2 * 2 + (uintptr_t)argument % 2; /* each its own */
        fresh->number = at;
        shared->items[at]->first = fresh;
        if (i % 20000 == 0)
            sinter_gc_collect(own, i % 40000 == 0 ? SINTER_GC_COLLECT : SINTER_GC_COLLECT_MINOR);
    }
    sinter_gc_detach(own);
    return NULL;
}

static void several_writers(void **state)
{
    (void)state;
    pthread_t threads[2];
    sinter_gc_root_add(heap, (void **)&shared);
    shared = numbered_pairs();
    full();
    sinter_gc_block(m);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)(i + 2)), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    sinter_gc_unblock(m);
    sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
    for (size_t i = 0; i < MANY; i++) {
        if (shared->items[i]->first != NULL)
            assert_int_equal(shared->items[i]->first->number, i);
    }
    sinter_gc_root_remove(heap, (void **)&shared);
}

/* The child is told nothing of writes, and does without. */
static void in_a_child(void **state)
{
    (void)state;
    struct pair *old = NULL;
    SINTER_GC_ROOTS(m, old);
    old = new_pair(1);
    full();
    old->first = new_pair(2);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        old->second = new_pair(3);
        for (int i = 0; i < 4; i++) {
            litter();
            sinter_gc_collect(m, i < 2 ? SINTER_GC_COLLECT_MINOR : SINTER_GC_COLLECT);
        }
        _exit(old->first->number == 2 && old->second->number == 3 ? 0 : 1);
    }
    old->second = new_pair(4);
    litter();
    minor();
    litter();
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(old->first->number, 2);
    assert_int_equal(old->second->number, 4);
}

static bool can_be_told(void)
{
    open_heap(NULL);
    full();
    sinter_gc_collect(m, SINTER_GC_COLLECT_MINOR);
    bool can = minors() > 0;
    close_heap(NULL);
    return can;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest anywhere[] = {TEST(switched_off), TEST(asked_for_all)};
    const struct CMUnitTest told[] = {
        TEST(the_old_hold_the_fresh),
        TEST(parts_of_arrays),
        TEST(parts_of_what_a_callback_knows),
        TEST(young_large_objects),
        TEST(written_by_the_kernel),
        TEST(weak_and_ephemerons),
        TEST(finalizers),
        TEST(they_rest),
        TEST(by_themselves),
        TEST(after_a_compaction),
        TEST(several_writers),
        TEST(in_a_child),
    };
    int failed = cmocka_run_group_tests(anywhere, NULL, NULL);
    if (!can_be_told()) {
        print_message("this kernel does not tell which pages were written to: no minor collections\n");
        return failed != 0 ? 1 : 77;
    }
    return failed + cmocka_run_group_tests(told, NULL, NULL);
}
