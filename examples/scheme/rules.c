#include "rules.h"

#include "equal.h"
#include "error.h"
#include "object.h"
#include "parse.h"
#include "symbol.h"

/*
 * What a match is found to be is a list of (variable depth . what): at depth 0 a form, at depth n + 1 a list of such
 * things of depth n.
 */
struct matcher {
    const value *macro;  /* rooted by the caller */
    struct scope *scope; /* of the use */
};

static struct macro *macro_of(const struct matcher *m)
{
    return *m->macro;
}

static value alias_new(value name, struct scope *scope)
{
    ROOTS(name);
    struct alias *a = object_new(T_ALIAS, sizeof(*a));
    a->name = name;
    a->scope = scope;
    return a;
}

value rules_core(const char *name)
{
    return alias_new(symbol_from(name), NULL);
}

value rules_new(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 1, -1);
    value rest = cdr(form), ellipsis = parse_words[WORD_ELLIPSIS];
    if (is_identifier(car(rest))) {
        ellipsis = car(rest);
        rest = cdr(rest);
    }
    if (!is_pair(rest) || list_length(car(rest)) < 0)
        error_form(form, "bad syntax");
    for (value r = cdr(rest); is_pair(r); r = cdr(r))
        if (list_length(car(r)) != 2 || !is_pair(car(car(r))))
            error_form(form, "a rule is (pattern template)");
    ROOTS(rest, ellipsis);
    struct macro *m = object_new(T_MACRO, sizeof(*m));
    m->ellipsis = ellipsis;
    m->literals = car(rest);
    m->rules = cdr(rest);
    m->scope = scope;
    return m;
}

static bool is_member(value v, value list)
{
    for (; is_pair(list); list = cdr(list))
        if (car(list) == v)
            return true;
    return false;
}

static bool is_ellipsis(const struct matcher *m, value v)
{
    const struct macro *macro = macro_of(m);
    while (macro->ellipsis != v && has_type(v, T_ALIAS) && macro->ellipsis == parse_words[WORD_ELLIPSIS])
        v = ((struct alias *)v)->name;
    return macro->ellipsis == v && !is_member(v, macro->literals);
}

static bool followed_by_ellipsis(const struct matcher *m, value list)
{
    return is_pair(cdr(list)) && is_ellipsis(m, car(cdr(list)));
}

static bool is_underscore(value v)
{
    while (has_type(v, T_ALIAS))
        v = ((struct alias *)v)->name;
    return v == parse_words[WORD_UNDERSCORE];
}

/* In front of `found`. */
static value found_add(value variable, intptr_t depth, value what, value found)
{
    ROOTS(variable, found);
    value entry = cons(fixnum(depth), what);
    entry = cons(variable, entry);
    return cons(entry, found);
}

static value found_entry(value found, value variable)
{
    for (; is_pair(found); found = cdr(found))
        if (car(car(found)) == variable)
            return cdr(car(found));
    return FALSE;
}

static size_t count_pairs(value v)
{
    size_t count = 0;
    for (; is_pair(v); v = cdr(v))
        count++;
    return count;
}

static bool match(const struct matcher *m, value pattern, value form, value *found);

/* The variables of a pattern, each with an empty list of depth + 1. */
static value empty_matches(const struct matcher *m, value pattern, intptr_t depth, value found)
{
    ROOTS(pattern, found);
    if (is_identifier(pattern)) {
        if (is_ellipsis(m, pattern) || is_underscore(pattern) || is_member(pattern, macro_of(m)->literals))
            return found;
        return found_add(pattern, depth, NIL, found);
    }
    for (; is_pair(pattern); pattern = cdr(pattern))
        found = empty_matches(m, car(pattern), depth + followed_by_ellipsis(m, pattern), found);
    if (has_type(pattern, T_VECTOR))
        for (size_t i = 0; i < vector_of(pattern)->length; i++)
            found = empty_matches(m, vector_of(pattern)->items[i], depth, found);
    return pattern != NIL && is_identifier(pattern) ? empty_matches(m, pattern, depth, found) : found;
}

