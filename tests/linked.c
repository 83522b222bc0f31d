/*
 * A program that is linked with libsinter.so, has defaults of its own in `sinter_conf`, and uses Sinter's own calls.
 */
#include <errno.h>
#include <malloc.h>
#include <sinter/malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *sinter_conf = "decay:123ms,cache_bin:64k";

static int failures;

static void check(int ok, const char *what)
{
    if (!ok)
        printf("failed: %s\n", what);
    failures += !ok;
}

#define CHECK(x) check(x, #x)

static int option_is(const char *key, const char *expected)
{
    char value[32] = "";
    return sinter_option_get(key, value, sizeof value) == 0 && strcmp(value, expected) == 0;
}

static void options(void)
{
    char value[3];
    CHECK(option_is("decay", "123"));
    CHECK(option_is("cache_bin", "65536"));
    CHECK(option_is("stats", "off"));
    CHECK(sinter_option_get("nonsense", value, sizeof value) == -1 && errno == ENOENT);
    CHECK(sinter_option_get("decay", value, sizeof value) == -1 && errno == ERANGE);
    CHECK(sinter_option_set("decay", "2s") == 0 && option_is("decay", "2000"));
    CHECK(sinter_option_set("decay", "soon") == -1 && errno == EINVAL);
    CHECK(sinter_option_set("decay", "-2") == -1 && errno == EINVAL);
    CHECK(sinter_option_set("check", "on") == -1 && errno == EPERM);
    CHECK(sinter_option_set("nonsense", "1") == -1 && errno == ENOENT);
    CHECK(option_is("decay", "2000"));
}

static void statistics(void)
{
    struct sinter_stats before = {.size = sizeof before}, after = before;
    void *blocks[100];
    CHECK(sinter_stats_get(&before) == 0 && before.size == sizeof before);
    for (int i = 0; i < 100; i++)
        blocks[i] = malloc(50000);
    CHECK(sinter_stats_get(&after) == 0);
    CHECK(after.runs == before.runs + 100 && after.allocated >= before.allocated + 5000000);
    for (int i = 0; i < 100; i++)
        free(blocks[i]);
    CHECK(sinter_stats_get(&after) == 0 && after.runs == before.runs && after.dirty >= 5000000);
    malloc_trim(0);
    CHECK(sinter_stats_get(&after) == 0 && after.dirty == 0 && after.purged >= 5000000);

    struct sinter_stats old = {.size = 2 * sizeof(uint64_t), .cached = 42};
    CHECK(sinter_stats_get(&old) == 0 && old.cached == 42);
    old.size = 1;
    CHECK(sinter_stats_get(&old) == -1 && errno == EINVAL);
}

/* Everything that `print` writes, NUL-terminated. */
static const char *captured(int (*print)(int fd))
{
    static char text[64 * 1024];
    FILE *file = tmpfile();
    CHECK(file != NULL && print(fileno(file)) == 0);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void printed(void)
{
    const char *json = captured(sinter_stats_json);
    size_t length = strlen(json);
    int depth = 0;
    for (const char *p = json; *p; p++)
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
    CHECK(json[0] == '{' && length > 2 && strcmp(json + length - 2, "}\n") == 0 && depth == 0);
    CHECK(strstr(json, "\"allocated\":") && strstr(json, "\"classes\":[{\"size\":"));
    CHECK(strncmp(captured(sinter_stats_text), "sinter " SINTER_VERSION_STRING, 7) == 0);
    CHECK(sinter_stats_text(-1) == -1 && errno == EBADF);
}

int main(void)
{
    CHECK(strcmp(sinter_version(), SINTER_VERSION_STRING) == 0);
    options();
    statistics();
    printed();
    return failures != 0;
}
