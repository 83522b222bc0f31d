/*
 * Finding the objects that are alive, while mutators stand still.
 */
#ifndef SINTER_GC_MARK_H
#define SINTER_GC_MARK_H

#include "heap.h"

struct keys;
struct mark;

/* Forgets the last mark, marks and pins what is pinned and what ambiguous roots point at, and marks from the exact roots. */
void mark_all(sinter_gc_heap *heap);

/* For weak.c. Is the object marked, or none of this heap's? */
bool mark_is_marked(const sinter_gc_heap *heap, const void *object);

/* Marks the object and all that it keeps alive. */
void mark_more(sinter_gc_heap *heap, void *object);

/* Tells these of each object that mark_more() marks. NULL: no more. */
void mark_tell(sinter_gc_heap *heap, struct keys *keys);

/* The start of the object that `address` points into, NULL if it points into none. */
void *mark_object_around(const sinter_gc_heap *heap, const void *address);

/* Weak references and ephemerons that the mark has come upon: vectors of their addresses, one of each a worker. */
struct found {
    struct vector weak, ephemerons;
};

unsigned mark_workers(const sinter_gc_heap *heap);
struct found *mark_found(const sinter_gc_heap *heap, unsigned worker);

bool mark_create(sinter_gc_heap *heap);
void mark_destroy(sinter_gc_heap *heap);

#endif
