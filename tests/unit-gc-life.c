/* Threads and processes: attaching, blocking regions, calling back, forks, and heaps that end without a trace. */
#include "unit.h"

#include "sinter/gc.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 16, NODES = 3000, HANG_SECONDS = 30 };

struct node {
    uint64_t header;
    struct node *next;
    uint64_t number;
};

static sinter_gc_heap *heap;
static sinter_gc_type node_type;
static _Atomic bool stop;
static _Atomic int ready;

static sinter_gc_heap *new_heap(void)
{
    struct sinter_gc_layout node = {.name = "node", .size = sizeof(struct node), .references = 2};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 256 << 20;
    config.minimum = 1 << 20;
    sinter_gc_heap *made = sinter_gc_create(&config);
    if (made == NULL)
        abort();
    node_type = sinter_gc_type_new(made, &node);
    return made;
}

/* Some of what follows forks, and some of it may hang: each test has a process of its own. */
static void in_child(void (*function)(void))
{
    pid_t pid = fork();
    int status = 0;
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(HANG_SECONDS);
        heap = new_heap();
        function();
        sinter_gc_destroy(heap);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        fail_msg("it hangs");
    if (status != 0)
        fail_msg("it ends with status %x", (unsigned)status);
}

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}
#define NEED(condition) need(condition, #condition)

static struct node *new_list(sinter_gc_mutator *m)
{
    struct node *list = NULL;
    SINTER_GC_ROOTS(m, list);
    for (unsigned i = NODES; i-- > 0;) {
        sinter_gc_alloc(m, node_type, sizeof(*list)); /* dies */
        struct node *n = sinter_gc_alloc(m, node_type, sizeof(*n));
        NEED(n != NULL);
        n->number = i;
        n->next = list;
        list = n;
    }
    return list;
}

static void check_list(const struct node *list)
{
    unsigned i = 0;
    for (const struct node *n = list; n != NULL; n = n->next)
        NEED(n->number == i++);
    NEED(i == NODES);
}

static uint64_t threads_attached(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.threads;
}

static void live_a_while(sinter_gc_mutator *m, int rounds)
{
    struct node *list = NULL;
    SINTER_GC_ROOTS(m, list);
    for (int i = 0; i < rounds; i++) {
        list = new_list(m);
        if (i % 4 == 0)
            sinter_gc_collect(m, (enum sinter_gc_collect)(i / 4 % 3));
        check_list(list);
    }
}

static void run_threads(unsigned n, void *(*run)(void *))
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < n; i++)
        NEED(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* ---- attaching ---- */

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++) {
        sinter_gc_mutator *m = sinter_gc_attach(heap);
        NEED(m != NULL && sinter_gc_heap_of(m) == heap);
        live_a_while(m, 2);
        sinter_gc_detach(m);
    }
    return NULL;
}

static void coming_and_going(void)
{
    run_threads(THREADS, come_and_go);
    NEED(threads_attached() == 0);
}

/* While one computes without safepoints in a blocking region, others collect. */
static void *block_for_long(void *unused)
{
    (void)unused;
    struct node *list = NULL;
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    {
        SINTER_GC_ROOTS(m, list);
        list = new_list(m);
        errno = 77;
        sinter_gc_block(m);
        sinter_gc_block(m); /* they nest */
        NEED(errno == 77);
        sinter_gc_unblock(m);
        atomic_fetch_add(&ready, 1);
        while (!atomic_load(&stop))
            usleep(100);
        errno = 78;
        sinter_gc_unblock(m);
        NEED(errno == 78);
        check_list(list);
    }
    sinter_gc_detach(m);
    return NULL;
}

static void blocking(void)
{
    pthread_t thread[2];
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    for (int i = 0; i < 2; i++)
        NEED(pthread_create(&thread[i], NULL, block_for_long, NULL) == 0);
    while (atomic_load(&ready) < 2)
        sinter_gc_safepoint(m);
    NEED(threads_attached() == 3);
    live_a_while(m, 20);
    atomic_store(&stop, true);
    sinter_gc_block(m);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    sinter_gc_unblock(m);
    sinter_gc_detach(m);
}

static void call_back(sinter_gc_mutator *m, void *data)
{
    live_a_while(m, 8);
    *(sinter_gc_mutator **)data = m;
}

static void *call_from_afar(void *unused)
{
    (void)unused;
    sinter_gc_mutator *seen = NULL;
    for (int i = 0; i < 10; i++)
        NEED(sinter_gc_with_mutator(heap, call_back, &seen) == 0);
    return NULL;
}

static void calling_back(void)
{
    sinter_gc_mutator *seen = NULL, *m;
    run_threads(4, call_from_afar);
    NEED(threads_attached() == 0);
    m = sinter_gc_attach(heap);
    NEED(sinter_gc_with_mutator(heap, call_back, &seen) == 0 && seen == m);
    seen = NULL;
    sinter_gc_block(m);
    sinter_gc_block(m);
    NEED(sinter_gc_with_mutator(heap, call_back, &seen) == 0 && seen == m);
    run_threads(4, call_from_afar); /* it counts as stopped again */
    sinter_gc_unblock(m);
    sinter_gc_unblock(m);
    live_a_while(m, 4);
    sinter_gc_detach(m);
}

