/* Frames on the machine's stack, and where in the program they are. */
#ifndef SCHEME_FRAMES_H
#define SCHEME_FRAMES_H

#include "vm.h"

/* Pointers outside the heap, as values that it leaves alone. */
static inline value tag(const void *pointer)
{
    return (value)((uintptr_t)pointer | 1);
}

static inline void *untag(value v)
{
    return (void *)((uintptr_t)v & ~(uintptr_t)1);
}

#endif
