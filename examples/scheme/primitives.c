#include "primitives.h"

#include "code.h"
#include "object.h"
#include "prelude.h"
#include "symbol.h"

static const struct {
    const char *name;
    unsigned char op, arity;
} instructions[] = {
    {"car", OP_CAR, 1},
    {"cdr", OP_CDR, 1},
    {"cadr", OP_CADR, 1},
    {"cons", OP_CONS, 2},
    {"%cons", OP_CONS, 2},
    {"null?", OP_IS_NULL, 1},
    {"pair?", OP_IS_PAIR, 1},
    {"not", OP_NOT, 1},
    {"eq?", OP_IS_EQ, 2},
    {"%eq?", OP_IS_EQ, 2},
    {"+", OP_ADD, 2},
    {"-", OP_SUBTRACT, 2},
    {"*", OP_MULTIPLY, 2},
    {"=", OP_EQUAL, 2},
    {"<", OP_LESS, 2},
    {">", OP_GREATER, 2},
    {"<=", OP_LESS_EQUAL, 2},
    {">=", OP_GREATER_EQUAL, 2},
    {"vector-ref", OP_VECTOR_REF, 2},
    {"vector-set!", OP_VECTOR_SET, 3},
};

static void install(const struct primitive_definition *d)
{
    for (; d->name != NULL; d++) {
        uint32_t number = global_number(symbol_from(d->name));
        struct primitive *p = object_new(T_PRIMITIVE, sizeof(*p));
        p->definition = d;
        *global_at(number) = p;
        global_infos[number] = (struct global_info){.primitive = true};
    }
}

bool primitives_init(void)
{
    static const struct primitive_definition *const groups[] = {
        primitives_list,   primitives_vector, primitives_number, primitives_math,    primitives_char,
        primitives_string, primitives_table,  primitives_io,     primitives_control, primitives_system,
    };
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        install(groups[i]);
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        struct global_info *info = &global_infos[global_number(symbol_from(instructions[i].name))];
        info->op = instructions[i].op;
        info->arity = instructions[i].arity;
    }
    return prelude_load();
}
