/* What everything else stands on: locks, metadata blocks, the arena's regions, statistics. */
#include "unit.h"

#include "arena.h"
#include "conf.h"
#include "heap.h"
#include "lock.h"
#include "meta.h"
#include "sinter/malloc.h"
#include "stats.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static struct lock lock = {.rank = LOCK_META};
static unsigned long counted;

static void *count(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        lock_take(&lock);
        counted++;
        lock_give(&lock);
    }
    return arg;
}

static void locks_exclude(void **state)
{
    (void)state;
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(counted, 400000);
    assert_int_equal(lock.state, 0);
}

static void metadata_blocks(void **state)
{
    (void)state;
    enum { N = 300 };
    static struct {
        unsigned char *p;
        size_t bytes;
    } live[N];
    uint32_t seed = 9;
    for (int op = 0; op < 30000; op++) {
        size_t i = unit_random(&seed) % N;
        if (live[i].p) {
            for (size_t k = 0; k < live[i].bytes; k += 61)
                assert_int_equal(live[i].p[k], i % 256);
            meta_free(live[i].p, live[i].bytes);
            live[i].p = NULL;
            continue;
        }
        live[i].bytes = 1 + unit_random(&seed) % (op % 50 ? 3000 : 100000);
        live[i].p = meta_alloc(live[i].bytes);
        assert_non_null(live[i].p);
        size_t natural = 1;
        while (natural < live[i].bytes)
            natural *= 2;
        assert_true((uintptr_t)live[i].p % natural == 0);
        memset(live[i].p, (int)(i % 256), live[i].bytes);
    }
    for (size_t i = 0; i < N; i++) {
        if (live[i].p)
            meta_free(live[i].p, live[i].bytes);
    }
    /* What was given back is used again. */
    size_t bytes = meta_bytes();
    void *p[50];
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 50; i++)
            p[i] = meta_alloc(2048);
        for (int i = 0; i < 50; i++)
            meta_free(p[i], 2048);
    }
    assert_int_equal(meta_bytes(), bytes);
    void *most = meta_alloc(META_MAX);
    assert_non_null(most);
    memset(most, 1, META_MAX);
    meta_free(most, META_MAX);
}

static void regions_grow_apart(void **state)
{
    (void)state;
    for (int a = 0; a < REGION_COUNT; a++) {
        size_t bytes = arena_committed((enum arena_region)a) + 3 * MiB;
        assert_true(arena_grow((enum arena_region)a, bytes));
        assert_true(arena_committed((enum arena_region)a) >= bytes);
        memset(arena_start((enum arena_region)a) + bytes - MiB, 0, MiB);
        for (int b = 0; b < a; b++) {
            const char *x = arena_start((enum arena_region)a), *y = arena_start((enum arena_region)b);
            assert_true(x + arena_committed((enum arena_region)a) <= y ||
                        y + arena_committed((enum arena_region)b) <= x);
        }
        size_t committed = arena_committed((enum arena_region)a);
        assert_true(arena_grow((enum arena_region)a, 1)); /* never shrinks */
        assert_int_equal(arena_committed((enum arena_region)a), committed);
        assert_false(arena_grow((enum arena_region)a, (size_t)1 << 46));
        assert_int_equal(arena_committed((enum arena_region)a), committed);
    }
}

/* Does it end a process to touch the address? */
static bool is_deadly(const char *at)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        (void)*(const volatile char *)at;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* Whoever runs off the end of a region, or off its start, meets no other. */
static void regions_have_borders(void **state)
{
    (void)state;
    assert_non_null(meta_alloc(100000));
    for (int a = 0; a < REGION_COUNT; a++) {
        const char *start = arena_start((enum arena_region)a);
        size_t committed = arena_committed((enum arena_region)a);
        assert_true(committed > 0);
        assert_true(is_deadly(start - 1));
        assert_true(is_deadly(start + committed));
        assert_false(is_deadly(start));
        assert_false(is_deadly(start + committed - 1));
    }
}

