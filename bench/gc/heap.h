/*
 * A heap as the workloads see it, and three of them, of which one is chosen when a program is compiled:
 *
 *   HEAP_SINTER  libsinter-gc.so: roots are declared, objects move.
 *   HEAP_LIBGC   the Boehm-Demers-Weiser collector: roots are guessed, objects stay. Not incremental.
 *   HEAP_MALLOC  malloc, of whatever library is preloaded: HEAP_BY_HAND is 1, and workloads free what they drop.
 *
 * Workloads follow Sinter's rules: a reference that is used after a call that takes a mutator has to be a root. With
 * the others, that costs nothing.
 */
#ifndef BENCH_GC_HEAP_H
#define BENCH_GC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../durations.h"

#ifndef HEAP_SINTER
#define HEAP_SINTER 0
#endif
#ifndef HEAP_LIBGC
#define HEAP_LIBGC 0
#endif
#ifndef HEAP_MALLOC
#define HEAP_MALLOC 0
#endif

#if HEAP_SINTER
#include <sinter/gc.h>
typedef sinter_gc_mutator mutator;
#elif HEAP_LIBGC
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>
typedef struct mutator mutator;
#elif HEAP_MALLOC
typedef struct mutator mutator;
#else
#error "HEAP_SINTER, HEAP_LIBGC or HEAP_MALLOC has to be 1"
#endif

/* ---- the heap, of which there is one ---- */

/*
 * `factor`: how large the heap grows before it is collected, per cent of what is live. `live`: what will be live, in bytes,
 * as the workload reckons; libgc's free space divisor alone does not reach beyond 300 per cent.
 */
void heap_open(unsigned factor, size_t live);

/* For each thread, the first included. */
mutator *heap_attach(void);
void heap_detach(mutator *m);

/* Between these two the thread waits for others and touches nothing. */
void heap_block(mutator *m);
void heap_unblock(mutator *m);

/* One collection, and objects are pushed together where they can be. */
void heap_collect(mutator *m);

/* The same, and what is free goes back to the system as far as it can be made to. */
void heap_release(mutator *m);

/* What it says of itself, if it does; heaps that are collected note besides when all threads stood still (stops.h). */
struct report;
void heap_report(struct report *report);

_Noreturn void heap_full(size_t wanted);

#if HEAP_SINTER
/* For the workload that looks deeper. */
sinter_gc_heap *heap_itself(void);
#endif

/* ---- kinds of objects ---- */

typedef uint32_t heap_kind;

/* As struct sinter_gc_layout has it. */
struct heap_layout {
    const char *name;
    size_t size;
    uint64_t references;
    size_t element_size;
    uint64_t element_references;
    size_t count_offset;
    bool leaf;
};

heap_kind heap_kind_new(const struct heap_layout *layout);

#define HEAP_REFERENCE(type, member) ((uint64_t)1 << offsetof(type, member) / 8)

/* Of a struct that has a `count` and ends in as many references. */
#define HEAP_TABLE_KIND(type)                                                                                \
    heap_kind_new(&(struct heap_layout){                                                                     \
        .name = #type,                                                                                       \
        .size = sizeof(struct type),                                                                         \
        .element_size = sizeof(void *),                                                                      \
        .element_references = 1,                                                                             \
        .count_offset = offsetof(struct type, count),                                                        \
    })

/* ---- objects ---- */

/*
 * heap_new:     the caller writes all of it.
 * heap_zeroed:  all zero.
 * heap_leaf:    the caller writes all of it, and there is no reference in it.
 * heap_drop:    the caller has no use for it any more.
 */
#if HEAP_SINTER

#define HEAP_BY_HAND 0
#define HEAP_HEADER  uint64_t header;

#define HEAP_ROOTS(m, ...)              SINTER_GC_ROOTS(m, __VA_ARGS__)
#define HEAP_ROOT_ARRAY(m, array, size) SINTER_GC_ROOT_ARRAY(m, array, size)

static inline void *heap_new(mutator *m, heap_kind kind, size_t size)
{
    void *object = sinter_gc_alloc(m, kind, size);
    if (__builtin_expect(object == NULL, 0))
        heap_full(size);
    return object;
}

static inline void *heap_zeroed(mutator *m, heap_kind kind, size_t size)
{
    return heap_new(m, kind, size);
}

static inline void *heap_leaf(mutator *m, heap_kind kind, size_t size)
{
    return heap_new(m, kind, size);
}

static inline void heap_drop(void *object)
{
    (void)object;
}

#else

#define HEAP_HEADER
#define HEAP_ROOTS(m, ...)              (void)(m)
#define HEAP_ROOT_ARRAY(m, array, size) (void)(m)

static inline void *heap_made(void *object, size_t size)
{
    if (__builtin_expect(object == NULL, 0))
        heap_full(size);
    return object;
}

#if HEAP_LIBGC

#define HEAP_BY_HAND 0

static inline void *heap_new(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(GC_MALLOC(size), size);
}

/* What libgc's manual asks for where objects are large: only references to the beginning count. */
static inline void *heap_zeroed(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(size > 100000 ? GC_MALLOC_IGNORE_OFF_PAGE(size) : GC_MALLOC(size), size);
}

static inline void *heap_leaf(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(GC_MALLOC_ATOMIC(size), size);
}

static inline void heap_drop(void *object)
{
    (void)object;
}

#else

#define HEAP_BY_HAND 1

static inline void *heap_new(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(malloc(size), size);
}

static inline void *heap_zeroed(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(calloc(1, size), size);
}

static inline void *heap_leaf(mutator *m, heap_kind kind, size_t size)
{
    (void)m, (void)kind;
    return heap_made(malloc(size), size);
}

static inline void heap_drop(void *object)
{
    free(object);
}

#endif
#endif

#endif
