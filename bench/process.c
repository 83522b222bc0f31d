#include "process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number of kilobytes behind `key` in /proc/self/status, in bytes. */
static size_t status_bytes(const char *key)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *line = strstr(text, key);
    return line ? (size_t)strtoul(line + strlen(key), NULL, 10) * 1024 : 0;
}

size_t process_rss(void)
{
    return status_bytes("\nVmRSS:");
}

size_t process_peak_rss(void)
{
    return status_bytes("\nVmHWM:");
}

/* The file that the function `name` comes from when this program calls it. */
static const char *origin(const char *name)
{
    Dl_info info;
    void *function = dlsym(RTLD_DEFAULT, name);
    return function && dladdr(function, &info) && info.dli_fname ? info.dli_fname : "nowhere";
}

const char *process_allocator(void)
{
    return origin("malloc");
}

static bool same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void process_check_allocator(void)
{
    static const char *const functions[] = {"malloc",        "calloc",         "realloc", "free",
                                            "aligned_alloc", "posix_memalign", "memalign"};
    const char *expected = getenv("BENCH_ALLOCATOR");
    if (!expected)
        return;
    if (strcmp(expected, "libc") == 0)
        expected = origin("gnu_get_libc_version");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const char *actual = origin(functions[i]);
        if (same_file(actual, expected))
            continue;
        fprintf(stderr, "%s comes from %s, not from %s: this would measure another allocator\n", functions[i],
                actual, expected);
        exit(3);
    }
}
