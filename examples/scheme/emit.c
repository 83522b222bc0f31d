#include "emit.h"

#include "assemble.h"
#include "symbol.h"

/* What becomes of an expression's value. */
enum use {
    PUSH, /* it is left on the stack */
    DROP, /* nobody wants it */
    TAIL  /* the function returns it */
};

static void emit_node(struct assembly *a, struct node *n, enum use use);

/* After a value was pushed. */
static void finish(struct assembly *a, enum use use)
{
    if (use == DROP)
        assemble(a, OP_POP);
    else if (use == TAIL)
        assemble(a, OP_RETURN);
}

static void emit_value(struct assembly *a, uint32_t held, enum use use)
{
    value v = ast_held(held);
    if (use == DROP)
        return;
    if (!is_object(v) && (intptr_t)(int32_t)(intptr_t)v == (intptr_t)v)
        assemble1(a, OP_IMMEDIATE, (int32_t)(intptr_t)v);
    else
        assemble1(a, OP_CONSTANT, assemble_constant(a, held));
    finish(a, use);
}

static void push_unspecified(struct assembly *a, enum use use)
{
    if (use == DROP)
        return;
    assemble1(a, OP_IMMEDIATE, (int32_t)(intptr_t)UNSPECIFIED);
    finish(a, use);
}

static int32_t free_number(const struct function *f, const struct variable *v)
{
    for (uint32_t i = 0; i < f->free_count; i++)
        if (f->free[i] == v)
            return (int32_t)i;
    __builtin_unreachable();
}

static void emit_local(struct assembly *a, struct node *n, enum use use)
{
    const struct variable *v = n->variable;
    bool boxed = variable_boxed(v);
    if (use == DROP && v->role != ROLE_UNCERTAIN)
        return;
    if (v->owner == a->function)
        assemble1(a, boxed ? OP_LOCAL_BOX : OP_LOCAL, (int32_t)v->slot);
    else
        assemble1(a, boxed ? OP_FREE_BOX : OP_FREE, free_number(a->function, v));
    if (v->role == ROLE_UNCERTAIN) {
        assemble_line(a, n->line);
        assemble1(a, OP_CHECK, assemble_constant(a, v->name));
    }
    finish(a, use);
}

/* Takes the value from the stack. */
static void store(struct assembly *a, const struct variable *v)
{
    if (v->owner != a->function)
        assemble1(a, OP_SET_FREE_BOX, free_number(a->function, v));
    else
        assemble1(a, variable_boxed(v) ? OP_SET_LOCAL_BOX : OP_SET_LOCAL, (int32_t)v->slot);
}

static void emit_set_local(struct assembly *a, struct node *n, enum use use)
{
    emit_node(a, n->first, PUSH);
    store(a, n->variable);
    push_unspecified(a, use);
}

static void emit_global(struct assembly *a, struct node *n, enum use use)
{
    enum op op = n->kind == NODE_GLOBAL       ? OP_GLOBAL
                 : n->kind == NODE_SET_GLOBAL ? OP_SET_GLOBAL
                                              : OP_DEFINE_GLOBAL;
    if (n->first != NULL)
        emit_node(a, n->first, PUSH);
    assemble_line(a, n->line);
    assemble1(a, op, (int32_t)n->number);
    if (n->kind == NODE_GLOBAL)
        finish(a, use);
    else
        push_unspecified(a, use);
}

static void emit_if(struct assembly *a, struct node *n, enum use use)
{
    emit_node(a, n->first, PUSH);
    uint32_t otherwise = assemble_jump(a, OP_JUMP_IF_FALSE), end = 0;
    uint32_t depth = a->depth;
    emit_node(a, n->second, use);
    if (use != TAIL)
        end = assemble_jump(a, OP_JUMP);
    assemble_target(a, otherwise);
    a->depth = depth;
    emit_node(a, n->third, use);
    if (use != TAIL)
        assemble_target(a, end);
}

static void emit_or(struct assembly *a, struct node *n, enum use use)
{
    emit_node(a, n->first, PUSH);
    uint32_t end = assemble_jump(a, OP_JUMP_IF_TRUE_KEEP);
    emit_node(a, n->second, PUSH);
    assemble_target(a, end);
    finish(a, use);
}

/* In tail position the second expression is too, so only the first one's value comes to the end. */
static void emit_or_tail(struct assembly *a, struct node *n)
{
    emit_node(a, n->first, PUSH);
    uint32_t otherwise = assemble_jump(a, OP_JUMP_IF_TRUE_KEEP);
    uint32_t depth = a->depth;
    emit_node(a, n->second, TAIL);
    assemble_target(a, otherwise);
    a->depth = depth + 1;
    assemble(a, OP_RETURN);
}

static void emit_sequence(struct assembly *a, struct node *n, enum use use)
{
    for (uint32_t i = 0; i + 1 < n->count; i++)
        emit_node(a, n->list[i], DROP);
    emit_node(a, n->list[n->count - 1], use);
}

