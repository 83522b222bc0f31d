/*
 * The kernel, without libc in between: none of these touches errno (free must preserve it) or thread-local
 * storage (the background thread has none). All return what the kernel returns: a value, or -errno.
 */
#ifndef SINTER_OS_H
#define SINTER_OS_H

#include "base.h"

#include <sys/syscall.h>

static inline long os_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "unsupported architecture"
#endif
}

/* Address space without access, at `hint` if that is free; NULL if there is none. */
void *os_reserve(void *hint, size_t size);

/* The same at exactly `addr`, which must be unused. 0 or -errno. */
long os_reserve_at(void *addr, size_t size);

/* As munlock(2). */
void os_unlock_pages(void *addr, size_t size);

/* Makes reserved memory readable and writable. */
long os_commit(void *addr, size_t size);

/* Takes access and memory away again: the addresses stay reserved. */
long os_decommit(void *addr, size_t size);

/* Maps readable, writable memory at exactly `addr`, which must be unused. */
long os_map_at(void *addr, size_t size);

/* Maps zeroed memory anywhere, with start aligned to `align` (a power of two, at least a page); NULL if none. */
void *os_map(size_t size, size_t align);

/* The same at exactly `addr`, in place of what is there. 0 or -errno. */
long os_map_over(void *addr, size_t size);

void os_unmap(void *addr, size_t size);

/* Grows or shrinks a mapping, which may move; NULL if the system has no room, and nothing has changed then. */
void *os_remap(void *addr, size_t old_size, size_t new_size);

/* The same to `to`, in place of what is there. 0 or -errno. */
long os_remap_to(void *addr, size_t old_size, size_t new_size, void *to);

/* Gives the physical memory back; the pages read as zeros afterwards. False if the kernel refused. */
bool os_purge(void *addr, size_t size);

/* The same where the pages may be locked: they stay so. Takes poison markers away as well. False if the kernel refused. */
bool os_drop(void *addr, size_t size);

/*
 * Guard pages without a mapping of their own (Linux 6.13): drops the pages, and any access raises SIGSEGV until the guards are
 * removed. False if the kernel refused.
 */
bool os_guard_install(void *addr, size_t size);
bool os_guard_remove(void *addr, size_t size);

/* Takes access away and leaves the memory. */
bool os_protect(void *addr, size_t size);

/* Puts memory behind it that is this process's alone. False if the kernel cannot. */
bool os_populate(void *addr, size_t size);

void os_advise_huge(void *addr, size_t size);
void os_advise_no_huge(void *addr, size_t size);

/* Milliseconds of the monotonic clock. */
uint64_t os_now_ms(void);

/* Nanoseconds of the monotonic clock, and of CPU time that the calling thread has used. */
uint64_t os_now_ns(void);
uint64_t os_thread_cpu_ns(void);

/* The same of all threads of the process. */
uint64_t os_process_cpu_ns(void);

long os_process_id(void);
long os_thread_id(void);

/* A clock that costs nothing to read: ticks of a constant rate that is not known. */
static inline uint64_t os_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

/* Sleeps while *word == value, at most `ms` milliseconds (-1: without limit). */
void os_futex_wait(_Atomic int *word, int value, int64_t ms);
void os_futex_wake(_Atomic int *word, int count);

/* The same on memory that other processes have mapped as well. */
void os_futex_wait_shared(_Atomic int *word, int value, int64_t ms);
void os_futex_wake_shared(_Atomic int *word, int count);

/*
 * Adds one to the word and wakes one that sleeps there, all of it in the kernel: where the memory has gone that is an error, not a
 * signal. How many were woken, or -errno.
 */
long os_futex_add_shared(_Atomic int *word);

/* Sets the calling thread's blocked signals, one bit a signal; returns those that were. */
uint64_t os_block_signals(uint64_t set);

/* Gives the calling thread, and those that it will start, an empty descriptor table of their own. False if there is none. */
bool os_own_descriptors(void);

/* The same, but one descriptor of the program's stays, with its number. False: the table is the program's still, or lacks it. */
bool os_own_descriptors_but(int fd);

void os_yield(void);

/* In a loop that waits without sleep. */
static inline void os_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

/* Sleeps for `ms` milliseconds. */
void os_sleep(int64_t ms);

/* A full memory barrier in every running thread of the process. False where the kernel does not offer it. */
bool os_barrier_init(void);
bool os_barrier(void);

/* 64 random bits, good enough to make addresses and reuse order hard to guess. */
uint64_t os_random(void);

/* Writes all of it, retrying what was interrupted. 0 or -errno. */
long os_write(int fd, const char *text, size_t size);

/* Reads a small file into `buf` with a terminating NUL. The length, or -errno. */
long os_read_file(const char *path, char *buf, size_t size);

/* Is there a limit on this process's address space? */
bool os_address_space_limited(void);

/* Whether the system makes memory huge pages: never, where a program asks for it, or wherever it can. */
enum os_huge_pages { OS_HUGE_NEVER, OS_HUGE_ON_REQUEST, OS_HUGE_ALWAYS };

enum os_huge_pages os_huge_pages(void);

#endif
