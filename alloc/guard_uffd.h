/*
 * What guard_pages.c wants of a userfaultfd; compactor/guard_uffd.c has it, beside the kernel interface.
 *
 * The descriptor stands in the program's table, at a number that programs do not get to by themselves. One that is found closed,
 * or to be something else, is opened anew; the markers do not need it.
 */
#ifndef SINTER_GUARD_UFFD_H
#define SINTER_GUARD_UFFD_H

#include "base.h"

/*
 * From now on pages of [addr, addr + size) can be poisoned, where `addr` is the same in every call and `size` grows. False if the
 * system has no such thing.
 */
bool guard_uffd_cover(void *addr, size_t size);

/* Marks pages, which must be absent. Returns how many are marked, from the first on. */
size_t guard_uffd_poison(void *addr, size_t pages);

/* In the child the descriptor is the parent's, and means its memory: it gets one of its own when it needs it. */
void guard_uffd_fork_prepare(void);
void guard_uffd_fork_parent(void);
void guard_uffd_fork_child(void);

#endif
