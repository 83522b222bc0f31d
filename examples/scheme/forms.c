/* The special forms, but for those in forms_bind.c and quasi.c. */
#include "error.h"
#include "object.h"
#include "parse.h"
#include "rules.h"
#include "symbol.h"

struct node *form_quote(value form, struct scope *scope)
{
    (void)scope;
    parse_check(form, 1, 1);
    return parse_constant(scope_strip(car(cdr(form))));
}

struct node *form_if(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 2, 3);
    value parts = cdr(form);
    ROOTS(parts);
    struct node *test = parse(car(parts), scope);
    parts = cdr(parts);
    struct node *then = parse(car(parts), scope);
    parts = cdr(parts);
    return parse_if(test, then, parts != NIL ? parse(car(parts), scope) : NULL);
}

static struct node *set_global(value symbol, struct node *init, enum node_kind kind)
{
    struct node *n = ast_node(kind);
    n->number = global_number(symbol);
    n->first = init;
    return n;
}

struct node *form_set(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 2, 2);
    if (!is_identifier(car(cdr(form))))
        error_form(form, "no name of a variable");
    struct node *init = parse(car(cdr(cdr(form))), scope);
    struct meaning m = scope_find(scope, car(cdr(form)));
    if (m.binding == NULL) {
        uint32_t number = global_number(m.symbol);
        global_infos[number] = (struct global_info){0};
        return set_global(m.symbol, init, NODE_SET_GLOBAL);
    }
    if (m.binding->variable == NULL)
        error_form(form, "a keyword is no variable");
    struct node *n = ast_node(NODE_SET_LOCAL);
    n->variable = m.binding->variable;
    n->variable->mutated = true;
    n->variable->references++;
    n->first = init;
    return n;
}

/* What is defined at top level is a variable from now on, whatever it was. */
static value claim_global(value name)
{
    while (has_type(name, T_ALIAS))
        name = ((struct alias *)name)->name;
    uint32_t number = global_number(name);
    ((struct symbol *)name)->form = FORM_NONE;
    global_infos[number] = (struct global_info){0};
    if (has_type(*global_at(number), T_MACRO))
        *global_at(number) = UNDEFINED;
    return name;
}

struct node *form_define(value form, struct scope *scope)
{
    ROOTS(form);
    if (scope != NULL)
        error_form(form, "a definition where an expression has to be");
    claim_global(parse_definition_name(form));
    struct node *init = parse_definition_value(form, scope);
    return set_global(claim_global(parse_definition_name(form)), init, NODE_DEFINE_GLOBAL);
}

struct node *form_lambda(value form, struct scope *scope)
{
    parse_check(form, 2, -1);
    return parse_lambda(car(cdr(form)), cdr(cdr(form)), scope, ast_hold(FALSE));
}

/* (named-lambda (name . parameters) body ...) */
struct node *form_named_lambda(value form, struct scope *scope)
{
    parse_check(form, 2, -1);
    value target = car(cdr(form));
    if (!is_pair(target) || !is_symbol(car(target)))
        error_form(form, "bad syntax");
    return parse_lambda(cdr(target), cdr(cdr(form)), scope, ast_hold(car(target)));
}

struct node *form_begin(value form, struct scope *scope)
{
    parse_check(form, 0, -1);
    return parse_sequence(cdr(form), scope);
}

struct node *form_and(value form, struct scope *scope)
{
    parse_check(form, 0, -1);
    uint32_t count;
    struct node **list = parse_each(cdr(form), scope, &count);
    if (count == 0)
        return parse_constant(TRUE);
    struct node *n = list[--count];
    while (count > 0)
        n = parse_if(list[--count], n, parse_constant(FALSE));
    return n;
}

static struct node *make_or(struct node *a, struct node *b)
{
    struct node *n = ast_node(NODE_OR);
    n->first = a;
    n->second = b;
    return n;
}

struct node *form_or(value form, struct scope *scope)
{
    parse_check(form, 0, -1);
    uint32_t count;
    struct node **list = parse_each(cdr(form), scope, &count);
    if (count == 0)
        return parse_constant(FALSE);
    struct node *n = list[--count];
    while (count > 0)
        n = make_or(list[--count], n);
    return n;
}

static struct node *conditional(value form, struct scope *scope, bool when)
{
    ROOTS(form);
    parse_check(form, 1, -1);
    struct node *test = parse(car(cdr(form)), scope);
    struct node *body = parse_sequence(cdr(cdr(form)), scope);
    return when ? parse_if(test, body, NULL) : parse_if(test, parse_constant(UNSPECIFIED), body);
}

struct node *form_when(value form, struct scope *scope)
{
    return conditional(form, scope, true);
}

struct node *form_unless(value form, struct scope *scope)
{
    return conditional(form, scope, false);
}

/* A variable that no program can name. */
static struct variable *temporary(void)
{
    struct variable *v = ast_alloc(sizeof(*v));
    v->name = ast_hold(FALSE);
    return v;
}

static struct node *let_one(struct variable *v, struct node *init, struct node *body)
{
    struct variable **variables = ast_alloc(sizeof(struct variable *));
    struct node **list = ast_alloc(sizeof(struct node *));
    variables[0] = v;
    list[0] = init;
    return parse_let(variables, list, 1, body);
}

static struct node *call_with(struct node *procedure, struct variable *argument)
{
    struct node *n = ast_node(NODE_CALL);
    n->first = procedure;
    n->count = 1;
    n->list = ast_alloc(sizeof(*n->list));
    n->list[0] = parse_reference(argument);
    return n;
}

static struct node *cond_clauses(value clauses, struct scope *scope);

