/* Lambda expressions, and bodies: definitions and expressions that follow each other. */
#include "error.h"
#include "object.h"
#include "parse.h"

/* One thing in a body; held is its form. */
struct item {
    struct item *next;
    struct variable *variable; /* NULL: an expression */
    uint32_t form;
};

struct items {
    struct item *first, **end;
    uint32_t count, definitions;
};

static void add_item(struct items *items, value form, struct variable *variable)
{
    struct item *i = ast_alloc(sizeof(*i));
    i->form = ast_hold(form);
    i->variable = variable;
    *items->end = i;
    items->end = &i->next;
    items->count++;
    items->definitions += variable != NULL;
}

static void collect(value forms, struct scope *scope, struct items *items)
{
    ROOTS(forms);
    for (; is_pair(forms); forms = cdr(forms)) {
        value form = car(forms);
        ROOTS(form);
        form = parse_expand(form, scope);
        switch (parse_form_of(form, scope)) {
        case FORM_begin:
            collect(cdr(form), scope, items);
            break;
        case FORM_define_record_type:
            collect(form_record_definitions(form), scope, items);
            break;
        case FORM_define_syntax:
            form_define_syntax(form, scope);
            break;
        case FORM_define: {
            value name = parse_definition_name(form);
            if (scope_has(scope, name))
                error_form(form, "defined twice");
            add_item(items, form, scope_add(scope, name));
            break;
        }
        default:
            add_item(items, form, NULL);
        }
    }
    if (forms != NIL)
        error_form(forms, "no proper list");
}

static bool is_lambda(const struct item *item, const struct scope *scope)
{
    if (item == NULL || item->variable == NULL)
        return false;
    value form = ast_held(item->form);
    if (is_pair(car(cdr(form))))
        return true;
    return is_pair(cdr(cdr(form))) && parse_form_of(car(cdr(cdr(form))), scope) == FORM_lambda;
}

/* The lambda expressions from `item` on, which may refer to one another. Returns how many there are. */
static uint32_t begin_run(const struct item *item, const struct scope *scope)
{
    uint32_t run = 0;
    for (; is_lambda(item, scope); item = item->next, run++)
        item->variable->early = item->variable->references > 0;
    return run;
}

static void set_role(struct variable *v, const struct node *init)
{
    if (!v->early && (init->kind != NODE_LAMBDA || !v->mutated))
        v->role = init->kind == NODE_LAMBDA ? ROLE_FIXED : ROLE_PLAIN;
    else
        v->role = ROLE_UNCERTAIN;
    v->mutated |= v->role == ROLE_UNCERTAIN; /* closures may have copied it before it has its value */
}

static struct node *parse_item(const struct item *item, struct scope *scope)
{
    value form = ast_held(item->form);
    return item->variable != NULL ? parse_definition_value(form, scope) : parse(form, scope);
}

/* All definitions and what stands between them; returns what follows. */
static const struct item *parse_definitions(struct node *letrec, const struct items *items,
                                            struct scope *scope)
{
    const struct item *item = items->first;
    uint32_t run = 0;
    for (uint32_t seen = 0; seen < items->definitions; item = item->next) {
        uint32_t at = letrec->count++;
        struct variable *v = item->variable;
        if (run == 0)
            run = begin_run(item, scope);
        letrec->variables[at] = v;
        letrec->list[at] = parse_item(item, scope);
        if (v != NULL && !is_lambda(item, scope))
            v->early = v->references > 0;
        run -= run > 0;
        seen += v != NULL;
    }
    return item;
}

static struct node *parse_rest(const struct item *item, uint32_t count, struct scope *scope)
{
    struct node *n = ast_node(NODE_SEQUENCE);
    if (count == 0)
        return parse_constant(UNSPECIFIED);
    n->list = ast_alloc(count * sizeof(*n->list));
    for (; item != NULL; item = item->next)
        n->list[n->count++] = parse_item(item, scope);
    return n->count == 1 ? n->list[0] : n;
}

struct node *parse_body(value forms, struct scope *scope)
{
    struct items items = {.end = &items.first};
    struct scope *inner = scope_new(scope);
    collect(forms, inner, &items);
    if (items.definitions == 0)
        return parse_rest(items.first, items.count, inner);
    struct node *letrec = ast_node(NODE_LETREC);
    letrec->variables = ast_alloc(items.count * sizeof(*letrec->variables));
    letrec->list = ast_alloc(items.count * sizeof(*letrec->list));
    const struct item *rest = parse_definitions(letrec, &items, inner);
    letrec->first = parse_rest(rest, items.count - letrec->count, inner);
    for (uint32_t i = 0; i < letrec->count; i++)
        if (letrec->variables[i] != NULL)
            set_role(letrec->variables[i], letrec->list[i]);
    return letrec;
}

static void add_parameter(struct function *f, value name, struct scope *scope)
{
    if (!is_identifier(name))
        error_form(name, "no name of a parameter");
    if (scope_has(scope, name))
        error_form(name, "a parameter appears twice");
    f->parameters[f->count++] = scope_add(scope, name);
}

struct node *parse_lambda(value parameters, value body, struct scope *scope, uint32_t name)
{
    struct node *n = ast_node(NODE_LAMBDA);
    struct function *f = n->function = ast_alloc(sizeof(*f));
    struct scope *inner = scope_new(scope);
    size_t count = 1;
    for (value p = parameters; is_pair(p); p = cdr(p))
        count++;
    f->name = name;
    f->parameters = ast_alloc(count * sizeof(*f->parameters));
    for (; is_pair(parameters); parameters = cdr(parameters))
        add_parameter(f, car(parameters), inner);
    if (parameters != NIL) {
        f->rest = true;
        add_parameter(f, parameters, inner);
    }
    f->body = parse_body(body, inner);
    return n;
}

value parse_definition_name(value form)
{
    parse_check(form, 1, -1);
    value target = car(cdr(form));
    value name = is_pair(target) ? car(target) : target;
    if (!is_identifier(name) || (!is_pair(target) && list_length(form) > 3))
        error_form(form, "bad syntax");
    return name;
}

struct node *parse_definition_value(value form, struct scope *scope)
{
    ROOTS(form);
    uint32_t name = ast_hold(scope_strip(parse_definition_name(form)));
    value target = car(cdr(form)), rest = cdr(cdr(form));
    if (is_pair(target))
        return parse_lambda(cdr(target), rest, scope, name);
    if (rest == NIL)
        return parse_constant(UNSPECIFIED);
    if (parse_form_of(car(rest), scope) == FORM_lambda) {
        parse_check(car(rest), 2, -1);
        return parse_lambda(car(cdr(car(rest))), cdr(cdr(car(rest))), scope, name);
    }
    return parse(car(rest), scope);
}
