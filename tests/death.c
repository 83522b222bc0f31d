/*
 * Misuse and what must be said about it. Each case runs in a process of its own (this program again, preloaded like
 * it), which must die of SIGABRT with exactly one line on standard error; a bad option only warns.
 *
 * In an expected line, %P stands for the pointer that was passed, %B for the block it points into, and (*) for any
 * text in parentheses.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((weak)) void free_sized(void *, size_t);
__attribute__((weak)) void free_aligned_sized(void *, size_t, size_t);

enum { SMALL = 64, LARGE = 128 << 10, HUGE = 256 << 20 };

/* Tells the parent the addresses, just before the misuse. */
static void *about(void *pointer, void *block)
{
    dprintf(STDOUT_FILENO, "%p %p\n", pointer, block);
    return pointer;
}

/* Hides from the compiler what a pointer is. */
static void *hidden(void *p)
{
    void *volatile v = p;
    return v;
}

/* Something to keep the thread cache, and the heap, from being empty. */
static void *live(size_t size)
{
    static void *keep[32];
    for (int i = 0; i < 32; i++)
        keep[i] = malloc(size);
    void *p = keep[13];
    memset(p, 1, size);
    return p;
}

static void free_twice(size_t size)
{
    void *p = live(size);
    free(p);
    free(hidden(about(p, p)));
}

static void double_small(void)
{
    free_twice(SMALL);
}
static void double_large(void)
{
    free_twice(LARGE);
}
static void double_huge(void)
{
    free_twice(HUGE);
}

static void double_aba(void)
{
    void *a = live(SMALL), *b = malloc(SMALL);
    free(a);
    free(b);
    free(hidden(about(a, a)));
}

/*
 * After so many frees of its class that the thread cache has been flushed several times over; `rest` of a hundred
 * blocks stay allocated and with them the spans. Where the cache takes the block a second time, it must be found out
 * when the blocks handed out since are freed.
 */
static void free_twice_after_traffic(int rest)
{
    enum { N = 50000 };
    static void *p[N];
    for (int i = 0; i < N; i++)
        p[i] = malloc(SMALL);
    void *a = p[199];
    for (int i = 0; i < N; i++) {
        if (i % 100 >= rest)
            free(p[i]);
    }
    free(hidden(about(a, a)));
    for (int i = 0; i < N; i++)
        p[i] = malloc(SMALL);
    for (int i = 0; i < N; i++)
        free(p[i]);
}

static void double_after_traffic(void)
{
    free_twice_after_traffic(10);
}
static void double_in_emptied_span(void)
{
    free_twice_after_traffic(0);
}

static void double_aligned(void)
{
    void *p = memalign(SMALL, SMALL);
    free(p);
    free(hidden(about(p, p)));
}

static void double_realloc(void)
{
    void *p = live(SMALL);
    free(p);
    (void)!realloc(hidden(about(p, p)), 100);
}

static void double_realloc_large(void)
{
    void *p = live(LARGE);
    free(p);
    (void)!realloc(hidden(about(p, p)), 2 * LARGE);
}

static void double_sized(void)
{
    void *p = live(SMALL);
    free(p);
    free_sized(hidden(about(p, p)), SMALL);
}

static void interior(size_t size, size_t offset)
{
    char *p = live(size);
    free(hidden(about(p + offset, p)));
}

static void interior_small(void)
{
    interior(SMALL, 16);
}
static void interior_odd(void)
{
    interior(SMALL, 7);
}
static void interior_large(void)
{
    interior(LARGE, 16);
}
static void interior_large_page(void)
{
    interior(LARGE, 3 * 4096);
}
static void interior_huge(void)
{
    interior(HUGE, 16);
}
static void interior_huge_page(void)
{
    interior(HUGE, 4096);
}

static void interior_realloc(void)
{
    char *p = live(SMALL);
    (void)!realloc(hidden(about(p + 16, p)), 100);
}

static void interior_free_slot(void)
{
    char *p = live(SMALL);
    free(p);
    free(hidden(about(p + 16, p)));
}

static void usable_interior(void)
{
    char *p = live(SMALL);
    malloc_usable_size(hidden(about(p + 16, p)));
}

static void foreign(void *p)
{
    free(hidden(about(p, p)));
}

static void invalid_stack(void)
{
    _Alignas(64) char block[64];
    foreign(block);
}

