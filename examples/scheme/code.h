/*
 * Instructions of the virtual machine: words of 32 bits, an opcode and its operands.
 *
 * A frame on the stack, growing upwards; `fp` points to the first argument:
 *
 *     return address | caller's fp | procedure | arguments, then local variables and intermediate values
 *
 * The first two are tagged with their lowest bit, so that the heap leaves them alone. Jumps are relative to their
 * operand. "k" numbers a constant of the template, "i" a slot of the frame, "f" a free variable, "g" a global variable,
 * "n" counts.
 */
#ifndef SCHEME_CODE_H
#define SCHEME_CODE_H

#include "value.h"

/* X(name, operands, what it leaves on the stack minus what it takes; 99: depends) */
#define OP_TABLE(X)                                                                                          \
    X(HALT, 0, 0)                                                                                            \
    X(CONSTANT, 1, 1)       /* k */                                                                          \
    X(IMMEDIATE, 1, 1)      /* the value itself */                                                           \
    X(LOCAL, 1, 1)          /* i */                                                                          \
    X(LOCAL_BOX, 1, 1)      /* i */                                                                          \
    X(FREE, 1, 1)           /* f */                                                                          \
    X(FREE_BOX, 1, 1)       /* f */                                                                          \
    X(CHECK, 1, 0)          /* k: the name of a variable; top: its value, if it has one */                   \
    X(SET_LOCAL, 1, -1)     /* i */                                                                          \
    X(SET_LOCAL_BOX, 1, -1) /* i */                                                                          \
    X(SET_FREE_BOX, 1, -1)  /* f */                                                                          \
    X(GLOBAL, 1, 1)         /* g */                                                                          \
    X(SET_GLOBAL, 1, -1)    /* g */                                                                          \
    X(DEFINE_GLOBAL, 1, -1) /* g */                                                                          \
    X(RESERVE, 1, 99)       /* n slots without a value */                                                    \
    X(BOX, 1, 0)            /* i: put its content into a box */                                              \
    X(CLOSURE, 2, 1)        /* k, n; n words follow: a slot of the frame, or ~ a free variable */            \
    X(PATCH, 3, 0)          /* i: a closure, f: its free variable, i: the value for it */                    \
    X(POP, 0, -1)                                                                                            \
    X(SLIDE, 1, 99) /* n values below the top go */                                                          \
    X(LOOP, 3, 99)  /* the n values at the top become slots from i on; jump */                               \
    X(JUMP, 1, 0)                                                                                            \
    X(JUMP_IF_FALSE, 1, -1)                                                                                  \
    X(JUMP_IF_TRUE_KEEP, 1, -1) /* or pop */                                                                 \
    X(FRAME, 1, 2)              /* return address */                                                         \
    X(CALL, 1, 99)              /* n arguments */                                                            \
    X(TAIL_CALL, 1, 99)                                                                                      \
    X(CALL_PRIMITIVE, 2, 99) /* g, n: most likely a primitive, called without a frame */                     \
    X(TAIL_PRIMITIVE, 2, 99)                                                                                 \
    X(RETURN, 0, -1)                                                                                         \
    X(CAR, 0, 0)                                                                                             \
    X(CDR, 0, 0)                                                                                             \
    X(CADR, 0, 0)                                                                                            \
    X(CONS, 0, -1)                                                                                           \
    X(IS_NULL, 0, 0)                                                                                         \
    X(IS_PAIR, 0, 0)                                                                                         \
    X(NOT, 0, 0)                                                                                             \
    X(IS_EQ, 0, -1)                                                                                          \
    X(ADD, 0, -1)                                                                                            \
    X(SUBTRACT, 0, -1)                                                                                       \
    X(ADD_IMMEDIATE, 1, 0)                                                                                   \
    X(MULTIPLY, 0, -1)                                                                                       \
    X(EQUAL, 0, -1)                                                                                          \
    X(LESS, 0, -1)                                                                                           \
    X(GREATER, 0, -1)                                                                                        \
    X(LESS_EQUAL, 0, -1)                                                                                     \
    X(GREATER_EQUAL, 0, -1)                                                                                  \
    X(EQUAL_IMMEDIATE, 1, 0)                                                                                 \
    X(LESS_IMMEDIATE, 1, 0)                                                                                  \
    X(GREATER_IMMEDIATE, 1, 0)                                                                               \
    X(VECTOR_REF, 0, -1)                                                                                     \
    X(VECTOR_SET, 0, -2)

enum op {
#define X(name, ...) OP_##name,
    OP_TABLE(X)
#undef X
        OP_COUNT
};

struct code_line {
    uint32_t at, line; /* from this word on */
};

/* Outside the heap, since it must not move while it runs; goes when its template does. */
struct code {
    uint32_t size, line_count;
    uint32_t required; /* arguments */
    bool rest;         /* and a list of those that follow */
    uint32_t file;
    const struct code_line *lines;
    int32_t words[];
};

/* The line of the instruction before the word `at`; 0: not known. */
uint32_t code_line(const struct code *code, size_t at);

#endif
