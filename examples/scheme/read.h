/* From text to values. */
#ifndef SCHEME_READ_H
#define SCHEME_READ_H

#include "value.h"

/* The next value, END_OF_FILE if there is none. */
value read_value(value port);

#endif
