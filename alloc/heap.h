/*
 * The allocator as a whole: the fast paths, inline so that each public function has its own copy, and what they
 * fall back on.
 */
#ifndef SINTER_HEAP_H
#define SINTER_HEAP_H

#include "arena.h"
#include "base.h"
#include "sizeclass.h"
#include "tcache.h"

/*
 * Where functions with a fast path begin. Processors remember branches by lines of 64 bytes of code. A branch that was never taken
 * costs nothing; one that has been is remembered, and then, on AMD's Zen 5, each line with such a branch takes one to two cycles
 * more for a long time, unless the return lies in the same line. Guard mode takes two such branches at each turn, and a pair of malloc and free
 * has ten cycles. So allocating functions, which have less than 64 bytes to their return, begin a line, and free begins so that its
 * first branch does: that is behind 24 bytes, and its return 37 bytes further.
 */
#if defined(__x86_64__)
#define FAST_ALLOC __attribute__((aligned(64)))
#define FAST_FREE  __attribute__((aligned(64), patchable_function_entry(40, 40)))
#else
#define FAST_ALLOC
#define FAST_FREE
#endif

/* Makes the allocator ready; malloc does so by itself. */
void heap_init(void);

/* What the fast paths cannot do; `call` is the public function, for messages. errno is set as malloc(3) says. */
void *heap_malloc_empty(size_t size);
void *heap_malloc_beyond(size_t size);
void heap_free_slow(void *p, const char *call);
void heap_free_sized_slow(void *p, size_t size, const char *call);

void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *p, size_t size, const char *call);

/* `align` is a power of two. */
void *heap_memalign(size_t align, size_t size);

/* Bytes that the block may use. Anything else, and NULL, is misuse, and 0 bytes if the program goes on. */
size_t heap_usable_size(const void *p, const char *call);

/* Pops from the thread's stack; NULL if the slow path is needed. See tcache_table.h for the order of the accesses. */
static inline void *heap_pop(struct tcache_bin *bin)
{
    void **top = load_relaxed(&bin->top) - 1;
    store_relaxed(&bin->top, top);
    atomic_signal_fence(memory_order_seq_cst);
    return load_relaxed((shared_slot *)top);
}

/* The bin of the thread's cache at `offset` + `constant` bytes from the first. */
static inline struct tcache_bin *heap_bin(size_t offset, size_t constant)
{
    uintptr_t at = (uintptr_t)tcache_tls.bins + offset;
    __asm__("" : "+r"(at)); /* the sum in one instruction; the constant goes into the accesses */
    return (struct tcache_bin *)(at + constant);
}

static inline void *heap_malloc(size_t size)
{
    size_t last = size - 1; /* so that 0 is beyond */
    if (likely(last < tcache_tls.direct)) {
        /* Bin number times 16: size rounded up to a multiple of 16. */
        void *p = heap_pop(heap_bin(last | 15, 1));
        if (likely(p != NULL))
            return p;
        return heap_malloc_empty(size);
    }
    return heap_malloc_beyond(size);
}

/*
 * Pushes onto the thread's stack what is the start of a slot of a span in use, unless the stack is full or has the
 * same pointer on top. Everything else, misuse included, is found out by the slow path.
 */
static inline bool heap_push(void *p)
{
    size_t span = ((uintptr_t)p - arena_base) >> SPAN_BITS;
    if (likely(span < read_racy(arena_span_limit))) {
        struct tcache_bin *bin = heap_bin(load_relaxed(arena_map_entry(span)), 0);
        void **top = load_relaxed(&bin->top);
        if (likely((uint32_t)(uintptr_t)top < bin->limit && sizeclass_is_start(p, bin->magic) &&
                   read_racy(top[-1]) != p)) {
            store_relaxed((shared_slot *)top, p);
            atomic_store_explicit(&bin->top, top + 1, memory_order_release);
            return true;
        }
    }
    return false;
}

static inline void heap_free(void *p, const char *call)
{
    if (unlikely(!heap_push(p)))
        heap_free_slow(p, call);
}

/* The caller says how large the block is. Only guard mode wants to know. */
static inline void heap_free_sized(void *p, size_t size, const char *call)
{
    if (unlikely(!heap_push(p)))
        heap_free_sized_slow(p, size, call);
}

#endif
