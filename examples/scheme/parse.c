#include "parse.h"

#include "error.h"
#include "object.h"
#include "rules.h"
#include "symbol.h"

value parse_words[WORD_COUNT];

static struct heap_range words = {parse_words, parse_words + WORD_COUNT};

static const struct {
    const char *name;
    struct node *(*parse)(value form, struct scope *scope);
} forms[FORM_COUNT] = {
#define X(name, id) [FORM_##id] = {name, form_##id},
#include "forms.def"
#undef X
};

void parse_init(void)
{
    static const char *const names[WORD_COUNT] = {"else",       "=>",  "unquote", "unquote-splicing",
                                                  "quasiquote", "...", "_"};
    for (unsigned i = 0; i < WORD_COUNT; i++)
        parse_words[i] = FALSE;
    heap_range_add(&words);
    for (unsigned i = 0; i < WORD_COUNT; i++)
        parse_words[i] = symbol_from(names[i]);
    for (uint32_t i = FORM_NONE + 1; i < FORM_COUNT; i++)
        ((struct symbol *)symbol_from(forms[i].name))->form = i;
}

static void note_position(value form)
{
    const struct pair *p = form;
    if (p->file != 0)
        ast_position = (struct ast_position){p->file, p->line};
    else if (p->line != 0)
        ast_position.line = p->line;
}

void parse_check(value form, int least, int most)
{
    ptrdiff_t length = list_length(form) - 1;
    if (length < least || (most >= 0 && length > most))
        error_form(form, "bad syntax");
}

enum form parse_form_of(value form, const struct scope *scope)
{
    if (!is_pair(form) || !is_identifier(car(form)))
        return FORM_NONE;
    struct meaning m = scope_find(scope, car(form));
    return m.binding == NULL ? ((struct symbol *)m.symbol)->form : FORM_NONE;
}

static value macro_of(value form, const struct scope *scope)
{
    if (!is_pair(form) || !is_identifier(car(form)))
        return FALSE;
    struct meaning m = scope_find(scope, car(form));
    if (m.binding != NULL)
        return m.binding->variable == NULL ? ast_held(m.binding->macro) : FALSE;
    uint64_t global = ((struct symbol *)m.symbol)->global;
    value v = global != 0 ? *global_at((uint32_t)global) : FALSE;
    return has_type(v, T_MACRO) ? v : FALSE;
}

value parse_expand(value form, struct scope *scope)
{
    for (;;) {
        value macro = macro_of(form, scope);
        if (macro == FALSE)
            return form;
        note_position(form);
        form = rules_expand(macro, form, scope);
    }
}

struct node *parse_constant(value v)
{
    struct node *n = ast_node(NODE_CONSTANT);
    n->number = ast_hold(v);
    return n;
}

struct node *parse_reference(struct variable *v)
{
    struct node *n = ast_node(NODE_LOCAL);
    n->variable = v;
    v->references++;
    return n;
}

static struct node *parse_identifier(value identifier, struct scope *scope)
{
    struct meaning m = scope_find(scope, identifier);
    if (m.binding != NULL && m.binding->variable != NULL)
        return parse_reference(m.binding->variable);
    if (m.binding != NULL || ((struct symbol *)m.symbol)->form != FORM_NONE)
        error_form(identifier, "a keyword is no variable");
    struct node *n = ast_node(NODE_GLOBAL);
    n->number = global_number(m.symbol);
    if (has_type(*global_at(n->number), T_MACRO))
        error_form(identifier, "a keyword is no variable");
    return n;
}

struct node **parse_each(value each, struct scope *scope, uint32_t *count)
{
    ROOTS(each);
    ptrdiff_t length = list_length(each);
    if (length < 0)
        error_form(each, "no proper list");
    struct node **list = ast_alloc(((size_t)length + 1) * sizeof(*list));
    for (size_t i = 0; is_pair(each); each = cdr(each))
        list[i++] = parse(car(each), scope);
    *count = (uint32_t)length;
    return list;
}

struct node *parse_let(struct variable **variables, struct node **values, uint32_t count, struct node *body)
{
    struct node *n = ast_node(NODE_LET);
    n->variables = variables;
    n->list = values;
    n->count = count;
    n->first = body;
    return n;
}

/* ((lambda (x) ...) value) needs no closure. */
static struct node *parse_call(value form, struct scope *scope)
{
    ROOTS(form);
    struct node *call = ast_node(NODE_CALL);
    call->first = parse(car(form), scope);
    call->list = parse_each(cdr(form), scope, &call->count);
    const struct function *f = call->first->function;
    if (call->first->kind == NODE_LAMBDA && !f->rest && f->count == call->count)
        return parse_let(f->parameters, call->list, call->count, f->body);
    return call;
}

struct node *parse_hidden(const char *name, uint32_t count, struct node *a, struct node *b)
{
    struct node *call = ast_node(NODE_CALL);
    call->first = ast_node(NODE_GLOBAL);
    call->first->number = global_number(symbol_from(name));
    call->count = count;
    call->list = ast_alloc(2 * sizeof(*call->list));
    call->list[0] = a;
    call->list[1] = b;
    return call;
}

struct node *parse_if(struct node *test, struct node *then, struct node *otherwise)
{
    struct node *n = ast_node(NODE_IF);
    n->first = test;
    n->second = then;
    n->third = otherwise != NULL ? otherwise : parse_constant(UNSPECIFIED);
    return n;
}

enum { DEPTH = 4000 };

static unsigned depth;

void parse_reset(void)
{
    depth = 0;
}

static struct node *parse_pair(value form, struct scope *scope)
{
    struct ast_position position = ast_position;
    note_position(form);
    if (++depth > DEPTH)
        error_form(form, "nested too deeply");
    enum form which = parse_form_of(form, scope);
    struct node *n = which != FORM_NONE ? forms[which].parse(form, scope) : parse_call(form, scope);
    depth--;
    ast_position = position;
    return n;
}

struct node *parse(value form, struct scope *scope)
{
    ROOTS(form);
    form = parse_expand(form, scope);
    if (is_identifier(form))
        return parse_identifier(form, scope);
    if (form == NIL)
        error_form(form, "an empty list is no expression; write '()");
    if (!is_pair(form))
        return parse_constant(scope_strip(form));
    return parse_pair(form, scope);
}

struct node *parse_sequence(value each, struct scope *scope)
{
    struct node *n = ast_node(NODE_SEQUENCE);
    n->list = parse_each(each, scope, &n->count);
    if (n->count == 0)
        return parse_constant(UNSPECIFIED);
    return n->count == 1 ? n->list[0] : n;
}

struct node *parse_top(value form)
{
    if (is_pair(form))
        note_position(form);
    return parse(form, NULL);
}
