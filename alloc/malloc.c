/*
 * The standard functions, and Sinter's own: arguments are checked here, the work is heap.c's.
 *
 * With SINTER_PREFIX defined the standard ones are called sinter_malloc and so on, for programs (and tests) that
 * keep the system's malloc beside.
 */
#include "sinter/malloc.h"
#include "background.h"
#include "conf.h"
#include "fmt.h"
#include "heap.h"
#include "stats.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#ifdef SINTER_PREFIX
#define ABI(name) sinter_##name
#else
#define ABI(name) name
#endif

void *ABI(malloc)(size_t size);
void ABI(free)(void *p);
void ABI(free_sized)(void *p, size_t size);
void ABI(free_aligned_sized)(void *p, size_t align, size_t size);
void ABI(cfree)(void *p);
void *ABI(calloc)(size_t count, size_t size);
void *ABI(realloc)(void *p, size_t size);
void *ABI(reallocarray)(void *p, size_t count, size_t size);
int ABI(posix_memalign)(void **result, size_t align, size_t size);
void *ABI(aligned_alloc)(size_t align, size_t size);
void *ABI(memalign)(size_t align, size_t size);
void *ABI(valloc)(size_t size);
void *ABI(pvalloc)(size_t size);
size_t ABI(malloc_usable_size)(void *p);
int ABI(malloc_trim)(size_t pad);
int ABI(mallopt)(int parameter, int value);
struct mallinfo ABI(mallinfo)(void);
struct mallinfo2 ABI(mallinfo2)(void);
void ABI(malloc_stats)(void);
int ABI(malloc_info)(int options, FILE *stream);

SINTER_EXPORT FAST_ALLOC void *ABI(malloc)(size_t size)
{
    return heap_malloc(size);
}

SINTER_EXPORT FAST_FREE void ABI(free)(void *p)
{
    heap_free(p, "free");
}

SINTER_EXPORT void ABI(cfree)(void *p)
{
    heap_free(p, "cfree");
}

/* C23. The sizes are promises that only guard mode looks at. */
SINTER_EXPORT FAST_FREE void ABI(free_sized)(void *p, size_t size)
{
    heap_free_sized(p, size, "free_sized");
}

SINTER_EXPORT void ABI(free_aligned_sized)(void *p, size_t align, size_t size)
{
    (void)align;
    heap_free_sized(p, size, "free_aligned_sized");
}

SINTER_EXPORT void *ABI(calloc)(size_t count, size_t size)
{
    return heap_calloc(count, size);
}

SINTER_EXPORT void *ABI(realloc)(void *p, size_t size)
{
    return heap_realloc(p, size, "realloc");
}

SINTER_EXPORT void *ABI(reallocarray)(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return heap_realloc(p, bytes, "reallocarray");
}

SINTER_EXPORT int ABI(posix_memalign)(void **result, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *p = heap_memalign(align, size);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
    *result = p;
    return 0;
}

SINTER_EXPORT void *ABI(aligned_alloc)(size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return heap_memalign(align, size);
}

SINTER_EXPORT void *ABI(memalign)(size_t align, size_t size)
{
    return ABI(aligned_alloc)(align, size);
}

SINTER_EXPORT void *ABI(valloc)(size_t size)
{
    return heap_memalign(PAGE_BYTES, size);
}

SINTER_EXPORT void *ABI(pvalloc)(size_t size)
{
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return heap_memalign(PAGE_BYTES, align_up(max_size(size, 1), PAGE_BYTES));
}

SINTER_EXPORT size_t ABI(malloc_usable_size)(void *p)
{
    return p != NULL ? heap_usable_size(p, "malloc_usable_size") : 0;
}

/* `pad`, how much to keep at the top of glibc's heap, has no meaning here. */
SINTER_EXPORT int ABI(malloc_trim)(size_t pad)
{
    (void)pad;
    heap_init();
    return background_trim();
}

