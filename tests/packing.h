/*
 * What the tests of packing share: a sparse heap of which every byte is known, and a supervisor that runs one case in
 * a process of its own and says at which step it failed, died or hung. Without the library the cases run all the same.
 *
 * The tables, and where failures are noted, are in mappings of their own: nothing here needs a page that is packed, a
 * descriptor or malloc to report that such things are broken.
 */
#ifndef SINTER_TEST_PACKING_H
#define SINTER_TEST_PACKING_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sinter/malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, CASE_SECONDS = 60, CHILD_SECONDS = 50, SKIPPED = 77 };

/* ---- failures ---- */

/* Shared by the supervisor, the case and all its children. */
struct report {
    char step[200];    /* what is being done */
    char failure[600]; /* the first failure */
    atomic_uint done;  /* processes and threads that nobody can wait for came to their end, */
    unsigned expected; /* of so many */
};
static struct report *report;

#define STEP(...)                                                                                            \
    do {                                                                                                     \
        snprintf(report->step, sizeof report->step, __VA_ARGS__);                                            \
    } while (0)

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!report->failure[0])
        snprintf(report->failure, sizeof report->failure, "%s (process %d, %s)", text, (int)getpid(),
                 report->step);
    _exit(1);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(report->failure, sizeof report->failure, format, args);
    va_end(args);
    _exit(SKIPPED);
}

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail("not so: %s (%s, line %d, errno %d)", #condition, __func__, __LINE__, errno);               \
    } while (0)

/* ---- the library ---- */

static struct {
    int (*compact)(void);
    int (*restore)(void);
    int (*stats)(struct sinter_stats *);
    int (*option)(const char *, char *, size_t);
} sinter;

/* Percent of the pages that must be packed by sinter_compact(); -1: it is off. */
static int least_packed = -1;

static inline bool option_is(const char *key, const char *value)
{
    char text[64];
    return sinter.option && sinter.option(key, text, sizeof text) == 0 && strcmp(text, value) == 0;
}

static inline void find_sinter(void)
{
    *(void **)&sinter.compact = dlsym(RTLD_DEFAULT, "sinter_compact");
    *(void **)&sinter.restore = dlsym(RTLD_DEFAULT, "sinter_restore");
    *(void **)&sinter.stats = dlsym(RTLD_DEFAULT, "sinter_stats_get");
    *(void **)&sinter.option = dlsym(RTLD_DEFAULT, "sinter_option_get");
    if (sinter.compact && !option_is("compact", "off"))
        least_packed = option_is("compact_inject", "0") ? 50 : 1;
}

static inline struct sinter_stats stats_now(void)
{
    struct sinter_stats s = {.size = sizeof s};
    REQUIRE(!sinter.stats || sinter.stats(&s) == 0);
    return s;
}

/* ---- small things ---- */

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline uint64_t next_random(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15);
}

static inline void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static inline void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static inline char *page_of(const void *p)
{
    return (char *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1));
}

/* Has this address no page at the moment? */
static inline bool is_away(const void *p)
{
    unsigned char there = 1;
    return mincore(page_of(p), PAGE, &there) == 0 && !(there & 1);
}

/* ---- the heap ---- */

static struct heap {
    size_t count;       /* of objects made */
    size_t live, pages; /* of survivors, and of pages they begin on */
    unsigned char **p;
    uint32_t *size, *version;
    uintptr_t *scratch;
} heap;

static inline uint64_t word_of(size_t i, size_t k)
{
    return mix(((uint64_t)heap.version[i] << 40 ^ i) + k * 0x9e3779b97f4a7c15);
}

static inline void write_object(size_t i)
{
    for (size_t at = 0; at < heap.size[i]; at += 8) {
        uint64_t w = word_of(i, at);
        memcpy(heap.p[i] + at, &w, heap.size[i] - at < 8 ? heap.size[i] - at : 8);
    }
}

