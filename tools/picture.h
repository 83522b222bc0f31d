/*
 * Pictures of heaps: a dot a page, its colour by state, its depth by how full it is.
 */
#ifndef SINTER_PICTURE_H
#define SINTER_PICTURE_H

#include "map_data.h"

/* A heap at one time. */
struct picture_part {
    const char *caption;
    const struct map_data *data;
};

/* Can it be drawn to a file of this name (.png, .svg) by this build? A line on stderr if not. */
bool picture_knows(const char *path);

/* Draws the parts side by side. False, with a line on stderr, if the file cannot be written. */
bool picture_draw(const char *path, const char *title, const struct picture_part *parts, size_t count);

#endif
