#include "fatal.h"

#include "fmt.h"
#include "os.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/*
 * Writes to the program's stderr. A thread of the library's own may have a descriptor table of its own, in which that is something
 * else: it borrows the one that the rest of the process has now, and keeps none, for whoever waits for its end.
 */
static void write_stderr(const char *line, size_t length)
{
    if (!fatal_in_own_thread()) {
        os_write(2, line, length);
        return;
    }
    long process = os_syscall(SYS_pidfd_open, os_process_id(), 0, 0, 0, 0, 0);
    long fd = process >= 0 ? os_syscall(SYS_pidfd_getfd, process, 2, 0, 0, 0, 0) : process;
    if (fd >= 0) {
        os_write((int)fd, line, length);
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    }
    if (process >= 0)
        os_syscall(SYS_close, process, 0, 0, 0, 0, 0);
}

/* abort(3) needs a thread that libc knows, and to have its signals. */
static _Noreturn void die(void)
{
    if (!fatal_in_own_thread())
        abort();
    os_syscall(SYS_kill, os_process_id(), SIGABRT, 0, 0, 0, 0);
    for (int tries = 0; tries < 100; tries++) /* the program's handler may be at work */
        os_sleep(10);
    os_syscall(SYS_exit_group, 128 + SIGABRT, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    char line[512];
    struct fmt f;
    fmt_to_buffer(&f, line, sizeof(line) - 1);
    fmt_print(&f, "sinter: ");
    fmt_vprint(&f, format, args);
    line[f.used++] = '\n';
    write_stderr(line, f.used);
}

void warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    die();
}

void fatal_assert(const char *what, const char *file, int line)
{
    const char *slash = strrchr(file, '/');
    fatal("internal error, or the allocator's tables were overwritten: %s does not hold (%s:%d)", what,
          slash != NULL ? slash + 1 : file, line);
}
