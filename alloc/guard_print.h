/*
 * A report of guard mode as text for people, or as one line of JSON.
 */
#ifndef SINTER_GUARD_PRINT_H
#define SINTER_GUARD_PRINT_H

#include "fmt.h"
#include "guard_report.h"

struct guard_report {
    enum guard_mistake mistake;
    const char *act;  /* "read", "write", or the public function that was called */
    bool call;        /* it is a function */
    bool found;       /* the act has found it: it happened before */
    const char *text; /* what is said of the pointer in place of a block, or NULL */
    const struct guard_system_call *system_call; /* the kernel's access, or NULL */
    size_t size;                                 /* GUARD_WRONG_SIZE: the one that was given */
    uintptr_t address;
    const struct guard_slot *slot;  /* NULL: no block is near */
    const struct guard_event *here; /* what the thread does now */
};

/* Has the report's block been freed? */
bool guard_is_freed(const struct guard_slot *slot);

/* How far outside of the block the address is; 0: inside. */
size_t guard_outside(const struct guard_report *r);

/* By one thread at a time. */
void guard_print_text(struct fmt *f, const struct guard_report *r);
void guard_print_json(struct fmt *f, const struct guard_report *r);

#endif
