/*
 * Freed small blocks that wait before their slots can be used again: a queue of the whole process, of as many bytes as the
 * option `quarantine` says. A slot in it is not free in its span, and packing treats it as live: its contents stay, and they
 * are known, so that a write after free is found when the slot leaves.
 *
 * A slot is held from quarantine_free() until it is given to its span. Both happen with the queue's lock held, so that
 * whoever frees the block again is found out, whenever that is.
 */
#ifndef SINTER_QUARANTINE_H
#define SINTER_QUARANTINE_H

#include "base.h"
#include "conf.h"

static inline bool quarantine_is_on(void)
{
    return conf_get(CONF_quarantine) != 0;
}

/*
 * Takes a slot of `bin` from the program, and overwrites it, which nobody may have a lock for. The oldest ones leave in return.
 * False if it is no live block any more. `call` is the public function that frees.
 */
bool quarantine_free(unsigned bin, void *slot, const char *call);

/* Everybody leaves: memory is short. */
void quarantine_empty(void);

/* Of the slots in the queue. */
size_t quarantine_bytes(void);

void quarantine_fork_prepare(void);
void quarantine_fork_parent(void);
void quarantine_fork_child(void);

#endif
