/* Words that may be references: what they point at, or into, stays where it is; all others move. */
#include "unit-gc.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { OBJECTS = 400, LARGE = 100000 };

static int open_heap(void **state)
{
    (void)state;
    open_pairs(64 << 20, true);
    return 0;
}

static uint64_t live_bytes(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.live;
}

/* ---- ranges ---- */

static uintptr_t range[OBJECTS];

static void ranges_hold(void **state)
{
    (void)state;
    memset(range, 0, sizeof(range));
    assert_int_equal(sinter_gc_ambiguous_add(heap, range, sizeof(range)), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        range[i] = (uintptr_t)new_pair(i) + i % sizeof(struct pair); /* also into the midst */
    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 1000; i++)
            new_pair(~0u);
        compact();
        for (unsigned i = 0; i < OBJECTS; i++)
            assert_int_equal(((struct pair *)(range[i] - i % sizeof(struct pair)))->number, i);
    }
    assert_int_equal(live_bytes(), OBJECTS * sizeof(struct pair));
    assert_int_equal(sinter_gc_ambiguous_remove(heap, range), 0);
    compact();
    assert_int_equal(live_bytes(), 0);
    assert_int_equal(sinter_gc_ambiguous_remove(heap, range), -1);
    assert_int_equal(errno, ENOENT);
}

/* What is behind an object's end, in a block's end or in the other window is nothing. */
static void ranges_with_rubbish(void **state)
{
    (void)state;
    uint32_t seed = 5;
    uintptr_t here = (uintptr_t)new_pair(1) & ~(uintptr_t)0xffffff;
    assert_int_equal(sinter_gc_ambiguous_add(heap, range, sizeof(range)), 0);
    for (int round = 0; round < 20; round++) {
        struct pair *p = NULL;
        SINTER_GC_ROOTS(m, p);
        for (unsigned i = 0; i < 2000; i++) {
            struct pair *q = new_pair(i);
            q->first = p;
            p = q;
        }
        for (unsigned i = 0; i < OBJECTS; i++)
            range[i] = here + unit_random(&seed) % (256 << 20);
        compact();
        unsigned n = 2000;
        for (const struct pair *q = p; q != NULL; q = q->first)
            assert_int_equal(q->number, --n);
        assert_int_equal(n, 0);
    }
    assert_int_equal(sinter_gc_ambiguous_remove(heap, range), 0);
}

static void into_a_large_object(void **state)
{
    (void)state;
    memset(range, 0, sizeof(range));
    assert_int_equal(sinter_gc_ambiguous_add(heap, range, sizeof(range)), 0);
    char *large = sinter_gc_alloc_array(m, bytes_type, LARGE);
    memset(large + 16, 'x', LARGE);
    range[0] = (uintptr_t)large + LARGE + 15; /* its last byte */
    uintptr_t was = hide(large);
    for (int i = 0; i < 3; i++) {
        compact();
        assert_int_equal(sinter_gc_size_of(heap, (void *)~was), LARGE + 16);
        assert_int_equal(((char *)~was)[LARGE + 15], 'x');
    }
    range[0]++; /* behind it */
    compact();
    assert_int_equal(live_bytes(), 0);
    assert_int_equal(sinter_gc_ambiguous_remove(heap, range), 0);
}

/* Its neighbours in the block stay with it, but follow what they refer to. */
static void neighbours_follow(void **state)
{
    (void)state;
    struct pair *a = NULL, *b = NULL;
    SINTER_GC_ROOTS(m, a, b);
    memset(range, 0, sizeof(range));
    assert_int_equal(sinter_gc_ambiguous_add(heap, range, sizeof(range)), 0);
    a = new_pair(1);
    range[0] = (uintptr_t)new_pair(2);
    for (unsigned i = 0; i < 2000; i++)
        b = new_pair(3);
    a->first = b;
    ((struct pair *)range[0])->first = b;
    uintptr_t was = hide(b), stays = hide(a);
    compact();
    assert_int_not_equal(hide(b), was);
    assert_int_equal(hide(a), stays);
    assert_ptr_equal(a->first, b);
    assert_ptr_equal(((struct pair *)range[0])->first, b);
    assert_int_equal(b->number, 3);
    assert_int_equal(sinter_gc_ambiguous_remove(heap, range), 0);
}

