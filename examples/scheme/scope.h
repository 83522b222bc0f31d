/* What names mean where: local variables and macros. Names are symbols, or what a macro has put in their place. */
#ifndef SCHEME_SCOPE_H
#define SCHEME_SCOPE_H

#include "ast.h"

struct binding {
    struct binding *next;
    uint32_t name; /* held */
    struct variable *variable;
    uint32_t macro; /* held, if there is no variable */
};

struct scope {
    struct scope *up;
    struct binding *bindings;
};

/* What an identifier means: a local binding, or if that is NULL, whatever `symbol` is at top level. */
struct meaning {
    const struct binding *binding;
    value symbol;
};

static inline bool is_identifier(value v)
{
    return is_symbol(v) || has_type(v, T_ALIAS);
}

struct scope *scope_new(struct scope *up);
struct variable *scope_add(struct scope *scope, value name);
void scope_add_macro(struct scope *scope, value name, value macro);
struct meaning scope_find(const struct scope *scope, value identifier);

/* Is the identifier bound in this very scope? */
bool scope_has(const struct scope *scope, value name);

/* Do both mean the same? */
bool scope_same(const struct scope *a, value x, const struct scope *b, value y);

/* Does the identifier mean the global of this name? */
bool scope_is(const struct scope *scope, value v, value symbol);

/* The form with all that macros have introduced replaced by plain symbols. */
value scope_strip(value form);

#endif
