/*
 * System calls that the kernel has answered with EFAULT: was it a guarded page? If so it is counted and reported; errno stays. What
 * the call was given may be no memory at all: nothing is read but by asking the kernel.
 */
#ifndef SINTER_GUARD_SYSTEM_CALL_H
#define SINTER_GUARD_SYSTEM_CALL_H

#include "base.h"

/* Of a call `name(fd, buffer, size ...)`. */
COLD void guard_look_at_buffer(const char *name, int fd, const void *buffer, size_t size);

/* Of a call `name(fd, vector, count ...)`, a vector of struct iovec. */
COLD void guard_look_at_vector(const char *name, int fd, const void *vector, size_t count);

/* Of a call `name(fd, message, flags)`, a struct msghdr. */
COLD void guard_look_at_message(const char *name, int fd, const void *message, size_t flags);

/* How many there were. */
uint64_t guard_efaults(void);

#endif
