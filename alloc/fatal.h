/*
 * Speaking to the operator on stderr, one line a message, without allocating.
 */
#ifndef SINTER_FATAL_H
#define SINTER_FATAL_H

#include "base.h"

/* Writes "sinter: ", the message and a newline to stderr in one write. */
void warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, then abort(). */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each library's own: is the caller one of its threads, which may have descriptors of their own? */
bool fatal_in_own_thread(void);

#endif
