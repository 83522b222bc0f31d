/*
 * syntax-rules. What a template introduces is renamed: each expansion puts fresh identifiers (struct alias) in the place of
 * symbols, which mean what the symbol meant where the macro was defined, unless the expansion itself binds them.
 */
#ifndef SCHEME_RULES_H
#define SCHEME_RULES_H

#include "scope.h"

/* The macro of a (syntax-rules ...) form. */
value rules_new(value form, struct scope *scope);

value rules_expand(value macro, value form, struct scope *scope);

/* An identifier that means what `name` means at top level, whatever is bound around it. */
value rules_core(const char *name);

#endif
