/*
 * What the options that harden ordinary blocks say to mistakes, and that the program goes on where it may. Each case runs in a
 * process of its own (this program again, preloaded like it), which must end as expected with exactly the reports expected on
 * standard error.
 *
 * Of a report the first line counts, and that a stack comes behind it where there is to be one. In an expected line, %P stands
 * for the pointer that the process has told of last, %B for the block, and %P+n for an address behind the former.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
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

enum { SMALL = 64, LARGE = 128 << 10, HUGE = 256 << 20, FAULT = SIGSEGV };

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

/* What is not so ends the process with a status of its own. */
static void require(bool condition)
{
    if (!condition)
        _exit(3);
}

/* ---- misuse, and what the program finds when it goes on ---- */

static void free_twice(size_t size)
{
    char *p = malloc(size), *q = malloc(size);
    memset(q, 7, size);
    free(p);
    free(hidden(about(p, p)));
    char *a = malloc(size), *b = malloc(size);
    require(a != b && a != q && b != q && q[0] == 7 && q[size - 1] == 7);
    free(a);
    free(b);
    free(q);
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

/* Found only when the thread cache is given back. */
static void double_in_cache(void)
{
    enum { N = 4000 };
    static char *p[N];
    for (int i = 0; i < N; i++)
        p[i] = malloc(SMALL);
    free(p[0]);
    for (int i = 1; i < 100; i++)
        free(p[i]);
    free(hidden(about(p[0], p[0])));
    malloc_trim(0);
    for (int i = 0; i < 100; i++)
        p[i] = malloc(SMALL);
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < i; k++)
            require(p[i] != p[k]);
    }
    for (int i = 0; i < N; i++)
        free(p[i]);
}

static void interior(void)
{
    char *p = malloc(SMALL);
    free(hidden(about(p + 16, p)));
    memset(p, 1, SMALL);
    free(p);
}

static void foreign(void)
{
    _Alignas(64) static char block[64];
    errno = 12;
    free(hidden(about(block, block)));
    require(errno == 12);
    require(malloc_usable_size(hidden(block)) == 0);
    char *p = realloc(hidden(block), 100);
    require(p != NULL && p != block);
    free(p);
}

static void interior_large(void)
{
    char *p = malloc(LARGE);
    free(hidden(about(p + 4096, p)));
    memset(p, 1, LARGE);
    free(p);
}

static void works(void)
{
    about(NULL, NULL);
    free(calloc(3, 5));
}

#define DOUBLE(call, what) "sinter: " call "(): double free of %P (" what ", already free)"
#define INTERIOR(call, what, rest)                                                                           \
    "sinter: " call "(): pointer %P into a block (" what " at %B, offset " rest ")"
#define FOREIGN(call) "sinter: " call "(): invalid pointer %P (not memory of Sinter)"
#define GOES_ON       "guard_misuse:report"

