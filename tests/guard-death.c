/*
 * Memory errors and what guard mode says to each, with every way of guarding pages. Each case runs in a process of its own (this
 * program again, preloaded like it), which must die of the signal that belongs to it with exactly the report expected.
 *
 * A report is compared in a short form: B stands for the address of the block, other addresses are given from there or left
 * out; threads and ages are left out; a stack is the names of this program's functions up to main, with libc's frames on
 * top as "libc".
 */
#include "sinter/malloc.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* C++'s, by their names in C. */
void *operator_new(size_t) __asm__("_Znwm");
void operator_delete_sized(void *, size_t) __asm__("_ZdlPvm");

__attribute__((weak)) void free_sized(void *, size_t);
__attribute__((weak)) int sinter_stats_get(struct sinter_stats *);

/* A function that shows in stacks: not static, so that dladdr() knows its name, and neither inlined nor a tail call. */
#define SHOWN(type, name, ...)                                                                               \
    type name(__VA_ARGS__);                                                                                  \
    __attribute__((noinline)) type name(__VA_ARGS__)
#define NOT_LAST __asm__ volatile("")

/* Hides from the compiler what a pointer is. */
static char *hidden(const void *p)
{
    void *volatile v = (void *)(uintptr_t)p;
    return v;
}

/* Tells the parent the address of the block. */
static void tell(const char *p)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%p\n", (const void *)p); /* which allocates nothing */
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(99);
}

SHOWN(char *, make, size_t size)
{
    char *p = malloc(size);
    tell(p);
    return hidden(p);
}

SHOWN(void, put, char *p)
{
    *(volatile char *)p = 1;
    NOT_LAST;
}

SHOWN(void, get, const char *p)
{
    (void)*(const volatile char *)p;
    NOT_LAST;
}

SHOWN(void, release, void *p)
{
    free(p);
    NOT_LAST;
}

/* ---- the mistakes ---- */

SHOWN(void, overflow_write, void)
{
    put(make(64) + 64);
    NOT_LAST;
}

SHOWN(void, overflow_read, void)
{
    get(make(64) + 64);
    NOT_LAST;
}

SHOWN(void, overflow_page, void)
{
    put(make(64) + 64 + 4096);
    NOT_LAST;
}

SHOWN(void, overflow_large, void)
{
    put(make(100 * 1024) + 100 * 1024);
    NOT_LAST;
}

SHOWN(void, overflow_memcpy, void)
{
    static const char text[100] = "text";
    memcpy(make(64), text, *hidden("d"));
    NOT_LAST;
}

SHOWN(void, overflow_padding, void)
{
    char *p = make(13);
    put(p + 13);
    release(p);
    NOT_LAST;
}

SHOWN(void, underflow_write, void)
{
    put(make(64) - 1);
    NOT_LAST;
}

SHOWN(void, underflow_read, void)
{
    get(make(64) - 8);
    NOT_LAST;
}

SHOWN(void, underflow_damage, void)
{
    char *p = make(64);
    put(p - 3);
    release(p);
    NOT_LAST;
}

SHOWN(void, write_after_free, void)
{
    char *p = make(64);
    release(p);
    put(p + 5);
    NOT_LAST;
}

SHOWN(void, read_after_free, void)
{
    char *p = make(64);
    release(p);
    get(p);
    NOT_LAST;
}

SHOWN(void, read_after_free_large, void)
{
    char *p = make(300 * 1024);
    release(p);
    get(p + 200 * 1024);
    NOT_LAST;
}

/* ---- the kernel's accesses: descriptors have fixed numbers, which reports show ---- */

enum { PIPE_OUT = 5, PIPE_IN, SOCKET_OUT, SOCKET_IN, FILE_FD };

static void open_descriptors(void)
{
    static const char data[64] = "data";
    int fds[2];
    if (pipe(fds) || dup2(fds[1], PIPE_IN) < 0 || dup2(fds[0], PIPE_OUT) < 0 ||
        socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) || dup2(fds[1], SOCKET_IN) < 0 ||
        dup2(fds[0], SOCKET_OUT) < 0 || dup2(memfd_create("data", 0), FILE_FD) < 0 ||
        pwrite(FILE_FD, data, sizeof data, 0) != sizeof data || write(PIPE_IN, data, 64) != 64 ||
        write(PIPE_IN, data, 64) != 64)
        _exit(99);
}

