/*
 * Checking every reference. What is wrong ends the program with a message that names the object and the field.
 */
#ifndef SINTER_GC_VERIFY_H
#define SINTER_GC_VERIFY_H

#include "heap.h"

/* After a mark: what marked objects refer to is marked. */
void verify_marked(sinter_gc_heap *heap);

/* At any time mutators stand still and nothing moves: references point at objects, which are where their blocks are. */
void verify_all(sinter_gc_heap *heap);

#endif
