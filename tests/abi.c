/* The standard malloc interface: what each function answers, at the borders above all. Run it preloaded. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned checks, failures;

#define CHECK(condition) check((condition), __func__, __LINE__, #condition)

static bool check(bool good, const char *where, int line, const char *what)
{
    checks++;
    if (!good) {
        failures++;
        printf("FAIL %s, line %d: %s\n", where, line, what);
    }
    return good;
}

/* Hides a value from the compiler, which knows what malloc is and would fold or warn. */
static size_t opaque(size_t value)
{
    volatile size_t hidden = value;
    return hidden;
}

static bool aligned(const void *p, size_t align)
{
    return (uintptr_t)p % align == 0;
}

static void zero_sizes(void)
{
    enum { N = 100 };
    void *p[N];
    for (int i = 0; i < N; i++) {
        p[i] = i % 4 == 0   ? malloc(opaque(0))
               : i % 4 == 1 ? calloc(opaque(0), 8)
               : i % 4 == 2 ? aligned_alloc(64, opaque(0))
                            : realloc(NULL, opaque(0));
        CHECK(p[i] != NULL);
        for (int j = 0; j < i; j++)
            CHECK(p[i] != p[j]);
    }
    for (int i = 0; i < N; i++)
        free(p[i]);
    free(NULL);
    void *q = &q;
    CHECK(posix_memalign(&q, 64, opaque(0)) == 0);
    free(q);
    q = reallocarray(NULL, opaque(0), opaque(SIZE_MAX));
    CHECK(q != NULL);
    free(q);
}

