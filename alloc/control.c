#include "control.h"

#include "background.h"
#include "conf.h"
#include "control_file.h"
#include "os.h"
#include "stats.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    MAKE_AFTER_MS = 250, /* children that only call execve(2) are gone by then */
    LOOK_MS = 10,        /* between looks for a request, if nobody is known to ask */
    EXIT_MS = 200,       /* what the end of a process may take longer at most */
};

static struct {
    _Atomic(struct control_page *)
        page; /* stays mapped for good: others may be about to wake who sleeps on it */
    _Atomic long process;
    _Atomic unsigned state;  /* as control_stats() has it */
    _Atomic int leaving;     /* a futex: 1: the process ends, 2: the file is removed */
    bool lost;               /* the file was cut off */
    long filter;             /* system call filter at the start */
    uint64_t due, looked_at; /* ms */
    uint32_t taken, answered, sequence;
} control;

enum { NOT_SO_FAR, REACHABLE, NOT_AVAILABLE };

static long filter_mode(void)
{
    return os_syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0);
}

void control_init(void)
{
    control.filter = filter_mode();
    /* With more rights than its user's it takes no orders from him. */
    if (!conf_get(CONF_control) || getauxval(AT_SECURE))
        store_relaxed(&control.state, NOT_AVAILABLE);
}

static struct control_page *page(void)
{
    return atomic_load(&control.page);
}

bool control_is_here(void)
{
    return page() != NULL && load_relaxed(&control.process) == os_process_id();
}

unsigned control_stats(void)
{
    return load_relaxed(&control.state);
}

/* ---- making it ---- */

void control_thread_began(uint64_t now)
{
    control.due = now + MAKE_AFTER_MS;
}

static bool set_up(struct control_page *p)
{
    if (p == NULL)
        return false;
    p->layout = CONTROL_FORM;
    p->bytes = CONTROL_BYTES;
    p->process = (uint32_t)os_process_id();
    control.taken = control.answered = control.sequence = 0;
    atomic_thread_fence(memory_order_release);
    p->magic = CONTROL_MAGIC;
    return true;
}

static void make(void)
{
    struct control_page *p = NULL;
    /* A filter that has come since may forbid on pain of death what follows. */
    if (filter_mode() == control.filter && background_own_table())
        p = control_file_map();
    if (!set_up(p)) {
        store_relaxed(&control.state, NOT_AVAILABLE);
        return;
    }
    store_relaxed(&control.process, os_process_id());
    store_relaxed(&control.state, REACHABLE);
    atomic_store(&control.page, p);
}

int64_t control_make(uint64_t now)
{
    if (load_relaxed(&control.state) != NOT_SO_FAR)
        return CONTROL_MADE;
    if (now < control.due)
        return (int64_t)(control.due - now);
    make();
    return CONTROL_MADE;
}

/* ---- using it ---- */

/* False if the file is so short, which would be a SIGBUS. Where the kernel cannot say (before 5.14) it is not known. */
static bool has_memory(char *at, size_t size)
{
    long ret = os_syscall(SYS_madvise, (long)at, (long)size, MADV_POPULATE_WRITE, 0, 0, 0);
    return ret == 0 || ret == -EINVAL;
}

/* The page, if it may be touched. The user, and nobody else, can cut the file off: that ends it, not the process. */
static struct control_page *usable(void)
{
    struct control_page *p = page();
    if (p == NULL || control.lost)
        return NULL;
    control.lost = !has_memory((char *)p, CONTROL_WINDOW);
    if (!control.lost)
        return p;
    store_relaxed(&control.state, NOT_AVAILABLE);
    return NULL;
}

bool control_is_usable(void)
{
    return usable() != NULL;
}

bool control_take(struct control_request *request, uint64_t now, bool expected)
{
    struct control_page *p;
    uint32_t number;
    if (!expected && now < control.looked_at + LOOK_MS)
        return false;
    control.looked_at = now;
    if ((p = usable()) == NULL || (number = atomic_load(&p->request)) == control.answered)
        return false;
    control.taken = number;
    request->command = (enum control_command)p->command;
    request->argument = p->argument;
    memcpy(request->text, p->text, sizeof(request->text));
    request->text[sizeof(request->text) - 1] = '\0';
    return true;
}

char *control_window(size_t size)
{
    struct control_page *p = usable();
    if (p == NULL || size > CONTROL_BYTES - CONTROL_WINDOW)
        return NULL;
    char *window = (char *)p + CONTROL_WINDOW;
    return has_memory(window, size) ? window : NULL;
}

void control_answer(int result, size_t length)
{
    struct control_page *p = usable();
    control.answered = control.taken;
    if (p == NULL)
        return;
    p->result = result;
    p->length = (uint32_t)length;
    atomic_store(&p->answer, (int)control.taken);
    os_futex_wake_shared(&p->answer, INT32_MAX);
}

void control_report(bool classes)
{
    struct control_page *p = usable();
    struct stats_report report;
    if (p == NULL)
        return;
    stats_report(&report);
    if (classes)
        stats_add_classes(&report);
    size_t used = offsetof(struct stats_report, rows) + report.classes * sizeof(report.rows[0]);
    atomic_store(&p->sequence, ++control.sequence);
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(&p->report, &report, used);
    p->reported_at = os_now_ns();
    atomic_store(&p->sequence, ++control.sequence);
}

/* ---- sleeping, and waking ---- */

static bool has_request(const struct control_page *p)
{
    bool has = atomic_load(&p->request) != control.answered;
    if (has)
        control.looked_at = 0;
    return has;
}

bool control_sleep(_Atomic int *woken, int64_t ms)
{
    struct control_page *p = usable();
    if (p == NULL)
        return false;
    int bell = atomic_load(&p->bell);
    if (atomic_load(woken) == 0 && atomic_load(&control.leaving) != 1 && !has_request(p))
        os_futex_wait_shared(&p->bell, bell, ms);
    if (atomic_load(&control.leaving) == 1)
        control_remove();
    return true;
}

bool control_wake(void)
{
    if (!control_is_here())
        return false;
    bool there = os_futex_add_shared(&page()->bell) >= 0;
    if (!there)
        store_relaxed(&control.state, NOT_AVAILABLE);
    return there;
}

/* ---- the end ---- */

void control_remove(void)
{
    control_file_remove();
    atomic_store(&control.leaving, 2);
    os_futex_wake(&control.leaving, INT32_MAX);
}

/*
 * By the thread, for the others may run under a filter of system calls, as another user or in another root directory by now; what
 * they do here is a futex, as for any lock.
 */
void control_exiting(void)
{
    int before = 0;
    if (!control_is_here() || !atomic_compare_exchange_strong(&control.leaving, &before, 1) ||
        !control_wake())
        return;
    for (uint64_t end = os_now_ms() + EXIT_MS, now;
         (now = os_now_ms()) < end && atomic_load(&control.leaving) == 1;)
        os_futex_wait(&control.leaving, 1, (int64_t)(end - now));
}

void control_fork_child(void)
{
    atomic_store(&control.page, NULL);
    atomic_store(&control.leaving, 0);
    control.lost = false;
    if (load_relaxed(&control.state) == REACHABLE)
        store_relaxed(&control.state, NOT_SO_FAR);
}