/* What the call answers, and on standard error. */
static void answer(ssize_t result)
{
    int error = errno;
    if (result != -1 || error != EFAULT)
        dprintf(STDERR_FILENO, "the call: %zd, %s\n", result, strerror(error));
}

SHOWN(void, write_call_after_free, void)
{
    char *p = make(64);
    open_descriptors();
    release(p);
    answer(write(PIPE_IN, p, 64));
}

SHOWN(void, read_call_beyond, void)
{
    char *p = make(64);
    open_descriptors();
    answer(read(PIPE_OUT, p, 100));
}

SHOWN(void, vector_call_after_free, void)
{
    char *p = make(64), here[8] = "here";
    open_descriptors();
    release(p);
    struct iovec vector[] = {{here, sizeof here}, {p + 8, 16}};
    answer(writev(SOCKET_IN, vector, 2));
}

/* The vector itself has been freed: it must not be read. */
SHOWN(void, vector_after_free, void)
{
    char *p = make(64);
    open_descriptors();
    release(p);
    answer(readv(PIPE_OUT, (struct iovec *)p, 4));
}

ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, void *, void *);

/* Each call that is looked at; with guard_misuse:report. */
SHOWN(void, every_call, void)
{
    char *p = make(64);
    struct iovec vector = {p, 64};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    open_descriptors();
    for (int datagram = 0; datagram < 5; datagram++) { /* a refused one is gone */
        if (send(SOCKET_IN, p, 64, 0) != 64)
            _exit(99);
    }
    release(p);
    answer(read(PIPE_OUT, p, 64));
    answer(write(PIPE_IN, p, 64));
    answer(pread(FILE_FD, p, 64, 0));
    answer(pread64(FILE_FD, p, 64, 0));
    answer(pwrite(FILE_FD, p, 64, 0));
    answer(pwrite64(FILE_FD, p, 64, 0));
    answer(recv(SOCKET_OUT, p, 64, 0));
    answer(send(SOCKET_IN, p, 64, 0));
    answer(recvfrom(SOCKET_OUT, p, 64, 0, NULL, NULL));
    answer(sendto(SOCKET_IN, p, 64, 0, NULL, 0));
    answer(__read_chk(PIPE_OUT, p, 64, 64));
    answer(__pread_chk(FILE_FD, p, 64, 0, 64));
    answer(__pread64_chk(FILE_FD, p, 64, 0, 64));
    answer(__recv_chk(SOCKET_OUT, p, 64, 64, 0));
    answer(__recvfrom_chk(SOCKET_OUT, p, 64, 64, 0, NULL, NULL));
    answer(readv(PIPE_OUT, &vector, 1));
    answer(writev(PIPE_IN, &vector, 1));
    answer(preadv(FILE_FD, &vector, 1, 0));
    answer(preadv64(FILE_FD, &vector, 1, 0));
    answer(pwritev(FILE_FD, &vector, 1, 0));
    answer(pwritev64(FILE_FD, &vector, 1, 0));
    answer(recvmsg(SOCKET_OUT, &message, 0));
    answer(sendmsg(SOCKET_IN, &message, 0));
    struct sinter_stats stats = {.size = sizeof stats};
    sinter_stats_get(&stats);
    dprintf(STDERR_FILENO, "%d counted\n", (int)stats.guard_efaults);
}

