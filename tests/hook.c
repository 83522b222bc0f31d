/*
 * A malloc tracer of the usual kind, preloaded before the library: it finds the next malloc with dlsym, which may
 * itself allocate, and it allocates in a constructor, before anything else has run. tests/life.c also loads it with
 * dlopen, where none of that takes effect but the constructor.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *hook_block;             /* from the constructor; the program frees it */
atomic_ulong hook_calls;      /* what passed through */
_Thread_local char *hook_tls; /* makes the thread's first access allocate a TLS block, with malloc */

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);

/* Serves what dlsym asks for while we ask dlsym. */
static _Alignas(16) char early[4096];
static size_t early_used;
static __thread bool looking __attribute__((tls_model("initial-exec")));

static void *early_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof early - early_used)
        abort();
    early_used += size;
    return early + early_used - size;
}

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void look_up(void)
{
    looking = true;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    dlsym(RTLD_NEXT, "no such symbol"); /* makes dlerror's text, which is allocated */
    dlerror();
    looking = false;
}

static bool ready(void)
{
    atomic_fetch_add(&hook_calls, 1);
    if (!next_malloc && !looking)
        look_up();
    return !looking;
}

void *malloc(size_t size)
{
    return ready() ? next_malloc(size) : early_alloc(size);
}

void *calloc(size_t n, size_t size)
{
    return ready() ? next_calloc(n, size) : early_alloc(n * size);
}

void *realloc(void *p, size_t size)
{
    if (ready() && !is_early(p))
        return next_realloc(p, size);
    void *moved = malloc(size);
    return p ? memcpy(moved, p, size) : moved; /* reads on within `early`, which is harmless */
}

void free(void *p)
{
    if (p && !is_early(p) && ready())
        next_free(p);
}

__attribute__((constructor(101))) static void before_main(void)
{
    hook_block = strcpy(malloc(1000), "from a constructor");
    for (size_t size = 1; size < 1 << 20; size *= 2)
        free(memset(realloc(malloc(size), size * 2), 1, size * 2));
}

__attribute__((destructor(101))) static void after_main(void)
{
    for (size_t size = 1; size < 1 << 20; size *= 2)
        free(memset(malloc(size), 1, size));
}
