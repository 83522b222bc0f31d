/* When all threads stood still for the collector. */
#ifndef BENCH_GC_STOPS_H
#define BENCH_GC_STOPS_H

#include "program.h"

/* Once the heap is open. */
void stops_watch(void);

/* Around each; never two at a time. */
void stop_began(void);
void stop_ended(void);

/* Nothing, unless they were watched. */
void report_stops(struct report *report);

#endif
