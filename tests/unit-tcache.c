/* Thread caches, above all the protocol by which other threads drain them without an atomic in their way. */
#include "unit.h"

#include "conf.h"
#include "heap.h"
#include "span.h"
#include "tcache_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static size_t slot_bytes(void)
{
    struct span_stats stats;
    span_stats(&stats);
    return stats.slot_bytes;
}

static void what_is_freed_is_cached(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(48);
    tcache_flush();
    assert_int_equal(tcache_bin_slots(bin), 0);
    char *p = heap_malloc(48), *q = heap_malloc(48);
    assert_false(tcache_holds(bin, p, PTRDIFF_MAX));
    heap_free(p, "free");
    assert_true(tcache_holds(bin, p, PTRDIFF_MAX));
    assert_false(tcache_holds(bin, q, PTRDIFF_MAX));
    assert_ptr_equal(heap_malloc(40), p); /* the last freed comes first, it is still warm */
    heap_free(q, "free");
    heap_free(p, "free");
    tcache_flush();
    assert_false(tcache_holds(bin, p, PTRDIFF_MAX));
    assert_int_equal(tcache_bin_slots(bin), 0);
    assert_int_equal(slot_bytes(), 0);
}

/* A cache holds no more than the options say, however much is freed into it. */
static void bounded(void **state)
{
    (void)state;
    enum { N = 30000 };
    static void *p[N];
    for (size_t size = 16; size <= SMALL_MAX; size = size * 3) {
        for (int i = 0; i < N / 10; i++)
            p[i] = heap_malloc(size);
        for (int i = 0; i < N / 10; i++)
            heap_free(p[i], "free");
        unsigned bin = sizeclass_bin(size);
        size_t cached = tcache_bin_slots(bin) * sizeclass_table[bin].size;
        assert_true(cached <= max_size((size_t)conf_get(CONF_cache_bin), 16 * sizeclass_table[bin].size));
    }
    struct tcache_stats stats;
    tcache_stats(&stats);
    assert_true(stats.bytes <= (size_t)conf_get(CONF_cache_thread));
    tcache_flush();
    assert_int_equal(slot_bytes(), 0);
}

static void *use_and_end(void *arg)
{
    void *p[500];
    for (size_t i = 0; i < 500; i++)
        p[i] = heap_malloc(i * 7 + 1);
    for (size_t i = 0; i < 500; i++)
        heap_free(p[i], "free");
    return arg;
}

static void a_thread_that_ends_leaves_nothing(void **state)
{
    (void)state;
    struct tcache_stats before, after;
    tcache_flush();
    tcache_stats(&before);
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        assert_int_equal(pthread_create(&t, NULL, use_and_end, NULL), 0);
        pthread_join(t, NULL);
    }
    tcache_stats(&after);
    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.bytes, 0);
    assert_int_equal(slot_bytes(), 0);
}

static void idle_caches_drain(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(100);
    static void *p[100];
    for (int i = 0; i < 100; i++)
        p[i] = heap_malloc(100);
    for (int i = 0; i < 100; i++)
        heap_free(p[i], "free");
    size_t cached = tcache_bin_slots(bin);
    assert_true(cached > 0);
    if (tcache_drain(false) == 0) /* the first time only notes where the stack stands */
        assert_int_equal(tcache_bin_slots(bin), cached);
    tcache_drain(false);
    assert_true(tcache_bin_slots(bin) <= 1); /* one may be in dispute */
    for (int i = 0; i < 100; i++) {
        p[i] = heap_malloc(100);
        memset(p[i], i, 100);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(p[k], p[i]);
    }
    for (int i = 0; i < 100; i++)
        heap_free(p[i], "free");
    tcache_flush();
    assert_int_equal(slot_bytes(), 0);
}

/*
 * The state in which a drain leaves the stack of 100-byte blocks if it has exchanged its last element just when the
 * owner had moved `top` down to it: the owner has read the pointer before, or will read NULL.
 */
static void *disputed_element(void)
{
    unsigned bin = sizeclass_bin(100);
    void *p[20];
    tcache_flush();
    for (int i = 0; i < 20; i++)
        p[i] = heap_malloc(100);
    for (int i = 0; i < 20; i++)
        heap_free(p[i], "free");
    struct tcache *c = tcache_own();
    void **top = tcache_top(c, bin) - 1;
    assert_ptr_equal(*top, p[19]);
    atomic_store(&c->bins[bin].top, top);
    *top = NULL;
    c->stacks[bin].drained = true;
    c->stacks[bin].disputed_at = top;
    c->stacks[bin].disputed = p[19];
    return p[19];
}

static void a_pop_that_reads_null_gets_its_slot(void **state)
{
    (void)state;
    void *last = disputed_element();
    assert_ptr_equal(tcache_alloc(sizeclass_bin(100)), last);
    heap_free(last, "free");
    tcache_flush();
    assert_int_equal(slot_bytes(), 0);
}