/* Adds what one more form was found to be to the lists of what the forms before were. */
static void append_match(value lists, value one)
{
    ROOTS(lists, one);
    for (; is_pair(lists); lists = cdr(lists)) {
        value entry = found_entry(one, car(car(lists)));
        ROOTS(entry);
        value *list = &((struct pair *)cdr(car(lists)))->cdr;
        value longer = cons(cdr(entry), *list);
        ((struct pair *)cdr(car(lists)))->cdr = longer;
        ((struct pair *)cdr(car(lists)))->car = fixnum(fixnum_of(car(entry)) + 1);
    }
}

/* (pattern ... rest), where the forms in excess of the rest belong to the ellipsis. */
static bool match_ellipsis(const struct matcher *m, value pattern, value form, value *found)
{
    size_t have = count_pairs(form), after = count_pairs(cdr(cdr(pattern)));
    if (have < after)
        return false;
    value lists = NIL, one = NIL;
    ROOTS(pattern, form, lists, one);
    lists = empty_matches(m, car(pattern), 1, NIL);
    for (size_t i = 0; i < have - after; i++, form = cdr(form)) {
        one = NIL;
        if (!match(m, car(pattern), car(form), &one))
            return false;
        append_match(lists, one);
    }
    for (; is_pair(lists); lists = cdr(lists)) {
        struct pair *entry = cdr(car(lists));
        entry->cdr = list_reverse_onto(entry->cdr, NIL);
        value copy = cons(car(lists), *found);
        *found = copy;
    }
    return match(m, cdr(cdr(pattern)), form, found);
}

static value vector_list(value vector)
{
    value list = NIL;
    ROOTS(vector, list);
    for (size_t i = vector_of(vector)->length; i > 0; i--)
        list = cons(vector_of(vector)->items[i - 1], list);
    return list;
}

static bool match_identifier(const struct matcher *m, value pattern, value form, value *found)
{
    const struct macro *macro = macro_of(m);
    if (is_member(pattern, macro->literals))
        return is_identifier(form) && scope_same(macro->scope, pattern, m->scope, form);
    if (!is_underscore(pattern))
        *found = found_add(pattern, 0, form, *found);
    return true;
}

/* `found` has to be rooted by the caller. */
static bool match(const struct matcher *m, value pattern, value form, value *found)
{
    ROOTS(pattern, form);
    for (; is_pair(pattern); pattern = cdr(pattern), form = cdr(form)) {
        if (followed_by_ellipsis(m, pattern))
            return match_ellipsis(m, pattern, form, found);
        if (!is_pair(form) || !match(m, car(pattern), car(form), found))
            return false;
    }
    if (is_identifier(pattern))
        return match_identifier(m, pattern, form, found);
    if (has_type(pattern, T_VECTOR) && has_type(form, T_VECTOR)) {
        pattern = vector_list(pattern);
        form = vector_list(form);
        return match(m, pattern, form, found);
    }
    return is_equal(pattern, form);
}

/* One expansion: rooted are what was found, and the list of (symbol . alias) of what was renamed. */
struct expansion {
    struct matcher matcher;
    value found, renamed;
};

static value expand(struct expansion *e, value template, value found);

static value rename_symbol(struct expansion *e, value symbol)
{
    for (value r = e->renamed; is_pair(r); r = cdr(r))
        if (car(car(r)) == symbol)
            return cdr(car(r));
    ROOTS(symbol);
    value alias = alias_new(symbol, macro_of(&e->matcher)->scope);
    ROOTS(alias);
    value entry = cons(symbol, alias);
    value renamed = cons(entry, e->renamed);
    e->renamed = renamed;
    return alias;
}

/* Does the template use a variable that was found many times? */
static bool is_repeated(value template, value variable)
{
    for (; is_pair(template); template = cdr(template))
        if (is_repeated(car(template), variable))
            return true;
    if (has_type(template, T_VECTOR))
        for (size_t i = 0; i < vector_of(template)->length; i++)
            if (is_repeated(vector_of(template)->items[i], variable))
                return true;
    return template == variable;
}

/*
 * For the next repetition: the variables of the template that were found many times with their first finding; *rest those
 * that are left. False: there is none, or no variable to repeat.
 */
