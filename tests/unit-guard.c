#include "unit.h"

#include "conf.h"
#include "guard.h"
#include "guard_modules.h"
#include "guard_pages.h"
#include "guard_rest.h"
#include "guard_uffd.h"
#include "heap.h"
#include "os.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Guard mode is on and nobody's turn comes by itself: the tests ask for guarded blocks. */
extern const char *sinter_conf;
__attribute__((visibility("default"))) const char *sinter_conf =
    "guard:sample=1000000000,guard_cpu:100,guard_way:poison,guard_quarantine:64k,guard_place:end";

enum { SLOT = 2 * 4096, QUARANTINE = 64 * 1024 };

/* ---- touching what may be closed ---- */

static sigjmp_buf after;
static void *volatile fault_at;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault_at = info->si_addr;
    siglongjmp(after, sig);
}

/* The signal that touching the byte raises; 0: none. */
static int touch(char *p)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, bus, segv;
    sigaction(SIGBUS, &action, &bus);
    sigaction(SIGSEGV, &action, &segv);
    int sig = sigsetjmp(after, 1);
    if (sig == 0)
        *(volatile char *)p = 1;
    sigaction(SIGBUS, &bus, NULL);
    sigaction(SIGSEGV, &segv, NULL);
    return sig != 0 && fault_at != p ? -1 : sig;
}

static int touch_in_child(char *p)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(touch(p));
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static int closed_signal(void)
{
    return guard_pages_way() == GUARD_POISON ? SIGBUS : SIGSEGV;
}

/* ---- slots ---- */

static void placed(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 15, 16, 17, 64, 4095, 4096, 4097, 12288, 100000, GUARD_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t align = 1; align <= 16384; align *= 4) {
            char *p = guard_alloc(sizes[i], align);
            if (sizes[i] == GUARD_MAX && align > PAGE_BYTES) {
                assert_null(p);
                continue;
            }
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % max_size(align, 16), 0);
            assert_int_equal(guard_usable_size(p, "test"), sizes[i]);
            for (size_t k = 0; k < sizes[i]; k += 512)
                assert_int_equal(p[k], 0);
            memset(p, 1, sizes[i]);
            assert_ptr_equal(guard_blame((uintptr_t)p), guard_slot_at((uintptr_t)p));
            char *behind = (char *)align_up((uintptr_t)p + sizes[i], PAGE_BYTES),
                 *before = (char *)align_down((uintptr_t)p, PAGE_BYTES) - 1;
            assert_true(align > PAGE_BYTES || behind - (p + sizes[i]) < (ptrdiff_t)max_size(align, 16));
            assert_ptr_equal(guard_blame((uintptr_t)before), guard_slot_at((uintptr_t)p));
            guard_free(p, "free");
        }
    }
    assert_null(guard_alloc(GUARD_MAX + 1, 1));
    assert_null(guard_alloc(SIZE_MAX, 1));
}

/* What has been freed first is used again first, and not before the quarantine is full. */
static void quarantine_is_a_queue(void **state)
{
    (void)state;
    enum { ROOM = QUARANTINE / SLOT, ROUNDS = 100 };
    struct guard_stats stats;
    char *freed[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        char *p = guard_alloc(64, 1);
        for (int k = i > ROOM ? i - ROOM : 0; k < i; k++)
            assert_ptr_not_equal(p, freed[k]);
        if (i > 2 * ROOM)
            assert_ptr_equal(p, freed[i - ROOM - 1]);
        guard_free(p, "free");
        freed[i] = p;
        guard_stats(&stats);
        assert_true(stats.quarantined_bytes <= QUARANTINE);
    }
    assert_int_equal(stats.quarantined_bytes, QUARANTINE);
    /* A slot that does not fit in at all is free at once. */
    char *p = guard_alloc(GUARD_MAX, 1);
    guard_free(p, "free");
    guard_stats(&stats);
    assert_int_equal(stats.quarantined_bytes, 0);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.unclosed, 0);
}

