/*
 * The threads that help the collector. They share its descriptor table.
 */
#ifndef SINTER_GC_CREW_H
#define SINTER_GC_CREW_H

#include "base.h"

struct crew;

/* Starts `workers` - 1 threads; the caller is the first worker itself. Fewer if the system refuses. NULL: no memory. */
struct crew *crew_start(unsigned workers);
void crew_stop(struct crew *crew);

unsigned crew_size(const struct crew *crew);

/* Runs work(worker, context) on `workers` of them, 0 being the caller, and returns when all have returned. */
void crew_run(struct crew *crew, unsigned workers, void (*work)(unsigned worker, void *context),
              void *context);

/* CPU time that all have used, nanoseconds, the caller's excepted. */
uint64_t crew_cpu_ns(const struct crew *crew);

/* The calling thread is one of the library's own from here on. */
void crew_enlist(void);

#endif
