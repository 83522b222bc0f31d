/*
 * First use, fork and exit.
 */
#ifndef SINTER_INIT_H
#define SINTER_INIT_H

#include "base.h"

extern HIDDEN _Atomic bool init_done;

void init_first_use(void);

#endif
