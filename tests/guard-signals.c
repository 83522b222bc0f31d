/*
 * A program's own handlers of SIGSEGV and SIGBUS must work under guard mode as they do without: this program does the same with
 * and without the library. Each situation runs in a process of its own and says on standard output what it sees.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *page; /* without access */
static char alternate[64 * 1024];
static sigjmp_buf back;

static void fault(void)
{
    *(volatile char *)(page + 123) = 1;
}

static bool on_alternate(void)
{
    char here;
    return (uintptr_t)&here - (uintptr_t)alternate < sizeof alternate;
}

static bool is_blocked(int sig)
{
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, sig) == 1;
}

static void tell(int sig, siginfo_t *info, void *context)
{
    (void)context;
    printf("signal %d, code %d, at %+ld, itself %d, SIGUSR1 %d, alternate stack %d\n", sig, info->si_code,
           info->si_code > 0 ? (long)((char *)info->si_addr - page) : 0, is_blocked(sig), is_blocked(SIGUSR1),
           on_alternate());
}

static void tell_and_mend(int sig, siginfo_t *info, void *context)
{
    tell(sig, info, context);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void tell_and_jump(int sig, siginfo_t *info, void *context)
{
    tell(sig, info, context);
    siglongjmp(back, 1);
}

static void tell_plain(int sig)
{
    printf("signal %d, itself %d\n", sig, is_blocked(sig));
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void set(int sig, void (*handler)(int, siginfo_t *, void *), int flags, int masked)
{
    enum { SA_OF_LIBC = 0x04000000 }; /* SA_RESTORER, which libc adds */
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags}, now;
    if (masked)
        sigaddset(&action.sa_mask, masked);
    sigaction(sig, &action, NULL);
    sigaction(sig, NULL, &now);
    printf("set: %d %d %d\n", now.sa_sigaction == handler, (now.sa_flags & ~SA_OF_LIBC) == action.sa_flags,
           sigismember(&now.sa_mask, SIGUSR1));
}

static void use_alternate(void)
{
    sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL);
}

/* ---- the situations ---- */

static void by_default(void)
{
    fault();
}

static void sent_by_default(void)
{
    kill(getpid(), SIGSEGV);
}

static void bus_sent_by_default(void)
{
    raise(SIGBUS);
}

static void ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    kill(getpid(), SIGSEGV);
    printf("still here\n");
    fault();
}

static void mended(void)
{
    set(SIGSEGV, tell_and_mend, 0, SIGUSR1);
    fault();
    printf("went on: %d\n", page[123]);
    kill(getpid(), SIGSEGV);
}

static void not_deferred(void)
{
    set(SIGSEGV, tell_and_mend, SA_NODEFER, 0);
    fault();
}

static void on_other_stack(void)
{
    use_alternate();
    set(SIGSEGV, tell_and_mend, SA_ONSTACK, 0);
    fault();
}

static void not_on_other_stack(void)
{
    use_alternate();
    set(SIGSEGV, tell_and_mend, 0, 0);
    fault();
}

static void once(void)
{
    set(SIGSEGV, tell_and_mend, SA_RESETHAND, 0);
    fault();
    mprotect(page, 4096, PROT_NONE);
    fault();
}

static void jumped(void)
{
    set(SIGSEGV, tell_and_jump, 0, 0);
    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(back, 1) == 0)
            fault();
    }
}

static void plain(void)
{
    printf("before: %d\n", signal(SIGSEGV, tell_plain) == SIG_DFL);
    fault();
    printf("then: %d\n", signal(SIGSEGV, SIG_DFL) == tell_plain);
    printf("others: %d\n", signal(SIGUSR2, tell_plain) == SIG_DFL);
    raise(SIGUSR2);
}

static volatile char deep;

__attribute__((noinline)) static int overflow(int n)
{
    volatile char room[4096];
    room[0] = (char)n;
    deep = room[0];
    return n > 1 << 30 ? 0 : overflow(n + 1) + room[0];
}

static void tell_stack(int sig, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    printf("signal %d, alternate stack %d\n", sig, on_alternate());
    fflush(stdout);
    _exit(7);
}

static void stack_overflow(void)
{
    use_alternate();
    set(SIGSEGV, tell_stack, SA_ONSTACK, 0);
    overflow(0);
}

static void child_of_vfork(void)
{
    set(SIGSEGV, tell_and_mend, 0, 0);
    fflush(stdout);
    pid_t pid = vfork();
    if (pid == 0) {
        sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        execl("/bin/sh", "sh", "-c", "kill -SEGV $$", (char *)NULL);
        _exit(99);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("child: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    fault();
}

static void child_of_fork(void)
{
    set(SIGSEGV, tell_and_mend, 0, 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        fault();
        set(SIGSEGV, tell_and_jump, 0, 0);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("child: %d\n", status);
    fault();
}

static const struct {
    const char *name;
    void (*run)(void);
} situations[] = {
    {"by-default", by_default},
    {"sent-by-default", sent_by_default},
    {"bus-sent-by-default", bus_sent_by_default},
    {"ignored", ignored},
    {"mended", mended},
    {"not-deferred", not_deferred},
    {"on-other-stack", on_other_stack},
    {"not-on-other-stack", not_on_other_stack},
    {"once", once},
    {"jumped", jumped},
    {"plain", plain},
    {"stack-overflow", stack_overflow},
    {"child-of-vfork", child_of_vfork},
    {"child-of-fork", child_of_fork},
};

int main(void)
{
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; i < sizeof situations / sizeof *situations; i++) {
        printf("-- %s\n", situations[i].name);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            situations[i].run();
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        printf("status %d, signal %d\n", WEXITSTATUS(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    return 0;
}
