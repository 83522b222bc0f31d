#include "pressure.h"

#include "os.h"

#include <fcntl.h>

/* Microseconds in which some task waits, of so many. Windows of whole two seconds may be had by any user (Linux 6.4). */
static const char trigger[] = "some 150000 2000000";

long pressure_open(void)
{
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)"/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC,
                         0, 0, 0);
    if (fd < 0)
        return fd;
    long error = os_write((int)fd, trigger, sizeof(trigger));
    if (error == 0)
        return fd;
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return error;
}
