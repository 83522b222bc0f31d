/* When a thread could not go on, and how much of its time that left to it in the worst of all windows. */
#ifndef BENCH_GC_UTILISATION_H
#define BENCH_GC_UTILISATION_H

#include <stddef.h>
#include <stdint.h>

struct gap {
    uint64_t from, to;
    uint64_t before; /* the length of all gaps before this one */
};

struct gaps {
    struct gap *gaps; /* in the order of time */
    size_t count, lost;
    uint64_t begin, end; /* of what was watched */
};

enum { GAPS_MOST = 1 << 21 };

void gaps_begin(struct gaps *g, uint64_t now);
void gaps_add(struct gaps *g, uint64_t from, uint64_t to);
void gaps_end(struct gaps *g, uint64_t now);

/* The least share of `window` nanoseconds, wherever it lies, that was no gap. 0 if so long was not watched. */
double gaps_least_utilisation(const struct gaps *g, uint64_t window);

/* The same of all that was watched. */
double gaps_utilisation(const struct gaps *g);

#endif
