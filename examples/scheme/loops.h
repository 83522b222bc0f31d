/* Loops that need no procedure. */
#ifndef SCHEME_LOOPS_H
#define SCHEME_LOOPS_H

#include "ast.h"

/*
 * Is the variable, the name of a loop with so many variables and this body, used for nothing but calls that are the last
 * thing an iteration does? Such calls are jumps.
 */
bool loops_only_jumps(const struct node *body, const struct variable *name, uint32_t count);

#endif
