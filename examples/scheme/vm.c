#include "vm.h"

#include "calls.h"
#include "code.h"
#include "error.h"
#include "frames.h"
#include "number.h"
#include "object.h"
#include "symbol.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct vm vm;

enum { ESCAPE_RAISE = 1, ESCAPE_ABANDON = 2 };
static const int32_t halt[] = {OP_HALT};
static uint32_t raise_global;

void vm_init(void)
{
    size_t bytes = (size_t)STACK * sizeof(value);
    vm.stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vm.stack == MAP_FAILED)
        heap_exhausted(bytes);
    vm.limit = vm.stack + STACK - RESERVE;
    vm.range = (struct heap_range){vm.stack, vm.stack};
    vm.raised = NULL;
    heap_range_add(&vm.range);
    raise_global = global_number(symbol_from("raise"));
}

void vm_raise(value condition)
{
    vm.raised = condition;
    longjmp(vm.escape, ESCAPE_RAISE);
}

void vm_abandon(void)
{
    longjmp(vm.escape, ESCAPE_ABANDON);
}

static void stopped(void)
{
    if (vm.interrupted) {
        vm.interrupted = 0;
        vm.primitive = NULL;
        error_plain("interrupted");
    }
    heap_safepoint();
}

static inline value *content(value box)
{
    return &((struct box *)box)->content;
}

#define SYNC()                (vm.range.end = sp, vm.fp = fp, vm.ip = ip)
#define NEXT()                goto *labels[*ip++]
#define FREE_OF(n)            (((struct closure *)fp[-1])->free[n])
#define CONSTANT_OF(n)        (((struct template *)((struct closure *)fp[-1])->template)->constants[n])
#define BOTH_FIXNUMS(a, b)    ((uintptr_t)(a) & (uintptr_t)(b)&1)
#define SLOW(name, replacing) (SYNC(), vm.primitive = (name), (replacing))

/* A comparison of the two values on top; tagged fixnums compare as they are. */
#define COMPARE(operator, name, slow)                                                                        \
    {                                                                                                        \
        value b = *--sp, a = sp[-1];                                                                         \
        if (__builtin_expect(BOTH_FIXNUMS(a, b), 1))                                                         \
            sp[-1] = boolean((intptr_t)a operator(intptr_t) b);                                              \
        else                                                                                                 \
            sp[-1] = boolean(SLOW(name, slow));                                                              \
        NEXT();                                                                                              \
    }

#define COMPARE_IMMEDIATE(operator, name, slow)                                                              \
    {                                                                                                        \
        value b = (value)(intptr_t)*ip++, a = sp[-1];                                                        \
        if (__builtin_expect(is_fixnum(a), 1))                                                               \
            sp[-1] = boolean((intptr_t)a operator(intptr_t) b);                                              \
        else                                                                                                 \
            sp[-1] = boolean(SLOW(name, slow));                                                              \
        NEXT();                                                                                              \
    }

