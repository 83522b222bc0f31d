#include "guard_report.h"

#include "conf.h"
#include "guard_print.h"
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* One report at a time. A second fault of the thread that is writing one must not wait for itself. */
static _Atomic long writer;

static void begin(void)
{
    long nobody = 0, me = os_thread_id();
    if (atomic_load(&writer) == me)
        abort();
    while (!atomic_compare_exchange_weak(&writer, &nobody, me)) {
        nobody = 0;
        os_sleep(1);
    }
}

static void end(void)
{
    atomic_store(&writer, 0);
}

static bool is_on;

void guard_report_init(void)
{
    if (!is_on)
        guard_stack_init();
    is_on = true;
}

bool guard_report_is_on(void)
{
    return is_on;
}

void guard_report_fork_child(void)
{
    end();
}

static void stop(void)
{
    if (conf_get(CONF_guard_misuse) == GUARD_ABORT)
        abort();
}

/* The file of the option, which several processes may share. */
static int open_file(void)
{
    const char *path = conf_text(CONF_guard_file);
    if (*path == '\0')
        return -1;
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600,
                           0, 0);
}

static void write_report(const struct guard_report *r)
{
    static char buffer[32 * 1024]; /* too large for a signal stack; whole reports, so that they do not mix */
    struct fmt f;
    int file = open_file();
    fmt_to_fd(&f, file >= 0 ? file : (int)conf_get(CONF_guard_fd), buffer, sizeof(buffer));
    if (conf_get(CONF_guard_report) == GUARD_JSON)
        guard_print_json(&f, r);
    else
        guard_print_text(&f, r);
    fmt_flush(&f);
    if (file >= 0)
        os_syscall(SYS_close, file, 0, 0, 0, 0, 0);
}

static void report(const struct guard_report *r)
{
    begin();
    write_report(r);
    end();
}

/* ---- what is said when ---- */

static enum guard_mistake mistake_of_access(const struct guard_report *r)
{
    if (r->slot == NULL)
        return GUARD_WILD;
    if (guard_is_freed(r->slot))
        return GUARD_AFTER_FREE;
    if (guard_outside(r) == 0)
        return GUARD_WILD;
    return r->address < r->slot->start ? GUARD_UNDERFLOW : GUARD_OVERFLOW;
}

void guard_report_access(uintptr_t address, const struct guard_slot *block, bool write, uintptr_t pc)
{
    struct guard_event here = {.ns = os_now_ns(), .thread = (uint32_t)os_thread_id()};
    struct guard_report r = {.act = write ? "write" : "read", .address = address, .here = &here};
    guard_stack_take_from(&here.stack, pc);
    r.slot = block;
    r.mistake = mistake_of_access(&r);
    report(&r);
}

static bool is_realloc(const char *call)
{
    return strncmp(call, "realloc", strlen("realloc")) == 0;
}

static enum guard_mistake mistake_of_bad_pointer(const struct guard_report *r)
{
    if (r->slot == NULL || r->address != r->slot->start)
        return GUARD_INVALID_FREE;
    if (strcmp(r->act, "malloc_usable_size") == 0)
        return GUARD_AFTER_FREE;
    return is_realloc(r->act) ? GUARD_REALLOC_AFTER_FREE : GUARD_DOUBLE_FREE;
}

void guard_report_bad_pointer(uintptr_t address, const struct guard_event *here, const char *call)
{
    struct guard_report r = {.act = call, .call = true, .address = address, .here = here};
    r.slot = guard_blame(address);
    r.mistake = mistake_of_bad_pointer(&r);
    report(&r);
    stop();
}

void guard_report_damage(const struct guard_slot *slot, uintptr_t address, const struct guard_event *here,
                         const char *call)
{
    struct guard_report r = {
        .mistake = address < slot->start ? GUARD_UNDERFLOW : GUARD_OVERFLOW,
        .act = call,
        .call = true,
        .found = true,
        .address = address,
        .slot = slot,
        .here = here,
    };
    report(&r);
    stop();
}

void guard_report_size(const struct guard_slot *slot, size_t size, const struct guard_event *here,
                       const char *call)
{
    struct guard_report r = {
        .mistake = GUARD_WRONG_SIZE,
        .act = call,
        .call = true,
        .size = size,
        .address = slot->start,
        .slot = slot,
        .here = here,
    };
    report(&r);
    stop();
}

void guard_report_system_call(uintptr_t address, const struct guard_slot *block,
                              const struct guard_system_call *call, const char *name)
{
    struct guard_event here;
    guard_event_now(&here);
    struct guard_report r = {
        .act = name, .call = true, .system_call = call, .address = address, .here = &here};
    r.slot = block;
    r.mistake = mistake_of_access(&r);
    report(&r);
    stop();
}

void guard_report_unguarded(enum guard_mistake mistake, uintptr_t address, const char *call, const char *text)
{
    int saved = errno;
    struct guard_event here;
    guard_event_now(&here);
    struct guard_report r = {
        .mistake = mistake, .act = call, .call = true, .text = text, .address = address, .here = &here};
    report(&r);
    stop();
    errno = saved;
}
