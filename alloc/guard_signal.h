/*
 * Guard mode's place in front of the program's own handlers of SIGSEGV and SIGBUS.
 *
 * What the kernel has installed is our handler, with the mask and the flags that the program has asked for; the program sees and sets its
 * own action. A fault that is none of guard mode's, and one that is once it has been reported, goes to that action just as it came.
 */
#ifndef SINTER_GUARD_SIGNAL_H
#define SINTER_GUARD_SIGNAL_H

#include "base.h"

#include <signal.h>

/* Steps in front. */
void guard_signal_init(void);

/* Is guard mode in front for this signal, in this process? */
bool guard_signal_is_ours(int sig);

/* As sigaction(2): what the program calls. */
int guard_sigaction(int sig, const struct sigaction *action, struct sigaction *old);

void guard_signal_fork_child(void);

#endif
