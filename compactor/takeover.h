/*
 * What fork(3) does to the mover: its handlers, in both processes, and the new mover's part in the child. family.h has the
 * whole course of it.
 */
#ifndef SINTER_TAKEOVER_H
#define SINTER_TAKEOVER_H

#include "base.h"

/* On the thread that forks, the maintain lock held; the last but one without. */
void takeover_prepare(void);
void takeover_parent(void);
void takeover_parent_wait(void);
void takeover_child(void);

/* On the mover, in the child. Returns in how many milliseconds its next step is due. */
int64_t takeover_step(void);

#endif
