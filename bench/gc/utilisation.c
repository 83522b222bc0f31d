#include "utilisation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void gaps_begin(struct gaps *g, uint64_t now)
{
    size_t bytes = GAPS_MOST * sizeof *g->gaps;
    *g = (struct gaps){.begin = now};
    g->gaps = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g->gaps == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
}

void gaps_add(struct gaps *g, uint64_t from, uint64_t to)
{
    if (g->count == GAPS_MOST) {
        g->lost++;
        return;
    }
    const struct gap *last = g->count > 0 ? &g->gaps[g->count - 1] : NULL;
    uint64_t before = last ? last->before + (last->to - last->from) : 0;
    g->gaps[g->count++] = (struct gap){from, to, before};
}

void gaps_end(struct gaps *g, uint64_t now)
{
    g->end = now;
}

/* The length of all gaps, or parts of them, before this time. */
static uint64_t lost_before(const struct gaps *g, uint64_t when)
{
    size_t low = 0, high = g->count; /* the first gap that begins at that time or later */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->gaps[middle].from < when)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    const struct gap *last = &g->gaps[low - 1];
    return last->before + ((when < last->to ? when : last->to) - last->from);
}

static uint64_t lost_in(const struct gaps *g, uint64_t from, uint64_t window)
{
    if (from < g->begin || from + window > g->end)
        return 0;
    return lost_before(g, from + window) - lost_before(g, from);
}

double gaps_utilisation(const struct gaps *g)
{
    const struct gap *last = g->count > 0 ? &g->gaps[g->count - 1] : NULL;
    uint64_t lost = last ? last->before + (last->to - last->from) : 0;
    return g->end > g->begin ? 1 - (double)lost / (double)(g->end - g->begin) : 0;
}

/* The worst window begins where a gap begins, or ends where one ends. */
double gaps_least_utilisation(const struct gaps *g, uint64_t window)
{
    uint64_t worst = 0;
    if (g->end - g->begin < window)
        return 0;
    for (size_t i = 0; i < g->count; i++) {
        uint64_t forward = lost_in(g, g->gaps[i].from, window);
        uint64_t backward = g->gaps[i].to > window ? lost_in(g, g->gaps[i].to - window, window) : 0;
        worst = forward > worst ? forward : worst;
        worst = backward > worst ? backward : worst;
    }
    return 1 - (double)worst / (double)window;
}