/* No distance between blocks and tables is the same in every process: it is that of two random addresses. */
static void tables_are_elsewhere(void **state)
{
    (void)state;
    static const enum arena_region tables[] = {
        REGION_SPAN_INFO, REGION_SPAN_BITS, REGION_SPAN_MORE,  REGION_SPAN_HELD,  REGION_RUN_INFO,
        REGION_RUN_DIRTY, REGION_PAGE_INFO, REGION_CHUNK_INFO, REGION_GUARD_INFO, REGION_META};
    uintptr_t last = (uintptr_t)arena_start(REGION_GUARD) + ZONE_MAX / GUARD_PART;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        uintptr_t at = (uintptr_t)arena_start(tables[i]);
        assert_true(at < (uintptr_t)arena_start(REGION_MAP) || at > last);
    }
    uintptr_t block = (uintptr_t)meta_alloc(64), region = (uintptr_t)arena_start(REGION_META);
    assert_true(block - region < arena_committed(REGION_META));
}

static void statistics_follow(void **state)
{
    (void)state;
    enum { N = 1000 };
    static void *p[N];
    struct sinter_stats before, full, after;
    stats_read(&before);
    for (int i = 0; i < N; i++)
        p[i] = heap_malloc(1024);
    void *large = heap_malloc(MiB), *huge = heap_malloc(200 * MiB);
    stats_read(&full);
    assert_int_equal(full.size, sizeof full);
    assert_in_range(full.allocated - before.allocated, N * 1024 + 201 * MiB, N * 1024 + 202 * MiB);
    assert_int_equal(full.huge - before.huge, 200 * MiB);
    assert_int_equal(full.runs - before.runs, 1);
    assert_true(full.active >= full.allocated && full.committed >= full.active);
    heap_free(huge, "free");
    heap_free(large, "free");
    for (int i = 0; i < N; i++)
        heap_free(p[i], "free");
    stats_read(&after);
    assert_in_range(after.allocated, before.allocated, before.allocated + 64 * KiB);
    assert_int_equal(after.huge, before.huge);
    assert_true(after.dirty >= before.dirty);
}

static size_t printed(long (*print)(int), char *text, size_t size)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(print(fileno(f)), 0);
    rewind(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = 0;
    fclose(f);
    return n;
}

/* Reads one JSON value; NULL if it isn't one. */
static const char *json_value(const char *p)
{
    if (*p == '{' || *p == '[') {
        char open = *p++, close = open == '{' ? '}' : ']';
        while (*p != close) {
            if (open == '{' && (*p != '"' || !(p = json_value(p)) || *p++ != ':'))
                return NULL;
            if (!(p = json_value(p)))
                return NULL;
            if (*p == ',' && p[1] != close)
                p++;
            else if (*p != close)
                return NULL;
        }
        return p + 1;
    }
    if (*p == '"') {
        p = strchr(p + 1, '"');
        return p ? p + 1 : NULL;
    }
    size_t digits = strspn(p, "0123456789.");
    return digits ? p + digits : NULL;
}

static void statistics_as_text_and_json(void **state)
{
    (void)state;
    static char text[65536];
    heap_free(heap_malloc(100), "free");
    size_t n = printed(stats_print_json, text, sizeof text);
    const char *end = json_value(text);
    assert_non_null(end);
    assert_true(end == text + n || (end == text + n - 1 && *end == '\n'));
    for (const char *const *name =
             (const char *const[]){"allocated", "cached", "dirty", "threads", "runs", NULL};
         *name; name++) {
        char key[32];
        snprintf(key, sizeof key, "\"%s\":", *name);
        assert_non_null(strstr(text, key));
    }
    printed(stats_print_text, text, sizeof text);
    assert_non_null(strstr(text, "\n  allocated "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_exclude),        cmocka_unit_test(metadata_blocks),
        cmocka_unit_test(statistics_follow),    cmocka_unit_test(statistics_as_text_and_json),
        cmocka_unit_test(regions_grow_apart),   cmocka_unit_test(regions_have_borders),
        cmocka_unit_test(tables_are_elsewhere),
    };
    return cmocka_run_group_tests_name("base", tests, setup, NULL);
}
