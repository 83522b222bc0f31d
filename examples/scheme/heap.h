/*
 * The heap that the interpreter is built on: one of
 *
 *   heap_sinter.c   libsinter-gc: objects move
 *   heap_libgc.c    the Boehm-Demers-Weiser collector: conservative, nothing moves
 *   heap_malloc.c   calloc, nothing is ever freed
 *   heap_moving.c   a plain semispace, to find references that nobody told the heap of
 *
 * <sinter/gc.h> gives all of them the words: layouts, type numbers and frames of roots. Each object's first 8 bytes are the
 * heap's, with the type in their low 24 bits. Every function below that can allocate may move objects.
 */
#ifndef SCHEME_HEAP_H
#define SCHEME_HEAP_H

#include <sinter/gc.h>

extern const char heap_name[];
extern sinter_gc_mutator *heap_mutator;

void heap_open(void);
void heap_close(void);

sinter_gc_type heap_type(const struct sinter_gc_layout *layout);

/* References from `start` up to `end` are roots. `range` itself is read anew at each collection. */
struct heap_range {
    void **start, **end;
};
void heap_range_add(const struct heap_range *range);

enum { HEAP_RANGES = 8 };

/* Makes local variables that hold references roots until the end of the enclosing block. */
#define ROOTS(...) SINTER_GC_ROOTS(heap_mutator, __VA_ARGS__)

/* A number that stays with the object. */
uint32_t heap_hash(void *object);

/* Gives `memory`, from malloc, back once the object has died. */
void heap_free_with(void *object, void *memory);

void heap_collect(void);

struct heap_number {
    const char *name;
    uint64_t number;
};

/* Fills `numbers` and returns how many there are. */
size_t heap_statistics(struct heap_number *numbers, size_t most);

/* Between these two the thread waits for something else and does not touch the heap. */
void heap_block(void);
void heap_unblock(void);

_Noreturn void heap_exhausted(size_t size);
void *heap_alloc_slow(sinter_gc_type type, size_t size);

/* A new object, all zero. A tail's length has to be set before anything else is allocated. */
static inline void *heap_alloc(sinter_gc_type type, size_t size)
{
#ifdef HEAP_SINTER
    void *object = sinter_gc_alloc(heap_mutator, type, size);
    if (__builtin_expect(object == NULL, 0))
        heap_exhausted(size);
    return object;
#else
    return heap_alloc_slow(type, size);
#endif
}

/* Lets the heap stop this thread if it has to. */
static inline bool heap_wants_stop(void)
{
    return __atomic_load_n(&heap_mutator->stop, __ATOMIC_RELAXED) != 0;
}

void heap_safepoint(void);

#endif
