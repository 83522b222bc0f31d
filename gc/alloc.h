/*
 * The slow path of allocation: a mutator gets its blocks here.
 */
#ifndef SINTER_GC_ALLOC_H
#define SINTER_GC_ALLOC_H

#include "heap.h"

/* The mutator has no open blocks afterwards. By itself, or by the collector while it stands still. */
void alloc_close(struct mutator *m);

#endif