/* EFAULT that has nothing to do with a guarded block, and calls that succeed. */
SHOWN(void, calls_elsewhere, void)
{
    char *p = make(64);
    struct iovec vector[] = {{p, 32}, {hidden(NULL), 8}};
    open_descriptors();
    answer(read(PIPE_OUT, hidden(NULL), 64));
    answer(writev(PIPE_IN, (struct iovec *)hidden((void *)8), 2));
    answer(preadv(FILE_FD, vector + 1, 1, 0));
    answer(sendmsg(SOCKET_IN, (struct msghdr *)hidden((void *)8), 0));
    if (write(PIPE_IN, p, 64) != 64 || pread(FILE_FD, p, 64, 0) != 64 ||
        pwritev(FILE_FD, vector, 1, 0) != 32 || send(SOCKET_IN, p, 64, 0) != 64 ||
        recv(SOCKET_OUT, p, 64, 0) != 64)
        _exit(98);
    free(p);
}

/* A thread that waits in such a call can be cancelled there. */
static void *wait_in_read(void *unused)
{
    char here[200];
    (void)unused;
    answer(read(SOCKET_OUT, here, sizeof here));
    return NULL;
}

SHOWN(void, call_cancelled, void)
{
    pthread_t thread;
    void *result;
    open_descriptors();
    if (pthread_create(&thread, NULL, wait_in_read, NULL) || usleep(10000) || pthread_cancel(thread) ||
        pthread_join(thread, &result) || result != PTHREAD_CANCELED)
        _exit(98);
}

SHOWN(void, double_free, void)
{
    char *p = make(64);
    release(p);
    release(p);
    NOT_LAST;
}

SHOWN(void, realloc_after_free, void)
{
    char *p = make(64);
    release(p);
    hidden(realloc(p, 100));
    NOT_LAST;
}

SHOWN(void, free_interior, void)
{
    release(make(64) + 16);
    NOT_LAST;
}

SHOWN(void, free_stack, void)
{
    _Alignas(64) char block[64];
    release(hidden(block));
    NOT_LAST;
}

SHOWN(void, free_static, void)
{
    static _Alignas(64) char block[64];
    release(hidden(block));
    NOT_LAST;
}

SHOWN(void, free_foreign, void)
{
    release(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    NOT_LAST;
}

/* Too large to be guarded: the allocator's own check, in the words of guard mode. */
SHOWN(void, double_free_unguarded, void)
{
    char *p = make(4 << 20);
    release(p);
    release(p);
    NOT_LAST;
}

SHOWN(void, wrong_size, void)
{
    free_sized(make(64), 32);
    NOT_LAST;
}

SHOWN(void, wrong_size_of_delete, void)
{
    char *p = hidden(operator_new(64));
    tell(p);
    operator_delete_sized(p, 32);
    NOT_LAST;
}

SHOWN(void, right_size, void)
{
    free_sized(make(64), 64);
    free_sized(make(0), 0);
    free_sized(NULL, 12);
}

/* ---- a server with a mistake that is made once in 10 000 requests, found by sampling ---- */

struct request {
    char text[100];
};

SHOWN(struct request *, take_request, long number)
{
    struct request *r = malloc(sizeof *r);
    snprintf(r->text, sizeof r->text, "%ld", number);
    return r;
}

SHOWN(void, drop_request, struct request *r)
{
    free(r);
    NOT_LAST;
}

SHOWN(void, serve, long number)
{
    struct request *r = take_request(number);
    char *answer = hidden(malloc((size_t)number % 700 + 1));
    *answer = *r->text;
    drop_request(r);
    if (number % 10000 == 7777)
        put(hidden(&r->text[8]));
    free(answer);
}

/*
 * One in 1 000 allocations is guarded, whatever the others were (and, here, however little time is between them), so each round of 10 000 requests finds it with that chance: after
 * 1 000 rounds on average, and with one of less than 3e-10 not within these.
 */
SHOWN(void, server, void)
{
    enum { ROUNDS = 22000 };
    for (long number = 0; number < ROUNDS * 10000L; number++)
        serve(number);
}

/* Its own handler gets what has been reported, and what is not guard mode's. */
static char *expected_at;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    bool at = info->si_addr == expected_at;
    dprintf(STDERR_FILENO, "handler: %s at %s\n", sig == SIGBUS ? "SIGBUS" : "SIGSEGV", at ? "it" : "?");
    signal(sig, SIG_DFL);
}

SHOWN(void, handled_after_report, void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    char *p = make(64);
    release(p);
    expected_at = p + 5;
    put(p + 5);
    NOT_LAST;
}

