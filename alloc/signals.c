/*
 * sigaction and signal, for guard mode; without it they are the next ones in the process.
 */
#include "base.h"
#include "guard_signal.h"

#include <dlfcn.h>

typedef void (*handler)(int);

SINTER_EXPORT int sigaction(int sig, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    return guard_sigaction(sig, action, old);
}

static handler (*next_signal)(int, handler);

__attribute__((constructor(101))) static void find_next(void)
{
    if (next_signal == NULL)
        next_signal = (handler(*)(int, handler))dlsym(RTLD_NEXT, "signal");
}

static handler real_signal(int sig, handler function)
{
    find_next();
    return next_signal(sig, function);
}

/* As glibc's: interrupted system calls go on, and the signal is blocked in its own handler. */
SINTER_EXPORT handler signal(int sig, handler function)
{
    struct sigaction action = {.sa_handler = function, .sa_flags = SA_RESTART}, old;
    if (!guard_signal_is_ours(sig) || function == SIG_ERR)
        return real_signal(sig, function);
    sigaddset(&action.sa_mask, sig);
    return guard_sigaction(sig, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}