__attribute__((noreturn)) static inline void wrong(size_t i, size_t at, const unsigned char *bytes,
                                                   const char *when)
{
    uint64_t w = word_of(i, at);
    size_t k = 0;
    while (bytes[k] == (unsigned char)(w >> k * 8))
        k++;
    fail("%s: object %zu at %p, %u bytes, version %u: byte %zu is %02x, expected %02x", when, i,
         (void *)heap.p[i], heap.size[i], heap.version[i], at + k, bytes[k], (unsigned char)(w >> k * 8));
}

/* What is at `bytes` must be the object's contents. */
static inline void check_bytes(size_t i, const unsigned char *bytes, const char *when)
{
    for (size_t at = 0; at < heap.size[i]; at += 8) {
        uint64_t w = word_of(i, at);
        if (memcmp(bytes + at, &w, heap.size[i] - at < 8 ? heap.size[i] - at : 8) != 0)
            wrong(i, at, bytes + at, when);
    }
}

static inline void check_object(size_t i, const char *when)
{
    check_bytes(i, heap.p[i], when);
}

/* Every byte of every survivor. */
static inline void check(const char *when)
{
    STEP("checking all: %s", when);
    for (size_t i = 0; i < heap.count; i++) {
        if (heap.p[i])
            check_object(i, when);
    }
}

static inline void new_object(size_t i, size_t size)
{
    heap.p[i] = malloc(size);
    heap.size[i] = (uint32_t)size;
    REQUIRE(heap.p[i]);
    write_object(i);
}

static inline void drop_object(size_t i)
{
    free(heap.p[i]);
    heap.p[i] = NULL;
}

static inline void rewrite_object(size_t i)
{
    heap.version[i]++;
    write_object(i);
}

/* Every n-th survivor gets new contents. */
static inline void rewrite(size_t n)
{
    STEP("rewriting every object of %zu", n);
    for (size_t i = 0, k = 0; i < heap.count; i++) {
        if (heap.p[i] && k++ % n == 0)
            rewrite_object(i);
    }
}

static inline int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* At least half of what a case is about must really be away; with faults injected, something. */
static inline void require_away(void *const *p, size_t count, const char *what)
{
    size_t away = 0;
    for (size_t i = 0; i < count; i++)
        away += is_away(p[i]);
    if (away * 100 < count * (size_t)(least_packed < 0 ? 0 : least_packed))
        fail("only %zu of %zu %s are packed", away, count, what);
}

static inline void count_pages(void)
{
    uintptr_t *pages = heap.scratch;
    heap.live = heap.pages = 0;
    for (size_t i = 0; i < heap.count; i++) {
        if (heap.p[i])
            pages[heap.live++] = (uintptr_t)page_of(heap.p[i]);
    }
    qsort(pages, heap.live, sizeof *pages, by_address);
    for (size_t i = 0; i < heap.live; i++)
        heap.pages += i == 0 || pages[i] != pages[i - 1];
}

/* Frees all but about one of `keep`. */
static inline void thin(size_t keep)
{
    uint64_t random = 7;
    STEP("freeing most");
    for (size_t i = 0; i < heap.count; i++) {
        if (heap.p[i] && next_random(&random) % keep != 0)
            drop_object(i);
    }
    count_pages();
}

static inline void drop_all(void)
{
    STEP("freeing all");
    for (size_t i = 0; i < heap.count; i++)
        drop_object(i);
    count_pages();
}

/* `count` objects of `least` to `most` bytes; `between`, if any, is called with 0, 1, ... after every `every` of them. */
static inline void make_heap(size_t count, size_t least, size_t most, void (*between)(unsigned), size_t every)
{
    uint64_t random = 1;
    STEP("filling the heap");
    heap.count = count;
    heap.p = map(count * sizeof *heap.p);
    heap.size = map(count * sizeof *heap.size);
    heap.version = map(count * sizeof *heap.version);
    heap.scratch = map(count * sizeof *heap.scratch);
    for (size_t i = 0; i < count; i++) {
        new_object(i, least + next_random(&random) % (most - least + 1));
        if (between && i % every == every - 1)
            between((unsigned)(i / every));
    }
}

