/*
 * Statistics: collecting them. What there is, and how it is printed, is in stats_report.h.
 */
#ifndef SINTER_STATS_H
#define SINTER_STATS_H

#include "base.h"
#include "stats_report.h"

/* Fills all fields. Returns why pages cannot be packed here, NULL if they can. */
const char *stats_read(struct sinter_stats *stats);

/* The same with what belongs to it; the size classes, each of which takes a look at every thread's cache, are added separately. */
void stats_report(struct stats_report *report);
void stats_add_classes(struct stats_report *report);

/* 0, or -errno of write(2). */
long stats_print_text(int fd);
long stats_print_json(int fd);

#endif
