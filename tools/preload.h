/*
 * Preloading a library into the programs that this process executes.
 */
#ifndef SINTER_PRELOAD_H
#define SINTER_PRELOAD_H

#include <stdbool.h>

/* Puts the library before what LD_PRELOAD has already. False, with errno, if memory is short. */
bool preload_add(const char *library);

#endif
