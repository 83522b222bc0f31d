/*
 * What guard mode has to say: what happened, to which block, where, and where the block was allocated and freed. Everything here
 * may be called from a signal handler: it allocates nothing and takes no lock but its own. Reports other than of an access end the
 * program, unless the option guard_misuse lets it go on.
 */
#ifndef SINTER_GUARD_REPORT_H
#define SINTER_GUARD_REPORT_H

#include "guard.h"

/* What happened. */
enum guard_mistake {
    GUARD_OVERFLOW,
    GUARD_UNDERFLOW,
    GUARD_AFTER_FREE,
    GUARD_DOUBLE_FREE,
    GUARD_REALLOC_AFTER_FREE,
    GUARD_INVALID_FREE,
    GUARD_WRONG_SIZE,
    GUARD_WILD, /* an access with no block near */
};

/* The words of the options `guard_report` and `guard_misuse`. */
enum { GUARD_TEXT, GUARD_JSON };
enum { GUARD_ABORT, GUARD_REPORT };

/* Has what reports need ready, once and before they are wanted. Without that there are only lines of text, without stacks. */
void guard_report_init(void);
bool guard_report_is_on(void);

/* Whoever was writing one is not here. */
void guard_report_fork_child(void);

/* An access of a closed page, at `pc`, that was meant for the block, or NULL. */
void guard_report_access(uintptr_t address, const struct guard_slot *block, bool write, uintptr_t pc);

/* `call` was given what is not the start of a live block, `here`. */
void guard_report_bad_pointer(uintptr_t address, const struct guard_event *here, const char *call);

/* `call` found, `here`, that the byte at `address`, beside the block, had been overwritten. */
void guard_report_damage(const struct guard_slot *slot, uintptr_t address, const struct guard_event *here,
                         const char *call);

/* `call`, `here`, was told that the block has `size` bytes, which it has not. */
void guard_report_size(const struct guard_slot *slot, size_t size, const struct guard_event *here,
                       const char *call);

struct guard_system_call {
    int fd;
    uintptr_t buffer; /* of several, the one that it was about */
    size_t size;
};

/*
 * The kernel has answered EFAULT to `name`, which was given a buffer of which the page of `address` is closed. `block`: whose page or
 * border that is; NULL if it cannot be told.
 */
void guard_report_system_call(uintptr_t address, const struct guard_slot *block,
                              const struct guard_system_call *call, const char *name);

/* `call` was given what is no live block, and no guarded one either, or has found it overwritten; `text` says what is known. */
void guard_report_unguarded(enum guard_mistake mistake, uintptr_t address, const char *call,
                            const char *text);

#endif