static void freed_is_closed_and_survives_fork(void **state)
{
    (void)state;
    char *p = guard_alloc(64, 1), *q = guard_alloc(64, 1);
    struct guard_stack stack;
    guard_stack_take(&stack);
    guard_free(p, "free");
    enum guard_state freed = guard_slot_at((uintptr_t)p)->state;
    assert_int_equal(freed, GUARD_QUARANTINED);
    /* A child can free and allocate as well, with a descriptor of its own. */
    pid_t pid = fork();
    if (pid == 0) {
        guard_free(q, "free");
        char *r = guard_alloc(100, 1);
        struct guard_stats stats;
        guard_stats(&stats);
        _exit(r == NULL || stats.unclosed != 0 ? 1 : 0);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    *q = 1;
    guard_free(q, "free");
}

static bool counts(void)
{
    return __atomic_load_n(&tcache_tls.direct, __ATOMIC_RELAXED) == 0;
}

/* A turn that comes too soon passes, and the thread takes the fast path; the background thread has it count again. */
static void thread_rests(void **state)
{
    (void)state;
    heap_free(heap_malloc(100), "free"); /* it has a cache */
    assert_int_equal(conf_set_text("guard_cpu", "1"), 0);
    tcache_tls.rests = 0;
    void *p = guard_alloc(100, 1);
    assert_non_null(p);
    assert_true(counts());
    assert_true(guard_rest_goes_on());
    tcache_tls.rests = os_ticks() + ((uint64_t)1 << 50); /* for days */
    assert_null(guard_alloc(100, 1));
    assert_true(guard_rest_any() || counts());
    for (int i = 0; i < 1000 && !counts(); i++)
        usleep(10000);
    assert_true(counts());
    assert_null(guard_alloc(100, 1)); /* the time is not over */
    tcache_tls.rests = 0;
    void *q = guard_alloc(100, 1);
    assert_non_null(q);
    assert_int_equal(conf_set_text("guard_cpu", "100"), 0);
    void *r = guard_alloc(100, 1);
    assert_non_null(r);
    guard_free(p, "free");
    guard_free(q, "free");
    guard_free(r, "free");
}

static void *begin_rest(void *unused)
{
    (void)unused;
    heap_free(heap_malloc(100), "free");
    tcache_tls.countdown = 1;
    tcache_tls.direct = tcache_tls.small = 0;
    tcache_tls.rests = os_ticks() + ((uint64_t)1 << 50);
    assert_null(guard_alloc(100, 1));
    return NULL;
}

/* Threads that end while they rest, while the background thread ends rests; nobody's memory is touched after its end. */
static void resting_threads_end(void **state)
{
    (void)state;
    assert_int_equal(conf_set_text("guard_cpu", "1"), 0);
    for (int i = 0; i < 2000; i++) {
        pthread_t threads[2];
        for (int k = 0; k < 2; k++)
            assert_int_equal(pthread_create(&threads[k], NULL, begin_rest, NULL), 0);
        if (i % 16 == 0)
            guard_rest_end_all();
        for (int k = 0; k < 2; k++)
            assert_int_equal(pthread_join(threads[k], NULL), 0);
    }
    assert_int_equal(conf_set_text("guard_cpu", "100"), 0);
}

/* The mean of the intervals is the rate, and they scatter as a geometric distribution does: deviation and mean alike. */
static void intervals_are_geometric(void **state)
{
    (void)state;
    enum { DRAWS = 20000, RATE = 1000 };
    uint32_t rate = guard_rate;
    guard_rate = RATE;
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        assert_null(guard_alloc(SIZE_MAX, 1));
        double n = (double)tcache_tls.countdown;
        assert_true(n >= 1);
        sum += n;
        squares += n * n;
    }
    guard_rate = rate;
    double mean = sum / DRAWS, variance = squares / DRAWS - mean * mean;
    assert_true(mean > 0.96 * RATE && mean < 1.04 * RATE);
    assert_true(variance > 0.9 * RATE * RATE && variance < 1.1 * RATE * RATE);
}

