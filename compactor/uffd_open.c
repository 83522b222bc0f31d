/*
 * Opening: what the kernel and this user's rights allow.
 */
#include "os.h"
#include "uffd.h"
#include "uffd_abi.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

const char *uffd_lack_text(enum uffd_lack lack)
{
    static const char *const texts[] = {
        [UFFD_READY] = "ready",
        [UFFD_NO_CALL] = "the kernel has no userfaultfd",
        [UFFD_NOT_ALLOWED] = "userfaultfd is not allowed for this user: it takes CAP_SYS_PTRACE, access to "
                             "/dev/userfaultfd, or the sysctl vm.unprivileged_userfaultfd=1",
        [UFFD_NO_MOVE] = "the kernel cannot move pages: it takes Linux 6.8",
        [UFFD_NO_WATCH] = "the kernel does not tell which pages were written to: it takes Linux 6.7",
        [UFFD_NO_POISON] = "the kernel cannot poison pages: it takes Linux 6.6",
        [UFFD_BAD_KERNEL] =
            "the kernel may lose pages that it moves while swap is in use: it takes Linux 6.12.37, "
            "6.15.6 or 6.16, or no swap",
        [UFFD_NO_PAGEMAP] = "the kernel does not tell which pages there are (/proc/thread-self/pagemap)",
        [UFFD_CHANGED_USER] =
            "a process that has changed its user id (or is not dumpable for another reason) may not read "
            "its pagemap: start it as the user that it is to run as",
        [UFFD_NO_TABLE] =
            "there is no descriptor table apart from the program's: it takes Linux 5.9, and that "
            "close_range(2) is not filtered",
        [UFFD_NO_SIGBUS] = "the kernel cannot leave faults to the threads that have them",
        [UFFD_NO_RESOURCES] = "out of descriptors or memory",
    };
    return texts[lack];
}

static enum uffd_lack lack_of(long error)
{
    switch (-error) {
    case ENOSYS:
    case EINVAL:
        return UFFD_NO_CALL;
    case EPERM:
    case EACCES:
        return UFFD_NOT_ALLOWED;
    default:
        return UFFD_NO_RESOURCES;
    }
}

static long open_file(const char *path, int flags)
{
    return os_syscall(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0, 0);
}

static void close_file(int fd)
{
    if (fd >= 0)
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static long open_by_device(void)
{
    long device = open_file("/dev/userfaultfd", O_RDWR);
    if (device < 0)
        return device;
    long fd = os_syscall(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK, 0, 0, 0);
    close_file((int)device);
    return fd;
}

long uffd_open_by(enum uffd_way way)
{
    enum { USER_MODE_ONLY = 1 };
    int mode = way == UFFD_CALL_USER_MODE ? USER_MODE_ONLY : 0;
    if (way == UFFD_DEVICE)
        return open_by_device();
    return os_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | mode, 0, 0, 0, 0, 0);
}

static long new_descriptor(struct uffd *u, int wishes)
{
    long fd = uffd_open_by(UFFD_DEVICE);
    if (fd < 0)
        fd = uffd_open_by(UFFD_CALL);
    if (fd != -EPERM || !(wishes & (UFFD_USER_MODE | UFFD_POISON)))
        return fd;
    u->user_mode = true;
    return uffd_open_by(UFFD_CALL_USER_MODE);
}

/* `features`: those wanted; afterwards those that the kernel has. */
static long handshake(const struct uffd *u, uint64_t *features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = *features};
    long ret = os_syscall(SYS_ioctl, u->fd, (long)UFFDIO_API, (long)&api, 0, 0, 0);
    *features = api.features;
    return ret;
}

/* A descriptor answers once which features there are or takes a choice of them: asking takes one of its own. */
static long ask_features(uint64_t *features, int wishes)
{
    struct uffd probe = {0};
    probe.fd = (int)new_descriptor(&probe, wishes);
    if (probe.fd < 0)
        return probe.fd;
    *features = 0;
    long ret = handshake(&probe, features);
    close_file(probe.fd);
    return ret;
}

static long choose_features(struct uffd *u, uint64_t wanted)
{
    uint64_t features = u->features = wanted;
    long ret = handshake(u, &features);
    if (ret == -EPERM && wanted & UFFD_FEATURE_EVENT_FORK) /* no CAP_SYS_PTRACE */
        return choose_features(u, wanted & ~(uint64_t)UFFD_FEATURE_EVENT_FORK);
    return ret;
}