/* With guard_misuse:report, all in one life. */
SHOWN(void, goes_on, void)
{
    char *p = make(64);
    release(p);
    put(p + 5);
    put(p + 6);
    release(p);
    char *q = realloc(p, 100);
    put(q + 99);
    free(q);
}

SHOWN(void, nothing, void)
{
    for (size_t size = 0; size < 3 << 20; size += size / 8 + 1) {
        char *p = make(size);
        memset(p, 1, size);
        p = realloc(p, size / 2 + 7);
        memset(p, 2, size / 2 + 7);
        free(p);
    }
}

/* ---- what must be said ---- */

enum { FAULT = -1 }; /* the signal that the way of guarding raises */

#define EVERY(call)                                                                                          \
    "use after free by a system call: " call ", B, 64): EFAULT at B, byte 0 of the 64-byte block at B"       \
    " | by every_call | allocated by make every_call | freed by release every_call | "

static const struct death {
    const char *name;
    const char *conf;
    void (*mistake)(void);
    int signal;
    const char *report;
} cases[] = {
    {"overflow-write", "guard_place:end", overflow_write, FAULT,
     "heap overflow: write at B+64, 1 byte beyond the 64-byte block at B"
     " | by put overflow_write | allocated by make overflow_write"},
    {"overflow-read", "guard_place:end", overflow_read, FAULT,
     "heap overflow: read at B+64, 1 byte beyond the 64-byte block at B"
     " | by get overflow_read | allocated by make overflow_read"},
    {"overflow-page", "guard_place:end", overflow_page, FAULT,
     "heap overflow: write at B+4160, 4097 bytes beyond the 64-byte block at B"
     " | by put overflow_page | allocated by make overflow_page"},
    {"overflow-large", "guard_place:end", overflow_large, FAULT,
     "heap overflow: write at B+102400, 1 byte beyond the 102400-byte block at B"
     " | by put overflow_large | allocated by make overflow_large"},
    {"overflow-memcpy", "guard_place:end", overflow_memcpy, FAULT,
     "heap overflow: write at B+64, 1 byte beyond the 64-byte block at B"
     " | by libc overflow_memcpy | allocated by make overflow_memcpy"},
    {"overflow-padding", "guard_place:end", overflow_padding, SIGABRT,
     "heap overflow: found by free(): byte at B+13 is overwritten, 1 byte beyond the 13-byte block at B"
     " | by release overflow_padding | allocated by make overflow_padding"},
    {"overflow-at-start", "guard_place:start", overflow_padding, SIGABRT,
     "heap overflow: found by free(): byte at B+13 is overwritten, 1 byte beyond the 13-byte block at B"
     " | by release overflow_padding | allocated by make overflow_padding"},
    {"underflow-write", "guard_place:start", underflow_write, FAULT,
     "heap underflow: write at B-1, 1 byte before the 64-byte block at B"
     " | by put underflow_write | allocated by make underflow_write"},
    {"underflow-read", "guard_place:start", underflow_read, FAULT,
     "heap underflow: read at B-8, 8 bytes before the 64-byte block at B"
     " | by get underflow_read | allocated by make underflow_read"},
    {"underflow-damage", "guard_place:end", underflow_damage, SIGABRT,
     "heap underflow: found by free(): byte at B-3 is overwritten, 3 bytes before the 64-byte block at B"
     " | by release underflow_damage | allocated by make underflow_damage"},
    {"write-after-free", "", write_after_free, FAULT,
     "use after free: write at B+5, byte 5 of the 64-byte block at B"
     " | by put write_after_free | allocated by make write_after_free | freed by release write_after_free"},
    {"read-after-free", "", read_after_free, FAULT,
     "use after free: read at B, byte 0 of the 64-byte block at B"
     " | by get read_after_free | allocated by make read_after_free | freed by release read_after_free"},
    {"read-after-free-reusable", "guard_quarantine:0", read_after_free, FAULT,
     "use after free: read at B, byte 0 of the 64-byte block at B"
     " | by get read_after_free | allocated by make read_after_free | freed by release read_after_free"},
    {"read-after-free-large", "", read_after_free_large, FAULT,
     "use after free: read at B+204800, byte 204800 of the 307200-byte block at B"
     " | by get read_after_free_large | allocated by make read_after_free_large"
     " | freed by release read_after_free_large"},
    {"system-call-after-free", "", write_call_after_free, SIGABRT,
     "use after free by a system call: write(6, B, 64): EFAULT at B, byte 0 of the 64-byte block at B"
     " | by write_call_after_free | allocated by make write_call_after_free"
     " | freed by release write_call_after_free"},
    {"system-call-overflow", "guard_place:end", read_call_beyond, SIGABRT,
     "heap overflow by a system call: read(5, B, 100): EFAULT at B+64, 1 byte beyond the 64-byte block at B"
     " | by read_call_beyond | allocated by make read_call_beyond"},
    {"system-call-vector", "", vector_call_after_free, SIGABRT,
     "use after free by a system call: writev(8, B+8, 16): EFAULT at B+8, byte 8 of the 64-byte block at B"
     " | by vector_call_after_free | allocated by make vector_call_after_free"
     " | freed by release vector_call_after_free"},
    {"system-call-freed-vector", "", vector_after_free, SIGABRT,
     "use after free by a system call: readv(5, B, 64): EFAULT at B, byte 0 of the 64-byte block at B"
     " | by vector_after_free | allocated by make vector_after_free | freed by release vector_after_free"},
    {"system-calls", "guard_misuse:report", every_call, 0,
     EVERY("read(5") EVERY("write(6") EVERY("pread(9") EVERY("pread64(9") EVERY("pwrite(9")
         EVERY("pwrite64(9") EVERY("recv(7") EVERY("send(8") EVERY("recvfrom(7") EVERY("sendto(8")
             EVERY("__read_chk(5") EVERY("__pread_chk(9") EVERY("__pread64_chk(9") EVERY("__recv_chk(7")
                 EVERY("__recvfrom_chk(7") EVERY("readv(5") EVERY("writev(6") EVERY("preadv(9")
                     EVERY("preadv64(9") EVERY("pwritev(9") EVERY("pwritev64(9") EVERY("recvmsg(7")
                         EVERY("sendmsg(8") "23 counted"},
    {"system-calls-elsewhere", "", calls_elsewhere, 0, ""},
    {"system-call-cancelled", "", call_cancelled, 0, ""},
    {"double-free", "", double_free, SIGABRT,
     "double free: free(B), a 64-byte block"
     " | by release double_free | allocated by make double_free | freed by release double_free"},
    {"realloc-after-free", "", realloc_after_free, SIGABRT,
     "realloc after free: realloc(B), a 64-byte block"
     " | by realloc_after_free | allocated by make realloc_after_free | freed by release realloc_after_free"},
    {"free-interior", "", free_interior, SIGABRT,
     "invalid free: free(B+16), byte 16 of the 64-byte block at B"
     " | by release free_interior | allocated by make free_interior"},
    {"free-stack", "", free_stack, SIGABRT,
     "invalid free: free(): invalid pointer ADDRESS (not memory of Sinter) | by release free_stack"},
    {"free-static", "", free_static, SIGABRT,
     "invalid free: free(): invalid pointer ADDRESS (not memory of Sinter) | by release free_static"},
    {"free-foreign", "", free_foreign, SIGABRT,
     "invalid free: free(): invalid pointer ADDRESS (not memory of Sinter) | by release free_foreign"},
    {"double-free-unguarded", "", double_free_unguarded, SIGABRT,
     "double free: free(): double free of B (page run, already free) | by release double_free_unguarded"},
    {"wrong-size", "", wrong_size, SIGABRT,
     "wrong size: free_sized(B, 32), a 64-byte block | by wrong_size | allocated by make wrong_size"},
    {"wrong-size-delete", "", wrong_size_of_delete, SIGABRT,
     "wrong size: operator delete(B, 32), a 64-byte block"
     " | by wrong_size_of_delete | allocated by wrong_size_of_delete"},
    {"right-size", "", right_size, 0, ""},
    {"handled-after-report", "", handled_after_report, FAULT,
     "use after free: write at B+5, byte 5 of the 64-byte block at B"
     " | by put handled_after_report | allocated by make handled_after_report"
     " | freed by release handled_after_report | handler: SIGNAL at it"
     " | use after free: write at B+5, byte 5 of the 64-byte block at B"
     " | by put handled_after_report | allocated by make handled_after_report"
     " | freed by release handled_after_report"},
    {"goes-on", "guard_misuse:report", goes_on, 0,
     "use after free: write at B+5, byte 5 of the 64-byte block at B"
     " | by put goes_on | allocated by make goes_on | freed by release goes_on"
     " | double free: free(B), a 64-byte block"
     " | by release goes_on | allocated by make goes_on | freed by release goes_on"
     " | realloc after free: realloc(B), a 64-byte block"
     " | by goes_on | allocated by make goes_on | freed by release goes_on"},
    {"damage-goes-on", "guard_misuse:report,guard_place:end", underflow_damage, 0,
     "heap underflow: found by free(): byte at B-3 is overwritten, 3 bytes before the 64-byte block at B"
     " | by release underflow_damage | allocated by make underflow_damage"},
    {"size-goes-on", "guard_misuse:report", wrong_size, 0,
     "wrong size: free_sized(B, 32), a 64-byte block | by wrong_size | allocated by make wrong_size"},
    {"once-in-10000", "guard:on,guard_cpu:100", server, FAULT,
     "use after free: write at ADDRESS, byte 8 of the 100-byte block at ADDRESS"
     " | by put serve server | allocated by take_request serve server | freed by drop_request serve server"},
    {"descriptor", "guard_fd:1", double_free, SIGABRT, ""},
    {"nothing", "", nothing, 0, ""},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- the short form of a report ---- */

struct text {
    char *at, *end;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
    va_end(args);
    t->at += n < t->end - t->at ? n : t->end - t->at - 1;
}

static void *own_base(void)
{
    Dl_info info;
    return dladdr((void *)(uintptr_t)nothing, &info) ? info.dli_fbase : NULL;
}

/* " name" of a frame, if it counts. Returns whether the stack goes on for us: up to main. */
static bool add_frame(struct text *t, const char *line)
{
    const char *plus = strrchr(line, '+'), *slash = strrchr(line, '/');
    if (plus == NULL || slash == NULL)
        return true;
    if (strncmp(slash, "/libc.so", 8) == 0 || strncmp(slash, "/libc-", 6) == 0)
        return add(t, " libc"), true;
    Dl_info info;
    if (!dladdr((char *)own_base() + strtoull(plus + 1, NULL, 16), &info) || info.dli_sname == NULL)
        return true;
    if (strcmp(info.dli_sname, "main") == 0)
        return false;
    add(t, " %s", info.dli_sname);
    return true;
}

/* Of a line that is no frame: addresses from the block on, no threads and ages. */
static void add_line(struct text *t, const char *line, uintptr_t block)
{
    static const char sinter[] = "sinter: ", thread[] = " by thread ";
    if (strncmp(line, sinter, strlen(sinter)) == 0)
        line += strlen(sinter);
    while (*line == ' ')
        line++;
    while (*line != '\0') {
        if (strncmp(line, "0x", 2) == 0) {
            char *rest;
            long offset = (long)(strtoull(line, &rest, 16) - block);
            add(t, offset == 0 ? "B" : labs(offset) < 1 << 24 ? "B%+ld" : "ADDRESS", offset);
            line = rest;
        } else if (strncmp(line, "by thread ", strlen("by thread ")) == 0) {
            add(t, "by");
            break;
        } else if (isdigit((unsigned char)*line) && strstr(line, " s ago") != NULL &&
                   strstr(line, thread) != NULL) {
            line = strstr(line, thread) + 1;
        } else if (strncmp(line, "SIGBUS", 6) == 0 || strncmp(line, "SIGSEGV", 7) == 0) {
            add(t, "SIGNAL");
            line += strcspn(line, " ");
        } else {
            add(t, "%c", *line++);
        }
    }
}

static void shorten(char *report, uintptr_t block, char *result, size_t size)
{
    struct text t = {result, result + size};
    bool in_stack = false, first = true;
    *result = '\0';
    for (char *line = strtok(report, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool frame = strncmp(line, "    #", 5) == 0;
        if (frame && in_stack)
            in_stack = add_frame(&t, line);
        if (frame)
            continue;
        add(&t, first ? "" : " | ");
        add_line(&t, line, block);
        first = false;
        in_stack = true;
    }
}

/* ---- running ---- */

static const struct way {
    const char *name;
    int signal;
} ways[] = {{"poison", SIGBUS}, {"madvise", SIGSEGV}, {"mprotect", SIGSEGV}};
enum { WAYS = sizeof ways / sizeof *ways };

struct outcome {
    int status;
    uintptr_t block; /* the last address that it told */
    char said[65536];
};

static size_t drain(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(fd);
    return used;
}

static void become(int out, int err, const char *conf, const char *name)
{
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    closefrom(3);
    setenv("SINTER_CONF", conf, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(200);
    execl("/proc/self/exe", "guard-death", "--child", name, (char *)NULL);
    _exit(99);
}

static void run(const char *conf, const char *name, struct outcome *o)
{
    int out[2], err[2];
    char told[4096];
    if (pipe(out) || pipe(err))
        exit(99);
    pid_t pid = fork();
    if (pid < 0)
        exit(99);
    if (pid == 0)
        become(out[1], err[1], conf, name);
    close(out[1]);
    close(err[1]);
    drain(out[0], told, sizeof told);
    drain(err[0], o->said, sizeof o->said);
    waitpid(pid, &o->status, 0);
    o->block = strtoull(told, NULL, 16);
}

static bool died_of(int status, int sig)
{
    return sig ? WIFSIGNALED(status) && WTERMSIG(status) == sig
               : WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_case(const struct death *d, const struct way *way)
{
    static struct outcome o;
    char conf[256], report[sizeof o.said];
    int sig = d->signal == FAULT ? way->signal : d->signal;
    snprintf(conf, sizeof conf, "guard:all,guard_way:%s,%s", way->name, d->conf);
    run(conf, d->name, &o);
    char *said = strdup(o.said);
    shorten(said, o.block, report, sizeof report);
    free(said);
    bool died = died_of(o.status, sig), right = strcmp(report, d->report) == 0;
    printf("%s: %s, %s\n", died && right ? "ok" : "FAIL", d->name, way->name);
    if (!died)
        printf("  status 0x%x, not signal %d\n", (unsigned)o.status, sig);
    if (!right)
        printf("  said:     %s\n  expected: %s\n  in full:\n%s\n", report, d->report, o.said);
    return died && right;
}

/* Does the system have it? The library says which way it has taken. */
static bool is_there(const struct way *way)
{
    static struct outcome o;
    char conf[256];
    snprintf(conf, sizeof conf, "guard:all,guard_way:%s", way->name);
    run(conf, "--way", &o);
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == (int)(way - ways) + 1)
        return true;
    printf("SKIP: %s: not on this system\n", way->name);
    return false;
}

static int child(const char *name)
{
    if (strcmp(name, "--way") == 0) {
        struct sinter_stats stats = {.size = sizeof stats};
        return sinter_stats_get != NULL && sinter_stats_get(&stats) == 0 ? (int)stats.guard_way : 99;
    }
    for (size_t i = 0; i < CASES; i++) {
        if (strcmp(name, cases[i].name) == 0) {
            cases[i].mistake();
            return 0;
        }
    }
    return 99;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child(argv[2]);
    int failures = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t w = 0; w < WAYS; w++) {
        if (!is_there(&ways[w]))
            continue;
        for (size_t i = 0; i < CASES; i++) {
            if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
                failures += !run_case(&cases[i], &ways[w]);
        }
    }
    printf("guard-death: %d failures\n", failures);
    return failures > 0;
}
