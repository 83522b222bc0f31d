/*
 * What every module of alloc/ shares: sizes, glossary, invariants.
 *
 * Glossary
 *   page     4 KiB; the unit in which memory is given back to the system.
 *   span     64 KiB of the span zone, aligned to its size, cut into slots of one size class.
 *   slot     room for one small block; free, cached (in one thread cache), live (the program's), or held (freed, in quarantine).
 *   run      contiguous pages of the run zone that hold one large block.
 *   mapping  a huge block's own mmap, outside the arena.
 *   bin      a size class with its central lists; numbers 1 .. BIN_COUNT - 1, 0 is "no bin".
 *   chunk    2 MiB, a huge page; zones grow by whole chunks.
 *   zone     the part of the arena that holds spans, or the one that holds runs.
 *   guarded  of a block: in a slot of guard mode (guard.h), between pages that nobody may touch.
 *   dirty    of free pages: may still have physical memory behind them.
 *
 * Invariants
 *   I1  All metadata lies outside the zones; nothing is threaded through free memory. The allocator never
 *       touches a page of a zone on behalf of malloc or free; calloc's clearing, realloc's copying and the
 *       options zero_on_free, quarantine and canary do, and hold no lock then. Guarded blocks are in no zone: the bytes beside them are written.
 *   I2  For each span in use: slots free + slots cached + slots live + slots held = slots of the span.
 *   I3  Each page of the run zone below its frontier is in exactly one run: live, free or purging.
 *   I4  Whatever is dirty is counted once: spans in span_pool, pages of free runs in run_dirty.
 *   I5  Locks are taken in the order of enum lock_rank and never across a call into the program.
 */
#ifndef SINTER_BASE_H
#define SINTER_BASE_H

#include "config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB ((size_t)1 << 10)
#define MiB ((size_t)1 << 20)
#define GiB ((size_t)1 << 30)

#define PAGE_BITS  12
#define PAGE_BYTES ((size_t)1 << PAGE_BITS)

#define SPAN_BITS  16
#define SPAN_BYTES ((size_t)1 << SPAN_BITS)

#define CHUNK_BITS  21
#define CHUNK_BYTES ((size_t)1 << CHUNK_BITS)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define SINTER_EXPORT __attribute__((visibility("default")))
/* On declarations of variables: spares a look into the global offset table. */
#define HIDDEN        __attribute__((visibility("hidden")))
#define COLD          __attribute__((cold, noinline))
#define CACHE_ALIGNED __attribute__((aligned(64)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Relaxed accesses; on the machines that Sinter runs on these are plain loads and stores. */
#define load_relaxed(p)     atomic_load_explicit((p), memory_order_relaxed)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define add_relaxed(p, v)   atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define sub_relaxed(p, v)   atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

/*
 * A variable that others may be changing, read where either value will do. Plain where no tool watches: compilers do
 * not fold atomic reads into the instruction that uses the value.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define read_racy(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
enum { THREAD_SANITIZER = 1 };
#else
#define read_racy(x) (x)
enum { THREAD_SANITIZER = 0 };
#endif

static inline size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static inline size_t align_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Where a block of the program's is. */
struct block_place {
    void *start; /* NULL: there is none */
    size_t bytes;
};

/* Always compiled, so that it cannot rot; costs nothing unless configured with --enable-debug. */
#define debug_assert(x)                                                                                      \
    do {                                                                                                     \
        if (SINTER_DEBUG && unlikely(!(x)))                                                                  \
            fatal_assert(#x, __FILE__, __LINE__);                                                            \
    } while (0)

/* For what must never go on silently, at a price that is never felt. */
#define always_assert(x)                                                                                     \
    do {                                                                                                     \
        if (unlikely(!(x)))                                                                                  \
            fatal_assert(#x, __FILE__, __LINE__);                                                            \
    } while (0)

_Noreturn void fatal_assert(const char *what, const char *file, int line);

#endif
