#include "unit.h"

#include "conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define X(name, ...) #name,
    CONF_TABLE(X)
#undef X
};
static int64_t initial[CONF_COUNT];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < CONF_COUNT; i++)
        initial[i] = conf_values[i];
    return 0;
}

static int restore(void **state)
{
    (void)state;
    for (int i = 0; i < CONF_COUNT; i++)
        conf_values[i] = initial[i];
    return 0;
}

/* Parses a file and the two strings; returns what was said on stderr. */
static const char *say_file(const char *file, const char *program, const char *environment)
{
    static char text[16384];
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    conf_init(file, program, environment);
    dup2(saved, STDERR_FILENO);
    close(saved);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(ends[0]);
    return text;
}

static const char *say(const char *program, const char *environment)
{
    return say_file(NULL, program, environment);
}

static void values_of_all_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum conf_option option;
        int64_t value;
    } cases[] = {
        {"check:on", CONF_check, 1},
        {"check:off", CONF_check, 0},
        {"check:true", CONF_check, 1},
        {"check:0", CONF_check, 0},
        {"decay:0", CONF_decay, 0},
        {"decay:-1", CONF_decay, -1},
        {"decay:250ms", CONF_decay, 250},
        {"decay:3s", CONF_decay, 3000},
        {"cache_bin:64k", CONF_cache_bin, 65536},
        {"cache_bin:1M", CONF_cache_bin, 1 << 20},
        {"cache_bin:4096", CONF_cache_bin, 4096},
        {"thp:never", CONF_thp, THP_NEVER},
        {"thp:always", CONF_thp, THP_ALWAYS},
        {"stats:json", CONF_stats, STATS_JSON},
        {"seed:12345678901", CONF_seed, 12345678901},
        {"guard:off", CONF_guard, 0},
        {"guard_file:", CONF_guard_file, 0},
        {"guard:on", CONF_guard, CONF_RATE_ON},
        {"guard:all", CONF_guard, 1},
        {"guard:sample=77", CONF_guard, 77},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(say(NULL, cases[i].text), "");
        assert_int_equal(conf_get(cases[i].option), cases[i].value);
        restore(NULL);
    }
}

static void lists(void **state)
{
    (void)state;
    assert_string_equal(say("decay:1s,check:on", "decay:2s,,thp:never,"), "");
    assert_int_equal(conf_get(CONF_decay), 2000); /* the environment has the last word */
    assert_int_equal(conf_get(CONF_check), 1);
    assert_int_equal(conf_get(CONF_thp), THP_NEVER);
    restore(NULL);
    assert_string_equal(say(NULL, NULL), "");
    assert_string_equal(say("", ""), "");
    for (int i = 0; i < CONF_COUNT; i++)
        assert_int_equal(conf_values[i], initial[i]);
}

static void mistakes_are_told_and_harmless(void **state)
{
    (void)state;
    static const char *const bad_values[] = {
        "decay:",
        "decay:x",
        "decay:10x",
        "decay:-2",
        "decay:99999999999999999999",
        "decay:10k",
        "decay:- 1",
        "check:maybe",
        "check:",
        "check",
        "thp:",
        "thp:auto|always",
        "cache_bin:1",
        "cache_bin:9999999t",
        "cache_bin:9223372036854775807k",
        "decay: 10",
        "guard_file:relative/path",
        "guard:5",
        "guard:sample",
        "guard:sample=",
        "guard:sample=0",
        "guard:sample=-1",
        "guard:sample=x",
        "guard:allsample=5",
    };
    for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
        char list[128], start[128];
        size_t key = strcspn(bad_values[i], ":");
        snprintf(list, sizeof list, "%s,randomize:on", bad_values[i]);
        const char *value = bad_values[i][key] ? bad_values[i] + key + 1 : "";
        snprintf(start, sizeof start, "sinter: SINTER_CONF: bad value '%s' for option '%.*s' (", value,
                 (int)key, bad_values[i]);
        const char *said = say(NULL, list);
        assert_memory_equal(said, start, strlen(start));
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
        assert_int_equal(conf_get(CONF_randomize), 1); /* the rest counts */
        conf_values[CONF_randomize] = initial[CONF_randomize];
        for (int k = 0; k < CONF_COUNT; k++)
            assert_int_equal(conf_values[k], initial[k]);
    }
    assert_string_equal(say(NULL, "foo:1"),
                        "sinter: SINTER_CONF: unknown option 'foo' (SINTER_CONF=help:on lists them)\n");
    assert_string_equal(say(NULL, "deca:1"),
                        "sinter: SINTER_CONF: unknown option 'deca' (SINTER_CONF=help:on lists them)\n");
    assert_string_equal(say(NULL, "decayy:1"),
                        "sinter: SINTER_CONF: unknown option 'decayy' (SINTER_CONF=help:on lists them)\n");
    /* What is too long for the message is cut, not overrun. */
    char longest[5000];
    memset(longest, 'k', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_true(strlen(say(NULL, longest)) < 300);
}