static void invalid_static(void)
{
    static _Alignas(64) char block[64];
    foreign(block);
}

static void invalid_literal(void)
{
    foreign((void *)(uintptr_t) "a string in the program");
}
static void invalid_near_null(void)
{
    foreign((void *)(uintptr_t)0x10);
}
static void invalid_top(void)
{
    foreign((void *)(uintptr_t)-16);
}

static void invalid_mmap(void)
{
    foreign(mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void invalid_usable(void)
{
    static _Alignas(64) char block[64];
    malloc_usable_size(hidden(about(block, block)));
}

static void invalid_realloc(void)
{
    static _Alignas(64) char block[64];
    (void)!realloc(hidden(about(block, block)), 100);
}

/* In the arena, among spans that nothing has used yet. */
static void no_block(void)
{
    foreign((char *)live(SMALL) + (3 << 19));
}

static void works(void)
{
    live(SMALL);
    free(live(LARGE));
    about(NULL, NULL);
}

#define DOUBLE(call, what) "sinter: " call "(): double free of %P (" what ", already free)"
#define NO_BLOCK(call)     "sinter: " call "(): invalid pointer %P (no block there)"
#define INTERIOR(call, what, rest)                                                                           \
    "sinter: " call "(): pointer %P into a block (" what " at %B, offset " rest ")"
#define FOREIGN(call) "sinter: " call "(): invalid pointer %P (not memory of Sinter)"

static const struct death {
    const char *name;
    const char *conf;
    void (*misuse)(void);
    int signal;
    const char *line;
} cases[] = {
    {"double-small", "", double_small, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-small-check", "check:on", double_small, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-small-no-cache", "cache:off", double_small, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-aba-check", "check:on", double_aba, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-aba-no-cache", "cache:off", double_aba, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-after-traffic", "", double_after_traffic, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-after-traffic-check", "check:on", double_after_traffic, SIGABRT,
     DOUBLE("free", "64-byte block")},
    {"double-after-traffic-randomize", "check:on,randomize:on", double_after_traffic, SIGABRT,
     DOUBLE("free", "64-byte block")},
    {"double-in-emptied-span", "", double_in_emptied_span, SIGABRT, NO_BLOCK("free")},
    {"double-aligned", "", double_aligned, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-zeroed", "check:on,zero_on_free:on", double_small, SIGABRT, DOUBLE("free", "64-byte block")},
    {"double-large", "", double_large, SIGABRT, DOUBLE("free", "page run")},
    {"double-huge", "", double_huge, SIGABRT, DOUBLE("free", "268435456-byte mapping")},
    {"double-realloc", "check:on", double_realloc, SIGABRT, DOUBLE("realloc", "64-byte block")},
    {"double-realloc-large", "", double_realloc_large, SIGABRT, DOUBLE("realloc", "page run")},
    {"double-sized", "check:on", double_sized, SIGABRT, DOUBLE("free_sized", "64-byte block")},
    {"interior-small", "", interior_small, SIGABRT, INTERIOR("free", "64-byte block", "16, allocated")},
    {"interior-small-check", "check:on", interior_small, SIGABRT,
     INTERIOR("free", "64-byte block", "16, allocated")},
    {"interior-odd", "", interior_odd, SIGABRT, INTERIOR("free", "64-byte block", "7, allocated")},
    {"interior-free-slot", "check:on", interior_free_slot, SIGABRT,
     INTERIOR("free", "64-byte block", "16, free")},
    {"interior-large", "", interior_large, SIGABRT, INTERIOR("free", "131072-byte run", "16, allocated")},
    {"interior-large-page", "", interior_large_page, SIGABRT,
     INTERIOR("free", "131072-byte run", "12288, allocated")},
    {"interior-huge", "", interior_huge, SIGABRT,
     INTERIOR("free", "268435456-byte mapping", "16, allocated")},
    {"interior-huge-page", "", interior_huge_page, SIGABRT,
     INTERIOR("free", "268435456-byte mapping", "4096, allocated")},
    {"interior-realloc", "", interior_realloc, SIGABRT,
     INTERIOR("realloc", "64-byte block", "16, allocated")},
    {"interior-usable-size", "", usable_interior, SIGABRT,
     INTERIOR("malloc_usable_size", "64-byte block", "16, allocated")},
    {"invalid-stack", "", invalid_stack, SIGABRT, FOREIGN("free")},
    {"invalid-static", "", invalid_static, SIGABRT, FOREIGN("free")},
    {"invalid-literal", "", invalid_literal, SIGABRT, FOREIGN("free")},
    {"invalid-near-null", "", invalid_near_null, SIGABRT, FOREIGN("free")},
    {"invalid-top", "", invalid_top, SIGABRT, FOREIGN("free")},
    {"invalid-mmap", "", invalid_mmap, SIGABRT, FOREIGN("free")},
    {"invalid-realloc", "", invalid_realloc, SIGABRT, FOREIGN("realloc")},
    {"invalid-usable-size", "", invalid_usable, SIGABRT, FOREIGN("malloc_usable_size")},
    {"no-block", "", no_block, SIGABRT, NO_BLOCK("free")},
    {"option-unknown", "foo:1", works, 0,
     "sinter: SINTER_CONF: unknown option 'foo' (SINTER_CONF=help:on lists them)"},
    {"option-unknown-among-others", "check:on,foo:1", works, 0,
     "sinter: SINTER_CONF: unknown option 'foo' (SINTER_CONF=help:on lists them)"},
    {"option-bad-value", "decay:x", works, 0, "sinter: SINTER_CONF: bad value 'x' for option 'decay' (*)"},
    {"option-bad-flag", "check:perhaps", works, 0,
     "sinter: SINTER_CONF: bad value 'perhaps' for option 'check' (*)"},
    {"option-none", "", works, 0, ""},
};
enum { CASES = sizeof cases / sizeof *cases };

static size_t drain(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(fd);
    return used;
}

/* Is `line` the expected one, with %P and %B put in and any text for a star in parentheses? */
static bool matches(const char *line, const char *expected, const char *pointer, const char *block)
{
    char want[512];
    size_t used = 0;
    for (; *expected; expected++) {
        const char *put = NULL;
        if (expected[0] == '%' && (expected[1] == 'P' || expected[1] == 'B'))
            put = *++expected == 'P' ? pointer : block;
        used += (size_t)(put ? snprintf(want + used, sizeof want - used, "%s", put)
                             : snprintf(want + used, sizeof want - used, "%c", *expected));
    }
    want[used] = 0;
    const char *star = strstr(want, "(*)");
    if (!star)
        return strcmp(line, want) == 0;
    size_t length = strlen(line);
    return strncmp(line, want, (size_t)(star + 1 - want)) == 0 && length > 2 && line[length - 1] == ')';
}

static bool run_case(const struct death *d)
{
    int out[2], err[2];
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
        if (*d->conf)
            setenv("SINTER_CONF", d->conf, 1);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(20);
        execl("/proc/self/exe", "death", "--child", d->name, (char *)NULL);
        _exit(99);
    }
    close(out[1]);
    close(err[1]);
    char told[256], line[2048], pointer[64] = "", block[64] = "";
    drain(out[0], told, sizeof told);
    size_t length = drain(err[0], line, sizeof line);
    int status = 0;
    waitpid(pid, &status, 0);
    sscanf(told, "%63s %63s", pointer, block);

    bool died = d->signal ? WIFSIGNALED(status) && WTERMSIG(status) == d->signal
                          : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool one_line = length ? strchr(line, '\n') == line + length - 1 : !*d->line;
    if (length && line[length - 1] == '\n')
        line[length - 1] = 0;
    bool said = one_line && matches(line, d->line, pointer, block);
    printf("%s: %s\n", died && said ? "ok" : "FAIL", d->name);
    if (!died)
        printf("  %s %d, not %s %d\n", WIFSIGNALED(status) ? "ended by signal" : "exit status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
               d->signal ? "signal" : "exit status", d->signal);
    if (!said)
        printf("  said:     %s\n  expected: %s\n  with %%P = %s, %%B = %s\n", line, d->line, pointer, block);
    return died && said;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0) {
        for (size_t i = 0; i < CASES; i++) {
            if (strcmp(argv[2], cases[i].name) == 0) {
                cases[i].misuse();
                return 0;
            }
        }
        return 99;
    }
    int failures = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; i < CASES; i++) {
        if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
            failures += !run_case(&cases[i]);
    }
    printf("death: %d failures\n", failures);
    return failures > 0;
}
