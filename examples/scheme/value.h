/*
 * Values: a reference to an object, or something that fits into a word. The low bits tell:
 *
 *   ...0000   reference to an object
 *   .....1    fixnum, 63 bits
 *   ...0010   character
 *   ...0110   one of the special values below
 */
#ifndef SCHEME_VALUE_H
#define SCHEME_VALUE_H

#include "heap.h"

#include <stdio.h>

typedef void *value;

#define SPECIAL(n)  ((value)((uintptr_t)(n) << 4 | 6))
#define FALSE       SPECIAL(0)
#define TRUE        SPECIAL(1)
#define NIL         SPECIAL(2)
#define END_OF_FILE SPECIAL(3)
#define UNSPECIFIED SPECIAL(4)
#define UNDEFINED   SPECIAL(5) /* a variable that has no value yet */
#define ABSENT      SPECIAL(6) /* a hash table's entry that was deleted */
#define DOT         SPECIAL(7) /* what the reader sees; never seen outside of it */
#define CLOSER      SPECIAL(8)

#define FIXNUM_MAX (INTPTR_MAX >> 1)
#define FIXNUM_MIN (INTPTR_MIN >> 1)

static inline bool is_object(value v)
{
    return ((uintptr_t)v & 15) == 0;
}

static inline bool is_fixnum(value v)
{
    return (uintptr_t)v & 1;
}

static inline value fixnum(intptr_t n)
{
    return (value)((uintptr_t)n << 1 | 1);
}

static inline intptr_t fixnum_of(value v)
{
    return (intptr_t)v >> 1;
}

static inline bool is_char(value v)
{
    return ((uintptr_t)v & 15) == 2;
}

static inline value character(uint32_t c)
{
    return (value)((uintptr_t)c << 4 | 2);
}

static inline uint32_t char_of(value v)
{
    return (uint32_t)((uintptr_t)v >> 4);
}

static inline value boolean(bool b)
{
    return b ? TRUE : FALSE;
}

/* X(TYPE, struct, printed as) */
#define TYPE_TABLE(X)                                                                                        \
    X(PAIR, pair, "pair")                                                                                    \
    X(FLONUM, flonum, "flonum")                                                                              \
    X(STRING, string, "string")                                                                              \
    X(SYMBOL, symbol, "symbol")                                                                              \
    X(VECTOR, vector, "vector")                                                                              \
    X(VALUES, vector, "values")                                                                              \
    X(BOX, box, "box")                                                                                       \
    X(CLOSURE, closure, "procedure")                                                                         \
    X(TEMPLATE, template, "template")                                                                        \
    X(PRIMITIVE, primitive, "primitive")                                                                     \
    X(CONTINUATION, vector, "continuation")                                                                  \
    X(RECORD, record, "record")                                                                              \
    X(RECORD_TYPE, record_type, "record-type")                                                               \
    X(TABLE, table, "hash-table")                                                                            \
    X(INDEX, index, "index")                                                                                 \
    X(PORT, port, "port")                                                                                    \
    X(PROMISE, promise, "promise")                                                                           \
    X(CONDITION, condition, "condition")                                                                     \
    X(MACRO, macro, "macro")                                                                                 \
    X(ALIAS, alias, "identifier")

enum type {
#define X(name, ...) T_##name,
    TYPE_TABLE(X)
#undef X
        TYPE_COUNT
};

extern sinter_gc_type types[TYPE_COUNT];

struct pair {
    uint64_t header;
    value car, cdr;
    uint32_t line, file; /* where it was read; 0: it was not */
};

struct flonum {
    uint64_t header;
    double number;
};

struct string {
    uint64_t header;
    size_t length;
    char bytes[];
};

struct symbol {
    uint64_t header;
    value name;
    uint32_t hash;
    uint32_t form;   /* the special form of that name; 0: none */
    uint64_t global; /* number of the global variable of that name; 0: none yet */
};

/* Also several values, and a continuation's stack. */
struct vector {
    uint64_t header;
    size_t length;
    value items[];
};

struct box {
    uint64_t header;
    value content;
};

struct closure {
    uint64_t header;
    value template;
    size_t count;
    value free[];
};

struct code;

/* What the closures of one lambda expression share. constants[0] is its name, or false. */
struct template
{
    uint64_t header;
    struct code *code;
    size_t count;
    value constants[];
};

struct primitive_definition;

struct primitive {
    uint64_t header;
    const struct primitive_definition *definition;
};

struct record {
    uint64_t header;
    value type;
    size_t count;
    value fields[];
};

struct record_type {
    uint64_t header;
    value name, fields;
};

struct table {
    uint64_t header;
    value index, entries;
    size_t used, live; /* entries: with those that were deleted, and without */
    uint64_t kind;
};

struct index {
    uint64_t header;
    size_t length;
    uint32_t slots[];
};

struct port {
    uint64_t header;
    value buffer, name;
    FILE *file; /* NULL: the buffer is all there is */
    size_t position;
    uint32_t line, file_number;
    uint32_t flags, column;
};

struct promise {
    uint64_t header;
    value content; /* a pair, (done . value or thunk), which promises share that stand for one another */
};

struct condition {
    uint64_t header;
    value message, irritants, where;
};

struct scope;

struct macro {
    uint64_t header;
    value ellipsis, literals, rules;
    struct scope *scope; /* where it was defined; NULL: at top level */
};

/* An identifier that a macro has introduced. */
struct alias {
    uint64_t header;
    value name;
    struct scope *scope; /* where the macro was defined */
};

static inline bool has_type(value v, enum type type)
{
    return is_object(v) && sinter_gc_type_of(v) == types[type];
}

static inline bool is_pair(value v)
{
    return has_type(v, T_PAIR);
}

static inline bool is_symbol(value v)
{
    return has_type(v, T_SYMBOL);
}

static inline bool is_string(value v)
{
    return has_type(v, T_STRING);
}

static inline bool is_flonum(value v)
{
    return has_type(v, T_FLONUM);
}

static inline value car(value v)
{
    return ((struct pair *)v)->car;
}

static inline value cdr(value v)
{
    return ((struct pair *)v)->cdr;
}

static inline double flonum_of(value v)
{
    return ((struct flonum *)v)->number;
}

static inline struct string *string_of(value v)
{
    return v;
}

static inline struct vector *vector_of(value v)
{
    return v;
}

static inline void *object_new(enum type type, size_t size)
{
    return heap_alloc(types[type], size);
}

#endif
