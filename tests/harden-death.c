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

enum { SMALL = 64, LARGE = 128 << 10, MEGA = 1 << 20, HUGE = 256 << 20 };

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

/* ---- quarantine ---- */

/* Others of the same class come and go. */
static void churn(int rounds)
{
    for (int i = 0; i < rounds; i++)
        free(hidden(malloc(SMALL)));
}

static void quarantined_double(void)
{
    char *p = malloc(SMALL);
    free(p);
    churn(100);
    free(hidden(about(p, p)));
    churn(5000);
}

static void quarantined_realloc(void)
{
    char *p = malloc(SMALL);
    free(p);
    char *q = realloc(hidden(about(p, p)), 100);
    require(q != NULL && q != p);
    require(malloc_usable_size(hidden(p)) == 0);
}

static void quarantined_interior(void)
{
    char *p = malloc(SMALL);
    free(p);
    free(hidden(about(p + 16, p)));
}

/* A slot is not used again before as many bytes of others have been freed as the option says. */
static void quarantined_reuse(void)
{
    char *p = malloc(SMALL);
    free(p);
    for (int i = 0; i < 1000; i++) { /* 64 000 bytes: the first is in the quarantine yet */
        char *q = malloc(SMALL);
        require(q != p);
        free(q);
    }
    bool again = false;
    for (int i = 0; i < 3000 && !again; i++) {
        char *q = malloc(SMALL);
        again = q == p;
        free(q);
    }
    require(again);
}

static void write_after_free(void)
{
    char *p = malloc(SMALL);
    free(p);
    ((volatile char *)hidden(about(p, p)))[5] = 1;
    churn(3000);
}

static void write_after_free_of_all(void)
{
    char *p = malloc(5000); /* in a slot of 5120 bytes */
    free(p);
    about(p + 5119, p);
    ((volatile char *)hidden(p))[5119] = 1;
    churn(3000);
}

static void *churn_much(void *unused)
{
    (void)unused;
    churn(3000);
    return NULL;
}

