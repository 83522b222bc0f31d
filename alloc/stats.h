/*
 * Statistics: one table of what there is, printed as text and as JSON.
 */
#ifndef SINTER_STATS_H
#define SINTER_STATS_H

#include "base.h"
#include "sinter/malloc.h"

/* Fills all fields. Returns why pages cannot be packed here, NULL if they can. */
const char *stats_read(struct sinter_stats *stats);

/* 0, or -errno of write(2). */
long stats_print_text(int fd);
long stats_print_json(int fd);

#endif
