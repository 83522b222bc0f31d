/* What the unit tests share. They link the allocator's objects and see its internal headers. */
#ifndef SINTER_UNIT_H
#define SINTER_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Sequences that are the same in every run. */
static inline uint32_t unit_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

#endif
