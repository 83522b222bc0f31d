/* The special forms that bind variables: let and its like, and do. */
#include "error.h"
#include "loops.h"
#include "object.h"
#include "parse.h"
#include "rules.h"
#include "symbol.h"

struct bindings {
    struct variable **variables;
    struct node **values;
    uint32_t count;
};

static void check_bindings(value form, value bindings, ptrdiff_t most)
{
    bool good = list_length(bindings) >= 0;
    for (; good && is_pair(bindings); bindings = cdr(bindings)) {
        ptrdiff_t length = list_length(car(bindings));
        good = length >= 2 && length <= most && is_identifier(car(car(bindings)));
    }
    if (!good)
        error_form(form, "bad bindings");
}

/* The initial values are not in the scope of the variables. */
static struct bindings parse_bindings(value form, value bindings, struct scope *scope, struct scope *inner)
{
    ROOTS(form, bindings);
    size_t length = (size_t)list_length(bindings);
    struct bindings b = {ast_alloc((length + 1) * sizeof(struct variable *)),
                         ast_alloc((length + 1) * sizeof(struct node *)), 0};
    for (; is_pair(bindings); bindings = cdr(bindings)) {
        b.values[b.count] = parse(car(cdr(car(bindings))), scope);
        if (scope_has(inner, car(car(bindings))))
            error_form(form, "a variable appears twice");
        b.variables[b.count++] = scope_add(inner, car(car(bindings)));
    }
    return b;
}

static struct node *letrec_of(struct variable *v, struct node *init, struct node *body)
{
    struct node *n = ast_node(NODE_LETREC);
    n->variables = ast_alloc(sizeof(*n->variables));
    n->list = ast_alloc(sizeof(*n->list));
    n->variables[0] = v;
    n->list[0] = init;
    n->count = 1;
    n->first = body;
    return n;
}

/* A procedure that is bound to the loop's name, and a call of it. */
static struct node *loop_as_procedure(struct variable *name, struct bindings b, struct node *body)
{
    struct node *lambda = ast_node(NODE_LAMBDA), *call = ast_node(NODE_CALL);
    lambda->function = ast_alloc(sizeof(*lambda->function));
    *lambda->function =
        (struct function){.name = name->name, .parameters = b.variables, .count = b.count, .body = body};
    call->first = parse_reference(name);
    call->list = b.values;
    call->count = b.count;
    name->role = name->mutated ? ROLE_UNCERTAIN : ROLE_FIXED;
    return letrec_of(name, lambda, call);
}

static struct node *loop_or_procedure(struct variable *name, struct bindings b, struct node *body)
{
    if (!loops_only_jumps(body, name, b.count))
        return loop_as_procedure(name, b, body);
    struct node *n = ast_node(NODE_LOOP);
    n->variables = b.variables;
    n->list = b.values;
    n->count = b.count;
    n->first = body;
    n->variable = name;
    name->loop = n;
    return n;
}

static struct node *named_let(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 3, -1);
    check_bindings(form, car(cdr(cdr(form))), 2);
    struct scope *outer = scope_new(scope);
    struct variable *name = scope_add(outer, car(cdr(form)));
    struct scope *inner = scope_new(outer);
    struct bindings b = parse_bindings(form, car(cdr(cdr(form))), scope, inner);
    return loop_or_procedure(name, b, parse_body(cdr(cdr(cdr(form))), inner));
}

struct node *form_let(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 2, -1);
    if (is_identifier(car(cdr(form))))
        return named_let(form, scope);
    check_bindings(form, car(cdr(form)), 2);
    struct scope *inner = scope_new(scope);
    struct bindings b = parse_bindings(form, car(cdr(form)), scope, inner);
    return parse_let(b.variables, b.values, b.count, parse_body(cdr(cdr(form)), inner));
}

static struct node *let_each(value bindings, value body, struct scope *scope)
{
    ROOTS(bindings, body);
    if (bindings == NIL)
        return parse_body(body, scope);
    struct variable **variables = ast_alloc(sizeof(struct variable *));
    struct node **values = ast_alloc(sizeof(struct node *));
    values[0] = parse(car(cdr(car(bindings))), scope);
    struct scope *inner = scope_new(scope);
    variables[0] = scope_add(inner, car(car(bindings)));
    return parse_let(variables, values, 1, let_each(cdr(bindings), body, inner));
}

struct node *form_let_star(value form, struct scope *scope)
{
    parse_check(form, 2, -1);
    check_bindings(form, car(cdr(form)), 2);
    return let_each(car(cdr(form)), cdr(cdr(form)), scope);
}

/* (letrec* ((a b) ...) body) is ((lambda () (define a b) ... (let () body))), by the symbols that nobody can rebind. */
static struct node *letrec(value form, struct scope *scope)
{
    parse_check(form, 2, -1);
    check_bindings(form, car(cdr(form)), 2);
    value bindings = car(cdr(form)), body = cdr(cdr(form)), forms = NIL;
    ROOTS(bindings, body, forms);
    value define = rules_core("define"), inner = NIL;
    ROOTS(define, inner);
    for (; is_pair(bindings); bindings = cdr(bindings)) {
        inner = cons(define, car(bindings));
        forms = cons(inner, forms);
    }
    inner = rules_core("let");
    inner = cons(inner, NIL);
    body = cons(NIL, body);
    ((struct pair *)inner)->cdr = body;
    forms = cons(inner, forms);
    return parse_body(list_reverse_onto(forms, NIL), scope);
}

struct node *form_letrec(value form, struct scope *scope)
{
    return letrec(form, scope);
}

struct node *form_letrec_star(value form, struct scope *scope)
{
    return letrec(form, scope);
}

/* The next iteration: a call of the loop with the steps, or the variables themselves where there are none. */
static struct node *do_step(struct variable *name, value specs, struct bindings b, struct scope *scope)
{
    ROOTS(specs);
    struct node *call = ast_node(NODE_CALL);
    call->first = parse_reference(name);
    call->list = ast_alloc((b.count + 1) * sizeof(*call->list));
    for (uint32_t i = 0; i < b.count; i++, specs = cdr(specs)) {
        value step = cdr(cdr(car(specs)));
        call->list[i] = step != NIL ? parse(car(step), scope) : parse_reference(b.variables[i]);
    }
    call->count = b.count;
    return call;
}

static struct node *pair_of(struct node *a, struct node *b)
{
    struct node *n = ast_node(NODE_SEQUENCE);
    n->list = ast_alloc(2 * sizeof(*n->list));
    n->list[n->count++] = a;
    n->list[n->count++] = b;
    return n;
}

struct node *form_do(value form, struct scope *scope)
{
    ROOTS(form);
    parse_check(form, 2, -1);
    check_bindings(form, car(cdr(form)), 3);
    value exit = car(cdr(cdr(form)));
    ROOTS(exit);
    if (list_length(exit) < 1)
        error_form(form, "bad syntax");
    struct variable *name = ast_alloc(sizeof(*name));
    name->name = ast_hold(FALSE);
    struct scope *inner = scope_new(scope);
    struct bindings b = parse_bindings(form, car(cdr(form)), scope, inner);
    struct node *test = parse(car(exit), inner);
    struct node *result = parse_sequence(cdr(exit), inner);
    struct node *commands = parse_sequence(cdr(cdr(cdr(form))), inner);
    struct node *step = do_step(name, car(cdr(form)), b, inner);
    return loop_or_procedure(name, b, parse_if(test, result, pair_of(commands, step)));
}
