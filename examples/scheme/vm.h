/* The virtual machine. */
#ifndef SCHEME_VM_H
#define SCHEME_VM_H

#include "value.h"

#include <setjmp.h>
#include <signal.h>

/*
 * What primitives that need the machine itself stand for; the others are functions. Their arguments lie on the machine's
 * stack, so they are roots. `name` is what messages say.
 */
enum special { ORDINARY, APPLY, CALL_CC, SPREAD_VALUES, EVAL };

struct primitive_definition {
    const char *name;
    value (*function)(value *arguments, size_t count);
    int least, most; /* arguments; -1: any number */
    enum special special;
};

/* At safepoints and in primitives these are up to date; else the machine keeps them in registers. */
struct vm {
    value *stack, *limit, *fp;
    const int32_t *ip;
    struct heap_range range; /* the stack in use; .end is the stack pointer */
    const char *primitive;   /* the one that runs; NULL: none */
    value raised;
    jmp_buf escape;
    volatile sig_atomic_t interrupted;
};

extern struct vm vm;

void vm_init(void);

/* Calls `procedure` with up to 2 arguments. False: an error was not handled, and has been reported. */
bool vm_run(value procedure, size_t count, value a, value b, value *result);

/* Leaves a primitive: the condition is given to `raise`. */
_Noreturn void vm_raise(value condition);

/* Leaves everything: the error has been reported. */
_Noreturn void vm_abandon(void);

/* The code that runs, and its line; NULL: none. */
const struct code *vm_position(uint32_t *line);

/* Writes where the callers are, innermost first. */
void vm_backtrace(FILE *file);

#endif
