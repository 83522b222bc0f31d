#include "assemble.h"

#include "error.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 30000, VARIES = 99 };

static const signed char effects[OP_COUNT] = {
#define X(name, operands, effect) [OP_##name] = effect,
    OP_TABLE(X)
#undef X
};

/* Makes room for one more element in an array that lies with the tree. */
static void *grow(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 16 : *room * 2;
    void *more = ast_alloc(*room * size);
    if (count > 0)
        memcpy(more, array, count * size);
    return more;
}

void assemble_word(struct assembly *a, int32_t word)
{
    a->words = grow(a->words, a->size, &a->room, sizeof(*a->words));
    a->words[a->size++] = word;
}

void assemble(struct assembly *a, enum op op)
{
    assemble_word(a, (int32_t)op);
    if (effects[op] != VARIES)
        a->depth += (uint32_t)effects[op];
    if (a->depth > DEPTH)
        error_at(ast_position.file, ast_position.line, "an expression is too large to compile");
}

void assemble1(struct assembly *a, enum op op, int32_t operand)
{
    assemble(a, op);
    assemble_word(a, operand);
}

void assemble_line(struct assembly *a, uint32_t line)
{
    if (a->line_count > 0 && a->lines[a->line_count - 1].line == line)
        return;
    a->lines = grow(a->lines, a->line_count, &a->line_room, sizeof(*a->lines));
    a->lines[a->line_count++] = (struct code_line){a->size, line};
}

int32_t assemble_constant(struct assembly *a, uint32_t held)
{
    for (uint32_t i = 0; i < a->constant_count; i++)
        if (ast_held(a->constants[i]) == ast_held(held))
            return (int32_t)i;
    a->constants = grow(a->constants, a->constant_count, &a->constant_room, sizeof(*a->constants));
    a->constants[a->constant_count++] = held;
    return (int32_t)a->constant_count - 1;
}

uint32_t assemble_jump(struct assembly *a, enum op op)
{
    assemble1(a, op, 0);
    return a->size - 1;
}

void assemble_target(struct assembly *a, uint32_t jump)
{
    a->words[jump] = (int32_t)(a->size - jump);
}

static struct code *code_new(const struct assembly *a)
{
    const struct function *f = a->function;
    size_t words = (a->size + 1) / 2 * 2 * sizeof(int32_t), lines = a->line_count * sizeof(struct code_line);
    struct code *c = malloc(sizeof(*c) + words + lines);
    if (c == NULL)
        heap_exhausted(sizeof(*c) + words + lines);
    *c = (struct code){.size = a->size, .line_count = a->line_count, .rest = f->rest};
    c->required = f->count - f->rest;
    c->file = ast_position.file;
    memcpy(c->words, a->words, a->size * sizeof(int32_t));
    c->lines = (const struct code_line *)((char *)c->words + words);
    if (lines > 0)
        memcpy((char *)c->words + words, a->lines, lines);
    return c;
}

value assemble_template(struct assembly *a)
{
    struct code *code = code_new(a);
    struct template *t =
        object_new(T_TEMPLATE, offsetof(struct template, constants) + a->constant_count * sizeof(value));
    t->count = a->constant_count;
    t->code = code;
    for (uint32_t i = 0; i < a->constant_count; i++)
        t->constants[i] = ast_held(a->constants[i]);
    value template = t;
    ROOTS(template);
    heap_free_with(template, code);
    return template;
}

uint32_t code_line(const struct code *code, size_t at)
{
    uint32_t line = 0;
    for (uint32_t i = 0; i < code->line_count && code->lines[i].at < at; i++)
        line = code->lines[i].line;
    return line;
}