/* Once the program has closed the descriptor, or has put a file of its own there. */
static void descriptor_is_opened_anew(void **state)
{
    (void)state;
    if (guard_pages_way() != GUARD_POISON)
        skip();
    struct guard_stats stats;
    for (int round = 0; round < 2; round++) {
        char *p = guard_alloc(64, 1);
        for (int fd = 3; fd < 1024; fd++) {
            if (round == 1 && fd > 400)
                dup2(STDERR_FILENO, fd);
            else
                close(fd);
        }
        guard_free(p, "free");
        guard_stats(&stats);
        assert_int_equal(stats.unclosed, 0);
    }
}

/* ---- the ways of guarding, each in a process of its own: one process has one ---- */

static int try_way(enum guard_way way)
{
    enum { PAGES = 64 };
    const size_t size = PAGES * PAGE_BYTES;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    guard_uffd_fork_prepare(); /* forget what guard_init() has covered */
    guard_uffd_fork_child();
    if (!guard_pages_init(way, p, size))
        return 2;
    if (guard_pages_way() != way)
        return 77;
    int sig = closed_signal();
    if (touch(p) != sig || touch(p + size - 1) != sig)
        return 3;
    if (!guard_pages_open(p + PAGE_BYTES, 2 * PAGE_BYTES) || p[PAGE_BYTES] != 0)
        return 4;
    memset(p + PAGE_BYTES, 1, 2 * PAGE_BYTES);
    if (touch(p + PAGE_BYTES - 1) != sig || touch(p + 3 * PAGE_BYTES) != sig)
        return 5;
    if (touch_in_child(p + 3 * PAGE_BYTES) != sig || touch_in_child(p + PAGE_BYTES) != 0)
        return 6;
    if (!guard_pages_close(p + PAGE_BYTES, 2 * PAGE_BYTES) || touch(p + PAGE_BYTES) != sig)
        return 7;
    /* Poison goes with the pages; the other two do not. */
    madvise(p + 5 * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED);
    if (touch(p + 5 * PAGE_BYTES) != (way == GUARD_POISON ? 0 : sig))
        return 8;
    if (!guard_pages_close(p + 5 * PAGE_BYTES, PAGE_BYTES) || touch(p + 5 * PAGE_BYTES) != sig)
        return 9;
    /* A locked page does not hinder it. */
    if (!guard_pages_open(p, PAGE_BYTES) || mlock(p, PAGE_BYTES) != 0)
        return 0;
    return guard_pages_close(p, PAGE_BYTES) && touch(p) == sig ? 0 : 10;
}

static void each_way(enum guard_way way)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_way(way));
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void poison(void **state)
{
    (void)state;
    each_way(GUARD_POISON);
}

static void madvise_guard(void **state)
{
    (void)state;
    each_way(GUARD_MADVISE);
}

static void protection(void **state)
{
    (void)state;
    each_way(GUARD_MPROTECT);
}

/* ---- the rest ---- */

static void modules_are_found(void **state)
{
    (void)state;
    struct place places[3] = {{.address = (uintptr_t)modules_are_found},
                              {.address = (uintptr_t)gnu_get_libc_version},
                              {.address = 16}};
    guard_modules_find(places, 3);
    assert_non_null(strstr(places[0].name, "unit-guard"));
    assert_non_null(strstr(places[1].name, "libc"));
    assert_string_equal(places[2].name, "");
    assert_int_equal(places[2].offset, 16);
    assert_true(places[0].offset < places[0].address);
}

int main(void)
{
    heap_init();
    if (guard_rate == 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placed),
        cmocka_unit_test(quarantine_is_a_queue),
        cmocka_unit_test(freed_is_closed_and_survives_fork),
        cmocka_unit_test(intervals_are_geometric),
        cmocka_unit_test(thread_rests),
        cmocka_unit_test(resting_threads_end),
        cmocka_unit_test(descriptor_is_opened_anew),
        cmocka_unit_test(poison),
        cmocka_unit_test(madvise_guard),
        cmocka_unit_test(protection),
        cmocka_unit_test(modules_are_found),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
