#ifndef SINTER_GC_CONFIG_CHECK_H
#define SINTER_GC_CONFIG_CHECK_H

#include "heap.h"

/* Fills in what depends on the machine. False if a value is out of its range. */
bool config_complete(struct sinter_gc_config *config);

#endif