bool uffd_bad_release(const char *release)
{
    unsigned version[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(version); i++) {
        while (*release >= '0' && *release <= '9')
            version[i] = version[i] * 10 + (unsigned)(*release++ - '0');
        if (*release++ != '.')
            break;
    }
    if (version[0] != 6)
        return version[0] < 6;
    if (version[1] == 12)
        return version[2] < 37;
    return version[1] == 15 ? version[2] < 6 : version[1] < 16;
}

static bool swap_in_use(void)
{
    char text[4096];
    if (os_read_file("/proc/meminfo", text, sizeof(text)) <= 0)
        return true;
    const char *p = strstr(text, "SwapTotal:");
    if (p == NULL)
        return true;
    for (p += strlen("SwapTotal:"); *p == ' '; p++)
        ;
    return *p != '0';
}

/*
 * Until "mm: userfaultfd: fix race of userfaultfd_move and swap cache" a page that is being swapped could be moved
 * without its contents.
 */
static bool bad_kernel(void)
{
    struct utsname name;
    return os_syscall(SYS_uname, (long)&name, 0, 0, 0, 0, 0) != 0 ||
           (uffd_bad_release(name.release) && swap_in_use());
}

static enum uffd_lack lack_of_pagemap(long error)
{
    switch (-error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return UFFD_NO_RESOURCES;
    case EACCES:
        return UFFD_CHANGED_USER;
    default:
        return UFFD_NO_PAGEMAP;
    }
}

/* By way of the thread: the main thread may have exited. */
enum uffd_lack uffd_open_pagemap(struct uffd *u)
{
    long fd = open_file("/proc/thread-self/pagemap", O_RDONLY);
    if (fd < 0)
        return lack_of_pagemap(fd);
    u->pagemap = (int)fd;
    uint8_t present;
    const void *page = (const void *)align_down((uintptr_t)u, PAGE_BYTES);
    return uffd_present(u, page, 1, &present) && present ? UFFD_READY : UFFD_NO_PAGEMAP;
}

static uint64_t wanted_features(int wishes)
{
    if (wishes & UFFD_WRITES)
        return UFFD_FEATURE_WP_ASYNC;
    if (wishes & UFFD_POISON)
        return UFFD_FEATURE_POISON;
    uint64_t forks = wishes & UFFD_FORKS ? UFFD_FEATURE_EVENT_FORK : 0;
    uint64_t signals = wishes & UFFD_SIGBUS ? UFFD_FEATURE_SIGBUS : 0;
    return UFFD_FEATURE_MOVE | UFFD_FEATURE_POISON | UFFD_FEATURE_THREAD_ID | forks | signals;
}

static enum uffd_lack lack_of_features(uint64_t features, int wishes)
{
    if (wishes & UFFD_WRITES)
        return features & UFFD_FEATURE_WP_ASYNC ? UFFD_READY : UFFD_NO_WATCH;
    if (wishes & UFFD_POISON)
        return features & UFFD_FEATURE_POISON ? UFFD_READY : UFFD_NO_POISON;
    if (!(features & UFFD_FEATURE_MOVE))
        return UFFD_NO_MOVE;
    if (wishes & UFFD_SIGBUS && !(features & UFFD_FEATURE_SIGBUS))
        return UFFD_NO_SIGBUS;
    return bad_kernel() ? UFFD_BAD_KERNEL : UFFD_READY;
}

static enum uffd_lack open_all(struct uffd *u, int wishes)
{
    uint64_t features, wanted = wanted_features(wishes);
    long ret = ask_features(&features, wishes);
    if (ret < 0)
        return lack_of(ret);
    enum uffd_lack lack = lack_of_features(features, wishes);
    if (lack != UFFD_READY)
        return lack;
    u->fd = (int)new_descriptor(u, wishes);
    if (u->fd < 0)
        return lack_of(u->fd);
    ret = choose_features(u, features & wanted);
    if (ret < 0)
        return lack_of(ret);
    return wishes & (UFFD_POISON | UFFD_SIGBUS) ? UFFD_READY : uffd_open_pagemap(u);
}

enum uffd_lack uffd_open(struct uffd *u, int wishes)
{
    *u = (struct uffd){.fd = -1, .pagemap = -1, .quiet = wishes & UFFD_POISON};
    enum uffd_lack lack = open_all(u, wishes);
    if (lack != UFFD_READY)
        uffd_close(u);
    return lack;
}

void uffd_close(struct uffd *u)
{
    close_file(u->fd);
    close_file(u->pagemap);
    u->fd = u->pagemap = -1;
}

bool uffd_reports_forks(const struct uffd *u)
{
    return u->features & UFFD_FEATURE_EVENT_FORK;
}
