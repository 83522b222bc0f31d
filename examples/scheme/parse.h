/* From forms to the tree of ast.h: parse.c has the core, forms.c what can be said by the core, body.c bodies. */
#ifndef SCHEME_PARSE_H
#define SCHEME_PARSE_H

#include "scope.h"

void parse_init(void);

/* Before each form at top level. */
void parse_reset(void);

struct node *parse(value form, struct scope *scope);

/* A form at top level. */
struct node *parse_top(value form);

/* Each of a list of forms. */
struct node **parse_each(value forms, struct scope *scope, uint32_t *count);

/* A list of expressions, the last one's value counts; none: unspecified. */
struct node *parse_sequence(value forms, struct scope *scope);

/* A list of forms that may begin with definitions. */
struct node *parse_body(value forms, struct scope *scope);

/* name: held. */
struct node *parse_lambda(value parameters, value body, struct scope *scope, uint32_t name);

struct node *parse_constant(value v);
struct node *parse_reference(struct variable *v);
struct node *parse_let(struct variable **variables, struct node **values, uint32_t count, struct node *body);
struct node *parse_if(struct node *test, struct node *then, struct node *otherwise);

/* A call of a global primitive that programs do not know of. */
struct node *parse_hidden(const char *name, uint32_t count, struct node *a, struct node *b);

/* Replaces uses of macros by what they expand to, until the form is none. The form has to be rooted by the caller. */
value parse_expand(value form, struct scope *scope);

enum form {
    FORM_NONE,
#define X(name, id) FORM_##id,
#include "forms.def"
#undef X
    FORM_COUNT
};

/* The special form that a form's first element stands for. */
enum form parse_form_of(value form, const struct scope *scope);

/* The form has at least `least` elements behind its name, at most `most` (-1: any number), and is a proper list. */
void parse_check(value form, int least, int most);

#define X(name, id) struct node *form_##id(value form, struct scope *scope);
#include "forms.def"
#undef X

/* (define ...) and its like as plain definitions of one name: NULL for what defines nothing. */
value form_record_definitions(value form);

/* What a definition defines: the name. Its value: `parse_definition_value`. */
value parse_definition_name(value form);
struct node *parse_definition_value(value form, struct scope *scope);

/* Symbols that forms look for. */
enum {
    WORD_ELSE,
    WORD_ARROW,
    WORD_UNQUOTE,
    WORD_SPLICING,
    WORD_QUASIQUOTE,
    WORD_ELLIPSIS,
    WORD_UNDERSCORE,
    WORD_COUNT
};
extern value parse_words[WORD_COUNT];

#endif
