/*
 * The calls by which programs hand their buffers to the kernel, for guard mode: a fault of the kernel's on a guarded page raises no
 * signal but makes the call answer EFAULT. They go on to the next ones in the process; looking costs something only if that answer came.
 *
 * They are defined by their symbols' names, since the headers may make others of them (_FORTIFY_SOURCE, _FILE_OFFSET_BITS).
 */
#include "base.h"
#include "border.h"
#include "guard.h"
#include "guard_system_call.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * X(name, (parameters), (arguments)), what is looked at being the first three: of the first group a buffer, of the second a
 * vector of them. __read_chk and so on are what programs call that are built with _FORTIFY_SOURCE.
 */
#define BUFFER_CALLS(X)                                                                                      \
    X(read, (int fd, void *p, size_t n), (fd, p, n))                                                         \
    X(write, (int fd, void *p, size_t n), (fd, p, n))                                                        \
    X(pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))                                          \
    X(pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))                                        \
    X(pwrite, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))                                         \
    X(pwrite64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))                                       \
    X(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))                                       \
    X(send, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))                                       \
    X(recvfrom, (int fd, void *p, size_t n, int flags, void *from, void *size),                              \
      (fd, p, n, flags, from, size))                                                                         \
    X(sendto, (int fd, void *p, size_t n, int flags, void *to, socklen_t size), (fd, p, n, flags, to, size)) \
    X(__read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room))                                \
    X(__pread_chk, (int fd, void *p, size_t n, off_t at, size_t room), (fd, p, n, at, room))                 \
    X(__pread64_chk, (int fd, void *p, size_t n, off_t at, size_t room), (fd, p, n, at, room))               \
    X(__recv_chk, (int fd, void *p, size_t n, size_t room, int flags), (fd, p, n, room, flags))              \
    X(__recvfrom_chk, (int fd, void *p, size_t n, size_t room, int flags, void *from, void *size),           \
      (fd, p, n, room, flags, from, size))

#define VECTOR_CALLS(X)                                                                                      \
    X(readv, (int fd, void *p, int n), (fd, p, n))                                                           \
    X(writev, (int fd, void *p, int n), (fd, p, n))                                                          \
    X(preadv, (int fd, void *p, int n, off_t at), (fd, p, n, at))                                            \
    X(preadv64, (int fd, void *p, int n, off_t at), (fd, p, n, at))                                          \
    X(pwritev, (int fd, void *p, int n, off_t at), (fd, p, n, at))                                           \
    X(pwritev64, (int fd, void *p, int n, off_t at), (fd, p, n, at))

#define MESSAGE_CALLS(X)                                                                                     \
    X(recvmsg, (int fd, void *p, int n), (fd, p, n))                                                         \
    X(sendmsg, (int fd, void *p, int n), (fd, p, n))

#define ALL_CALLS(X) BUFFER_CALLS(X) VECTOR_CALLS(X) MESSAGE_CALLS(X)

#define X(name, parameters, arguments) static ssize_t(*next_##name) parameters;
ALL_CALLS(X)
#undef X

/* Early: a signal handler may be the first to call one, and dlsym(3) is not for those. */
__attribute__((constructor(101))) static COLD void find_next(void)
{
#define X(name, parameters, arguments) next_##name = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);
    ALL_CALLS(X)
#undef X
}

/* Are there pages that this library has closed? */
static inline bool may_be_closed(void)
{
    return guard_rate != 0 || border_large || border_tail;
}

#define CALL(name, parameters, arguments, look)                                                              \
    SINTER_EXPORT ssize_t call_##name parameters __asm__(#name);                                             \
    ssize_t call_##name parameters                                                                           \
    {                                                                                                        \
        if (unlikely(next_##name == NULL))                                                                   \
            find_next();                                                                                     \
        ssize_t result = next_##name arguments;                                                              \
        if (unlikely(result < 0 && errno == EFAULT && may_be_closed()))                                      \
            look(#name, fd, p, (size_t)n);                                                                   \
        return result;                                                                                       \
    }

#define X(name, parameters, arguments) CALL(name, parameters, arguments, guard_look_at_buffer)
BUFFER_CALLS(X)
#undef X
#define X(name, parameters, arguments) CALL(name, parameters, arguments, guard_look_at_vector)
VECTOR_CALLS(X)
#undef X
#define X(name, parameters, arguments) CALL(name, parameters, arguments, guard_look_at_message)
MESSAGE_CALLS(X)
#undef X