static bool next_repetition(value template, value *found, value *one)
{
    bool any = false;
    value at = *found, rest = NIL;
    ROOTS(template, at, rest);
    *one = NIL;
    for (; is_pair(at); at = cdr(at)) {
        value entry = cdr(car(at));
        intptr_t depth = fixnum_of(car(entry));
        ROOTS(entry);
        if (depth == 0 || !is_repeated(template, car(car(at)))) {
            *one = cons(car(at), *one);
            rest = cons(car(at), rest);
            continue;
        }
        if (!is_pair(cdr(entry)))
            return false;
        any = true;
        *one = found_add(car(car(at)), depth - 1, car(cdr(entry)), *one);
        rest = found_add(car(car(at)), depth, cdr(cdr(entry)), rest);
    }
    *found = list_reverse_onto(rest, NIL);
    *one = list_reverse_onto(*one, NIL);
    return any;
}

/* The template once for each repetition, in reverse, in front of `list`; with more ellipses, what that gives is joined. */
static value expand_repeated(struct expansion *e, value template, unsigned ellipses, value found, value list)
{
    value one = NIL;
    ROOTS(template, found, list, one);
    while (next_repetition(template, &found, &one)) {
        if (ellipses > 1) {
            list = expand_repeated(e, template, ellipses - 1, one, list);
            continue;
        }
        value v = expand(e, template, one);
        list = cons(v, list);
    }
    return list;
}

static value expand_list(struct expansion *e, value template, value found)
{
    value list = NIL;
    ROOTS(template, found, list);
    while (is_pair(template)) {
        value item = car(template);
        unsigned ellipses = 0;
        for (; followed_by_ellipsis(&e->matcher, template); template = cdr(template))
            ellipses++;
        template = cdr(template);
        if (ellipses > 0) {
            list = expand_repeated(e, item, ellipses, found, list);
        } else {
            value v = expand(e, item, found);
            list = cons(v, list);
        }
    }
    value tail = template == NIL ? NIL : expand(e, template, found);
    return list_reverse_onto(list, tail);
}

static value expand_vector(struct expansion *e, value template, value found)
{
    ROOTS(found);
    value list = vector_list(template);
    list = expand_list(e, list, found);
    ROOTS(list);
    struct vector *v = vector_new(T_VECTOR, count_pairs(list), FALSE);
    for (size_t i = 0; is_pair(list); list = cdr(list))
        v->items[i++] = car(list);
    return v;
}

/* (... template): ellipses in it stand for themselves. */
static value expand_escaped(struct expansion *e, value template, value found)
{
    struct macro *copy;
    ROOTS(template, found);
    copy = object_new(T_MACRO, sizeof(*copy));
    const struct macro *macro = macro_of(&e->matcher);
    copy->ellipsis = FALSE;
    copy->literals = macro->literals;
    copy->scope = macro->scope;
    value escaped = copy;
    ROOTS(escaped);
    const value *before = e->matcher.macro;
    e->matcher.macro = &escaped;
    value v = expand(e, template, found);
    e->matcher.macro = before;
    return v;
}

static value expand(struct expansion *e, value template, value found)
{
    if (is_identifier(template)) {
        value entry = found_entry(found, template);
        if (entry != FALSE && car(entry) != fixnum(0))
            error_form(template, "a pattern variable lacks its ellipsis");
        return entry != FALSE ? cdr(entry) : rename_symbol(e, template);
    }
    if (is_pair(template) && is_ellipsis(&e->matcher, car(template)) && is_pair(cdr(template)))
        return expand_escaped(e, car(cdr(template)), found);
    if (is_pair(template))
        return expand_list(e, template, found);
    return has_type(template, T_VECTOR) ? expand_vector(e, template, found) : template;
}

value rules_expand(value macro, value form, struct scope *scope)
{
    value rules = ((struct macro *)macro)->rules;
    struct expansion e = {{&macro, scope}, NIL, NIL};
    ROOTS(macro, form, rules, e.found, e.renamed);
    for (; is_pair(rules); rules = cdr(rules)) {
        e.found = NIL;
        if (!match(&e.matcher, cdr(car(car(rules))), cdr(form), &e.found))
            continue;
        value v = expand(&e, car(cdr(car(rules))), e.found);
        if (is_pair(v)) {
            ((struct pair *)v)->line = ((struct pair *)form)->line;
            ((struct pair *)v)->file = ((struct pair *)form)->file;
        }
        return v;
    }
    error_form(form, "no rule of the macro fits");
}
