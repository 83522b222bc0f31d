/*
 * Curves of memory over time, drawn by gnuplot.
 */
#ifndef SINTER_PLOT_H
#define SINTER_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plot_point {
    double at_s;
    uint64_t bytes;
};

struct plot_curve {
    const char *name;
    const struct plot_point *points;
    size_t count;
};

/*
 * Draws to the file `path` (.png or .svg), or, if that is NULL, in characters to standard output, `columns` wide. False if
 * gnuplot is not there or fails; the second has been said on stderr, by gnuplot.
 */
bool plot_draw(const char *path, unsigned columns, const char *title, const struct plot_curve *curves,
               size_t count);

/* Can it draw to a file of this name? */
bool plot_knows(const char *path);

#endif
