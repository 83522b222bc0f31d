/* What main.c runs; each program has a table of its own. */
#ifndef BENCH_MAIN_H
#define BENCH_MAIN_H

#include "gbench.h"

/* NULL behind the last. */
const struct bench_case *case_at(size_t index);

/* What the arguments of the cases are called on the command line, in their order; NULL behind the last. */
extern const char *const arg_names[];

#endif
