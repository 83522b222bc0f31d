#include "scope.h"

#include "error.h"
#include "object.h"

struct scope *scope_new(struct scope *up)
{
    struct scope *s = ast_alloc(sizeof(*s));
    s->up = up;
    return s;
}

static struct binding *add(struct scope *scope, value name)
{
    struct binding *b = ast_alloc(sizeof(*b));
    b->name = ast_hold(name);
    b->next = scope->bindings;
    scope->bindings = b;
    return b;
}

struct variable *scope_add(struct scope *scope, value name)
{
    struct binding *b = add(scope, name);
    b->variable = ast_alloc(sizeof(*b->variable));
    b->variable->name = b->name;
    return b->variable;
}

void scope_add_macro(struct scope *scope, value name, value macro)
{
    struct binding *b = add(scope, name);
    b->macro = ast_hold(macro);
}

static const struct binding *find_here(const struct scope *scope, value name)
{
    for (const struct binding *b = scope->bindings; b != NULL; b = b->next)
        if (ast_held(b->name) == name)
            return b;
    return NULL;
}

bool scope_has(const struct scope *scope, value name)
{
    return find_here(scope, name) != NULL;
}

struct meaning scope_find(const struct scope *scope, value identifier)
{
    for (;;) {
        for (const struct scope *s = scope; s != NULL; s = s->up) {
            const struct binding *b = find_here(s, identifier);
            if (b != NULL)
                return (struct meaning){b, NULL};
        }
        if (!has_type(identifier, T_ALIAS))
            return (struct meaning){NULL, identifier};
        scope = ((struct alias *)identifier)->scope;
        identifier = ((struct alias *)identifier)->name;
    }
}

bool scope_same(const struct scope *a, value x, const struct scope *b, value y)
{
    struct meaning m = scope_find(a, x), n = scope_find(b, y);
    return m.binding == n.binding && m.symbol == n.symbol;
}

bool scope_is(const struct scope *scope, value v, value symbol)
{
    if (!is_identifier(v))
        return false;
    struct meaning m = scope_find(scope, v);
    return m.binding == NULL && m.symbol == symbol;
}

enum { DEPTH = 20000 };

static bool has_alias(value form, unsigned depth)
{
    if (depth > DEPTH)
        error_plain("a constant is nested too deeply");
    for (; is_pair(form); form = cdr(form))
        if (has_alias(car(form), depth + 1))
            return true;
    if (has_type(form, T_VECTOR))
        for (size_t i = 0; i < vector_of(form)->length; i++)
            if (has_alias(vector_of(form)->items[i], depth + 1))
                return true;
    return has_type(form, T_ALIAS);
}

static value strip(value form);

static value strip_list(value form)
{
    value list = NIL;
    ROOTS(form, list);
    for (; is_pair(form); form = cdr(form)) {
        value first = strip(car(form));
        list = cons(first, list);
    }
    value tail = strip(form);
    return list_reverse_onto(list, tail);
}

static value strip_vector(value form)
{
    value copy = NIL;
    ROOTS(form, copy);
    copy = vector_new(T_VECTOR, vector_of(form)->length, FALSE);
    for (size_t i = 0; i < vector_of(form)->length; i++) {
        value item = strip(vector_of(form)->items[i]);
        vector_of(copy)->items[i] = item;
    }
    return copy;
}

static value strip(value form)
{
    while (has_type(form, T_ALIAS))
        form = ((struct alias *)form)->name;
    if (is_pair(form))
        return strip_list(form);
    return has_type(form, T_VECTOR) ? strip_vector(form) : form;
}

value scope_strip(value form)
{
    return has_alias(form, 0) ? strip(form) : form;
}
