/* Configuration of the runtime heap: defaults, the textual form, what is refused. */
#include "unit.h"

#include "sinter/gc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sinter_gc_config config;

static int defaults(void **state)
{
    (void)state;
    unsetenv("SINTER_GC_CONF");
    memset(&config, 0xee, sizeof(config));
    sinter_gc_config_init(&config);
    return 0;
}

static void parses(const char *text)
{
    const char *error = text;
    if (sinter_gc_config_parse(&config, text, &error) != 0)
        fail_msg("\"%s\" is not understood: \"%s\"", text, error);
    assert_ptr_equal(error, text);
}

/* `text` is wrong from its `at`th character on, and nothing has changed. */
static void refuses(const char *text, size_t at)
{
    struct sinter_gc_config before = config;
    const char *error = NULL;
    errno = 0;
    if (sinter_gc_config_parse(&config, text, &error) != -1)
        fail_msg("\"%s\" is not refused", text);
    assert_int_equal(errno, EINVAL);
    if (error != text + at)
        fail_msg("in \"%s\", \"%s\" is said to be wrong", text, error);
    assert_memory_equal(&config, &before, sizeof(config));
    assert_int_equal(sinter_gc_config_parse(&config, text, NULL), -1);
    assert_memory_equal(&config, &before, sizeof(config));
}

static void the_defaults(void **state)
{
    (void)state;
    assert_int_equal(config.maximum, 0);
    assert_int_equal(config.soft_limit, 0);
    assert_true(config.growth == SINTER_GC_GROW_FACTOR);
    assert_in_range(config.factor, 101, 1000);
    assert_int_not_equal(config.minimum, 0);
    assert_int_not_equal(config.fixed, 0);
    assert_in_range(config.gc_share, 1, 99);
    assert_int_equal(config.workers, 0);
    assert_in_range(config.whole, 1, 100);
    assert_int_equal(config.stress, 0);
    assert_false(config.verify);
    assert_true(config.compact);
    assert_true(config.concurrent);
    assert_true(config.faults == SINTER_GC_FAULTS_SERVICE);
}

static void every_key(void **state)
{
    (void)state;
    parses(
        "maximum:123m,soft_limit:7k,minimum:2G,growth:time,factor:150,fixed:5,gc_share:25,workers:3,whole:60,"
        "release_ms:77,stress:9,verify:on,compact:off,concurrent:off,faults:own");
    assert_int_equal(config.maximum, (size_t)123 << 20);
    assert_int_equal(config.soft_limit, 7 << 10);
    assert_int_equal(config.minimum, (size_t)2 << 30);
    assert_true(config.growth == SINTER_GC_GROW_TIME);
    assert_int_equal(config.factor, 150);
    assert_int_equal(config.fixed, 5);
    assert_int_equal(config.gc_share, 25);
    assert_int_equal(config.workers, 3);
    assert_int_equal(config.whole, 60);
    assert_int_equal(config.release_ms, 77);
    assert_int_equal(config.stress, 9);
    assert_true(config.verify);
    assert_false(config.compact || config.concurrent);
    assert_true(config.faults == SINTER_GC_FAULTS_OWN);
}

static void words(void **state)
{
    (void)state;
    parses("growth:fixed");
    assert_true(config.growth == SINTER_GC_GROW_FIXED);
    parses("growth:factor,verify:on");
    assert_true(config.growth == SINTER_GC_GROW_FACTOR);
    assert_true(config.verify);
    parses("verify:off,verify:on,verify:off"); /* the last one counts */
    assert_false(config.verify);
    parses("faults:own,faults:service");
    assert_true(config.faults == SINTER_GC_FAULTS_SERVICE);
}

static void nothing(void **state)
{
    (void)state;
    struct sinter_gc_config before = config;
    parses("");
    assert_memory_equal(&config, &before, sizeof(config));
}

static void bad_keys(void **state)
{
    (void)state;
    refuses("maximu:1m", 0);
    refuses("maximumm:1m", 0);
    refuses("Maximum:1m", 0);
    refuses(":1m", 0);
    refuses("maximum", 0);
    refuses("maximum=1m", 0);
    refuses(" maximum:1m", 0);
    refuses("stress:1,nothing:2,whole:50", 9);
    refuses("stress:1,whole:50,help", 18);
}

