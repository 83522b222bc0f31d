#include "sigbus.h"

#include "os.h"
#include "own.h"
#include "poison.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- whose address it is ---- */

enum { UNUSED = 0, IN_MAKING = 1 };

/*
 * Handlers read these while others change them: they are never freed, and `start` says whether the others are those of one heap. A heap
 * whose object a thread touches does not end meanwhile.
 */
struct watched {
    struct watched *next;
    _Atomic uintptr_t start; /* of its windows */
    _Atomic size_t size;
    sinter_gc_heap *_Atomic heap;
};

static struct watched *_Atomic all;

static sinter_gc_heap *heap_at(const void *address)
{
    for (struct watched *w = atomic_load(&all); w != NULL; w = w->next) {
        uintptr_t start = atomic_load(&w->start);
        sinter_gc_heap *heap = atomic_load(&w->heap);
        bool inside = start > IN_MAKING && (uintptr_t)address - start < atomic_load(&w->size);
        if (inside && atomic_load(&w->start) == start)
            return heap;
    }
    return NULL;
}

static struct watched *new_place(void)
{
    struct watched *w;
    for (w = atomic_load(&all); w != NULL; w = w->next) {
        uintptr_t unused = UNUSED;
        if (atomic_compare_exchange_strong(&w->start, &unused, IN_MAKING))
            return w;
    }
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    atomic_store(&w->start, IN_MAKING);
    w->next = atomic_load(&all);
    while (!atomic_compare_exchange_weak(&all, &w->next, w))
        ;
    return w;
}

/* ---- whose signal it is ---- */

/* What the program had, or has put there since: to be passed on to. Never freed; each is there once. */
struct action {
    struct sigaction action;
    const struct action *older; /* what it had before; NULL: nothing */
    _Atomic bool spent;         /* of SA_RESETHAND */
};

static struct action *_Atomic newest;
static pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * A handler of the program's may in its turn call the one that it has replaced, which is ours. So that this ends, a signal that was
 * passed on has a mark, in the part of siginfo_t that the kernel leaves zero, and when it comes back is passed on to what is older.
 */
struct mark {
    const void *ours;
    const struct action *passed;
};

_Static_assert(sizeof(siginfo_t) == 128, "of which the kernel fills less than half");

static struct mark *mark_of(siginfo_t *info)
{
    return (struct mark *)((char *)info + sizeof(*info) - sizeof(struct mark));
}

/* Sent by somebody, rather than raised by what the thread did. */
static bool was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

/* What was raised comes again as soon as the handler returns. */
static void take_default(int signal, siginfo_t *info)
{
    static const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(signal, &by_default, NULL);
    if (was_sent(info))
        os_syscall(SYS_rt_tgsigqueueinfo, os_process_id(), os_thread_id(), signal, (long)info, 0, 0);
}

/* The signals that the kernel would have blocked for it, but for SIGBUS: it may touch what is on the move. */
static void block_for(const struct sigaction *action, const ucontext_t *context)
{
    uint64_t interrupted, wanted;
    memcpy(&interrupted, &context->uc_sigmask, sizeof(interrupted));
    memcpy(&wanted, &action->sa_mask, sizeof(wanted));
    os_block_signals((interrupted | wanted) & ~((uint64_t)1 << (SIGBUS - 1)));
}

static void call(const struct sigaction *action, int signal, siginfo_t *info, void *context)
{
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(signal, info, context);
    else
        action->sa_handler(signal);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
    struct mark *mark = mark_of(info);
    bool again = mark->ours == &newest;
    struct action *to = again ? (struct action *)mark->passed->older : atomic_load(&newest);
    *mark = (struct mark){&newest, to};
    bool any = to != NULL && to->action.sa_handler != SIG_DFL;
    if (any && to->action.sa_handler == SIG_IGN && was_sent(info))
        return;
    if (any && to->action.sa_flags & (int)SA_RESETHAND)
        any = !atomic_exchange(&to->spent, true);
    if (!any || to->action.sa_handler == SIG_IGN) { /* raised, it cannot be ignored */
        take_default(signal, info);
        return;
    }
    if (!again)
        block_for(&to->action, context);
    call(&to->action, signal, info, context);
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    sinter_gc_heap *heap = was_sent(info) ? NULL : heap_at(info->si_addr);
    if (heap != NULL)
        poison_check(heap, info->si_addr);
    bool served = heap != NULL && info->si_code == BUS_ADRERR && own_serve(heap, info->si_addr);
    errno = error;
    if (!served)
        pass_on(signal, info, context);
}

/* ---- being in front ---- */

static bool is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_sigbus;
}

/*
 * While it runs, handlers of other signals wait: they may touch what this one is about to bring. Those of errors cannot wait.
 * System calls that it interrupts start again if they would with the program's.
 */
static struct sigaction ours_before(const struct sigaction *theirs)
{
    static const int errors[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    struct sigaction ours = {.sa_sigaction = on_sigbus};
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (theirs->sa_flags & SA_RESTART);
    sigfillset(&ours.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        sigdelset(&ours.sa_mask, errors[i]);
    return ours;
}

static bool is_same(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags &&
           memcmp(&a->sa_mask, &b->sa_mask, sizeof(uint64_t)) == 0;
}

/* From now on it is the first to be passed on to; NULL if memory is exhausted. What has come in front of it since has gone. */
static struct action *note(const struct sigaction *theirs)
{
    struct action *a = atomic_load(&newest);
    while (a != NULL && !is_same(&a->action, theirs))
        a = (struct action *)a->older;
    if (a == NULL && (a = calloc(1, sizeof(*a))) != NULL) {
        a->action = *theirs;
        a->older = atomic_load(&newest);
    }
    if (a == NULL)
        return NULL;
    store_relaxed(&a->spent, false);
    atomic_store(&newest, a);
    return a;
}

void sigbus_keep(void)
{
    struct sigaction theirs, ours;
    pthread_mutex_lock(&change_lock);
    sigaction(SIGBUS, NULL, &theirs);
    if (!is_ours(&theirs) && note(&theirs) != NULL) {
        ours = ours_before(&theirs);
        sigaction(SIGBUS, &ours, NULL);
    }
    pthread_mutex_unlock(&change_lock);
}

bool sigbus_watch(sinter_gc_heap *heap)
{
    struct watched *w = new_place();
    if (w == NULL)
        return false;
    atomic_store(&w->heap, heap);
    atomic_store(&w->size, WINDOWS * heap->window_bytes);
    atomic_store(&w->start, (uintptr_t)heap->base);
    sigbus_keep();
    return true;
}

void sigbus_forget(const sinter_gc_heap *heap)
{
    for (struct watched *w = atomic_load(&all); w != NULL; w = w->next) {
        if (atomic_load(&w->start) > IN_MAKING && atomic_load(&w->heap) == heap)
            atomic_store(&w->start, UNUSED);
    }
}