/* Packs; what must be packed then depends on the options. */
static inline void pack(void)
{
    STEP("sinter_compact()");
    int result = sinter.compact ? sinter.compact() : -1;
    if (least_packed < 0)
        return;
    struct sinter_stats s = stats_now();
    if (result != 0 && s.compactor == 2)
        skip("pages cannot be packed here");
    if (result != 0)
        fail("sinter_compact() failed with errno %d", errno);
    if (s.packed * 100 < heap.pages * PAGE * (uint64_t)least_packed)
        fail("only %zu of %zu pages are packed", (size_t)s.packed / PAGE, heap.pages);
}

/* Packs as much as can be while others touch it. */
static inline void pack_some(void)
{
    STEP("sinter_compact() beside others");
    if (sinter.compact)
        sinter.compact();
}

static inline void sparse_with(size_t least, size_t most, void (*between)(unsigned), size_t every)
{
    make_heap(40000, least, most, between, every);
    thin(10);
    pack();
}

static inline void sparse(void)
{
    sparse_with(16, 1000, NULL, 1);
}

/* ---- threads that touch ---- */

enum { MAX_TOUCHERS = 16 };
static struct {
    pthread_t thread[MAX_TOUCHERS];
    unsigned count;
    atomic_bool stop;
    bool write, compact; /* each writes objects of its own; one more thread packs all the time */
} touchers;

static inline void *touch(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    uint64_t random = id * 1000;
    while (!atomic_load(&touchers.stop)) {
        size_t i = next_random(&random) % heap.count;
        if (!heap.p[i] || (touchers.write && i % touchers.count != id))
            continue;
        check_object(i, "a thread that reads");
        if (touchers.write && next_random(&random) % 4 == 0)
            rewrite_object(i);
        if (next_random(&random) % 64 == 0)
            pause_ms(1);
    }
    return NULL;
}

static inline void *compact_always(void *arg)
{
    while (!atomic_load(&touchers.stop)) {
        if (sinter.compact)
            sinter.compact();
        pause_ms(2);
    }
    return arg;
}

static inline void touchers_start(unsigned count, bool write, bool compact)
{
    touchers.count = count;
    touchers.write = write;
    touchers.compact = compact;
    atomic_store(&touchers.stop, false);
    for (uintptr_t i = 0; i < count; i++)
        REQUIRE(pthread_create(&touchers.thread[i], NULL, touch, (void *)i) == 0);
    if (compact)
        REQUIRE(pthread_create(&touchers.thread[count], NULL, compact_always, NULL) == 0);
}

static inline void touchers_stop(void)
{
    STEP("waiting for threads that touch");
    atomic_store(&touchers.stop, true);
    for (unsigned i = 0; i < touchers.count + touchers.compact; i++)
        REQUIRE(pthread_join(touchers.thread[i], NULL) == 0);
}

/* ---- children ---- */

static inline void reap(pid_t pid, const char *what)
{
    int status = 0;
    if (pid < 0)
        fail("%s: no child, errno %d", what, errno);
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    if (WIFSIGNALED(status))
        fail("%s: the child %s %d", what, WTERMSIG(status) == SIGALRM ? "hung, signal" : "died of signal",
             WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        fail("%s: the child ended with %d", what, WEXITSTATUS(status));
}

typedef void child_work(uintptr_t);

static inline pid_t start_child(child_work *work, uintptr_t arg)
{
    STEP("fork");
    pid_t pid = fork();
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        work(arg);
        _exit(0);
    }
    return pid;
}

static inline void in_child(child_work *work, uintptr_t arg, const char *what)
{
    reap(start_child(work, arg), what);
}

static inline void use(uintptr_t unused)
{
    (void)unused;
    check("as it was packed");
    pack_some();
    rewrite(3);
    pack_some();
    check("packed again");
}

/* For situations in which packing may no longer be possible, or less of it; but nothing may be lost. */
static inline void use_and_fork(void)
{
    use(0);
    in_child(use, 0, "child");
    check("after a fork");
    pack_some();
    check("after a fork, packed again");
}

