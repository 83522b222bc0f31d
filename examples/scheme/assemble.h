/* Collects the instructions, constants and lines of one function. */
#ifndef SCHEME_ASSEMBLE_H
#define SCHEME_ASSEMBLE_H

#include "ast.h"
#include "code.h"

struct assembly {
    struct function *function;
    int32_t *words;
    uint32_t size, room;
    uint32_t *constants; /* held */
    uint32_t constant_count, constant_room;
    struct code_line *lines;
    uint32_t line_count, line_room;
    uint32_t depth; /* values on the stack, from the first argument on */
};

/* An instruction that takes a fixed number of values. */
void assemble(struct assembly *a, enum op op);
void assemble1(struct assembly *a, enum op op, int32_t operand);

/* Also a plain operand. */
void assemble_word(struct assembly *a, int32_t word);

/* What follows belongs to this line. */
void assemble_line(struct assembly *a, uint32_t line);

/* The number of a constant. */
int32_t assemble_constant(struct assembly *a, uint32_t held);

/* An instruction with a jump's target that is not known yet; returns where to note it. */
uint32_t assemble_jump(struct assembly *a, enum op op);
void assemble_target(struct assembly *a, uint32_t jump);

/* The finished template. */
value assemble_template(struct assembly *a);

#endif
