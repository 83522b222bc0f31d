/* Pairs, lists, symbols and equivalence. */
#include "check.h"
#include "equal.h"
#include "object.h"
#include "primitives.h"
#include "symbol.h"

#include <string.h>

static value prim_cons(value *a, size_t n)
{
    (void)n;
    return cons(a[0], a[1]);
}

/* The path of c[ad]+r, its letters from the right. */
static value path(value v, const char *letters)
{
    value at = v;
    for (; *letters != '\0'; letters++) {
        if (!is_pair(at))
            error_expected("a longer list", v);
        at = *letters == 'a' ? car(at) : cdr(at);
    }
    return at;
}

#define PATHS(X)                                                                                             \
    X(car, "a")                                                                                              \
    X(cdr, "d")                                                                                              \
    X(caar, "aa")                                                                                            \
    X(cadr, "da")                                                                                            \
    X(cdar, "ad")                                                                                            \
    X(cddr, "dd")                                                                                            \
    X(caaar, "aaa")                                                                                          \
    X(caadr, "daa")                                                                                          \
    X(cadar, "ada")                                                                                          \
    X(caddr, "dda")                                                                                          \
    X(cdaar, "aad")                                                                                          \
    X(cdadr, "dad")                                                                                          \
    X(cddar, "add")                                                                                          \
    X(cdddr, "ddd")                                                                                          \
    X(cadddr, "ddda")                                                                                        \
    X(cddddr, "dddd")

#define X(name, letters)                                                                                     \
    static value prim_##name(value *a, size_t n)                                                             \
    {                                                                                                        \
        (void)n;                                                                                             \
        return path(a[0], letters);                                                                          \
    }
PATHS(X)
#undef X

static value prim_set_car(value *a, size_t n)
{
    (void)n;
    check_pair(a[0])->car = a[1];
    return UNSPECIFIED;
}

static value prim_set_cdr(value *a, size_t n)
{
    (void)n;
    check_pair(a[0])->cdr = a[1];
    return UNSPECIFIED;
}

static value prim_is_null(value *a, size_t n)
{
    (void)n;
    return boolean(a[0] == NIL);
}

static value prim_is_pair(value *a, size_t n)
{
    (void)n;
    return boolean(is_pair(a[0]));
}

static value prim_is_list(value *a, size_t n)
{
    (void)n;
    return boolean(list_length(a[0]) >= 0);
}

static size_t check_list(value v)
{
    ptrdiff_t length = list_length(v);
    if (length < 0)
        error_expected("a list", v);
    return (size_t)length;
}

static value prim_length(value *a, size_t n)
{
    (void)n;
    return fixnum((intptr_t)check_list(a[0]));
}

/* The first `n` arguments in a list, in front of `list`. */
static value collect(value *a, size_t n, value list)
{
    ROOTS(list);
    while (n > 0)
        list = cons(a[--n], list);
    return list;
}

static value prim_list(value *a, size_t n)
{
    return collect(a, n, NIL);
}

static value prim_cons_star(value *a, size_t n)
{
    return collect(a, n - 1, a[n - 1]);
}

static value prim_make_list(value *a, size_t n)
{
    value list = NIL;
    ROOTS(list);
    for (size_t i = check_size(a[0]); i > 0; i--)
        list = cons(n > 1 ? a[1] : UNSPECIFIED, list);
    return list;
}

/* A copy of `list` whose last cdr is `tail`. */
static value copy_onto(value list, value tail)
{
    value copy = NIL;
    ROOTS(list, tail, copy);
    for (; is_pair(list); list = cdr(list))
        copy = cons(car(list), copy);
    return list_reverse_onto(copy, tail);
}

static value prim_append(value *a, size_t n)
{
    if (n == 0)
        return NIL;
    value list = a[n - 1];
    ROOTS(list);
    for (size_t i = n - 1; i > 0; i--) {
        check_list(a[i - 1]);
        list = copy_onto(a[i - 1], list);
    }
    return list;
}

static value prim_list_copy(value *a, size_t n)
{
    (void)n;
    return copy_onto(a[0], NIL);
}

static value prim_reverse(value *a, size_t n)
{
    value list = a[0], reversed = NIL;
    (void)n;
    check_list(list);
    ROOTS(list, reversed);
    for (; is_pair(list); list = cdr(list))
        reversed = cons(car(list), reversed);
    return reversed;
}

static value prim_reverse_in_place(value *a, size_t n)
{
    (void)n;
    check_list(a[0]);
    return list_reverse_onto(a[0], NIL);
}

static value prim_list_tail(value *a, size_t n)
{
    value list = a[0];
    (void)n;
    for (size_t k = check_size(a[1]); k > 0; k--)
        list = check_pair(list)->cdr;
    return list;
}

static value prim_list_ref(value *a, size_t n)
{
    return check_pair(prim_list_tail(a, n))->car;
}

static value prim_list_head(value *a, size_t n)
{
    value list = a[0], copy = NIL;
    (void)n;
    ROOTS(list, copy);
    for (size_t k = check_size(a[1]); k > 0; k--) {
        check_pair(list);
        copy = cons(car(list), copy);
        list = cdr(list);
    }
    return list_reverse_onto(copy, NIL);
}

static value prim_last_pair(value *a, size_t n)
{
    value list = a[0];
    (void)n;
    while (is_pair(check_pair(list)->cdr))
        list = cdr(list);
    return list;
}

static bool is_eq(value a, value b)
{
    return a == b;
}