/* ---- several heaps ---- */

static sinter_gc_heap *two[2];

static void *use_both(void *number)
{
    unsigned mine = (unsigned)(uintptr_t)number % 2;
    sinter_gc_mutator *a = sinter_gc_attach(two[mine]), *b = sinter_gc_attach(two[1 - mine]);
    struct node *first = NULL, *second = NULL;
    {
        SINTER_GC_ROOTS(a, first);
        SINTER_GC_ROOTS(b, second);
        first = new_list(a);
        second = new_list(b);
        for (int i = 0; i < 200; i++) {
            sinter_gc_collect(a, SINTER_GC_COLLECT);
            sinter_gc_safepoint(b);
            check_list(first);
            check_list(second);
        }
    }
    sinter_gc_detach(b);
    sinter_gc_detach(a);
    return NULL;
}

/* Each has the world of one stopped while the other has that of the other stopped. */
static void two_heaps_and_two_threads(void)
{
    two[0] = heap;
    two[1] = new_heap();
    run_threads(2, use_both);
    sinter_gc_destroy(two[1]);
}

/* ---- forks ---- */

static void in_a_fork(sinter_gc_mutator *m, struct node *list, int depth)
{
    SINTER_GC_ROOTS(m, list);
    check_list(list);
    live_a_while(m, 12);
    check_list(list);
    if (depth == 0)
        return;
    pid_t pid = fork();
    int status = 0;
    NEED(pid >= 0);
    if (pid == 0) {
        alarm(HANG_SECONDS);
        in_a_fork(m, list, depth - 1);
        _exit(0);
    }
    live_a_while(m, 8);
    sinter_gc_block(m);
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    sinter_gc_unblock(m);
    check_list(list);
}

static void children_of_children(void)
{
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    struct node *list = new_list(m);
    in_a_fork(m, list, 3);
    sinter_gc_detach(m);
}

static void *live_until_stopped(void *unused)
{
    (void)unused;
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    while (!atomic_load(&stop))
        live_a_while(m, 1);
    sinter_gc_detach(m);
    return NULL;
}

static void forks_among_threads(void)
{
    pthread_t threads[3];
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    for (int i = 0; i < 3; i++)
        NEED(pthread_create(&threads[i], NULL, live_until_stopped, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        struct node *list = new_list(m);
        in_a_fork(m, list, 1);
    }
    atomic_store(&stop, true);
    sinter_gc_block(m);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    sinter_gc_unblock(m);
    sinter_gc_detach(m);
}

static void fork_and_wait(void)
{
    pid_t pid = fork();
    int status = 0;
    NEED(pid >= 0);
    if (pid == 0) {
        alarm(HANG_SECONDS);
        sinter_gc_mutator *m = sinter_gc_attach(heap);
        live_a_while(m, 6);
        sinter_gc_detach(m);
        sinter_gc_destroy(heap);
        _exit(0);
    }
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The thread that forks is not attached; others create and end heaps meanwhile. */
static void *make_heaps(void *unused)
{
    (void)unused;
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    while (!atomic_load(&stop)) {
        sinter_gc_destroy(new_heap());
        live_a_while(m, 1);
    }
    sinter_gc_detach(m);
    return NULL;
}

static void forks_while_heaps_come_and_go(void)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        NEED(pthread_create(&threads[i], NULL, i ? make_heaps : live_until_stopped, NULL) == 0);
    for (int i = 0; i < 60; i++)
        fork_and_wait();
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* ---- heaps that end ---- */

static unsigned lines_of(const char *path)
{
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    NEED(f != NULL);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static unsigned entries_of(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    NEED(d != NULL);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void use_and_end(void)
{
    sinter_gc_heap *old = heap;
    heap = new_heap();
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    live_a_while(m, 3);
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    heap = old;
}

static void heaps_leave_nothing(void)
{
    for (int i = 0; i < 20; i++)
        use_and_end();
    unsigned maps = lines_of("/proc/self/maps"), descriptors = entries_of("/proc/self/fd"),
             threads = entries_of("/proc/self/task");
    for (int i = 0; i < 200; i++)
        use_and_end();
    NEED(entries_of("/proc/self/fd") == descriptors);
    NEED(entries_of("/proc/self/task") == threads);
    NEED(lines_of("/proc/self/maps") <= maps + 8); /* malloc's */
}

#define TEST(name)                                                                                           \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        in_child(name);                                                                                      \
    }
TEST(coming_and_going)
TEST(blocking)
TEST(calling_back)
TEST(children_of_children)
TEST(forks_among_threads)
TEST(forks_while_heaps_come_and_go)
TEST(heaps_leave_nothing)
TEST(two_heaps_and_two_threads)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coming_and_going),    cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_calling_back),        cmocka_unit_test(test_children_of_children),
        cmocka_unit_test(test_forks_among_threads), cmocka_unit_test(test_forks_while_heaps_come_and_go),
        cmocka_unit_test(test_heaps_leave_nothing), cmocka_unit_test(test_two_heaps_and_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