static void overflow(void)
{
    static const struct {
        size_t n, size;
    } cases[] = {{SIZE_MAX, 2},
                 {2, SIZE_MAX},
                 {SIZE_MAX / 2 + 1, 2},
                 {(size_t)1 << 32, (size_t)1 << 32},
                 {SIZE_MAX, SIZE_MAX},
                 {SIZE_MAX / 3, 4},
                 {((size_t)1 << 32) + 1, ((size_t)1 << 32) - 1}};
    char *volatile kept = malloc(10); /* volatile: gcc takes it for freed by a failed realloc */
    strcpy(kept, "untouched");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = opaque(cases[i].n), size = opaque(cases[i].size);
        errno = 0;
        CHECK(calloc(n, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(reallocarray(NULL, n, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(reallocarray(kept, n, size) == NULL && errno == ENOMEM);
    }
    CHECK(strcmp(kept, "untouched") == 0);
    free(kept);
}

static void too_large(void)
{
    static const size_t sizes[] = {SIZE_MAX,           SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                   PTRDIFF_MAX - 4096, (size_t)1 << 62, (size_t)1 << 48};
    char *volatile kept = malloc(10); /* volatile: gcc takes it for freed by a failed realloc */
    strcpy(kept, "untouched");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = opaque(sizes[i]);
        errno = 0;
        CHECK(malloc(size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(calloc(1, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(realloc(NULL, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(realloc(kept, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(aligned_alloc(64, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(memalign(opaque(1 << 20), size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(valloc(size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(pvalloc(size) == NULL && errno == ENOMEM);
        void *p = &p;
        CHECK(posix_memalign(&p, 64, size) == ENOMEM && p == &p);
    }
    CHECK(strcmp(kept, "untouched") == 0);
    free(kept);
    errno = 0;
    CHECK(aligned_alloc(opaque((size_t)1 << 62), 1) == NULL && errno == ENOMEM);
}

static void bad_alignment(void)
{
    static const size_t not_powers[] = {0, 1, 2, 4, 3, 24, 100, 4095, SIZE_MAX};
    for (size_t i = 0; i < sizeof not_powers / sizeof *not_powers; i++) {
        size_t align = opaque(not_powers[i]);
        void *p = &p;
        errno = 77;
        CHECK(posix_memalign(&p, align, 8) == EINVAL); /* 1, 2 and 4 are no multiples of a pointer's size */
        CHECK(errno == 77);
        CHECK(p == &p);
        if (align & (align - 1) || !align) {
            errno = 0;
            CHECK(aligned_alloc(align, 8) == NULL && errno == EINVAL);
        }
    }
    void *p = NULL;
    errno = 77;
    CHECK(posix_memalign(&p, opaque(64), 100) == 0 && p && errno == 77);
    free(p);
}

static void alignment(void)
{
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        static const size_t sizes[] = {1, 16, 100, 4096, 70000, 3 << 20};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = sizes[i];
            char *a = aligned_alloc(align, size), *b = memalign(align, size);
            void *c = NULL;
            if (align >= sizeof(void *))
                CHECK(posix_memalign(&c, align, size) == 0 && c && aligned(c, align));
            CHECK(a && aligned(a, align) && aligned(a, 16));
            CHECK(b && aligned(b, align) && aligned(b, 16));
            CHECK(a != b);
            if (a && b) {
                memset(a, 1, size);
                memset(b, 2, size);
                CHECK(a[0] == 1 && a[size - 1] == 1 && b[0] == 2 && b[size - 1] == 2);
            }
            free(c);
            free(a);
            free(b);
        }
    }
    for (size_t size = 0; size < 5000; size += 7) {
        void *p = malloc(size), *q = calloc(1, size);
        CHECK(aligned(p, 16) && aligned(q, 16));
        free(p);
        free(q);
    }
}

static void page_functions(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = valloc(100);
    CHECK(p && aligned(p, page));
    free(p);
    for (size_t size = 0; size < 3 * page; size += page / 2 + 1) {
        p = pvalloc(size);
        CHECK(p && aligned(p, page));
        CHECK(malloc_usable_size(p) >= (size + page - 1) / page * page);
        free(p);
    }
}

static void errno_kept(void)
{
    static const size_t sizes[] = {0, 10, 5000, 100000, 1 << 20, 8 << 20, 64 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *p = malloc(sizes[i]);
        errno = 4321;
        free(p);
        CHECK(errno == 4321);
        p = malloc(sizes[i]);
        CHECK(errno ==
              4321); /* not promised by anybody, but what a program without an error sees elsewhere */
        free(p);
    }
    errno = 4321;
    free(NULL);
    CHECK(errno == 4321);
}

static void resizing(void)
{
    char *p = realloc(NULL, 100);
    CHECK(p && malloc_usable_size(p) >= 100);
    for (int i = 0; i < 100; i++)
        p[i] = (char)i;
    for (size_t had = 100, size = 1; size <= (size_t)32 << 20; size = size * 3 / 2 + 1) {
        p = realloc(p, size);
        if (!CHECK(p != NULL))
            return;
        size_t watched = size < 100 ? size : 100;
        for (size_t i = 0; i < had && i < watched; i++)
            CHECK(p[i] == (char)i);
        for (size_t i = had; i < watched; i++)
            p[i] = (char)i;
        had = watched;
    }
    p = realloc(p, 50);
    for (int i = 0; i < 50; i++)
        CHECK(p[i] == (char)i);
    errno = 0;
    CHECK(realloc(p, opaque(0)) == NULL); /* as glibc: frees the block */

    for (size_t align = 32; align <= (size_t)4 << 20; align *= 4) {
        p = memalign(align, 100);
        memset(p, 7, 100);
        p = realloc(p, 200000);
        CHECK(p && p[0] == 7 && p[99] == 7);
        p = realloc(p, 10);
        CHECK(p && p[0] == 7 && p[9] == 7);
        free(p);
    }
}

/* realloc(p, 0) must not leak: a gigabyte of it has to fit. */
static void resizing_to_nothing(void)
{
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(1 << 20);
        memset(p, 1, 1 << 20);
        CHECK(realloc(p, opaque(0)) == NULL);
    }
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks + info.hblkhd < (size_t)256 << 20);
}

static void calloc_clears(void)
{
    static const size_t sizes[] = {1, 24, 500, 4096, 30000, 200000, 3 << 20, 20 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int round = 0; round < 4; round++) {
            unsigned char *p = malloc(sizes[i]);
            memset(p, 0xff, malloc_usable_size(p));
            free(p);
            p = calloc(sizes[i], 1);
            CHECK(p && !p[0] && (sizes[i] == 1 || memcmp(p, p + 1, sizes[i] - 1) == 0));
            free(p);
        }
    }
}

static void usable_size(void)
{
    CHECK(malloc_usable_size(NULL) == 0);
    for (size_t size = 0; size < (size_t)4 << 20; size += size / 9 + 1) {
        unsigned char *p = malloc(size);
        size_t usable = malloc_usable_size(p);
        CHECK(usable >= size);
        memset(p, 0x5a, usable);
        free(p);
    }
}

static void statistics(void)
{
    enum { N = 20000, SIZE = 480 };
    static void *p[N];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < N; i++)
        p[i] = memset(malloc(SIZE), 1, SIZE);
    void *large = malloc((size_t)100 << 20);
    struct mallinfo2 full = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop
    size_t gained = full.uordblks + full.hblkhd - before.uordblks - before.hblkhd;
    CHECK(gained >= N * (size_t)SIZE + ((size_t)100 << 20));
    CHECK(gained <= (N * (size_t)SIZE + ((size_t)100 << 20)) * 5 / 4);
    CHECK(full.arena >= full.uordblks);
    CHECK((unsigned)narrow.uordblks == (unsigned)full.uordblks);
    free(large);
    for (int i = 0; i < N; i++)
        free(p[i]);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd <= before.uordblks + before.hblkhd + ((size_t)1 << 20));
}

static void malloc_info_writes_xml(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(malloc_info(0, out) == 0);
    fclose(out);
    CHECK(size > 20 && strncmp(text, "<malloc version=\"", 17) == 0);
    CHECK(strstr(text, "</malloc>\n") == text + size - strlen("</malloc>\n"));
    free(text);
    errno = 0;
    CHECK(malloc_info(1, stdout) !=
          0); /* EINVAL is what it sets, or returns, according to the age of glibc */
}

static void malloc_stats_writes(void)
{
    int saved = dup(STDERR_FILENO), ends[2];
    if (!CHECK(pipe(ends) == 0))
        return;
    dup2(ends[1], STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    close(saved);
    char text[4096];
    ssize_t n = read(ends[0], text, sizeof text);
    close(ends[0]);
    CHECK(n > 20);
}

static void trimming(void)
{
    enum { N = 2000, SIZE = 16384 };
    static void *p[N];
    for (int i = 0; i < N; i++)
        p[i] = memset(malloc(SIZE), 1, SIZE);
    for (int i = 0; i < N; i++)
        free(p[i]);
    int first = malloc_trim(0);
    CHECK(first == 0 || first == 1);
    CHECK(malloc_trim(SIZE_MAX) == 0 || malloc_trim(SIZE_MAX) == 1);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 0 || mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(-12345, 0) == 0 || mallopt(-12345, 0) == 1);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    zero_sizes();
    overflow();
    too_large();
    bad_alignment();
    alignment();
    page_functions();
    errno_kept();
    resizing();
    resizing_to_nothing();
    calloc_clears();
    usable_size();
    statistics();
    malloc_info_writes_xml();
    malloc_stats_writes();
    trimming();
    printf("abi: %u checks, %u failures\n", checks, failures);
    return failures > 0;
}
