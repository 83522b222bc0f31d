#include "guard_stack.h"

#include <execinfo.h>
#include <string.h>

enum { OWN = 12 }; /* frames of the library, and of a signal handler, above those that count */

/* Where this library's code lies; the linker defines them. */
extern const char __ehdr_start[] HIDDEN;
extern const char etext[] HIDDEN;

static bool is_own(const void *pc)
{
    return (uintptr_t)pc - (uintptr_t)__ehdr_start < (uintptr_t)(etext - __ehdr_start);
}

void guard_stack_init(void)
{
    void *frames[1];
    (void)backtrace(frames, 1);
}

static void keep(struct guard_stack *stack, void *const *frames, int from, int count)
{
    stack->count = (uint32_t)min_size((size_t)(count - from), GUARD_FRAMES);
    memcpy(stack->frames, frames + from, stack->count * sizeof(*stack->frames));
}

void guard_stack_take(struct guard_stack *stack)
{
    void *frames[OWN + GUARD_FRAMES];
    int count = backtrace(frames, ARRAY_LEN(frames)), from = 0;
    while (from < count && is_own(frames[from]))
        from++;
    keep(stack, frames, from, count);
}

void guard_stack_take_from(struct guard_stack *stack, uintptr_t pc)
{
    void *frames[OWN + GUARD_FRAMES];
    int count = backtrace(frames, ARRAY_LEN(frames)), from = 0;
    while (from < count && (uintptr_t)frames[from] != pc)
        from++;
    if (from == count) { /* it went nowhere: a jump to a wild address, for instance */
        frames[0] = (void *)pc;
        from = 0;
        count = 1;
    }
    keep(stack, frames, from, count);
}
