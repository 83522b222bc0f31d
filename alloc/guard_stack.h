/*
 * Where a thread is: return addresses, innermost first, without the library's own frames at the top.
 */
#ifndef SINTER_GUARD_STACK_H
#define SINTER_GUARD_STACK_H

#include "base.h"

enum { GUARD_FRAMES = 18 };

struct guard_stack {
    uint32_t count;
    uintptr_t frames[GUARD_FRAMES];
};

/* Has libc load what it unwinds with, so that it needs no memory later on. */
void guard_stack_init(void);

void guard_stack_take(struct guard_stack *stack);

/* From a signal handler: the stack of what was interrupted at `pc`, which becomes the first frame. */
void guard_stack_take_from(struct guard_stack *stack, uintptr_t pc);

#endif
