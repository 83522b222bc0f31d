/* From a form to a procedure without arguments that evaluates it. */
#ifndef SCHEME_COMPILE_H
#define SCHEME_COMPILE_H

#include "value.h"

value compile(value form);

#endif