/* ---- stacks ---- */

static __attribute__((noinline)) uint64_t with_locals(unsigned depth)
{
    struct pair *volatile p = new_pair(depth);
    volatile uintptr_t inside = (uintptr_t)new_pair(depth + 1) + 24;
    if (depth == 0)
        compact();
    uint64_t sum = depth > 0 ? with_locals(depth - 1) : 0;
    assert_int_equal(p->number, depth);
    assert_int_equal(*(uint64_t *)inside, depth + 1);
    return sum + p->number;
}

static void stacks_hold(void **state)
{
    (void)state;
    sinter_gc_scan_stack(m, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(with_locals(100), 5050);
    sinter_gc_scan_stack(m, false);
    compact();
    assert_int_equal(live_bytes(), 0);
}

static void *collect_elsewhere(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    sinter_gc_collect(mine, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_detach(mine);
    return NULL;
}

#ifdef __x86_64__
/* Calls function(argument) while the registers that a callee has to keep hold ~hidden[0..4]. */
void call_with_registers(void (*function)(sinter_gc_mutator *), sinter_gc_mutator *argument,
                         const uintptr_t *hidden);
__asm__(".text\n.type call_with_registers, @function\ncall_with_registers:\n"
        "push %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov 0(%rdx), %rbx\nmov 8(%rdx), %r12\nmov 16(%rdx), %r13\nmov 24(%rdx), %r14\nmov 32(%rdx), %r15\n"
        "not %rbx\nnot %r12\nnot %r13\nnot %r14\nnot %r15\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nxor %edx, %edx\ncall *%rax\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\nret\n"
        ".size call_with_registers, . - call_with_registers\n");

static __attribute__((noinline)) void make_hidden(uintptr_t *hidden, void **weak)
{
    for (unsigned i = 0; i < 5; i++) {
        struct pair *p = NULL;
        SINTER_GC_ROOTS(m, p);
        p = new_pair(i);
        weak[i] = sinter_gc_weak_new(m, p);
        hidden[i] = hide(p);
        p = NULL;
    }
}

/* Overwrites what calls have left below. */
static __attribute__((noinline)) void wipe_stack(void)
{
    volatile char waste[16384];
    for (size_t i = 0; i < sizeof(waste); i++)
        waste[i] = 0;
}

static void registers_are_held(void (*function)(sinter_gc_mutator *), bool blocks)
{
    uintptr_t hidden[5];
    void *weak[5] = {NULL};
    pthread_t thread;
    SINTER_GC_ROOT_ARRAY(m, weak, 5);
    make_hidden(hidden, weak);
    wipe_stack();
    sinter_gc_scan_stack(m, true);
    call_with_registers(function, m, hidden);
    if (blocks) {
        assert_int_equal(pthread_create(&thread, NULL, collect_elsewhere, NULL), 0);
        pthread_join(thread, NULL);
        sinter_gc_unblock(m);
    }
    sinter_gc_scan_stack(m, false);
    for (unsigned i = 0; i < 5; i++) {
        if (hide(sinter_gc_weak_get(weak[i])) != hidden[i])
            fail_msg("what register %u held has moved or died", i);
    }
}

static void compact_with(sinter_gc_mutator *mutator)
{
    sinter_gc_collect(mutator, SINTER_GC_COLLECT_COMPACT);
}

static void registers_hold_in_a_collection(void **state)
{
    (void)state;
    registers_are_held(compact_with, false);
}

static void registers_hold_in_a_blocking_region(void **state)
{
    (void)state;
    registers_are_held(sinter_gc_block, true);
}
#endif

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(ranges_hold),
        TEST(ranges_with_rubbish),
        TEST(into_a_large_object),
        TEST(neighbours_follow),
        TEST(stacks_hold),
#ifdef __x86_64__
        TEST(registers_hold_in_a_collection),
        TEST(registers_hold_in_a_blocking_region),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