static void a_pop_that_was_first_keeps_its_slot(void **state)
{
    (void)state;
    void *last = disputed_element(), *more[100];
    for (int i = 0; i < 100; i++) {
        more[i] = heap_malloc(100);
        assert_ptr_not_equal(more[i], last);
    }
    for (int i = 0; i < 100; i++)
        heap_free(more[i], "free");
    heap_free(last, "free");
    tcache_flush();
    assert_int_equal(slot_bytes(), 0);
}

/* A second drain can't tell either while the owner stands still, and knows once the owner has gone on. */
static void a_dispute_waits_for_its_owner(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(100);
    void *last = disputed_element();
    const struct stack *s = &tcache_own()->stacks[bin];
    tcache_drain(true);
    assert_ptr_equal(s->disputed, last);
    assert_non_null(s->disputed_at);
    void *next = heap_malloc(100);
    assert_ptr_not_equal(next, last);
    tcache_drain(true);
    assert_null(s->disputed_at);
    heap_free(next, "free");
    heap_free(last, "free");
    tcache_flush();
    assert_int_equal(slot_bytes(), 0);
}

/*
 * Threads allocate and free as fast as they can, some of them each other's blocks, while others drain all caches.
 * A slot handed out twice shows as a foreign mark, a lost one in the sum at the end, one given back twice as a
 * death by double free.
 */
enum { WORKERS = 3, HELD = 64, EXCHANGE = 256 };
static atomic_bool stop;
static atomic_ulong drains, collisions, operations;
static _Atomic(void *) exchange[EXCHANGE];

static void mark_block(void *p, uintptr_t owner)
{
    ((atomic_uintptr_t *)p)[0] = owner;
}

static void check_block(void *p, uintptr_t owner)
{
    if (atomic_exchange((atomic_uintptr_t *)p, 0) != owner)
        atomic_fetch_add(&collisions, 1);
}

static void *work(void *arg)
{
    uintptr_t id = (uintptr_t)arg;
    uint32_t seed = (uint32_t)id * 77 + 1;
    void *held[HELD] = {NULL};
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int k = 0; k < 1000; k++) {
            uint32_t r = unit_random(&seed);
            /* Shallow stacks bring `top` and the drainer together often. */
            size_t i = r % 16 ? r % 4 : r / 16 % HELD;
            if (held[i]) {
                check_block(held[i], id * HELD + i + 1);
                if (r >> 20 == 0) {
                    mark_block(held[i], ~(uintptr_t)0);
                    void *other = atomic_exchange(&exchange[r / 32 % EXCHANGE], held[i]);
                    if (other) {
                        check_block(other, ~(uintptr_t)0);
                        heap_free(other, "free");
                    }
                } else {
                    heap_free(held[i], "free");
                }
                held[i] = NULL;
            } else {
                held[i] = heap_malloc(64 + i % 3 * 400);
                mark_block(held[i], id * HELD + i + 1);
            }
        }
        atomic_fetch_add_explicit(&operations, 1000, memory_order_relaxed);
    }
    for (size_t i = 0; i < HELD; i++) {
        if (held[i]) {
            check_block(held[i], id * HELD + i + 1);
            heap_free(held[i], "free");
        }
    }
    return NULL;
}

static void *drain(void *arg)
{
    while (!atomic_load(&stop)) {
        atomic_fetch_add(&drains, tcache_drain(true));
        if (arg)
            usleep(50);
    }
    return NULL;
}

static void drained_while_in_use(void **state)
{
    (void)state;
    pthread_t workers[WORKERS], drainers[2];
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, work, (void *)i), 0);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&drainers[i], NULL, drain, (void *)i), 0);
    sleep(4);
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(drainers[i], NULL);
    for (int i = 0; i < EXCHANGE; i++) {
        void *p = atomic_exchange(&exchange[i], NULL);
        if (p)
            heap_free(p, "free");
    }
    tcache_flush();
    print_message("%lu operations, %lu slots drained\n", operations, drains);
    assert_int_equal(collisions, 0);
    assert_true(drains > 0);
    assert_int_equal(slot_bytes(), 0);
    span_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_is_cached),
        cmocka_unit_test(bounded),
        cmocka_unit_test(a_thread_that_ends_leaves_nothing),
        cmocka_unit_test(idle_caches_drain),
        cmocka_unit_test(a_pop_that_reads_null_gets_its_slot),
        cmocka_unit_test(a_pop_that_was_first_keeps_its_slot),
        cmocka_unit_test(a_dispute_waits_for_its_owner),
        cmocka_unit_test(drained_while_in_use),
    };
    return cmocka_run_group_tests_name("tcache", tests, setup, NULL);
}
