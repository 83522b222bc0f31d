#ifndef SINTER_GC_TYPE_H
#define SINTER_GC_TYPE_H

#include "heap.h"

/* 0, or ENOMEM. */
int types_create(sinter_gc_heap *heap);
void types_destroy(sinter_gc_heap *heap);

#endif
