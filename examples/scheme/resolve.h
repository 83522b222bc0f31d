/* Finds out whose variables are whose, and which ones the closures of a function have to copy. */
#ifndef SCHEME_RESOLVE_H
#define SCHEME_RESOLVE_H

#include "ast.h"

/* The function's body and all functions in it. */
void resolve(struct function *function);

#endif