static void write_after_free_threads(void)
{
    char *p = malloc(SMALL);
    free(p);
    ((volatile char *)hidden(about(p, p)))[0] = 1;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        require(pthread_create(&threads[i], NULL, churn_much, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* The child has the quarantine as it was, and what is done to it there does not show in the parent. */
static void quarantined_fork(void)
{
    char *p = malloc(SMALL);
    free(p);
    pid_t pid = fork();
    if (pid == 0) {
        free(hidden(about(p, p)));
        ((volatile char *)hidden(p))[1] = 1;
        churn(3000);
        _exit(7);
    }
    int status;
    require(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    churn(3000);
}

/* ---- canary ---- */

/* Only the first byte behind a block is never 0; what the others hold depends on a secret of the process. */
static void damage(char *p, size_t size, size_t offset)
{
    volatile char *byte = (volatile char *)hidden(about(p, p)) + offset;
    *byte = offset == size ? 0 : (char)(*byte ^ 1);
}

static void write_at(size_t size, size_t offset)
{
    char *p = malloc(size);
    require(malloc_usable_size(p) == size);
    memset(p, 2, size);
    damage(p, size, offset);
    free(p);
}

static void overflow_end(void) /* of a slot: 64 bytes with the trailer */
{
    write_at(56, 56);
}
static void overflow_pad(void)
{
    write_at(13, 13);
}
static void overflow_later(void)
{
    write_at(50, 53);
}
static void overflow_trailer(void)
{
    write_at(50, 62); /* the pad's length */
}
static void overflow_medium(void)
{
    write_at(30000, 30000);
}
static void overflow_nothing(void)
{
    char *p = malloc(0);
    damage(p, 0, 1);
    free(p);
}

static void overflow_string(void)
{
    char *p = malloc(24);
    memset(p, 'a', 24);
    about(p, p);
    memcpy(p + 24, hidden((char[]){"b"}), 2);
    free(p);
}

static void overflow_realloc(void)
{
    char *p = malloc(100);
    damage(p, 100, 101);
    p = realloc(p, 104); /* in place */
    memset(p, 1, 104);
    p = realloc(p, 3000);
    memset(p, 1, 3000);
    free(p);
}

static void overflow_after_realloc(void)
{
    char *p = malloc(100);
    p = realloc(p, 90);
    require(malloc_usable_size(p) == 90);
    ((volatile char *)hidden(about(p, p)))[90] = 0;
    free(p);
}

static void overflow_aligned(void)
{
    char *p = memalign(256, 256), *q = memalign(64, 100), *r = memalign(4096, 5000);
    require((uintptr_t)p % 256 == 0 && (uintptr_t)q % 64 == 0 && (uintptr_t)r % 4096 == 0);
    require(malloc_usable_size(p) == 256 && malloc_usable_size(q) == 100 && malloc_usable_size(r) == 5000);
    memset(p, 1, 256);
    memset(r, 1, 5000);
    free(p);
    free(r);
    ((volatile char *)hidden(about(q, q)))[100] = 0;
    free(q);
}

static void overflow_calloc(void)
{
    char *p = calloc(5, 5);
    for (int i = 0; i < 25; i++)
        require(p[i] == 0);
    ((volatile char *)hidden(about(p, p)))[25] = 0;
    free(p);
}

static void overflow_usable_size(void)
{
    char *p = malloc(40);
    ((volatile char *)hidden(about(p, p)))[40] = 0;
    require(malloc_usable_size(p) == 40);
    free(p);
}

static void overflow_fork(void)
{
    char *p = malloc(40);
    damage(p, 40, 41);
    pid_t pid = fork();
    if (pid == 0) {
        free(p);
        _exit(7);
    }
    int status;
    require(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void wrong_size(void)
{
    char *p = malloc(40);
    free_sized(hidden(about(p, p)), 41);
    free_sized(malloc(40), 40);
    free_sized(malloc(0), 0);
    free_sized(NULL, 3);
}

/* What a program may do. */
static void right_sizes(void)
{
    about(NULL, NULL);
    for (size_t size = 1; size < 100000; size += size / 7 + 1) {
        char *p = malloc(size), *q = memalign(128, size);
        memset(p, 3, malloc_usable_size(p));
        memset(q, 4, malloc_usable_size(q));
        p = realloc(p, size + size / 3 + 1);
        memset(p, 3, malloc_usable_size(p));
        p = realloc(p, size / 2 + 1);
        require(p[0] == 3 && p[size / 2] == 3 && q[0] == 4 && q[size - 1] == 4);
        free(p);
        free(q);
    }
}

/* ---- borders ---- */

/* Where a block ends, a write dies or is reported; the process goes on after it if it may. */
static void write_beyond(char *p, size_t size)
{
    require(malloc_usable_size(p) == size);
    memset(p, 3, size);
    ((volatile char *)hidden(about(p, p)))[size] = 1;
    require(p[size - 1] == 3);
    free(p);
    p = malloc(size);
    memset(p, 4, size);
    free(p);
}

static void beyond_large(void)
{
    write_beyond(malloc(LARGE), LARGE);
}
/* The kernel's touch of it: the call fails, and says so. */
static void call_beyond(char *p, size_t size)
{
    enum { FD = 100, INSIDE = 5000 };
    int ends[2];
    require(pipe(ends) == 0 && dup2(ends[1], FD) == FD);
    about(p, p);
    ssize_t written = write(FD, p + size - INSIDE, 2 * INSIDE); /* whole pages, of what there is */
    require(written > 0 && written <= INSIDE);
    require(write(FD, p + size, 10) == -1 && errno == EFAULT);
    free(p);
}
static void call_beyond_large(void)
{
    call_beyond(malloc(LARGE), LARGE);
}
static void call_beyond_huge(void)
{
    call_beyond(malloc(HUGE), HUGE);
}
static void beyond_huge(void)
{
    write_beyond(malloc(HUGE), HUGE);
}
static void beyond_aligned(void)
{
    write_beyond(memalign(MEGA, LARGE), LARGE);
}
static void beyond_shrunk(void)
{
    write_beyond(realloc(malloc(2 * LARGE), LARGE), LARGE);
}
static void beyond_grown(void)
{
    char *p = malloc(LARGE), *q = malloc(LARGE);
    memset(p, 1, LARGE);
    p = realloc(p, 3 * LARGE); /* it moves, or the other one does not lie behind it */
    p = realloc(p, 4 * LARGE);
    require(p[0] == 1 && p[LARGE - 1] == 1);
    free(q);
    write_beyond(p, 4 * LARGE);
}
static void beyond_huge_shrunk(void)
{
    write_beyond(realloc(malloc(2 * (size_t)HUGE), HUGE), HUGE);
}
static void beyond_huge_grown(void)
{
    char *p = malloc(HUGE);
    p[0] = p[HUGE - 1] = 1;
    p = realloc(p, HUGE + LARGE);
    require(p[0] == 1 && p[HUGE - 1] == 1);
    write_beyond(p, HUGE + LARGE);
}

static void before(char *p)
{
    ((volatile char *)hidden(about(p - 1, p)))[0] = 1;
    free(p);
}

/* Nothing is in use there yet: before the first block is the page that nobody gets. */
static void before_large(void)
{
    char *p[64];
    for (int i = 0; i < 64; i++) {
        p[i] = malloc(LARGE);
        if (i > 0 && p[i] == p[i - 1] + LARGE + 4096)
            before(p[i]);
    }
}

static void before_huge(void)
{
    before(malloc(HUGE));
}

/* The last slot of a span of 6 144-byte slots ends a page before the span does. */
static void beyond_span(void)
{
    enum { SIZE = 6144, SPAN = 1 << 16, BEFORE_THAT = 200 };
    static void *before_that[BEFORE_THAT];
    for (int i = 0; i < BEFORE_THAT; i++)
        before_that[i] = memset(malloc(SIZE), 1, SIZE);
    for (int i = 0; i < BEFORE_THAT; i++)
        free(before_that[i]);
    malloc_trim(0); /* spans without memory are still closed */
    for (int i = 0; i < 100; i++) {
        char *p = malloc(SIZE);
        if ((uintptr_t)p % SPAN == SPAN / SIZE * SIZE - SIZE) {
            memset(p, 1, SIZE);
            ((volatile char *)hidden(about(p, p)))[SIZE] = 1;
            require(p[SIZE - 1] == 1);
            return;
        }
    }
}

/* Spans change their classes, runs their sizes: what was closed is open again. */
static void all_sizes(void)
{
    enum { N = 600 };
    static char *p[N];
    static const size_t sizes[] = {6144, 4096, 5120, 16, 8192, 6656, 64, 7680, 40000, 70000, 200000, 3000000};
    about(NULL, NULL);
    for (int round = 0; round < 4; round++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            int n = sizes[k] > 100000 ? 20 : N;
            for (int i = 0; i < n; i++)
                memset(p[i] = malloc(sizes[k]), 5, sizes[k]);
            for (int i = 0; i < n; i += 2) {
                p[i] = realloc(p[i], sizes[k] * 3 / 2);
                require(p[i][sizes[k] - 1] == 5);
                memset(p[i], 6, malloc_usable_size(p[i]));
            }
            for (int i = 0; i < n; i++)
                free(p[i]);
            char *zeroed = calloc(1, sizes[k]);
            require(zeroed[0] == 0 && zeroed[sizes[k] - 1] == 0);
            free(zeroed);
            if (round % 2 == 0)
                malloc_trim(0);
        }
    }
}

static void beyond_fork(void)
{
    char *p = malloc(LARGE);
    pid_t pid = fork();
    if (pid == 0) {
        write_beyond(p, LARGE);
        _exit(7);
    }
    int status;
    require(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    memset(p, 1, LARGE);
    free(p);
}

static void works(void)
{
    about(NULL, NULL);
    free(calloc(3, 5));
}

#define DOUBLE(call, what)         call "(): double free of %P (" what ", already free)"
#define INTERIOR(call, what, rest) call "(): pointer %P into a block (" what " at %B, offset " rest ")"
#define FOREIGN(call)              call "(): invalid pointer %P (not memory of Sinter)"
/* A line by itself, and the first one of a report in the form of guard mode. */
#define LINE        "sinter: "
#define IN(mistake) "sinter: " mistake ": "
#define WRITTEN(byte, size, block)                                                                           \
    IN("use after free")                                                                                     \
    "free(): byte " byte " of the " size "-byte block at " block                                             \
    " was written after it had been freed (found as it leaves the quarantine)"
#define BEYOND(call, offset, bytes, size)                                                                    \
    IN("heap overflow")                                                                                      \
    "found by " call "(): byte at %P+" offset " is overwritten, " bytes " beyond the " size                  \
    "-byte block at %P"
#define ACCESS(offset, size)                                                                                 \
    IN("heap overflow") "write at %P+" offset ", 1 byte beyond the " size "-byte block at %P"
#define BEFORE(size) IN("heap underflow") "write at %P, 1 byte before the " size "-byte block at %B"
#define CALL(offset, size)                                                                                   \
    IN("heap overflow by a system call")                                                                     \
    "write(100, %P+" offset ", 10): EFAULT at %P+" offset ", 1 byte beyond the " size "-byte block at %P"
#define GOES_ON "guard_misuse:report"

static const struct death {
    const char *name;
    const char *conf;
    void (*mistake)(void);
    int signal;        /* 0: it ends by itself */
    bool stack;        /* behind each first line */
    const char *lines; /* the first lines of its reports */
} cases[] = {
    {"double-small", GOES_ON, double_small, 0, false, LINE DOUBLE("free", "64-byte block")},
    {"double-small-no-cache", GOES_ON ",cache:off", double_small, 0, false,
     LINE DOUBLE("free", "64-byte block")},
    {"double-small-check", GOES_ON ",check:on", double_small, 0, false, LINE DOUBLE("free", "64-byte block")},
    {"double-in-cache", GOES_ON, double_in_cache, 0, false, LINE DOUBLE("free", "64-byte block")},
    {"double-large", GOES_ON, double_large, 0, false, LINE DOUBLE("free", "page run")},
    {"double-huge", GOES_ON, double_huge, 0, false, LINE DOUBLE("free", "268435456-byte mapping")},
    {"double-large-zeroed", GOES_ON ",zero_on_free:on", double_large, 0, false,
     LINE DOUBLE("free", "page run")},
    {"interior", GOES_ON, interior, 0, false, LINE INTERIOR("free", "64-byte block", "16, allocated")},
    {"interior-large", GOES_ON, interior_large, 0, false,
     LINE INTERIOR("free", "131072-byte run", "4096, allocated")},
    {"foreign", GOES_ON, foreign, 0, false,
     LINE FOREIGN("free") "\n" LINE FOREIGN("malloc_usable_size") "\n" LINE FOREIGN("realloc")},
    {"foreign-guarded", GOES_ON ",guard:on", foreign, 0, true,
     IN("invalid free") FOREIGN("free") "\n" IN("invalid free")
         FOREIGN("malloc_usable_size") "\n" IN("invalid free") FOREIGN("realloc")},
    {"quarantine-double", "quarantine:1m", quarantined_double, SIGABRT, true,
     IN("double free") DOUBLE("free", "64-byte block")},
    {"quarantine-double-goes-on", "quarantine:1m," GOES_ON, quarantined_double, 0, true,
     IN("double free") DOUBLE("free", "64-byte block")},
    {"quarantine-realloc", "quarantine:1m," GOES_ON, quarantined_realloc, 0, true,
     IN("double free") DOUBLE("realloc", "64-byte block") "\n" IN("double free")
         DOUBLE("malloc_usable_size", "64-byte block")},
    {"quarantine-interior", "quarantine:1m", quarantined_interior, SIGABRT, true,
     IN("invalid free") INTERIOR("free", "64-byte block", "16, free")},
    {"quarantine-reuse", "quarantine:64064,check:on", quarantined_reuse, 0, false, ""},
    {"quarantine-write", "quarantine:64k", write_after_free, SIGABRT, true, WRITTEN("5", "64", "%P")},
    {"quarantine-write-goes-on", "quarantine:64k," GOES_ON, write_after_free, 0, true,
     WRITTEN("5", "64", "%P")},
    {"quarantine-write-zeroed", "quarantine:64k,zero_on_free:on", write_after_free, SIGABRT, true,
     WRITTEN("5", "64", "%P")},
    {"quarantine-write-random", "quarantine:64k,randomize:on", write_after_free, SIGABRT, true,
     WRITTEN("5", "64", "%P")},
    {"quarantine-write-canary", "quarantine:64k,canary:on", write_after_free, SIGABRT, true,
     WRITTEN("5", "80", "%P")},
    {"quarantine-write-last", "quarantine:64k", write_after_free_of_all, SIGABRT, true,
     WRITTEN("5119", "5120", "%B")},
    {"quarantine-write-threads", "quarantine:64k," GOES_ON, write_after_free_threads, 0, true,
     WRITTEN("0", "64", "%P")},
    {"quarantine-fork", "quarantine:64k," GOES_ON, quarantined_fork, 0, true,
     IN("double free") DOUBLE("free", "64-byte block") "\n" WRITTEN("1", "64", "%P")},
    {"canary-end", "canary:on", overflow_end, SIGABRT, true, BEYOND("free", "56", "1 byte", "56")},
    {"canary-end-goes-on", "canary:on," GOES_ON, overflow_end, 0, true, BEYOND("free", "56", "1 byte", "56")},
    {"canary-pad", "canary:on", overflow_pad, SIGABRT, true, BEYOND("free", "13", "1 byte", "13")},
    {"canary-pad-quarantine", "canary:on,quarantine:1m", overflow_pad, SIGABRT, true,
     BEYOND("free", "13", "1 byte", "13")},
    {"canary-pad-zeroed", "canary:on,zero_on_free:on,randomize:on", overflow_pad, SIGABRT, true,
     BEYOND("free", "13", "1 byte", "13")},
    {"canary-later", "canary:on", overflow_later, SIGABRT, true, BEYOND("free", "53", "4 bytes", "50")},
    {"canary-trailer", "canary:on", overflow_trailer, SIGABRT, true,
     IN("heap overflow") "free(): the canary behind the block at %P, at the end of its slot of 64 bytes, is "
                         "overwritten"},
    {"canary-medium", "canary:on", overflow_medium, SIGABRT, true,
     BEYOND("free", "30000", "1 byte", "30000")},
    {"canary-nothing", "canary:on", overflow_nothing, SIGABRT, true, BEYOND("free", "1", "1 byte", "1")},
    {"canary-string", "canary:on", overflow_string, SIGABRT, true, BEYOND("free", "24", "1 byte", "24")},
    {"canary-realloc", "canary:on," GOES_ON, overflow_realloc, 0, true,
     BEYOND("realloc", "101", "2 bytes", "100")},
    {"canary-after-realloc", "canary:on", overflow_after_realloc, SIGABRT, true,
     BEYOND("free", "90", "1 byte", "90")},
    {"canary-aligned", "canary:on", overflow_aligned, SIGABRT, true, BEYOND("free", "100", "1 byte", "100")},
    {"canary-calloc", "canary:on", overflow_calloc, SIGABRT, true, BEYOND("free", "25", "1 byte", "25")},
    {"canary-usable-size", "canary:on," GOES_ON, overflow_usable_size, 0, true,
     BEYOND("malloc_usable_size", "40", "1 byte", "40")},
    {"canary-fork", "canary:on," GOES_ON, overflow_fork, 0, true, BEYOND("free", "41", "2 bytes", "40")},
    {"canary-wrong-size", "canary:on," GOES_ON, wrong_size, 0, true,
     "sinter: wrong size: free_sized(%P, 41), a 40-byte block"},
    {"canary-right-sizes", "canary:on", right_sizes, 0, false, ""},
    {"canary-right-sizes-all", "canary:on,quarantine:64k,randomize:on,zero_on_free:on,guard:sample=7",
     right_sizes, 0, false, ""},
    {"large", "guard_large:on", beyond_large, SIGSEGV, true, ACCESS("131072", "131072")},
    {"large-mprotect", "guard_large:on,guard_way:mprotect", beyond_large, SIGSEGV, true,
     ACCESS("131072", "131072")},
    {"large-goes-on", "guard_large:on," GOES_ON, beyond_large, 0, true, ACCESS("131072", "131072")},
    {"large-mprotect-goes-on", "guard_large:on,guard_way:mprotect," GOES_ON, beyond_large, 0, true,
     ACCESS("131072", "131072")},
    {"large-guarded", "guard_large:on,guard:on", beyond_large, SIGSEGV, true, ACCESS("131072", "131072")},
    {"large-zeroed", "guard_large:on,zero_on_free:on,decay:0," GOES_ON, beyond_large, 0, true,
     ACCESS("131072", "131072")},
    {"large-aligned", "guard_large:on", beyond_aligned, SIGSEGV, true, ACCESS("131072", "131072")},
    {"large-shrunk", "guard_large:on", beyond_shrunk, SIGSEGV, true, ACCESS("131072", "131072")},
    {"large-grown", "guard_large:on," GOES_ON, beyond_grown, 0, true, ACCESS("524288", "524288")},
    {"large-call", "guard_large:on," GOES_ON, call_beyond_large, 0, true, CALL("131072", "131072")},
    {"large-call-dies", "guard_large:on", call_beyond_large, SIGABRT, true, CALL("131072", "131072")},
    {"huge-call", "guard_large:on," GOES_ON, call_beyond_huge, 0, true, CALL("268435456", "268435456")},
    {"large-before", "guard_large:on", before_large, SIGSEGV, true, BEFORE("131072")},
    {"large-fork", "guard_large:on", beyond_fork, 0, true, ACCESS("131072", "131072")},
    {"huge", "guard_large:on", beyond_huge, SIGSEGV, true, ACCESS("268435456", "268435456")},
    {"huge-goes-on", "guard_large:on," GOES_ON, beyond_huge, 0, true, ACCESS("268435456", "268435456")},
    {"huge-shrunk", "guard_large:on", beyond_huge_shrunk, SIGSEGV, true, ACCESS("268435456", "268435456")},
    {"huge-grown", "guard_large:on", beyond_huge_grown, SIGSEGV, true, ACCESS("268566528", "268566528")},
    {"huge-before", "guard_large:on", before_huge, SIGSEGV, true, BEFORE("268435456")},
    {"tail", "guard_tail:on", beyond_span, SIGSEGV, true, ACCESS("6144", "6144")},
    {"tail-goes-on", "guard_tail:on,guard_large:on," GOES_ON, beyond_span, 0, true, ACCESS("6144", "6144")},
    {"all-sizes", "guard_large:on,guard_tail:on", all_sizes, 0, false, ""},
    {"all-sizes-mprotect", "guard_large:on,guard_way:mprotect,decay:0", all_sizes, 0, false, ""},
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

/* Linux 6.13: pages of spans cannot be closed otherwise. */
static bool has_guard_pages(void)
{
    enum { GUARD_INSTALL = 102 };
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && madvise(page, 4096, GUARD_INSTALL) == 0;
}

static bool can_run(const struct death *d)
{
    if (strstr(d->conf, "guard_tail") == NULL || has_guard_pages())
        return true;
    printf("SKIP: %s: this system has no MADV_GUARD_INSTALL\n", d->name);
    return false;
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
        if ((argc < 2 || strcmp(argv[1], cases[i].name) == 0) && can_run(&cases[i]))
            failures += !run_case(&cases[i]);
    }
    printf("harden-death: %d failures\n", failures);
    return failures > 0;
}