static value find_member(value v, value list, bool (*same)(value, value))
{
    value all = list;
    for (; is_pair(list); list = cdr(list))
        if (same(v, car(list)))
            return list;
    if (list != NIL)
        error_expected("a list", all);
    return FALSE;
}

static value find_entry(value v, value list, bool (*same)(value, value))
{
    for (; is_pair(list); list = cdr(list))
        if (same(v, check_pair(car(list))->car))
            return car(list);
    if (list != NIL)
        error_expected("an association list", list);
    return FALSE;
}

#define SEARCHES(X)                                                                                          \
    X(memq, find_member, is_eq)                                                                              \
    X(memv, find_member, is_eqv)                                                                             \
    X(member, find_member, is_equal)                                                                         \
    X(assq, find_entry, is_eq)                                                                               \
    X(assv, find_entry, is_eqv)                                                                              \
    X(assoc, find_entry, is_equal)

#define X(name, how, same)                                                                                   \
    static value prim_##name(value *a, size_t n)                                                             \
    {                                                                                                        \
        (void)n;                                                                                             \
        return how(a[0], a[1], same);                                                                        \
    }
SEARCHES(X)
#undef X

static value prim_is_eq(value *a, size_t n)
{
    (void)n;
    return boolean(a[0] == a[1]);
}

static value prim_is_eqv(value *a, size_t n)
{
    (void)n;
    return boolean(is_eqv(a[0], a[1]));
}

static value prim_is_equal(value *a, size_t n)
{
    (void)n;
    return boolean(is_equal(a[0], a[1]));
}

static value prim_not(value *a, size_t n)
{
    (void)n;
    return boolean(a[0] == FALSE);
}

static value prim_is_boolean(value *a, size_t n)
{
    (void)n;
    return boolean(a[0] == TRUE || a[0] == FALSE);
}

static value prim_is_symbol(value *a, size_t n)
{
    (void)n;
    return boolean(is_symbol(a[0]));
}

static value prim_symbol_to_string(value *a, size_t n)
{
    (void)n;
    size_t length = string_of(check_symbol(a[0])->name)->length;
    value string = string_new(NULL, length);
    memcpy(string_of(string)->bytes, string_of(((struct symbol *)a[0])->name)->bytes, length);
    return string;
}

static value prim_string_to_symbol(value *a, size_t n)
{
    (void)n;
    check_string(a[0]);
    return symbol_of_string(a[0]);
}

/* A symbol that is not in the table: no other is the same. */
static value prim_generate_symbol(value *a, size_t n)
{
    static unsigned long last;
    char name[32];
    (void)a;
    (void)n;
    int length = snprintf(name, sizeof(name), "g%lu", ++last);
    value string = string_new(name, (size_t)length);
    ROOTS(string);
    struct symbol *s = object_new(T_SYMBOL, sizeof(*s));
    s->name = string;
    s->hash = hash_bytes(name, (size_t)length);
    return s;
}

const struct primitive_definition primitives_list[] = {
    {"cons", prim_cons, 2, 2, ORDINARY},
    {"%cons", prim_cons, 2, 2, ORDINARY},
#define X(name, letters) {#name, prim_##name, 1, 1, ORDINARY},
    PATHS(X)
#undef X
#define X(name, how, same) {#name, prim_##name, 2, 2, ORDINARY},
        SEARCHES(X)
#undef X
            {"%memv", prim_memv, 2, 2, ORDINARY},
    {"set-car!", prim_set_car, 2, 2, ORDINARY},
    {"set-cdr!", prim_set_cdr, 2, 2, ORDINARY},
    {"null?", prim_is_null, 1, 1, ORDINARY},
    {"pair?", prim_is_pair, 1, 1, ORDINARY},
    {"list?", prim_is_list, 1, 1, ORDINARY},
    {"length", prim_length, 1, 1, ORDINARY},
    {"list", prim_list, 0, -1, ORDINARY},
    {"cons*", prim_cons_star, 1, -1, ORDINARY},
    {"make-list", prim_make_list, 1, 2, ORDINARY},
    {"append", prim_append, 0, -1, ORDINARY},
    {"%append", prim_append, 0, -1, ORDINARY},
    {"list-copy", prim_list_copy, 1, 1, ORDINARY},
    {"reverse", prim_reverse, 1, 1, ORDINARY},
    {"reverse!", prim_reverse_in_place, 1, 1, ORDINARY},
    {"list-tail", prim_list_tail, 2, 2, ORDINARY},
    {"list-head", prim_list_head, 2, 2, ORDINARY},
    {"list-ref", prim_list_ref, 2, 2, ORDINARY},
    {"last-pair", prim_last_pair, 1, 1, ORDINARY},
    {"eq?", prim_is_eq, 2, 2, ORDINARY},
    {"%eq?", prim_is_eq, 2, 2, ORDINARY},
    {"eqv?", prim_is_eqv, 2, 2, ORDINARY},
    {"%eqv?", prim_is_eqv, 2, 2, ORDINARY},
    {"equal?", prim_is_equal, 2, 2, ORDINARY},
    {"not", prim_not, 1, 1, ORDINARY},
    {"boolean?", prim_is_boolean, 1, 1, ORDINARY},
    {"symbol?", prim_is_symbol, 1, 1, ORDINARY},
    {"symbol->string", prim_symbol_to_string, 1, 1, ORDINARY},
    {"string->symbol", prim_string_to_symbol, 1, 1, ORDINARY},
    {"intern", prim_string_to_symbol, 1, 1, ORDINARY},
    {"generate-symbol", prim_generate_symbol, 0, 1, ORDINARY},
    {"gensym", prim_generate_symbol, 0, 1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