/* glibc's parameters say how glibc's heap is to behave; as there, unknown ones are accepted, and none is needed. */
SINTER_EXPORT int ABI(mallopt)(int parameter, int value)
{
    (void)parameter, (void)value;
    return 1;
}

SINTER_EXPORT struct mallinfo2 ABI(mallinfo2)(void)
{
    struct sinter_stats stats;
    heap_init();
    stats_read(&stats);
    return (struct mallinfo2){
        .arena = stats.committed - stats.huge,
        .ordblks = stats.spans + stats.runs,
        .hblks = stats.huge != 0,
        .hblkhd = stats.huge,
        .fsmblks = stats.cached,
        .uordblks = stats.allocated,
        .fordblks = stats.committed > stats.allocated ? stats.committed - stats.allocated : 0,
        .keepcost = stats.dirty,
    };
}

SINTER_EXPORT struct mallinfo ABI(mallinfo)(void)
{
    /* The fields are int by its ABI: values that do not fit wrap around, as they do in glibc. */
    struct mallinfo2 wide = ABI(mallinfo2)();
    return (struct mallinfo){
        .arena = (int)wide.arena,
        .ordblks = (int)wide.ordblks,
        .hblks = (int)wide.hblks,
        .hblkhd = (int)wide.hblkhd,
        .fsmblks = (int)wide.fsmblks,
        .uordblks = (int)wide.uordblks,
        .fordblks = (int)wide.fordblks,
        .keepcost = (int)wide.keepcost,
    };
}

SINTER_EXPORT void ABI(malloc_stats)(void)
{
    heap_init();
    stats_print_text(2);
}

SINTER_EXPORT int ABI(malloc_info)(int options, FILE *stream)
{
    if (options != 0)
        return errno = EINVAL, -1;
    struct sinter_stats stats;
    heap_init();
    stats_read(&stats);
    int n = fprintf(stream,
                    "<malloc version=\"sinter-%s\">\n"
                    "<total type=\"allocated\" size=\"%lu\"/>\n<total type=\"cached\" size=\"%lu\"/>\n"
                    "<total type=\"dirty\" size=\"%lu\"/>\n<total type=\"mmap\" size=\"%lu\"/>\n"
                    "<system type=\"current\" size=\"%lu\"/>\n<metadata size=\"%lu\"/>\n</malloc>\n",
                    SINTER_VERSION_STRING, stats.allocated, stats.cached, stats.dirty, stats.huge,
                    stats.committed, stats.metadata);
    return n < 0 ? -1 : 0;
}

/* ---- Sinter's own; documented in sinter/malloc.h ---- */

SINTER_EXPORT const char *sinter_version(void)
{
    return SINTER_VERSION_STRING;
}

static int result(int error)
{
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

SINTER_EXPORT int sinter_option_get(const char *key, char *value, size_t size)
{
    heap_init();
    return result(conf_get_text(key, value, size));
}

SINTER_EXPORT int sinter_option_set(const char *key, const char *value)
{
    heap_init();
    return result(conf_set_text(key, value));
}

SINTER_EXPORT int sinter_compact(void)
{
    heap_init();
    return result(background_compact());
}

SINTER_EXPORT int sinter_restore(void)
{
    heap_init();
    return result(background_restore());
}

SINTER_EXPORT int sinter_stats_get(struct sinter_stats *stats)
{
    size_t room = stats->size;
    if (room < 2 * sizeof(uint64_t))
        return result(EINVAL);
    struct sinter_stats full;
    heap_init();
    stats_read(&full);
    memcpy(stats, &full, min_size(room, sizeof(full)));
    return 0;
}

SINTER_EXPORT int sinter_stats_text(int fd)
{
    heap_init();
    return result(fd < 0 ? EBADF : (int)-stats_print_text(fd));
}

SINTER_EXPORT int sinter_stats_json(int fd)
{
    heap_init();
    return result(fd < 0 ? EBADF : (int)-stats_print_json(fd));
}
