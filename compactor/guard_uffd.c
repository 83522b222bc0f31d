#include "guard_uffd.h"

#include "fmt.h"
#include "lock.h"
#include "os.h"
#include "uffd.h"

#include <fcntl.h>
#include <string.h>

enum { FD_LEAST = 500 };

static struct {
    struct lock lock;
    struct uffd uffd;
    long process; /* whose memory the descriptor means; 0: there is none */
    char *start;
    size_t size;
} covered = {.lock = LOCK_INITIALIZER(LOCK_GUARD_UFFD)};

/* Out of the way of programs that count on getting the lowest number. */
static void move_up(struct uffd *u)
{
    long fd = os_syscall(SYS_fcntl, u->fd, F_DUPFD_CLOEXEC, FD_LEAST, 0, 0, 0);
    if (fd < 0)
        return;
    os_syscall(SYS_close, u->fd, 0, 0, 0, 0, 0);
    u->fd = (int)fd;
}

/* A descriptor for all that is covered. What the last one had registered ended with it. */
static bool open_locked(void)
{
    covered.process = 0;
    if (uffd_open(&covered.uffd, UFFD_POISON) != UFFD_READY)
        return false;
    move_up(&covered.uffd);
    if (uffd_register_wp(&covered.uffd, covered.start, covered.size) != 0) {
        uffd_close(&covered.uffd);
        return false;
    }
    covered.process = os_process_id();
    return true;
}

/* Is what stands at the descriptor's number still a userfaultfd? The program may have closed it and opened a file. */
static bool stands_locked(void)
{
    static const char kind[] = "anon_inode:[userfaultfd]";
    char path[64], target[sizeof(kind)];
    struct fmt f;
    fmt_to_buffer(&f, path, sizeof(path));
    fmt_print(&f, "/proc/thread-self/fd/%d", covered.uffd.fd);
    long n = os_syscall(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target), 0, 0);
    return n == sizeof(kind) - 1 && memcmp(target, kind, sizeof(kind) - 1) == 0;
}

/* A child that was made without fork(3) still has its parent's. */
static bool is_ours_locked(void)
{
    return covered.process != 0 && covered.process == os_process_id();
}

bool guard_uffd_cover(void *addr, size_t size)
{
    lock_take(&covered.lock);
    covered.size = addr == covered.start ? max_size(size, covered.size) : size;
    covered.start = addr;
    bool ok = is_ours_locked() && uffd_register_wp(&covered.uffd, addr, covered.size) == 0;
    if (!ok)
        ok = open_locked();
    lock_give(&covered.lock);
    return ok;
}

size_t guard_uffd_poison(void *addr, size_t pages)
{
    lock_take(&covered.lock);
    size_t done = is_ours_locked() ? uffd_poison(&covered.uffd, addr, pages) : 0;
    if (done == 0 && !(is_ours_locked() && stands_locked()) && open_locked())
        done = uffd_poison(&covered.uffd, addr, pages);
    lock_give(&covered.lock);
    return done;
}

void guard_uffd_fork_prepare(void)
{
    lock_take(&covered.lock);
}

void guard_uffd_fork_parent(void)
{
    lock_give(&covered.lock);
}

void guard_uffd_fork_child(void)
{
    if (covered.process != 0 && stands_locked())
        uffd_close(&covered.uffd);
    covered.process = 0;
    lock_reset(&covered.lock);
}
