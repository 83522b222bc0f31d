/*
 * What is in an object: its size and its references, by its type.
 */
#ifndef SINTER_GC_OBJECT_H
#define SINTER_GC_OBJECT_H

#include "heap.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

static inline size_t object_count(const struct sinter_gc_layout *layout, const void *object)
{
    return *(const size_t *)((const char *)object + layout->count_offset);
}

/* In bytes, as the embedder knows it. */
static inline size_t object_size(const sinter_gc_heap *heap, const void *object)
{
    const struct sinter_gc_layout *layout = &type_of(heap, object)->layout;
    if (layout->size_of != NULL)
        return layout->size_of(object);
    return layout->element_size != 0 ? layout->size + layout->element_size * object_count(layout, object)
                                     : layout->size;
}

static inline size_t object_granules(const sinter_gc_heap *heap, const void *object)
{
    return round_up_granules(object_size(heap, object));
}

/* The references of a map, in [from, to) only. */
INLINE void visit_map(char *words, uint64_t map, const char *from, const char *to, sinter_gc_edge edge,
                      void *context)
{
    for (; map != 0; map &= map - 1) {
        char *field = words + 8 * __builtin_ctzll(map);
        if (field >= from && field < to)
            edge((void **)field, context);
    }
}

/* Calls `edge`, with which it is inlined, with the references in [from, to) of an object whose tail has `count` elements. */
INLINE void object_visit_part(const struct sinter_gc_layout *layout, size_t count, char *object,
                              const char *from, const char *to, sinter_gc_edge edge, void *context)
{
    visit_map(object, layout->references, from, to, edge, context);
    if (layout->element_references == 0)
        return;
    char *tail = object + layout->size, *end = tail + layout->element_size * count;
    if (from > tail)
        tail += (size_t)(from - tail) / layout->element_size * layout->element_size;
    if (to < end)
        end = (char *)to;
    if (layout->element_size == sizeof(void *)) { /* all of them references */
        for (; tail < end; tail += sizeof(void *))
            edge((void **)tail, context);
        return;
    }
    for (; tail < end; tail += layout->element_size)
        visit_map(tail, layout->element_references, from, to, edge, context);
}

static inline size_t object_tail(const struct sinter_gc_layout *layout, const void *object)
{
    return layout->element_size != 0 ? object_count(layout, object) : 0;
}

/* The same with all of them. */
INLINE void object_visit(const sinter_gc_heap *heap, void *object, sinter_gc_edge edge, void *context)
{
    const struct sinter_gc_layout *layout = &type_of(heap, object)->layout;
    if (layout->visit != NULL)
        layout->visit(object, edge, context);
    else
        object_visit_part(layout, object_tail(layout, object), object, object, (const char *)UINTPTR_MAX,
                          edge, context);
}

/*
 * The kernel does not tell. While the to-window is registered in an own heap, a hole must not be touched by the collector's threads,
 * which have SIGBUS blocked: zeros are put there. Elsewhere that is refused, and not needed.
 */
static inline void all_present(const sinter_gc_heap *heap, char *from, size_t pages, uint8_t *present)
{
    if (heap->own_served)
        uffd_zero(&heap->uffd, from, pages, present);
    memset(present, 1, pages);
}

/*
 * The same with one that has blocks of its own. In pages that were never written to there are no references, and looking for
 * them would have the kernel put pages of zeros there. By the threads that share the collector's descriptors.
 */
INLINE void object_visit_large(const sinter_gc_heap *heap, char *object, sinter_gc_edge edge, void *context)
{
    enum { PIECE = 256, FEW = 16 /* pages are looked into in less time than it takes to ask for them */ };
    const struct sinter_gc_layout *layout = &type_of(heap, object)->layout;
    size_t pages = (size_t)heap->blocks[block_of(heap, object)].length * BLOCK_PAGES;
    if (layout->visit != NULL || layout->element_references == 0 || pages < FEW || heap->lack != UFFD_READY) {
        object_visit(heap, object, edge, context);
        return;
    }
    size_t count = object_tail(layout, object);
    uint8_t present[PIECE];
    for (size_t first = 0; first < pages; first += PIECE) {
        size_t n = min_size(PIECE, pages - first);
        char *from = object + first * PAGE_BYTES;
        if (!uffd_present(&heap->uffd, from, n, present))
            all_present(heap, from, n, present);
        for (size_t page = 0; page < n; page++, from += PAGE_BYTES) {
            if (present[page])
                object_visit_part(layout, count, object, from, from + PAGE_BYTES, edge, context);
        }
    }
}

static inline const struct quick_type *quick_type_of(const sinter_gc_heap *heap, const void *object)
{
    return &heap->quick_types[sinter_gc_type_of(object) & ~(uint32_t)LEAF_BIT];
}

/* ---- the objects of a block ---- */

/* The compiler's own is a call where the processor's instruction cannot be relied on. */
static inline unsigned count_bits(uint32_t bits)
{
    bits -= bits >> 1 & 0x55555555;
    bits = (bits & 0x33333333) + (bits >> 2 & 0x33333333);
    return ((bits + (bits >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

static inline uint32_t starts_of(const struct maps *maps, unsigned word)
{
    return (uint32_t)load_relaxed(&maps->words[word]);
}

static inline uint32_t live_of(const struct maps *maps, unsigned word)
{
    return (uint32_t)(load_relaxed(&maps->words[word]) >> WORD_GRANULES);
}

/* The first granule from `granule` on where an object starts; BLOCK_GRANULES if there is none. */
static inline unsigned next_start(const struct maps *maps, unsigned granule)
{
    unsigned word = granule / WORD_GRANULES;
    if (word >= BLOCK_WORDS)
        return BLOCK_GRANULES;
    uint32_t starts = starts_of(maps, word) & UINT32_MAX << granule % WORD_GRANULES;
    while (starts == 0) {
        if (++word == BLOCK_WORDS)
            return BLOCK_GRANULES;
        starts = starts_of(maps, word);
    }
    return word * WORD_GRANULES + (unsigned)__builtin_ctz(starts);
}

static inline bool starts_at(const struct maps *maps, unsigned granule)
{
    return starts_of(maps, granule / WORD_GRANULES) >> granule % WORD_GRANULES & 1;
}

/* How many of the granules before this one are live. */
static inline unsigned live_before(const struct block *b, const struct maps *maps, unsigned granule)
{
    uint32_t below = ((uint32_t)1 << granule % WORD_GRANULES) - 1;
    unsigned word = granule / WORD_GRANULES;
    return b->before[word] + count_bits(live_of(maps, word) & below);
}

/*
 * The first object of a block of small objects whose first granule is `granule` or a later one, as the block lies at
 * `address`; NULL if there is none. Sets *granule to the one behind it.
 */
static inline char *next_object(const sinter_gc_heap *heap, uint32_t block, char *address, unsigned *granule)
{
    const struct block *b = &heap->blocks[block];
    unsigned at = b->fresh ? *granule : next_start(&heap->maps[block], *granule);
    if (at >= (b->fresh ? b->used : BLOCK_GRANULES))
        return NULL;
    char *object = address + at * GRANULE_BYTES;
    *granule = at + (unsigned)object_granules(heap, object);
    return object;
}

#endif