/* The stack holds a procedure and `n` arguments, and below them where to return to. Runs until that is `halt`. */
static value run(size_t n)
{
    static const void *const labels[OP_COUNT] = {
#define X(name, ...) [OP_##name] = &&op_##name,
        OP_TABLE(X)
#undef X
    };
    value *sp = vm.range.end, *fp = vm.fp, result, callee;
    const int32_t *ip = vm.ip;
    goto call;

op_HALT:
    vm.range.end = sp - 1;
    return sp[-1];
op_CONSTANT:
    *sp++ = CONSTANT_OF(*ip++);
    NEXT();
op_IMMEDIATE:
    *sp++ = (value)(intptr_t)*ip++;
    NEXT();
op_LOCAL:
    *sp++ = fp[*ip++];
    NEXT();
op_LOCAL_BOX:
    *sp++ = *content(fp[*ip++]);
    NEXT();
op_FREE:
    *sp++ = FREE_OF(*ip++);
    NEXT();
op_FREE_BOX:
    *sp++ = *content(FREE_OF(*ip++));
    NEXT();
op_CHECK:
    ip++;
    if (__builtin_expect(sp[-1] == UNDEFINED, 0)) {
        SYNC();
        vm.primitive = NULL;
        error_value(CONSTANT_OF(ip[-1]), "used before it has a value");
    }
    NEXT();
op_SET_LOCAL:
    fp[*ip++] = *--sp;
    NEXT();
op_SET_LOCAL_BOX:
    *content(fp[*ip++]) = *--sp;
    NEXT();
op_SET_FREE_BOX:
    *content(FREE_OF(*ip++)) = *--sp;
    NEXT();
op_GLOBAL:
    result = globals.start[*ip++];
    if (__builtin_expect(result == UNDEFINED, 0)) {
        SYNC();
        vm.primitive = NULL;
        error_value(global_name((uint32_t)ip[-1]), "this variable has no value");
    }
    *sp++ = result;
    NEXT();
op_SET_GLOBAL:
    if (globals.start[*ip++] == UNDEFINED) {
        SYNC();
        vm.primitive = NULL;
        error_value(global_name((uint32_t)ip[-1]), "set! of a variable that is not defined");
    }
    globals.start[ip[-1]] = *--sp;
    NEXT();
op_DEFINE_GLOBAL:
    globals.start[*ip++] = *--sp;
    NEXT();
op_RESERVE:
    for (int32_t i = *ip++; i > 0; i--)
        *sp++ = UNDEFINED;
    NEXT();
op_BOX : {
    vm.range.end = sp;
    struct box *box = object_new(T_BOX, sizeof(*box));
    box->content = fp[*ip];
    fp[*ip++] = box;
    NEXT();
}
op_CLOSURE : {
    size_t count = (size_t)ip[1];
    vm.range.end = sp;
    struct closure *c = object_new(T_CLOSURE, offsetof(struct closure, free) + count * sizeof(value));
    c->template = CONSTANT_OF(ip[0]);
    c->count = count;
    ip += 2;
    for (size_t i = 0; i < count; i++, ip++)
        c->free[i] = *ip >= 0 ? fp[*ip] : FREE_OF(~*ip);
    *sp++ = c;
    NEXT();
}
op_PATCH:
    ((struct closure *)fp[ip[0]])->free[ip[1]] = fp[ip[2]];
    ip += 3;
    NEXT();
op_POP:
    sp--;
    NEXT();
op_SLIDE:
    result = sp[-1];
    sp -= *ip++;
    sp[-1] = result;
    NEXT();
op_LOOP : {
    size_t count = (size_t)ip[0];
    value *slots = fp + ip[1];
    for (size_t i = 0; i < count; i++)
        slots[i] = sp[(ptrdiff_t)i - (ptrdiff_t)count];
    sp = slots + count;
    ip += 2 + ip[2];
    if (__builtin_expect(heap_wants_stop() || vm.interrupted, 0)) {
        SYNC();
        stopped();
    }
    NEXT();
}
op_JUMP:
    ip += *ip;
    NEXT();
op_JUMP_IF_FALSE:
    if (*--sp == FALSE)
        goto op_JUMP;
    ip++;
    NEXT();
op_JUMP_IF_TRUE_KEEP:
    if (sp[-1] != FALSE)
        goto op_JUMP;
    sp--;
    ip++;
    NEXT();
op_FRAME:
    sp[0] = tag(ip + *ip);
    sp[1] = tag(fp);
    sp += 2;
    ip++;
    NEXT();
op_CALL_PRIMITIVE : {
    callee = globals.start[ip[0]];
    n = (size_t)ip[1];
    ip += 2;
    if (__builtin_expect(has_type(callee, T_PRIMITIVE), 1)) {
        const struct primitive_definition *d = ((struct primitive *)callee)->definition;
        if (__builtin_expect(d->special == ORDINARY, 1)) {
            SYNC();
            result = call_primitive(d, sp - n, n, callee);
            sp -= n;
            *sp++ = result;
            NEXT();
        }
    }
    memmove(sp - n + 3, sp - n, n * sizeof(value));
    sp[-(ptrdiff_t)n] = tag(ip);
    sp[-(ptrdiff_t)n + 1] = tag(fp);
    sp[-(ptrdiff_t)n + 2] = callee;
    sp += 3;
    goto call;
}
op_TAIL_PRIMITIVE : {
    callee = globals.start[ip[0]];
    n = (size_t)ip[1];
    ip += 2;
    if (__builtin_expect(has_type(callee, T_PRIMITIVE), 1)) {
        const struct primitive_definition *d = ((struct primitive *)callee)->definition;
        if (__builtin_expect(d->special == ORDINARY, 1)) {
            SYNC();
            result = call_primitive(d, sp - n, n, callee);
            goto return_result;
        }
    }
    memmove(fp, sp - n, n * sizeof(value));
    fp[-1] = callee;
    sp = fp + n;
    goto call;
}
op_TAIL_CALL:
    n = (size_t)*ip++;
    callee = sp[-(ptrdiff_t)n - 1];
    if (has_type(callee, T_PRIMITIVE)) {
        const struct primitive_definition *d = ((struct primitive *)callee)->definition;
        if (d->special == ORDINARY) {
            SYNC();
            result = call_primitive(d, sp - n, n, callee);
            goto return_result;
        }
    }
    if (__builtin_expect(!call_possible(callee, n), 0)) {
        SYNC();
        call_impossible(callee, n);
    }
    for (size_t i = 0; i <= n; i++)
        fp[(ptrdiff_t)i - 1] = sp[(ptrdiff_t)i - (ptrdiff_t)n - 1];
    sp = fp + n;
    goto call;
op_CALL:
    n = (size_t)*ip++;
call:
    callee = sp[-(ptrdiff_t)n - 1];
    if (__builtin_expect(has_type(callee, T_CLOSURE), 1)) {
        const struct code *code = ((struct template *)((struct closure *)callee)->template)->code;
        if (__builtin_expect(n != code->required || code->rest, 0)) {
            SYNC();
            if (n < code->required || !code->rest)
                call_impossible(callee, n);
            sp = call_collect_rest(sp, n - code->required);
            n = code->required + 1;
        }
        if (__builtin_expect(sp >= vm.limit, 0)) {
            SYNC();
            call_overflow();
        }
        fp = sp - n;
        ip = code->words;
        if (__builtin_expect(heap_wants_stop() || vm.interrupted, 0)) {
            SYNC();
            stopped();
        }
        NEXT();
    }
    SYNC();
    if (has_type(callee, T_PRIMITIVE)) {
        const struct primitive_definition *d = ((struct primitive *)callee)->definition;
        if (d->special == ORDINARY) {
            result = call_primitive(d, sp - n, n, callee);
            sp -= n + 1;
            goto return_below;
        }
        sp = call_special(d, sp, &n);
        goto call;
    }
    if (has_type(callee, T_CONTINUATION)) {
        result = n == 1 ? sp[-1] : call_values(sp, n);
        sp = call_reinstate(sp[-(ptrdiff_t)n - 1]);
        goto return_below;
    }
    call_impossible(callee, n);
op_RETURN:
    result = sp[-1];
return_result:
    sp = fp - 1;
return_below: /* to where the two values on top say */
    ip = untag(sp[-2]);
    fp = untag(sp[-1]);
    sp[-2] = result;
    sp--;
    NEXT();
op_CAR:
    if (__builtin_expect(!is_pair(sp[-1]), 0))
        SLOW("car", error_expected("a pair", sp[-1]));
    sp[-1] = car(sp[-1]);
    NEXT();
op_CDR:
    if (__builtin_expect(!is_pair(sp[-1]), 0))
        SLOW("cdr", error_expected("a pair", sp[-1]));
    sp[-1] = cdr(sp[-1]);
    NEXT();
op_CADR:
    if (__builtin_expect(!is_pair(sp[-1]) || !is_pair(cdr(sp[-1])), 0))
        SLOW("cadr", error_expected("a list of two", sp[-1]));
    sp[-1] = car(cdr(sp[-1]));
    NEXT();
op_CONS : {
    vm.range.end = sp;
    struct pair *p = object_new(T_PAIR, sizeof(*p));
    p->car = sp[-2];
    p->cdr = sp[-1];
    sp--;
    sp[-1] = p;
    NEXT();
}
op_IS_NULL:
    sp[-1] = boolean(sp[-1] == NIL);
    NEXT();
op_IS_PAIR:
    sp[-1] = boolean(is_pair(sp[-1]));
    NEXT();
op_NOT:
    sp[-1] = boolean(sp[-1] == FALSE);
    NEXT();
op_IS_EQ:
    sp--;
    sp[-1] = boolean(sp[-1] == sp[0]);
    NEXT();
op_ADD : {
    value b = *--sp, a = sp[-1];
    intptr_t sum;
    if (__builtin_expect(BOTH_FIXNUMS(a, b) && !__builtin_add_overflow((intptr_t)a, (intptr_t)b - 1, &sum),
                         1))
        sp[-1] = (value)sum;
    else
        sp[-1] = SLOW("+", number_add(a, b));
    NEXT();
}
op_SUBTRACT : {
    value b = *--sp, a = sp[-1];
    intptr_t difference;
    if (__builtin_expect(
            BOTH_FIXNUMS(a, b) && !__builtin_sub_overflow((intptr_t)a, (intptr_t)b - 1, &difference), 1))
        sp[-1] = (value)difference;
    else
        sp[-1] = SLOW("-", number_subtract(a, b));
    NEXT();
}
op_ADD_IMMEDIATE : {
    value a = sp[-1];
    intptr_t b = *ip++, sum;
    if (__builtin_expect(is_fixnum(a) && !__builtin_add_overflow((intptr_t)a, b - 1, &sum), 1))
        sp[-1] = (value)sum;
    else
        sp[-1] = SLOW("+", number_add(a, (value)b));
    NEXT();
}
op_MULTIPLY : {
    value b = *--sp, a = sp[-1];
    intptr_t product;
    if (__builtin_expect(
            BOTH_FIXNUMS(a, b) && !__builtin_mul_overflow((intptr_t)a - 1, fixnum_of(b), &product), 1))
        sp[-1] = (value)(product + 1);
    else
        sp[-1] = SLOW("*", number_multiply(a, b));
    NEXT();
}
op_EQUAL:
    COMPARE(==, "=", number_equal(a, b))
op_LESS:
    COMPARE(<, "<", number_less(a, b))
op_GREATER:
    COMPARE(>, ">", number_less(b, a))
op_LESS_EQUAL:
    COMPARE(<=, "<=", number_less(a, b) || number_equal(a, b))
op_GREATER_EQUAL:
    COMPARE(>=, ">=", number_less(b, a) || number_equal(a, b))
op_EQUAL_IMMEDIATE:
    COMPARE_IMMEDIATE(==, "=", number_equal(a, b))
op_LESS_IMMEDIATE:
    COMPARE_IMMEDIATE(<, "<", number_less(a, b))
op_GREATER_IMMEDIATE:
    COMPARE_IMMEDIATE(>, ">", number_less(b, a))
op_VECTOR_REF : {
    value index = *--sp, v = sp[-1];
    if (__builtin_expect(!has_type(v, T_VECTOR), 0))
        SLOW("vector-ref", error_expected("a vector", v));
    if (__builtin_expect(!is_fixnum(index) || (uintptr_t)fixnum_of(index) >= vector_of(v)->length, 0))
        SLOW("vector-ref", error_expected("an index of the vector", index));
    sp[-1] = vector_of(v)->items[fixnum_of(index)];
    NEXT();
}
op_VECTOR_SET : {
    value index = sp[-2], v = sp[-3];
    if (__builtin_expect(!has_type(v, T_VECTOR), 0))
        SLOW("vector-set!", error_expected("a vector", v));
    if (__builtin_expect(!is_fixnum(index) || (uintptr_t)fixnum_of(index) >= vector_of(v)->length, 0))
        SLOW("vector-set!", error_expected("an index of the vector", index));
    vector_of(v)->items[fixnum_of(index)] = sp[-1];
    sp -= 2;
    sp[-1] = UNSPECIFIED;
    NEXT();
}
}

static void push(value v)
{
    *vm.range.end++ = v;
}

/* What is to be called next lies on the stack, with what to return to below. */
static void push_call(const int32_t *ip, const value *fp, value procedure)
{
    push(tag(ip));
    push(tag(fp));
    push(procedure);
}

bool vm_run(value procedure, size_t count, value a, value b, value *result)
{
    struct sinter_gc_frame *frames = heap_mutator->frames;
    volatile size_t n = count;
    vm.range.end = vm.fp = vm.stack;
    vm.ip = halt;
    call_set_limit(vm.stack);
    push_call(halt, vm.stack, procedure);
    if (count > 0)
        push(a);
    if (count > 1)
        push(b);
    switch (setjmp(vm.escape)) {
    case ESCAPE_ABANDON:
        heap_mutator->frames = frames;
        vm.range.end = vm.stack;
        return false;
    case ESCAPE_RAISE:
        heap_mutator->frames = frames;
        push_call(vm.ip, vm.fp, *global_at(raise_global));
        push(vm.raised);
        n = 1;
    }
    *result = run(n);
    return true;
}
