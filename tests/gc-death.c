/*
 * References that are none, and what must be said about them. Each case runs in a process of its own, which must die of SIGABRT
 * with exactly one line on standard error. In an expected line, %P stands for the address that the case tells, and * for the
 * rest of the line.
 */
#include "sinter/gc.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIP = 77 };

struct pair {
    uint64_t header;
    void *first, *second;
    uint64_t number;
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type pair_type, array_type;

static struct pair *new_pair(void)
{
    return sinter_gc_alloc(m, pair_type, sizeof(struct pair));
}

static void compact(void)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

/* Tells the parent the address, just before it is used. */
static void *about(void *address)
{
    dprintf(STDOUT_FILENO, "%p\n", address);
    return address;
}

static void need_service(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    if (s.served != SINTER_GC_SERVED_ALL && s.faults_mode != SINTER_GC_FAULTS_OWN)
        _exit(SKIP);
}

/* ---- stale references ---- */

static volatile struct pair *stale;
static sem_t in_flight;

static void *touch_in_flight(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    sinter_gc_block(mine);
    sem_wait(&in_flight);
    sinter_gc_unblock(mine);
    (void)stale->number;
    _exit(0);
}

/* Objects stay in flight until it has been touched. */
static void on_flipped(void *unused)
{
    (void)unused;
    sem_post(&in_flight);
    pause();
}

/* The window that it was in is the one that objects move to in the cycle after: what touches it there is seen. */
static void stale_in_flight(void)
{
    need_service();
    pthread_t thread;
    struct sinter_gc_events events = {.flipped = on_flipped};
    struct pair *p = new_pair();
    SINTER_GC_ROOTS(m, p);
    stale = p;
    compact();
    sinter_gc_listen(heap, &events);
    about((void *)((uintptr_t)stale & ~(uintptr_t)4095));
    sem_init(&in_flight, 0, 0);
    pthread_create(&thread, NULL, touch_in_flight, NULL);
    compact();
}

/* What objects have left is poisoned under verify. */
static void stale_afterwards(void)
{
    need_service();
    struct pair *p = new_pair();
    SINTER_GC_ROOTS(m, p);
    stale = p;
    compact();
    about(p);
    (void)stale->number;
}

/* ---- bad references in objects, in roots ---- */

static void store_and_collect(void *bad)
{
    struct pair *p = NULL, *other = NULL;
    SINTER_GC_ROOTS(m, p, other);
    p = new_pair();
    p->first = bad;
    about(bad);
    compact();
}

static void after_all_blocks(void)
{
    struct pair *p = new_pair();
    store_and_collect((char *)p + (1 << 20));
}

static void in_the_other_window(void)
{
    need_service();
    struct pair *p = new_pair();
    SINTER_GC_ROOTS(m, p);
    void *old = p;
    compact();
    p->first = old;
    about(old);
    compact();
}

static void into_a_large_object(void)
{
    char *large = sinter_gc_alloc_array(m, array_type, 10000);
    store_and_collect(large + 160);
}

static void into_its_later_blocks(void)
{
    char *large = sinter_gc_alloc_array(m, array_type, 10000);
    store_and_collect(large + 32768);
}

static void into_a_small_object(void)
{
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    p = new_pair();
    p->number = 0x7654321; /* is taken for a type there */
    p->second = (void *)(uintptr_t)0x654321;
    store_and_collect(&p->second);
}

static void into_a_small_object_zero(void)
{
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    p = new_pair();
    store_and_collect(&p->second);
}

static void in_a_root(void)
{
    struct pair *p = new_pair();
    p = (void *)((char *)p + (1 << 20));
    SINTER_GC_ROOTS(m, p);
    about(p);
    compact();
}

static void nothing_wrong(void)
{
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    p = new_pair();
    p->first = (void *)(uintptr_t)12345;
    p->second = p;
    compact();
    about(p);
}

static const struct death {
    const char *name;
    const char *conf;
    void (*misuse)(void);
    const char *line; /* NULL: it lives */
} cases[] = {
    {"nothing-wrong", "verify:on", nothing_wrong, NULL},
    {"stale-in-flight", "verify:off", stale_in_flight,
     "sinter: a stale reference: %P is where no object is any more *"},
    {"stale-afterwards", "verify:on", stale_afterwards, "sinter: a stale reference: *"},
    {"own-stale-in-flight", "faults:own", stale_in_flight,
     "sinter: a stale reference: %P is where no object is any more *"},
    {"own-stale-afterwards", "faults:own,verify:on", stale_afterwards, "sinter: a stale reference: *"},
    {"after-all-blocks", "verify:on", after_all_blocks,
     "sinter: after marking: pair * refers to %P, where no object is *"},
    {"in-the-other-window", "verify:on", in_the_other_window, "sinter: *%P*"},
    {"into-a-large-object", "verify:on", into_a_large_object,
     "sinter: after marking: pair * refers to %P, in the midst of an object *"},
    {"into-its-later-blocks", "verify:on", into_its_later_blocks,
     "sinter: after marking: pair * refers to %P, *"},
    {"into-a-small-object", "verify:on", into_a_small_object,
     "sinter: after marking: pair * refers to %P, *"},
    {"into-a-small-object-zero", "verify:on", into_a_small_object_zero,
     "sinter: after marking: pair * refers to %P, *"},
    {"in-a-root", "verify:on", in_a_root,
     "sinter: after marking: a root at * refers to %P, where no object is *"},
};
enum { CASES = sizeof(cases) / sizeof(*cases) };

/* ---- running them ---- */

static int live_and_die(const struct death *d)
{
    struct sinter_gc_layout pair = {.name = "pair", .size = sizeof(struct pair), .references = 6},
                            array = {.name = "array",
                                     .size = 16,
                                     .element_size = 8,
                                     .element_references = 1,
                                     .count_offset = 8};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 64 << 20;
    sinter_gc_config_parse(&config, d->conf, NULL);
    heap = sinter_gc_create(&config);
    m = heap != NULL ? sinter_gc_attach(heap) : NULL;
    if (m == NULL)
        return 99;
    pair_type = sinter_gc_type_new(heap, &pair);
    array_type = sinter_gc_type_new(heap, &array);
    d->misuse();
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    return 0;
}

static size_t drain(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(fd);
    return used;
}

static bool matches(const char *line, const char *expected, const char *address)
{
    if (*expected == 0)
        return *line == 0;
    if (expected[0] == '%' && expected[1] == 'P')
        return strncmp(line, address, strlen(address)) == 0 &&
               matches(line + strlen(address), expected + 2, address);
    if (*expected != '*')
        return *line == *expected && matches(line + 1, expected + 1, address);
    for (;; line++) {
        if (matches(line, expected + 1, address))
            return true;
        if (*line == 0)
            return false;
    }
}

static int run_child(const struct death *d, char *told, char *said, size_t size)
{
    int out[2], err[2], status = 0;
    if (pipe(out) || pipe(err))
        exit(99);
    pid_t pid = fork();
    if (pid < 0)
        exit(99);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        for (int i = 0; i < 2; i++) {
            close(out[i]);
            close(err[i]);
        }
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(20);
        _exit(live_and_die(d));
    }
    close(out[1]);
    close(err[1]);
    drain(out[0], told, size);
    drain(err[0], said, size);
    waitpid(pid, &status, 0);
    return status;
}

static bool run_case(const struct death *d)
{
    char told[2048], said[2048], address[64] = "";
    int status = run_child(d, told, said, sizeof(told));
    size_t length = strlen(said);
    sscanf(told, "%63s", address);
    bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIP;
    bool died = d->line != NULL ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT : status == 0;
    bool one_line = length > 0 ? strchr(said, '\n') == said + length - 1 : d->line == NULL;
    if (length > 0 && said[length - 1] == '\n')
        said[length - 1] = 0;
    bool right = one_line && matches(said, d->line != NULL ? d->line : "", address);
    printf("%s: %s\n", skipped ? "skip" : died && right ? "ok" : "FAIL", d->name);
    if (!skipped && !died)
        printf("  it ended with status %x\n", (unsigned)status);
    if (!skipped && !right)
        printf("  said:     %s\n  expected: %s\n  with %%P = %s\n", said, d->line ? d->line : "", address);
    return skipped || (died && right);
}

int main(int argc, char **argv)
{
    int failures = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; i < CASES; i++) {
        if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
            failures += !run_case(&cases[i]);
    }
    printf("gc-death: %d failures\n", failures);
    return failures > 0;
}