static const struct death {
    const char *name;
    const char *conf;
    void (*mistake)(void);
    int signal;        /* 0: it ends by itself */
    bool stack;        /* behind each first line */
    const char *lines; /* the first lines of its reports */
} cases[] = {
    {"double-small", GOES_ON, double_small, 0, false, DOUBLE("free", "64-byte block")},
    {"double-small-no-cache", GOES_ON ",cache:off", double_small, 0, false, DOUBLE("free", "64-byte block")},
    {"double-small-check", GOES_ON ",check:on", double_small, 0, false, DOUBLE("free", "64-byte block")},
    {"double-in-cache", GOES_ON, double_in_cache, 0, false, DOUBLE("free", "64-byte block")},
    {"double-large", GOES_ON, double_large, 0, false, DOUBLE("free", "page run")},
    {"double-huge", GOES_ON, double_huge, 0, false, DOUBLE("free", "268435456-byte mapping")},
    {"double-large-zeroed", GOES_ON ",zero_on_free:on", double_large, 0, false, DOUBLE("free", "page run")},
    {"interior", GOES_ON, interior, 0, false, INTERIOR("free", "64-byte block", "16, allocated")},
    {"interior-large", GOES_ON, interior_large, 0, false,
     INTERIOR("free", "131072-byte run", "4096, allocated")},
    {"foreign", GOES_ON, foreign, 0, false,
     FOREIGN("free") "\n" FOREIGN("malloc_usable_size") "\n" FOREIGN("realloc")},
    {"foreign-guarded", GOES_ON ",guard:on", foreign, 0, true,
     "sinter: invalid free: free(): invalid pointer %P (not memory of Sinter)\n"
     "sinter: invalid free: malloc_usable_size(): invalid pointer %P (not memory of Sinter)\n"
     "sinter: invalid free: realloc(): invalid pointer %P (not memory of Sinter)"},
    {"nothing", GOES_ON, works, 0, false, ""},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- running ---- */

struct outcome {
    int status;
    uintptr_t pointer, block;
    char said[32768];
};

static size_t drain(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(fd);
    return used;
}

static void become(int out, int err, const struct death *d)
{
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    closefrom(3);
    setenv("SINTER_CONF", d->conf, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(20);
    execl("/proc/self/exe", "harden-death", "--child", d->name, (char *)NULL);
    _exit(99);
}

static void run(const struct death *d, struct outcome *o)
{
    int out[2], err[2];
    char told[4096];
    if (pipe(out) || pipe(err))
        exit(99);
    pid_t pid = fork();
    if (pid < 0)
        exit(99);
    if (pid == 0)
        become(out[1], err[1], d);
    close(out[1]);
    close(err[1]);
    size_t length = drain(out[0], told, sizeof told);
    drain(err[0], o->said, sizeof o->said);
    waitpid(pid, &o->status, 0);
    char *last = told; /* line */
    for (size_t i = 0; i + 1 < length; i++)
        last = told[i] == '\n' ? told + i + 1 : last;
    o->pointer = o->block = 0;
    sscanf(last, "%lx %lx", &o->pointer, &o->block);
}

/* The expected lines with their addresses. */
static void expand(const char *lines, const struct outcome *o, char *want, size_t size)
{
    size_t used = 0;
    for (; *lines != '\0' && used < size - 24; lines++) {
        if (lines[0] != '%' || (lines[1] != 'P' && lines[1] != 'B')) {
            want[used++] = *lines;
            continue;
        }
        uintptr_t address = *++lines == 'P' ? o->pointer : o->block;
        if (lines[1] == '+') {
            char *end;
            address += strtoul(lines + 2, &end, 10);
            lines = end - 1;
        }
        used += (size_t)snprintf(want + used, size - used, "0x%lx", address);
    }
    want[used] = '\0';
}

/* The first lines of what was said. Clears *stacks if one lacks its stack, sets *others if there is more than that. */
static void first_lines(char *said, char *lines, bool *stacks, bool *others)
{
    bool first = true, stack = true;
    *stacks = true;
    *others = false;
    *lines = '\0';
    for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "sinter: ", 8) == 0) {
            *stacks &= stack;
            strcat(strcat(lines, first ? "" : "\n"), line);
            first = stack = false;
        } else if (strncmp(line, "    #0 0x", 9) == 0) {
            stack = true;
        } else if (line[0] != ' ') {
            *others = true;
        }
    }
    *stacks &= stack;
}

static bool run_case(const struct death *d)
{
    static struct outcome o;
    static char said[sizeof o.said], lines[sizeof o.said], want[4096];
    bool stacks, others;
    run(d, &o);
    memcpy(said, o.said, sizeof said);
    first_lines(said, lines, &stacks, &others);
    expand(d->lines, &o, want, sizeof want);
    bool ended = d->signal ? WIFSIGNALED(o.status) && WTERMSIG(o.status) == d->signal
                           : WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0;
    bool right = strcmp(lines, want) == 0 && !others && (*want == '\0' || stacks == d->stack);
    printf("%s: %s\n", ended && right ? "ok" : "FAIL", d->name);
    if (!ended)
        printf("  status 0x%x, not signal %d\n", (unsigned)o.status, d->signal);
    if (!right)
        printf("  expected: %s\n  said, in full:\n%s\n", want, o.said);
    return ended && right;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0) {
        for (size_t i = 0; i < CASES; i++) {
            if (strcmp(argv[2], cases[i].name) == 0) {
                cases[i].mistake();
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
    printf("harden-death: %d failures\n", failures);
    return failures > 0;
}
