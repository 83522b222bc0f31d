/*
 * Misuse of the public functions: what, where, and what is known is said, then abort(), unless the option guard_misuse lets
 * the program go on. The callers then ignore the pointer.
 */
#ifndef SINTER_MISUSE_H
#define SINTER_MISUSE_H

#include "base.h"

/* `call` is the name of the public function. errno stays. */
void misuse_double_free_small(const char *call, const void *slot, unsigned bin);

/* Byte `offset` of a slot in quarantine is not what it was; `call` gives it back now. */
void misuse_write_after_free(const char *call, const void *slot, unsigned bin, size_t offset);

/* The last bytes of a live slot, which say how large its block is, were overwritten. */
void misuse_trailer(const char *call, const void *slot, size_t slot_size);

/* For a pointer that is not the start of a live block. Finds out what it is. */
void misuse_bad_pointer(const char *call, const void *p);

#endif