static void emit_closure(struct assembly *a, struct function *f, enum use use)
{
    int32_t template = assemble_constant(a, emit(f));
    assemble1(a, OP_CLOSURE, template);
    assemble_word(a, (int32_t)f->free_count);
    for (uint32_t i = 0; i < f->free_count; i++) {
        const struct variable *v = f->free[i];
        assemble_word(a, v->owner == a->function ? (int32_t)v->slot : ~free_number(a->function, v));
    }
    finish(a, use);
}

static void push_arguments(struct assembly *a, const struct node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        emit_node(a, n->list[i], PUSH);
}

/* The next iteration of a loop. Its value is that of the loop, which is not here. */
static void emit_jump(struct assembly *a, const struct node *n, enum use use)
{
    const struct node *loop = n->first->variable->loop;
    uint32_t depth = a->depth;
    push_arguments(a, n);
    assemble1(a, OP_LOOP, (int32_t)n->count);
    assemble_word(a, (int32_t)loop->third->number);
    assemble_word(a, (int32_t)loop->third->count - (int32_t)a->size);
    a->depth = depth + (use == PUSH);
}

static bool is_small(const struct node *n)
{
    value v = n->kind == NODE_CONSTANT ? ast_held(n->number) : FALSE;
    return is_fixnum(v) && fixnum_of(v) > -(1 << 28) && fixnum_of(v) < 1 << 28;
}

/* Arithmetic with a small constant. */
static bool emit_immediate(struct assembly *a, const struct node *n, enum op op)
{
    bool second = is_small(n->list[1]);
    if (!second && !(is_small(n->list[0]) && op == OP_ADD))
        return false;
    intptr_t number = fixnum_of(ast_held(n->list[second]->number));
    switch (op) {
    case OP_ADD:
        op = OP_ADD_IMMEDIATE;
        break;
    case OP_SUBTRACT:
        op = OP_ADD_IMMEDIATE;
        number = -number;
        break;
    case OP_EQUAL:
        op = OP_EQUAL_IMMEDIATE;
        break;
    case OP_LESS:
        op = OP_LESS_IMMEDIATE;
        break;
    case OP_GREATER:
        op = OP_GREATER_IMMEDIATE;
        break;
    default:
        return false;
    }
    emit_node(a, n->list[!second], PUSH);
    assemble_line(a, n->line);
    assemble1(a, op, (int32_t)(intptr_t)fixnum(number));
    return true;
}

/* Primitives that are instructions. A program that defines their name anew gets its own only in code after that. */
static bool emit_instruction(struct assembly *a, const struct node *n, enum use use)
{
    struct global_info info =
        n->first->kind == NODE_GLOBAL ? global_infos[n->first->number] : (struct global_info){0};
    if (info.op == 0 || info.arity != n->count)
        return false;
    if (n->count != 2 || !emit_immediate(a, n, (enum op)info.op)) {
        push_arguments(a, n);
        assemble_line(a, n->line);
        assemble(a, (enum op)info.op);
    }
    finish(a, use);
    return true;
}

static void emit_primitive(struct assembly *a, const struct node *n, enum use use)
{
    uint32_t depth = a->depth;
    push_arguments(a, n);
    assemble_line(a, n->line);
    assemble1(a, use == TAIL ? OP_TAIL_PRIMITIVE : OP_CALL_PRIMITIVE, (int32_t)n->first->number);
    assemble_word(a, (int32_t)n->count);
    a->depth = depth + 1;
    if (use == DROP)
        assemble(a, OP_POP);
}

static void emit_call(struct assembly *a, struct node *n, enum use use)
{
    uint32_t depth = a->depth, frame = 0;
    if (n->first->kind == NODE_LOCAL && n->first->variable->loop != NULL) {
        emit_jump(a, n, use);
        return;
    }
    if (emit_instruction(a, n, use))
        return;
    if (n->first->kind == NODE_GLOBAL && global_infos[n->first->number].primitive) {
        emit_primitive(a, n, use);
        return;
    }
    if (use != TAIL)
        frame = assemble_jump(a, OP_FRAME);
    emit_node(a, n->first, PUSH);
    push_arguments(a, n);
    assemble_line(a, n->line);
    assemble1(a, use == TAIL ? OP_TAIL_CALL : OP_CALL, (int32_t)n->count);
    a->depth = depth + 1;
    if (use != TAIL)
        assemble_target(a, frame);
    if (use == DROP)
        assemble(a, OP_POP);
}

/* The variables' slots lie below the value. */
static void leave_scope(struct assembly *a, uint32_t depth, enum use use)
{
    uint32_t count = a->depth - depth - (use == PUSH);
    if (use == TAIL)
        return;
    if (use == PUSH && count > 0)
        assemble1(a, OP_SLIDE, (int32_t)count);
    for (uint32_t i = 0; use == DROP && i < count; i++)
        assemble(a, OP_POP);
    a->depth = depth + (use == PUSH);
}

