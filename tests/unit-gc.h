/*
 * What tests of the runtime heap share that need no types of their own: a heap of pairs and byte strings, with one mutator.
 */
#ifndef SINTER_TESTS_UNIT_GC_H
#define SINTER_TESTS_UNIT_GC_H

#include "unit.h"

#include "sinter/gc.h"

struct pair {
    uint64_t header;
    struct pair *first, *second;
    uint64_t number;
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type pair_type, bytes_type;

static inline void open_pairs(size_t maximum, bool verify)
{
    struct sinter_gc_layout pair = {.name = "pair", .size = sizeof(struct pair), .references = 6};
    struct sinter_gc_layout bytes = {
        .size = 16, .element_size = 1, .count_offset = 8, .pointer_free = true, .name = "bytes"};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.verify = verify;
    config.maximum = maximum;
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    pair_type = sinter_gc_type_new(heap, &pair);
    bytes_type = sinter_gc_type_new(heap, &bytes);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
}

static inline int close_heap(void **state)
{
    (void)state;
    m->frames = NULL; /* of a test that failed */
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    return 0;
}

static inline struct pair *new_pair(uint64_t number)
{
    struct pair *p = sinter_gc_alloc(m, pair_type, sizeof(*p));
    assert_non_null(p);
    p->number = number;
    return p;
}

static inline void compact(void)
{
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

/* An address that no scan takes for a reference. */
static inline uintptr_t hide(const void *object)
{
    return ~(uintptr_t)object;
}

#endif
