/* What a benchmark has to know about the process it runs in. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Resident memory in bytes: now, and the most there has been. They allocate nothing. */
size_t process_rss(void);
size_t process_peak_rss(void);

/* The file that `malloc` comes from. */
const char *process_allocator(void);

/*
 * Ends the process unless malloc and its relatives all come from the library that the environment variable
 * BENCH_ALLOCATOR names: a path, or "libc" for the C library. Does nothing where the variable is not set.
 */
void process_check_allocator(void);

#ifdef __cplusplus
}
#endif

#endif
