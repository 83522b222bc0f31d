/*
 * Mappings for huge blocks; with the option guard_large, between two pages that nobody may touch.
 */
#ifndef SINTER_HUGE_MAP_H
#define SINTER_HUGE_MAP_H

#include "base.h"

/* Sizes are whole pages. */

/* Zeroed memory at a multiple of `align`; NULL if there is none. */
void *huge_map(size_t size, size_t align);

void huge_unmap(void *addr, size_t size);

/* Grows or shrinks a mapping, which may move; NULL if the system has no room, and nothing has changed then. */
void *huge_remap(void *addr, size_t old_size, size_t new_size);

#endif