static void emit_let(struct assembly *a, struct node *n, enum use use)
{
    uint32_t depth = a->depth;
    for (uint32_t i = 0; i < n->count; i++) {
        emit_node(a, n->list[i], PUSH);
        n->variables[i]->slot = a->depth - 1;
    }
    for (uint32_t i = 0; i < n->count; i++)
        if (variable_boxed(n->variables[i]))
            assemble1(a, OP_BOX, (int32_t)n->variables[i]->slot);
    emit_node(a, n->first, use);
    leave_scope(a, depth, use);
}

static void reserve_slots(struct assembly *a, const struct node *n)
{
    uint32_t first = a->depth;
    for (uint32_t i = 0; i < n->count; i++)
        if (n->variables[i] != NULL)
            n->variables[i]->slot = a->depth++;
    assemble1(a, OP_RESERVE, (int32_t)(a->depth - first));
    for (uint32_t i = 0; i < n->count; i++) {
        const struct variable *v = n->variables[i];
        if (v != NULL && v->role == ROLE_UNCERTAIN && variable_boxed(v))
            assemble1(a, OP_BOX, (int32_t)v->slot);
    }
}

/* Closures that were made before the procedure `at` have copied its slot too early. */
static void patch_closures(struct assembly *a, const struct node *n, uint32_t at)
{
    const struct variable *v = n->variables[at];
    for (uint32_t i = 0; i <= at; i++) {
        const struct function *f = n->list[i]->function;
        if (n->variables[i] == NULL || n->variables[i]->role != ROLE_FIXED)
            continue;
        for (uint32_t k = 0; k < f->free_count; k++) {
            if (f->free[k] != v)
                continue;
            assemble1(a, OP_PATCH, (int32_t)n->variables[i]->slot);
            assemble_word(a, (int32_t)k);
            assemble_word(a, (int32_t)v->slot);
        }
    }
}

static void emit_letrec(struct assembly *a, struct node *n, enum use use)
{
    uint32_t depth = a->depth;
    reserve_slots(a, n);
    for (uint32_t i = 0; i < n->count; i++) {
        const struct variable *v = n->variables[i];
        emit_node(a, n->list[i], v != NULL ? PUSH : DROP);
        if (v == NULL)
            continue;
        if (v->role == ROLE_UNCERTAIN) {
            store(a, v);
            continue;
        }
        assemble1(a, OP_SET_LOCAL, (int32_t)v->slot);
        if (v->role == ROLE_FIXED)
            patch_closures(a, n, i);
        else if (variable_boxed(v))
            assemble1(a, OP_BOX, (int32_t)v->slot);
    }
    emit_node(a, n->first, use);
    leave_scope(a, depth, use);
}

static void emit_loop(struct assembly *a, struct node *n, enum use use)
{
    uint32_t depth = a->depth;
    push_arguments(a, n);
    for (uint32_t i = 0; i < n->count; i++)
        n->variables[i]->slot = depth + i;
    n->third = ast_node(NODE_CONSTANT); /* where jumps find the first slot and the target */
    n->third->number = depth;
    n->third->count = a->size;
    for (uint32_t i = 0; i < n->count; i++)
        if (variable_boxed(n->variables[i]))
            assemble1(a, OP_BOX, (int32_t)n->variables[i]->slot);
    emit_node(a, n->first, use);
    leave_scope(a, depth, use);
}

static void emit_node(struct assembly *a, struct node *n, enum use use)
{
    switch (n->kind) {
    case NODE_CONSTANT:
        emit_value(a, n->number, use);
        break;
    case NODE_LOCAL:
        emit_local(a, n, use);
        break;
    case NODE_SET_LOCAL:
        emit_set_local(a, n, use);
        break;
    case NODE_GLOBAL:
    case NODE_SET_GLOBAL:
    case NODE_DEFINE_GLOBAL:
        emit_global(a, n, use);
        break;
    case NODE_IF:
        emit_if(a, n, use);
        break;
    case NODE_OR:
        if (use == TAIL)
            emit_or_tail(a, n);
        else
            emit_or(a, n, use);
        break;
    case NODE_SEQUENCE:
        emit_sequence(a, n, use);
        break;
    case NODE_LAMBDA:
        emit_closure(a, n->function, use);
        break;
    case NODE_CALL:
        emit_call(a, n, use);
        break;
    case NODE_LET:
        emit_let(a, n, use);
        break;
    case NODE_LETREC:
        emit_letrec(a, n, use);
        break;
    case NODE_LOOP:
        emit_loop(a, n, use);
        break;
    }
}

uint32_t emit(struct function *f)
{
    struct assembly a = {.function = f, .depth = f->count};
    assemble_constant(&a, f->name);
    for (uint32_t i = 0; i < f->count; i++) {
        f->parameters[i]->slot = i;
        if (variable_boxed(f->parameters[i]))
            assemble1(&a, OP_BOX, (int32_t)i);
    }
    emit_node(&a, f->body, TAIL);
    return ast_hold(assemble_template(&a));
}