/* (test => receiver) */
static struct node *cond_arrow(value clause, struct scope *scope, struct node *test, struct node *rest)
{
    struct variable *v = temporary();
    struct node *receiver = parse(car(cdr(cdr(clause))), scope);
    return let_one(v, test, parse_if(parse_reference(v), call_with(receiver, v), rest));
}

static struct node *cond_clause(value clause, value rest_clauses, struct scope *scope)
{
    ROOTS(clause, rest_clauses);
    if (!is_pair(clause) || list_length(clause) < 0)
        error_form(clause, "bad clause of cond");
    if (rest_clauses == NIL && scope_is(scope, car(clause), parse_words[WORD_ELSE]))
        return parse_sequence(cdr(clause), scope);
    struct node *test = parse(car(clause), scope);
    if (cdr(clause) == NIL)
        return make_or(test, cond_clauses(rest_clauses, scope));
    if (list_length(clause) == 3 && scope_is(scope, car(cdr(clause)), parse_words[WORD_ARROW]))
        return cond_arrow(clause, scope, test, cond_clauses(rest_clauses, scope));
    struct node *then = parse_sequence(cdr(clause), scope);
    return parse_if(test, then, cond_clauses(rest_clauses, scope));
}

static struct node *cond_clauses(value clauses, struct scope *scope)
{
    return clauses == NIL ? parse_constant(UNSPECIFIED) : cond_clause(car(clauses), cdr(clauses), scope);
}

struct node *form_cond(value form, struct scope *scope)
{
    parse_check(form, 0, -1);
    return cond_clauses(cdr(form), scope);
}

/* Is the key one of the data? */
static struct node *case_test(struct variable *key, value data)
{
    struct node *reference = parse_reference(key);
    if (!is_pair(data))
        return parse_constant(FALSE);
    if (cdr(data) != NIL)
        return parse_hidden("%memv", 2, reference, parse_constant(data));
    bool by_address = !is_object(car(data)) || is_symbol(car(data));
    return parse_hidden(by_address ? "%eq?" : "%eqv?", 2, reference, parse_constant(car(data)));
}

static struct node *case_body(value body, struct variable *key, struct scope *scope)
{
    if (is_pair(body) && list_length(body) == 2 && scope_is(scope, car(body), parse_words[WORD_ARROW]))
        return call_with(parse(car(cdr(body)), scope), key);
    return parse_sequence(body, scope);
}

static struct node *case_clauses(value clauses, struct variable *key, struct scope *scope)
{
    ROOTS(clauses);
    if (clauses == NIL)
        return parse_constant(UNSPECIFIED);
    value clause = car(clauses);
    ROOTS(clause);
    if (!is_pair(clause) || list_length(clause) < 0)
        error_form(clause, "bad clause of case");
    if (cdr(clauses) == NIL && scope_is(scope, car(clause), parse_words[WORD_ELSE]))
        return case_body(cdr(clause), key, scope);
    if (list_length(car(clause)) < 0)
        error_form(clause, "bad clause of case");
    value data = scope_strip(car(clause));
    struct node *test = case_test(key, data);
    struct node *then = case_body(cdr(clause), key, scope);
    return parse_if(test, then, case_clauses(cdr(clauses), key, scope));
}

struct node *form_case(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 1, -1);
    struct variable *key = temporary();
    struct node *init = parse(car(cdr(form)), scope);
    return let_one(key, init, case_clauses(cdr(cdr(form)), key, scope));
}

static struct node *promise(value form, struct scope *scope, const char *maker)
{
    ROOTS(form);
    parse_check(form, 1, 1);
    struct node *thunk = parse_lambda(NIL, cdr(form), scope, ast_hold(FALSE));
    return parse_hidden(maker, 1, thunk, NULL);
}

struct node *form_delay(value form, struct scope *scope)
{
    return promise(form, scope, "%make-delayed");
}

struct node *form_delay_force(value form, struct scope *scope)
{
    return promise(form, scope, "%make-delayed-force");
}

static value macro_from(value form, value rules, struct scope *scope)
{
    ROOTS(form);
    ROOTS(rules);
    rules = parse_expand(rules, scope);
    value keyword = symbol_from("syntax-rules");
    if (!is_pair(rules) || !scope_is(scope, car(rules), keyword))
        error_form(form, "expected (syntax-rules ...)");
    return rules_new(rules, scope);
}

struct node *form_define_syntax(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 2, 2);
    if (!is_identifier(car(cdr(form))))
        error_form(form, "bad syntax");
    value macro = macro_from(form, car(cdr(cdr(form))), scope);
    ROOTS(macro);
    value name = car(cdr(form));
    if (scope != NULL)
        scope_add_macro(scope, name, macro);
    else
        *global_at(global_number(claim_global(name))) = macro;
    return parse_constant(UNSPECIFIED);
}

static struct node *syntax_body(value form, struct scope *scope, bool recursive)
{
    parse_check(form, 1, -1);
    value bindings = car(cdr(form));
    ROOTS(form, bindings);
    struct scope *inner = scope_new(scope);
    for (; is_pair(bindings); bindings = cdr(bindings)) {
        value binding = car(bindings);
        ROOTS(binding);
        if (list_length(binding) != 2 || !is_identifier(car(binding)))
            error_form(form, "bad syntax");
        value macro = macro_from(binding, car(cdr(binding)), recursive ? inner : scope);
        scope_add_macro(inner, car(binding), macro);
    }
    return parse_body(cdr(cdr(form)), inner);
}

struct node *form_let_syntax(value form, struct scope *scope)
{
    return syntax_body(form, scope, false);
}

struct node *form_letrec_syntax(value form, struct scope *scope)
{
    return syntax_body(form, scope, true);
}
