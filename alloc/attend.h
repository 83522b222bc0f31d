/*
 * What is done about requests that come by the control page (control.h). On the background thread, the maintain lock held: then
 * nobody forks, and no lock is awaited whose holder awaits this thread.
 */
#ifndef SINTER_ATTEND_H
#define SINTER_ATTEND_H

#include "base.h"

/* Answers what can be answered. Returns in how many milliseconds it wants to look again, or ATTEND_IDLE. */
int64_t attend_step(uint64_t now);
enum { ATTEND_IDLE = -1 };

/* Is something under way for which the thread has to work? */
bool attend_is_busy(void);

/* In the child of a fork. */
void attend_fork_child(void);

#endif
