#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

static long sys_mmap(void *addr, size_t size, int prot, int flags)
{
    return os_syscall(SYS_mmap, (long)addr, (long)size, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool failed(long ret)
{
    return ret < 0 && ret > -4096;
}

void *os_reserve(void *hint, size_t size)
{
    long ret = sys_mmap(hint, size, PROT_NONE, MAP_NORESERVE);
    return failed(ret) ? NULL : (void *)ret;
}

long os_commit(void *addr, size_t size)
{
    return os_syscall(SYS_mprotect, (long)addr, (long)size, PROT_READ | PROT_WRITE, 0, 0, 0);
}

long os_decommit(void *addr, size_t size)
{
    long ret = sys_mmap(addr, size, PROT_NONE, MAP_NORESERVE | MAP_FIXED);
    return failed(ret) ? ret : 0;
}

static long map_at(void *addr, size_t size, int prot)
{
    long ret = sys_mmap(addr, size, prot, MAP_FIXED_NOREPLACE | MAP_NORESERVE);
    if (failed(ret))
        return ret;
    if ((void *)ret == addr)
        return 0;
    os_unmap((void *)ret, size); /* a kernel before 4.17 takes the address for a hint */
    return -EEXIST;
}

long os_map_at(void *addr, size_t size)
{
    return map_at(addr, size, PROT_READ | PROT_WRITE);
}

long os_reserve_at(void *addr, size_t size)
{
    return map_at(addr, size, PROT_NONE);
}

void os_unlock_pages(void *addr, size_t size)
{
    os_syscall(SYS_munlock, (long)addr, (long)size, 0, 0, 0, 0);
}

void *os_map(size_t size, size_t align)
{
    size_t room = align > PAGE_BYTES ? size + align - PAGE_BYTES : size;
    if (room < size)
        return NULL;
    long ret = sys_mmap(NULL, room, PROT_READ | PROT_WRITE, 0);
    if (failed(ret))
        return NULL;
    uintptr_t start = (uintptr_t)ret, first = align_up(start, align);
    if (first > start)
        os_unmap((void *)start, first - start);
    if (start + room > first + size)
        os_unmap((void *)(first + size), start + room - first - size);
    return (void *)first;
}

long os_map_over(void *addr, size_t size)
{
    long ret = sys_mmap(addr, size, PROT_READ | PROT_WRITE, MAP_FIXED);
    return failed(ret) ? ret : 0;
}

void os_unmap(void *addr, size_t size)
{
    os_syscall(SYS_munmap, (long)addr, (long)size, 0, 0, 0, 0);
}

void *os_remap(void *addr, size_t old_size, size_t new_size)
{
    long ret = os_syscall(SYS_mremap, (long)addr, (long)old_size, (long)new_size, MREMAP_MAYMOVE, 0, 0);
    return failed(ret) ? NULL : (void *)ret;
}

long os_remap_to(void *addr, size_t old_size, size_t new_size, void *to)
{
    long ret = os_syscall(SYS_mremap, (long)addr, (long)old_size, (long)new_size,
                          MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
    return failed(ret) ? ret : 0;
}

static bool advise(void *addr, size_t size, int advice)
{
    long ret;
    do
        ret = os_syscall(SYS_madvise, (long)addr, (long)size, advice, 0, 0, 0);
    while (ret == -EAGAIN || ret == -EINTR);
    return ret == 0;
}

bool os_purge(void *addr, size_t size)
{
    return advise(addr, size, MADV_DONTNEED);
}

bool os_drop(void *addr, size_t size)
{
    return advise(addr, size, MADV_DONTNEED_LOCKED) || os_purge(addr, size);
}

bool os_guard_install(void *addr, size_t size)
{
    return advise(addr, size, MADV_GUARD_INSTALL);
}

bool os_guard_remove(void *addr, size_t size)
{
    return advise(addr, size, MADV_GUARD_REMOVE);
}

bool os_protect(void *addr, size_t size)
{
    return os_syscall(SYS_mprotect, (long)addr, (long)size, PROT_NONE, 0, 0, 0) == 0;
}

bool os_populate(void *addr, size_t size)
{
    return os_syscall(SYS_madvise, (long)addr, (long)size, MADV_POPULATE_WRITE, 0, 0, 0) == 0;
}

void os_advise_huge(void *addr, size_t size)
{
    os_syscall(SYS_madvise, (long)addr, (long)size, MADV_HUGEPAGE, 0, 0, 0);
}

void os_advise_no_huge(void *addr, size_t size)
{
    os_syscall(SYS_madvise, (long)addr, (long)size, MADV_NOHUGEPAGE, 0, 0, 0);
}

static uint64_t clock_ns(long clock)
{
    struct timespec now;
    os_syscall(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t os_now_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t os_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t os_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t os_process_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

long os_process_id(void)
{
    return os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

long os_thread_id(void)
{
    return os_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static void futex_wait(_Atomic int *word, int operation, int value, int64_t ms)
{
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    os_syscall(SYS_futex, (long)word, operation, value, ms < 0 ? 0 : (long)&timeout, 0, 0);
}

void os_futex_wait(_Atomic int *word, int value, int64_t ms)
{
    futex_wait(word, FUTEX_WAIT_PRIVATE, value, ms);
}

void os_futex_wake(_Atomic int *word, int count)
{
    os_syscall(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, count, 0, 0, 0);
}

void os_futex_wait_shared(_Atomic int *word, int value, int64_t ms)
{
    futex_wait(word, FUTEX_WAIT, value, ms);
}

void os_futex_wake_shared(_Atomic int *word, int count)
{
    os_syscall(SYS_futex, (long)word, FUTEX_WAKE, count, 0, 0, 0);
}

long os_futex_add_shared(_Atomic int *word)
{
    long operation = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0);
    return os_syscall(SYS_futex, (long)word, FUTEX_WAKE_OP, 1, 0, (long)word, operation);
}

void os_sleep(int64_t ms)
{
    static _Atomic int never;
    os_futex_wait(&never, 0, ms);
}

bool os_own_descriptors(void)
{
    return os_syscall(SYS_close_range, 0, UINT32_MAX, CLOSE_RANGE_UNSHARE, 0, 0, 0) == 0;
}

bool os_own_descriptors_but(int fd)
{
    return os_syscall(SYS_close_range, 0, fd - 1, CLOSE_RANGE_UNSHARE, 0, 0, 0) == 0 &&
           os_syscall(SYS_close_range, fd + 1, UINT32_MAX, 0, 0, 0, 0) == 0 &&
           os_syscall(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) >= 0;
}

uint64_t os_block_signals(uint64_t set)
{
    uint64_t old = 0;
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&set, (long)&old, sizeof(set), 0, 0);
    return old;
}

void os_yield(void)
{
    os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

bool os_barrier_init(void)
{
    return os_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) == 0;
}

bool os_barrier(void)
{
    return os_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) == 0;
}

uint64_t os_random(void)
{
    uint64_t value = 0;
    if (os_syscall(SYS_getrandom, (long)&value, sizeof(value), GRND_NONBLOCK, 0, 0, 0) != sizeof(value)) {
        struct timespec now;
        os_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
        value = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)(uintptr_t)&value) * 0x9e3779b97f4a7c15u;
    }
    return value;
}

long os_write(int fd, const char *text, size_t size)
{
    while (size > 0) {
        long n = os_syscall(SYS_write, fd, (long)text, (long)size, 0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

long os_read_file(const char *path, char *buf, size_t size)
{
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return fd;
    size_t length = 0;
    while (length < size - 1) {
        long n = os_syscall(SYS_read, fd, (long)(buf + length), (long)(size - 1 - length), 0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    buf[length] = '\0';
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return (long)length;
}

bool os_address_space_limited(void)
{
    struct rlimit limit = {0};
    long ret = os_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);
    return ret == 0 && limit.rlim_cur != RLIM_INFINITY;
}

enum os_huge_pages os_huge_pages(void)
{
    char text[128]; /* such as "always [madvise] never" */
    if (os_read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) <= 0)
        return OS_HUGE_NEVER;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '[')
            return p[1] == 'a' ? OS_HUGE_ALWAYS : p[1] == 'm' ? OS_HUGE_ON_REQUEST : OS_HUGE_NEVER;
    }
    return OS_HUGE_NEVER;
}
