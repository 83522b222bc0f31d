/*
 * Misuse of the public functions: one line that says what, where, and what is known, then abort().
 */
#ifndef SINTER_MISUSE_H
#define SINTER_MISUSE_H

#include "base.h"

/* `call` is the name of the public function. */
_Noreturn void misuse_double_free_small(const char *call, const void *slot, unsigned bin);

/* For a pointer that is not the start of a live block. Finds out what it is. */
_Noreturn void misuse_bad_pointer(const char *call, const void *p);

#endif