static void bad_values(void **state)
{
    (void)state;
    refuses("maximum:", 0);
    refuses("maximum:x", 0);
    refuses("maximum:-1", 0);
    refuses("maximum:+1", 0);
    refuses("maximum: 1", 0);
    refuses("maximum:1t", 0);
    refuses("maximum:1mb", 0);
    refuses("maximum:1m ", 0);
    refuses("maximum:m", 0);
    refuses("maximum:99999999999999999999", 0);
    refuses("maximum:18014398509481985k", 0);
    refuses("whole:50k", 0);
    refuses("workers:1m", 0);
    refuses("growth:slow", 0);
    refuses("growth:", 0);
    refuses("growth:fact", 0);
    refuses("growth:1", 0);
    refuses("verify:yes", 0);
    refuses("verify:1", 0);
    refuses("verify:ON", 0);
    refuses("verify:off on", 0);
    refuses("stress:1,verify:o", 9);
}

static void values_out_of_range(void **state)
{
    (void)state;
    refuses("factor:100", 0);
    refuses("gc_share:0", 0);
    refuses("gc_share:100", 0);
    refuses("workers:9", 0);
    refuses("whole:0", 0);
    refuses("whole:101", 0);
    refuses("fixed:0", 0);
    refuses("stress:4294967297", 0);
    parses("factor:101,gc_share:1,workers:8,whole:100,fixed:1");
    parses("gc_share:99,workers:0,whole:1");
}

/* ---- at creation ---- */

static void creates(bool expected)
{
    errno = 0;
    sinter_gc_heap *heap = sinter_gc_create(&config);
    if (expected) {
        assert_non_null(heap);
        sinter_gc_destroy(heap);
    } else {
        assert_null(heap);
        assert_int_equal(errno, EINVAL);
    }
}

static void created_with_defaults(void **state)
{
    (void)state;
    creates(true);
    sinter_gc_heap *heap = sinter_gc_create(NULL);
    assert_non_null(heap);
    sinter_gc_destroy(heap);
}

#define REFUSED(member, value)                                                                               \
    do {                                                                                                     \
        sinter_gc_config_init(&config);                                                                      \
        config.member = (value);                                                                             \
        creates(false);                                                                                      \
    } while (0)

static void ranges_at_creation(void **state)
{
    (void)state;
    REFUSED(maximum, 1000);
    REFUSED(maximum, SIZE_MAX);
    REFUSED(soft_limit, SIZE_MAX);
    REFUSED(minimum, SIZE_MAX);
    REFUSED(growth, (enum sinter_gc_growth)3);
    REFUSED(factor, 100);
    REFUSED(factor, 0);
    REFUSED(fixed, 0);
    REFUSED(gc_share, 0);
    REFUSED(gc_share, 100);
    REFUSED(workers, 9);
    REFUSED(whole, 0);
    REFUSED(whole, 101);
}

static void large_and_small_ones(void **state)
{
    (void)state;
    config.maximum = 1 << 20;
    creates(true);
    config.maximum = (size_t)64 << 30; /* address space only */
    creates(true);
}

static void environment_has_the_last_word(void **state)
{
    (void)state;
    setenv("SINTER_GC_CONF", "concurrent:off", 1);
    config.concurrent = true;
    sinter_gc_heap *heap = sinter_gc_create(&config);
    struct sinter_gc_stats s;
    assert_non_null(heap);
    sinter_gc_stats_get(heap, &s, sizeof(s));
    assert_int_equal(s.served, SINTER_GC_SERVED_NOT);
    sinter_gc_destroy(heap);
}

/* It warns, in a line of its own, and goes on without. */
static void bad_environment(void **state)
{
    (void)state;
    int ends[2], old = dup(STDERR_FILENO);
    char line[256] = "";
    assert_int_equal(pipe(ends), 0);
    setenv("SINTER_GC_CONF", "concurrent:off,nonsense:1", 1);
    dup2(ends[1], STDERR_FILENO);
    sinter_gc_heap *heap = sinter_gc_create(&config);
    dup2(old, STDERR_FILENO);
    close(old);
    close(ends[1]);
    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    close(ends[0]);
    assert_string_equal(line,
                        "sinter: SINTER_GC_CONF: \"nonsense:1\" is not understood; none of it is used\n");
    assert_non_null(heap);
    sinter_gc_destroy(heap);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, defaults)
    const struct CMUnitTest tests[] = {
        TEST(the_defaults),
        TEST(every_key),
        TEST(words),
        TEST(nothing),
        TEST(bad_keys),
        TEST(bad_values),
        TEST(values_out_of_range),
        TEST(created_with_defaults),
        TEST(ranges_at_creation),
        TEST(large_and_small_ones),
        TEST(environment_has_the_last_word),
        TEST(bad_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