static void write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void file(void **state)
{
    (void)state;
    static const char text[] = "# servers\n"
                               "  decay:3s\t# soon\r\n"
                               "\n"
                               "check:on,thp:always\n"
                               "deca:1\n"
                               "cache_idle:x # no\n"
                               "guard_file:/var/log/a#b\n"
                               "seed:7"; /* no newline at the end */
    char path[] = "/tmp/sinter-conf-XXXXXX", expected[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, text, sizeof text - 1);
    snprintf(expected, sizeof expected,
             "sinter: %s:5: unknown option 'deca' (SINTER_CONF=help:on lists them)\n"
             "sinter: %s:6: bad value 'x' for option 'cache_idle' (-1..3600000 ms)\n",
             path, path);
    assert_string_equal(say_file(path, "thp:never", "check:off"), expected);
    assert_int_equal(conf_get(CONF_decay), 3000);
    assert_int_equal(conf_get(CONF_thp), THP_NEVER); /* the program overrides it, */
    assert_int_equal(conf_get(CONF_check), 0);       /* and the environment */
    assert_int_equal(conf_get(CONF_seed), 7);
    assert_string_equal(conf_text(CONF_guard_file), "/var/log/a#b");

    char *large = calloc(1, 8192);
    assert_non_null(large);
    memset(large, '#', 8191);
    write_file(path, large, 8191);
    free(large);
    snprintf(expected, sizeof expected, "sinter: %s: ignored, since it is longer than 8190 bytes\n", path);
    assert_string_equal(say_file(path, NULL, NULL), expected);
    unlink(path);
    assert_string_equal(say_file(path, NULL, NULL), "");
}

static void paths(void **state)
{
    (void)state;
    char value[64];
    assert_string_equal(conf_text(CONF_guard_file), "");
    assert_string_equal(say("guard_file:/a/b", "guard_file:/var/log/x:y,check:on"), "");
    assert_string_equal(conf_text(CONF_guard_file), "/var/log/x:y");
    assert_int_equal(conf_get_text("guard_file", value, sizeof value), 0);
    assert_string_equal(value, "/var/log/x:y");
    assert_int_equal(conf_set_text("guard_file", "/other"), EPERM);
    assert_string_equal(conf_text(CONF_guard_file), "/var/log/x:y");
}

/* What conf_get_text prints is what conf_set_text takes. */
static void text_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < CONF_COUNT; i++) {
        char value[64], again[64], pair[128];
        assert_int_equal(conf_get_text(names[i], value, sizeof value), 0);
        snprintf(pair, sizeof pair, "%s:%s", names[i], value);
        if (i != CONF_help)
            assert_string_equal(say(NULL, pair), "");
        assert_int_equal(conf_values[i], initial[i]);
        assert_int_equal(conf_get_text(names[i], again, strlen(value) + 1), 0);
        assert_string_equal(again, value);
        assert_int_equal(conf_get_text(names[i], again, strlen(value)), ERANGE);
        int set = conf_set_text(names[i], value);
        assert_true(set == 0 || set == EPERM);
        assert_int_equal(conf_set_text(names[i], "no such value"), EINVAL);
    }
    char value[8];
    assert_int_equal(conf_get_text("nothing", value, sizeof value), ENOENT);
    assert_int_equal(conf_set_text("nothing", "1"), ENOENT);
    assert_int_equal(conf_set_text("check", "on"), EPERM);
    assert_int_equal(conf_set_text("decay", "77"), 0);
    assert_int_equal(conf_get(CONF_decay), 77);
}

static void help_lists_every_option(void **state)
{
    (void)state;
    const char *help = say(NULL, "help:on");
    for (int i = 0; i < CONF_COUNT; i++) {
        char start[64];
        snprintf(start, sizeof start, "\n  %s:", names[i]);
        assert_non_null(strstr(help, start));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_of_all_kinds, restore),
        cmocka_unit_test_teardown(lists, restore),
        cmocka_unit_test_teardown(mistakes_are_told_and_harmless, restore),
        cmocka_unit_test_teardown(paths, restore),
        cmocka_unit_test_teardown(file, restore),
        cmocka_unit_test_teardown(text_round_trip, restore),
        cmocka_unit_test_teardown(help_lists_every_option, restore),
    };
    return cmocka_run_group_tests_name("conf", tests, setup, NULL);
}
