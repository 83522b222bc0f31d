/*
 * What the compiler makes of a form before it makes code of it. It lies outside the heap, in memory that goes as a whole
 * once the form is compiled, and refers to values of the heap by number only ("held").
 */
#ifndef SCHEME_AST_H
#define SCHEME_AST_H

#include "value.h"

struct function;
struct node;

enum role {
    ROLE_PLAIN,    /* has a value before anyone can look */
    ROLE_FIXED,    /* of a letrec: always the closure of its lambda expression */
    ROLE_UNCERTAIN /* of a letrec: may be used before it has a value */
};

struct variable {
    uint32_t name;       /* held */
    uint32_t references; /* so far */
    bool mutated;        /* by set! */
    bool early;          /* was referred to before its initial value was computed */
    enum role role;
    struct function *owner;
    struct node *loop; /* the loop that it is the name of; its calls are jumps */
    uint32_t slot;     /* in the owner's frame */
};

/* Closures and continuations copy the values of variables, so those that may change after that live in boxes. */
static inline bool variable_boxed(const struct variable *v)
{
    return v->mutated;
}

struct function {
    uint32_t name; /* held */
    struct variable **parameters;
    uint32_t count; /* of the parameters */
    bool rest;      /* the last takes a list */
    struct node *body;
    struct function *up;
    struct variable **free;
    uint32_t free_count, free_room;
};

enum node_kind {
    NODE_CONSTANT,      /* number: held */
    NODE_LOCAL,         /* variable */
    NODE_SET_LOCAL,     /* variable = first */
    NODE_GLOBAL,        /* number */
    NODE_SET_GLOBAL,    /* number = first */
    NODE_DEFINE_GLOBAL, /* number = first */
    NODE_IF,            /* first, second, third */
    NODE_OR,            /* first, second */
    NODE_SEQUENCE,      /* list, at least one */
    NODE_LAMBDA,        /* function */
    NODE_CALL,          /* first, the procedure; list */
    NODE_LET,           /* variables, list: their values; first: the body */
    NODE_LETREC,        /* the same; a variable that is NULL has an expression that is evaluated in turn */
    NODE_LOOP           /* the same; `variable` is the loop's name */
};

struct node {
    enum node_kind kind;
    uint32_t line, number, count;
    struct variable *variable, **variables;
    struct function *function;
    struct node *first, *second, *third, **list;
};

/* Memory until the form is compiled; zero. */
void *ast_alloc(size_t size);
struct node *ast_node(enum node_kind kind);

/* Keeps a value alive until the form is compiled. */
uint32_t ast_hold(value v);
value ast_held(uint32_t number);

/* Where the compiler is in the text. */
struct ast_position {
    uint32_t file, line;
};
extern struct ast_position ast_position;

/* Forgets what there was. */
void ast_reset(void);

#endif
