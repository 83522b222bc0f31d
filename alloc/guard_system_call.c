#include "guard_system_call.h"

#include "border.h"
#include "guard.h"
#include "guard_report.h"
#include "os.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static _Atomic uint64_t efaults;

uint64_t guard_efaults(void)
{
    return load_relaxed(&efaults);
}

/* False if there is no such memory. */
static bool read_program(void *to, const void *from, size_t size)
{
    struct iovec mine = {to, size}, program = {(void *)(uintptr_t)from, size};
    return os_syscall(SYS_process_vm_readv, os_process_id(), (long)&mine, 1, (long)&program, 1, 0) ==
           (long)size;
}

/* The first address of the buffer that cannot be read, if it lies on a border, and whose border it is; else 0. */
static uintptr_t find_border(uintptr_t start, size_t size, struct guard_slot *block)
{
    uintptr_t end = start + min_size(size, ~start);
    if (!border_large && !border_tail)
        return 0;
    for (uintptr_t at = start; at < end; at = align_down(at, PAGE_BYTES) + PAGE_BYTES) {
        char byte;
        if (!read_program(&byte, (const void *)at, sizeof(byte)))
            return border_find(at, block) ? at : 0;
    }
    return 0;
}

/* Returns whether it was this buffer. */
static bool look(const char *name, int fd, const void *buffer, size_t size)
{
    struct guard_slot bordered;
    uintptr_t address = guard_closed_in((uintptr_t)buffer, size);
    bool guarded = address != 0;
    if (!guarded)
        address = find_border((uintptr_t)buffer, size, &bordered);
    if (address == 0)
        return false;
    add_relaxed(&efaults, 1);
    struct guard_system_call call = {.fd = fd, .buffer = (uintptr_t)buffer, .size = size};
    guard_report_system_call(address, guarded ? guard_blame(address) : &bordered, &call, name);
    return true;
}

static bool look_in_vector(const char *name, int fd, const struct iovec *vector, size_t count)
{
    struct iovec part;
    if (look(name, fd, vector, min_size(count, UIO_MAXIOV) * sizeof(*vector)))
        return true;
    for (size_t i = 0; i < min_size(count, UIO_MAXIOV) && read_program(&part, &vector[i], sizeof(part));
         i++) {
        if (look(name, fd, part.iov_base, part.iov_len))
            return true;
    }
    return false;
}

void guard_look_at_buffer(const char *name, int fd, const void *buffer, size_t size)
{
    int saved = errno;
    look(name, fd, buffer, size);
    errno = saved;
}

void guard_look_at_vector(const char *name, int fd, const void *vector, size_t count)
{
    int saved = errno;
    look_in_vector(name, fd, vector, count);
    errno = saved;
}

void guard_look_at_message(const char *name, int fd, const void *message, size_t flags)
{
    int saved = errno;
    struct msghdr m;
    (void)flags;
    bool known = look(name, fd, message, sizeof(m)) || !read_program(&m, message, sizeof(m));
    if (!known && !look(name, fd, m.msg_name, m.msg_namelen) &&
        !look(name, fd, m.msg_control, m.msg_controllen))
        look_in_vector(name, fd, m.msg_iov, m.msg_iovlen);
    errno = saved;
}
