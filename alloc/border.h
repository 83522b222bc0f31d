/*
 * Pages beside ordinary blocks that nobody may touch: behind page runs (option guard_large), where mappings of their own have
 * one on either side (huge_map.h), and at the end of spans that their slots do not reach (option guard_tail). See docs/guard.md.
 */
#ifndef SINTER_BORDER_H
#define SINTER_BORDER_H

#include "base.h"
#include "guard.h"

/* Are these options on, and the system able to? */
extern HIDDEN bool border_large, border_tail;

/* Once, before the first block. */
void border_init(void);

/* Later, when the program's signal handlers can be had: accesses are reported from then on. */
void border_report(void);

/* Closes pages of a zone, whose contents are lost. False if the kernel refuses, or there are too many for it. */
bool border_close(void *addr, size_t size);

/* Pages that are open already stay as they are. False if the kernel refuses. */
bool border_open(void *addr, size_t size);

/* ---- from signal handlers ---- */

/* Describes the block whose border the address lies on. False if it lies on none. */
bool border_find(uintptr_t address, struct guard_slot *block);

/* Opens the page of such an address. */
bool border_let(uintptr_t address);

#endif
