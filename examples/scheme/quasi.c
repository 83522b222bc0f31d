/* Quasiquotation. */
#include "object.h"
#include "parse.h"

static struct node *quasi(value v, unsigned level, struct scope *scope);

static bool is_tagged(value v, unsigned word, const struct scope *scope)
{
    return is_pair(v) && is_pair(cdr(v)) && cdr(cdr(v)) == NIL && scope_is(scope, car(v), parse_words[word]);
}

/* (unquote x) and (quasiquote x) within: another level. */
static struct node *quasi_tagged(value v, unsigned level, unsigned word, struct scope *scope)
{
    ROOTS(v);
    struct node *rest = parse_hidden("%cons", 2, quasi(car(cdr(v)), level, scope), parse_constant(NIL));
    return parse_hidden("%cons", 2, parse_constant(parse_words[word]), rest);
}

static struct node *quasi_pair(value v, unsigned level, struct scope *scope)
{
    ROOTS(v);
    if (level == 0 && is_tagged(car(v), WORD_SPLICING, scope)) {
        struct node *spliced = parse(car(cdr(car(v))), scope);
        return parse_hidden("%append", 2, spliced, quasi(cdr(v), level, scope));
    }
    struct node *first = quasi(car(v), level, scope);
    struct node *rest = quasi(cdr(v), level, scope);
    return parse_hidden("%cons", 2, first, rest);
}

static struct node *quasi_vector(value v, unsigned level, struct scope *scope)
{
    value list = NIL;
    ROOTS(v, list);
    for (size_t i = vector_of(v)->length; i > 0; i--)
        list = cons(vector_of(v)->items[i - 1], list);
    return parse_hidden("%list->vector", 1, quasi(list, level, scope), NULL);
}

/* Does it name nothing that could mean something is to be computed? */
static bool is_constant(value v)
{
    for (; is_pair(v); v = cdr(v))
        if (!is_constant(car(v)))
            return false;
    if (has_type(v, T_VECTOR))
        for (size_t i = 0; i < vector_of(v)->length; i++)
            if (!is_constant(vector_of(v)->items[i]))
                return false;
    while (has_type(v, T_ALIAS))
        v = ((struct alias *)v)->name;
    return v != parse_words[WORD_UNQUOTE] && v != parse_words[WORD_SPLICING];
}

static struct node *quasi(value v, unsigned level, struct scope *scope)
{
    if (is_constant(v))
        return parse_constant(scope_strip(v));
    if (is_tagged(v, WORD_UNQUOTE, scope))
        return level == 0 ? parse(car(cdr(v)), scope) : quasi_tagged(v, level - 1, WORD_UNQUOTE, scope);
    if (is_tagged(v, WORD_SPLICING, scope) && level > 0)
        return quasi_tagged(v, level - 1, WORD_SPLICING, scope);
    if (is_tagged(v, WORD_QUASIQUOTE, scope))
        return quasi_tagged(v, level + 1, WORD_QUASIQUOTE, scope);
    if (is_pair(v))
        return quasi_pair(v, level, scope);
    return has_type(v, T_VECTOR) ? quasi_vector(v, level, scope) : parse_constant(scope_strip(v));
}

struct node *form_quasiquote(value form, struct scope *scope)
{
    parse_check(form, 1, 1);
    return quasi(car(cdr(form)), 0, scope);
}
