/* The procedures and macros that are written in Scheme: prelude.scm. */
#ifndef SCHEME_PRELUDE_H
#define SCHEME_PRELUDE_H

#include <stdbool.h>

bool prelude_load(void);

#endif
