/* From the tree to instructions. */
#ifndef SCHEME_EMIT_H
#define SCHEME_EMIT_H

#include "ast.h"

/* The template of a function that was resolved: its number among what is held. */
uint32_t emit(struct function *function);

#endif
