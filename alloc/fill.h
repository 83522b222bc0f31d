/*
 * Bytes that nobody may write hold a value that shows whether somebody has.
 */
#ifndef SINTER_FILL_H
#define SINTER_FILL_H

#include "base.h"

/* The address of the first byte of [from, to) that is not `byte` any more, 0 if there is none. */
uintptr_t fill_damage(const char *from, const char *to, uint8_t byte);

#endif
