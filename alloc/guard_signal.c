#include "guard_signal.h"

#include "border.h"
#include "conf.h"
#include "guard.h"
#include "guard_pages.h"
#include "guard_report.h"
#include "os.h"

#include <dlfcn.h>
#include <errno.h>
#include <ucontext.h>

/*
 * The program's action for one signal, in two copies, of which `version`'s low bit names the one that counts: handlers read it
 * without waiting for anybody.
 */
struct action {
    _Atomic uint32_t version;
    struct sigaction copies[2];
};

static struct action for_segv, for_bus;
static _Atomic int changing; /* one thread at a time, all its signals blocked */
static _Atomic long
    process; /* whose handlers these are; a child made by vfork(2) has its own, but this memory */

static int (*next_sigaction)(int, const struct sigaction *, struct sigaction *);

/* Early: a signal handler may be the first to ask, and dlsym(3) is not for those. */
__attribute__((constructor(101))) static void find_next(void)
{
    if (next_sigaction == NULL)
        next_sigaction =
            (int (*)(int, const struct sigaction *, struct sigaction *))dlsym(RTLD_NEXT, "sigaction");
}

static int real_sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
    find_next();
    return next_sigaction(sig, action, old);
}

static struct action *action_of(int sig)
{
    return sig == SIGSEGV ? &for_segv : &for_bus;
}

static struct sigaction read_action(struct action *a)
{
    struct sigaction copy;
    uint32_t version;
    do {
        version = atomic_load(&a->version);
        copy = a->copies[version % 2];
        atomic_thread_fence(memory_order_acquire);
    } while (version != atomic_load(&a->version));
    return copy;
}

static void write_action(struct action *a, const struct sigaction *action)
{
    uint32_t version = atomic_load(&a->version);
    a->copies[(version + 1) % 2] = *action;
    atomic_store(&a->version, version + 1);
}

static bool is_function(const struct sigaction *a)
{
    return a->sa_flags & SA_SIGINFO || (a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN);
}

/* ---- a fault ---- */

static bool is_write(const ucontext_t *context)
{
#if defined(__x86_64__)
    enum { WRITE = 2 };
    return context->uc_mcontext.gregs[REG_ERR] & WRITE;
#else
    enum { ESR_MAGIC = 0x45535201, WRITE = 1 << 6 };
    const char *p = (const char *)context->uc_mcontext.__reserved,
               *end = p + sizeof(context->uc_mcontext.__reserved);
    for (
        const struct record {
            uint32_t magic, size;
            uint64_t esr;
        } *r = (const struct record *)p;
        p + sizeof(*r) <= end && r->size != 0; p += r->size, r = (const struct record *)p) {
        if (r->magic == ESR_MAGIC)
            return r->esr & WRITE;
    }
    return false;
#endif
}

static uintptr_t pc_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* The kernel's own action. What an instruction has raised comes again when the handler returns; the rest is sent again. */
static void pass_to_kernel(int sig, siginfo_t *info)
{
    struct sigaction none = {.sa_handler = SIG_DFL};
    real_sigaction(sig, &none, NULL);
    if (info->si_code <= 0)
        os_syscall(SYS_rt_tgsigqueueinfo, os_process_id(), os_thread_id(), sig, (long)info, 0, 0);
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    struct sigaction action = read_action(action_of(sig));
    if (!is_function(&action)) {
        if (action.sa_handler != SIG_IGN || info->si_code > 0)
            pass_to_kernel(sig, info);
        return;
    }
    if (action.sa_flags & (int)SA_RESETHAND) {
        struct sigaction none = {.sa_handler = SIG_DFL};
        guard_sigaction(sig, &none, NULL);
    }
    if (action.sa_flags & SA_SIGINFO)
        action.sa_sigaction(sig, info, context);
    else
        action.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    struct guard_slot block;
    bool guarded = info->si_code > 0 && guard_covers(address);
    bool border = info->si_code > 0 && !guarded && border_find(address, &block);
    bool ours = guarded || border;
    if (ours)
        guard_report_access(address, border ? &block : guard_blame(address), is_write(context),
                            pc_of(context));
    bool go_on = ours && conf_get(CONF_guard_misuse) == GUARD_REPORT &&
                 (border ? border_let(address) : guard_let(address));
    errno = saved;
    if (!go_on)
        pass_on(sig, info, context);
}

/* ---- the program's actions ---- */

/*
 * With the program's own mask and flags the kernel prepares everything as its handler expects it. Without a handler of its own, on
 * whichever stack there is for signals.
 */
static int install(int sig, const struct sigaction *program)
{
    struct sigaction mine = {.sa_flags = SA_ONSTACK | SA_NODEFER};
    if (is_function(program))
        mine = *program;
    mine.sa_sigaction = on_fault;
    mine.sa_flags = (mine.sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
    return real_sigaction(sig, &mine, NULL);
}

bool guard_signal_is_ours(int sig)
{
    return (sig == SIGSEGV || sig == SIGBUS) && load_relaxed(&process) != 0 &&
           load_relaxed(&process) == os_process_id();
}

int guard_sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
    if (!guard_signal_is_ours(sig))
        return real_sigaction(sig, action, old);
    int result = 0;
    struct sigaction wanted = action != NULL ? *action : (struct sigaction){0};
    uint64_t blocked = os_block_signals(~(uint64_t)0);
    while (atomic_exchange(&changing, 1) != 0)
        os_yield();
    struct sigaction before = read_action(action_of(sig));
    if (action != NULL) {
        write_action(action_of(sig), &wanted);
        result = install(sig, &wanted);
    }
    atomic_store(&changing, 0);
    os_block_signals(blocked);
    if (old != NULL)
        *old = before;
    return result;
}

static void step_in_front(int sig)
{
    struct sigaction program;
    if (real_sigaction(sig, NULL, &program) != 0)
        return;
    write_action(action_of(sig), &program);
    install(sig, &program);
}

void guard_signal_init(void)
{
    step_in_front(SIGSEGV);
    step_in_front(SIGBUS);
    atomic_store(&process, os_process_id());
}

void guard_signal_fork_child(void)
{
    atomic_store(&changing, 0);
    if (process != 0)
        atomic_store(&process, os_process_id());
}