/* Waits until `count` processes have said that they are done. */
static inline void await_done(unsigned count)
{
    for (int i = 0; i < CHILD_SECONDS * 100; i++) {
        if (atomic_load(&report->done) >= count)
            return;
        if (report->failure[0])
            _exit(1);
        pause_ms(10);
    }
    fail("%u of %u came to their end", atomic_load(&report->done), count);
}

/* ---- the supervisor ---- */

struct test_case {
    const char *name;
    void (*run)(void);
};

static inline void print_file(const char *directory, const char *task, const char *file)
{
    char path[600], text[600] = "";
    snprintf(path, sizeof path, "%s/%s/%s", directory, task, file);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    dprintf(STDERR_FILENO, "  %s %s: %s\n", task, file, text);
}

/* Where each thread of a process that hangs is. */
static inline void print_threads(pid_t pid)
{
    char directory[64];
    snprintf(directory, sizeof directory, "/proc/%d/task", (int)pid);
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        print_file(directory, e->d_name, "comm");
        print_file(directory, e->d_name, "syscall");
        print_file(directory, e->d_name, "stack");
    }
    if (d)
        closedir(d);
}

/* Waits for the case; false if it takes too long. */
static inline bool await_case(pid_t pid, int *status)
{
    for (int i = 0; i < CASE_SECONDS * 200; i++) {
        if (waitpid(pid, status, WNOHANG) == pid)
            return true;
        pause_ms(5);
    }
    dprintf(STDERR_FILENO, "hung for %d s, threads of process %d:\n", CASE_SECONDS, (int)pid);
    print_threads(pid);
    return false;
}

static inline int judge(const char *name, pid_t pid)
{
    int status = 0;
    bool ended = await_case(pid, &status);
    kill(-pid, SIGKILL); /* with whatever it has left behind */
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        dprintf(STDOUT_FILENO, "SKIP: %s: %s\n", name, report->failure);
        return SKIPPED;
    }
    if (report->failure[0])
        dprintf(STDERR_FILENO, "%s: %s\n", name, report->failure);
    else if (!ended)
        dprintf(STDERR_FILENO, "%s: hung, %s\n", name, report->step);
    else if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "%s: died of signal %d, %s\n", name, WTERMSIG(status), report->step);
    else if (WEXITSTATUS(status) != 0)
        dprintf(STDERR_FILENO, "%s: ended with %d, %s\n", name, WEXITSTATUS(status), report->step);
    else if (atomic_load(&report->done) < report->expected)
        dprintf(STDERR_FILENO, "%s: ended too early, %s\n", name, report->step);
    else
        return 0;
    return 1;
}

static inline struct report *map_report(int fd)
{
    void *p = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* The case runs in a fresh image, not in a fork of the supervisor. */
static inline int supervise(const char *program, const char *name)
{
    char number[16];
    int fd = memfd_create("report", 0);
    if (fd < 0 || ftruncate(fd, sizeof *report) != 0 || !(report = map_report(fd)))
        return 99;
    snprintf(number, sizeof number, "%d", fd);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        execl("/proc/self/exe", program, name, number, (char *)NULL);
        _exit(99);
    }
    return judge(name, pid);
}

static inline int run_case(const struct test_case *c, int fd)
{
    report = map_report(fd);
    close(fd);
    if (!report)
        return 99;
    find_sinter();
    alarm(CASE_SECONDS + 20); /* should the supervisor be gone */
    c->run();
    return 0;
}

/* PROGRAM list | CASE; with a descriptor as the second argument it is the case itself. */
static inline int packing_main(const struct test_case *cases, size_t count, int argc, char **argv)
{
    for (size_t i = 0; i < count && argc > 1; i++) {
        if (strcmp(argv[1], "list") == 0)
            puts(cases[i].name);
        else if (strcmp(argv[1], cases[i].name) == 0)
            return argc > 2 ? run_case(&cases[i], atoi(argv[2])) : supervise(argv[0], argv[1]);
    }
    return argc == 2 && strcmp(argv[1], "list") == 0 ? 0 : 2;
}

#endif
