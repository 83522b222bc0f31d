#include "calls.h"

#include "compile.h"
#include "error.h"
#include "object.h"

#include <string.h>

value *call_collect_rest(value *sp, size_t extra)
{
    sp[0] = NIL;
    for (; extra > 0; extra--) {
        vm.range.end = sp + 1;
        struct pair *p = object_new(T_PAIR, sizeof(*p));
        p->car = sp[-1];
        p->cdr = sp[0];
        *--sp = p;
    }
    return sp + 1;
}

void call_set_limit(const value *sp)
{
    if (sp < vm.stack + STACK - RESERVE * 2)
        vm.limit = vm.stack + STACK - RESERVE;
}

_Noreturn void call_overflow(void)
{
    vm.primitive = NULL;
    if (vm.limit == vm.stack + STACK - FRAME_ROOM) {
        fprintf(stderr, "scheme: the stack overflows while an overflow is handled\n");
        vm_abandon();
    }
    vm.limit = vm.stack + STACK - FRAME_ROOM;
    error_plain("the stack overflows: the recursion is too deep");
}

value call_values(const value *sp, size_t count)
{
    struct vector *v = vector_new(T_VALUES, count, FALSE);
    memcpy(v->items, sp - count, count * sizeof(value));
    return v;
}

static value capture(const value *sp)
{
    size_t length = (size_t)(sp - vm.stack);
    struct vector *k = object_new(T_CONTINUATION, offsetof(struct vector, items) + length * sizeof(value));
    k->length = length;
    memcpy(k->items, vm.stack, length * sizeof(value));
    return k;
}

value *call_reinstate(const struct vector *k)
{
    memcpy(vm.stack, k->items, k->length * sizeof(value));
    call_set_limit(vm.stack + k->length);
    return vm.stack + k->length;
}

/* Puts the elements of the list that is on top there instead. */
static value *spread_list(value *sp, size_t *count)
{
    value list = *--sp;
    ptrdiff_t length = list_length(list);
    if (length < 0)
        error_expected("a list", list);
    if (length > vm.limit - sp)
        call_overflow();
    for (; is_pair(list); list = cdr(list))
        *sp++ = car(list);
    *count += (size_t)length - 1;
    return sp;
}

static value *spread_values(value *sp, size_t *count)
{
    if (!has_type(sp[-1], T_VALUES))
        return sp;
    const struct vector *v = *--sp;
    memcpy(sp, v->items, v->length * sizeof(value));
    *count += v->length - 1;
    return sp + v->length;
}

_Noreturn void call_wrong_count(value procedure, size_t count)
{
    vm.primitive = NULL;
    error_value(procedure, "wrong number of arguments (%zu)", count);
}

_Noreturn void call_impossible(value callee, size_t count)
{
    if (has_type(callee, T_CLOSURE))
        call_wrong_count(callee, count);
    vm.primitive = NULL;
    error_value(callee, "not a procedure");
}

value *call_special(const struct primitive_definition *d, value *sp, size_t *count)
{
    size_t n = *count;
    if (n < (size_t)d->least || (d->most >= 0 && n > (size_t)d->most))
        call_wrong_count(sp[-(ptrdiff_t)n - 1], n);
    vm.primitive = d->name;
    if (d->special == EVAL) {
        value procedure = compile(sp[-(ptrdiff_t)n]);
        sp[-(ptrdiff_t)n - 1] = procedure;
        *count = 0;
        return sp - n;
    }
    if (d->special == CALL_CC) {
        value k = capture(sp - 2);
        sp[-2] = sp[-1];
        sp[-1] = k;
        return sp;
    }
    memmove(sp - n - 1, sp - n, n * sizeof(value));
    *count = n - 1;
    return d->special == APPLY ? spread_list(sp - 1, count) : spread_values(sp - 1, count);
}
