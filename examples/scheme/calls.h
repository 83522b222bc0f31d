/* What calls need beside their instructions. `sp` is the stack pointer; what returns one returns the new one. */
#ifndef SCHEME_CALLS_H
#define SCHEME_CALLS_H

#include "code.h"
#include "vm.h"

/* Values on the stack; the reserve is for handling an overflow. */
enum { STACK = 16 * 1024 * 1024, RESERVE = 1024 * 1024 };

/* A frame may take so much more than was checked when it was entered. */
enum { FRAME_ROOM = 64 * 1024 };

/* The arguments in excess become a list. */
value *call_collect_rest(value *sp, size_t extra);

/* The values on top as one. */
value call_values(const value *sp, size_t count);

/* Puts the stack of a continuation in place. */
value *call_reinstate(const struct vector *continuation);

/*
 * Primitives that are more than a function: the stack holds the primitive and `*count` arguments; afterwards it holds a
 * procedure and arguments for it.
 */
value *call_special(const struct primitive_definition *definition, value *sp, size_t *count);

_Noreturn void call_overflow(void);
_Noreturn void call_wrong_count(value procedure, size_t count);
_Noreturn void call_impossible(value callee, size_t count);

/* The stack is this high from now on: an overflow, if there was one, has been handled. */
void call_set_limit(const value *sp);

/* To be found out while the caller's frame is there, for the message's sake. */
static inline bool call_possible(value callee, size_t count)
{
    if (__builtin_expect(!has_type(callee, T_CLOSURE), 0))
        return has_type(callee, T_CONTINUATION) || has_type(callee, T_PRIMITIVE);
    const struct code *code = ((struct template *)((struct closure *)callee)->template)->code;
    return count == code->required || (count > code->required && code->rest);
}

static inline value call_primitive(const struct primitive_definition *d, value *arguments, size_t count,
                                   value self)
{
    if (__builtin_expect(count < (size_t)d->least || (d->most >= 0 && count > (size_t)d->most), 0))
        call_wrong_count(self, count);
    vm.primitive = d->name;
    return d->function(arguments, count);
}

#endif
