/*
 * Packed pages and what is done to memory from outside of malloc: locks, protections, advice, debuggers, signals, core
 * dumps. One case a run, named by the first argument ("list" names them); tests/pack.sh runs them all preloaded.
 */
#include "packing.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

/* ---- locks ---- */

static void lock_all(int flags)
{
    STEP("mlockall(%d)", flags);
    if (mlockall(flags) != 0 && errno == EPERM)
        skip("mlockall is not permitted");
    REQUIRE(errno != ENOMEM || geteuid() != 0);
}

static void mlockall_after(int flags)
{
    sparse();
    errno = 0;
    lock_all(flags);
    check("locked while packed");
    make_heap(40000, 16, 1000, NULL, 1);
    thin(10);
    use_and_fork();
    REQUIRE(munlockall() == 0);
    use_and_fork();
    pack();
    check("packed after munlockall");
}

static void mlockall_current_case(void)
{
    mlockall_after(MCL_CURRENT);
}

static void mlockall_future_case(void)
{
    mlockall_after(MCL_FUTURE);
}

static void mlockall_both_case(void)
{
    mlockall_after(MCL_CURRENT | MCL_FUTURE);
}

static void mlockall_onfault_case(void)
{
    mlockall_after(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

static void mlockall_before(int flags)
{
    lock_all(flags);
    make_heap(40000, 16, 1000, NULL, 1);
    thin(10);
    use_and_fork();
    REQUIRE(munlockall() == 0);
    pack_some(); /* the kernel itself holds what was locked a moment ago */
    use_and_fork();
}

static void mlockall_first_case(void)
{
    mlockall_before(MCL_CURRENT | MCL_FUTURE);
}

static void mlockall_first_future_case(void)
{
    mlockall_before(MCL_FUTURE);
}

/* Runs `change` on the page of every n-th survivor. */
static size_t for_pages(size_t n, int (*change)(void *page, int arg), int arg)
{
    size_t done = 0;
    for (size_t i = 0, k = 0; i < heap.count; i++) {
        if (heap.p[i] && k++ % n == 0)
            done += change(page_of(heap.p[i]), arg) == 0;
    }
    return done;
}

static int lock_page(void *page, int lock)
{
    return lock ? mlock(page, PAGE) : munlock(page, PAGE);
}

static void mlock_case(void)
{
    sparse();
    for (int i = 0; i < 3; i++) {
        STEP("mlock of packed pages");
        REQUIRE(for_pages(40, lock_page, 1) > 0);
        pack();
        use_and_fork();
        pack();
        STEP("munlock");
        REQUIRE(for_pages(40, lock_page, 0) > 0);
        use_and_fork();
        pack();
    }
}

/* ---- protections and advice ---- */

static int protect_page(void *page, int protection)
{
    return mprotect(page, PAGE, protection);
}

static void read_all(uintptr_t unused)
{
    (void)unused;
    check("in a child");
}

static void mprotect_case(void)
{
    static const int protections[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC,
                                      PROT_READ | PROT_WRITE | PROT_EXEC};
    sparse();
    for (size_t i = 0; i < 8; i++) {
        int protection = protections[i % 4];
        STEP("mprotect(%d) of packed pages", protection);
        REQUIRE(for_pages(50, protect_page, protection) > 0);
        if (protection != PROT_NONE)
            check("partly protected");
        pack();
        if (protection != PROT_NONE && i >= 4)
            in_child(read_all, 0, "child of a partly protected heap");
        STEP("mprotect back");
        REQUIRE(for_pages(50, protect_page, PROT_READ | PROT_WRITE) > 0);
        check("protected and back");
        rewrite(2);
        pack();
    }
    use_and_fork();
}

static char *lowest, *highest;

static void find_range(void)
{
    lowest = (char *)UINTPTR_MAX;
    highest = NULL;
    for (size_t i = 0; i < heap.count; i++) {
        char *page = page_of(heap.p[i]);
        if (!page)
            continue;
        lowest = page < lowest ? page : lowest;
        highest = page > highest ? page : highest;
    }
}

/* All the heap at once may not be written for a moment, as a snapshot by mprotect does it. */
static void mprotect_all_case(void)
{
    sparse();
    touchers_start(4, false, true);
    find_range();
    for (int i = 0; i < 20; i++) {
        size_t size = 512 * 1024;
        STEP("mprotect of a range");
        for (char *p = lowest; p < highest; p += size * 8)
            REQUIRE(mprotect(p, size, PROT_READ) == 0 || errno == ENOMEM);
        pause_ms(10);
        for (char *p = lowest; p < highest; p += size * 8)
            REQUIRE(mprotect(p, size, PROT_READ | PROT_WRITE) == 0 || errno == ENOMEM);
    }
    touchers_stop();
    pack();
    use_and_fork();
}

static int advise_page(void *page, int advice)
{
    return madvise(page, PAGE, advice);
}

/* What begins or ends on a page of every n-th survivor is not there in a child. */
static size_t forget_n;

static void use_others(uintptr_t unused)
{
    size_t pages = 0;
    char **gone = map(heap.live * sizeof *gone);
    for (size_t i = 0, k = 0; i < heap.count; i++) {
        if (heap.p[i] && k++ % forget_n == 0)
            gone[pages++] = page_of(heap.p[i]);
    }
    for (size_t i = 0; i < heap.count; i++) {
        for (size_t k = 0; k < pages && heap.p[i]; k++) {
            if (page_of(heap.p[i]) == gone[k] || page_of(heap.p[i] + heap.size[i] - 1) == gone[k])
                heap.p[i] = NULL;
        }
    }
    use(unused);
}

static void without_pages_in_child(int advice, int back)
{
    sparse();
    for (int i = 0; i < 3; i++) {
        forget_n = 40;
        STEP("madvise(%d) of packed pages", advice);
        REQUIRE(for_pages(forget_n, advise_page, advice) > 0);
        in_child(use_others, 0, "child that some pages are kept from");
        check("in the parent");
        pack();
        in_child(use_others, 0, "child that some pages are kept from, packed again");
        REQUIRE(for_pages(forget_n, advise_page, back) > 0);
        pack();
        use_and_fork();
    }
}

static void dontfork_case(void)
{
    without_pages_in_child(MADV_DONTFORK, MADV_DOFORK);
}

static void wipeonfork_case(void)
{
    without_pages_in_child(MADV_WIPEONFORK, MADV_KEEPONFORK);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* None of these changes contents. Which of them the kernel takes is not our matter. */
static const int advices[] = {MADV_WILLNEED,       MADV_COLD,        MADV_PAGEOUT,    MADV_POPULATE_READ,
                              MADV_POPULATE_WRITE, MADV_HUGEPAGE,    MADV_COLLAPSE,   MADV_NOHUGEPAGE,
                              MADV_MERGEABLE,      MADV_UNMERGEABLE, MADV_SEQUENTIAL, MADV_RANDOM,
                              MADV_NORMAL,         MADV_DONTDUMP,    MADV_DODUMP};

static void advice_case(void)
{
    sparse();
    find_range();
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        STEP("madvise(%d) of packed pages", advices[i]);
        for_pages(30, advise_page, advices[i]);
        check("after advice on pages");
        pack_some();
        for (char *p = lowest; p < highest; p += 2 << 20) {
            madvise(p, 1 << 20, advices[i]);
            madvise((char *)((uintptr_t)p & ~(uintptr_t)((2 << 20) - 1)), 2 << 20, advices[i]);
        }
        check("after advice on ranges");
        pack_some();
    }
    use_and_fork();
}

/* Blocks of pages are the program's to advise; they must not be packed. */
static void advice_blocks_case(void)
{
    enum { BLOCKS = 200, SIZE = 64 * 1024 };
    static unsigned char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = memalign(PAGE, SIZE);
        memset(block[i], i, SIZE);
        REQUIRE(madvise(block[i] + PAGE, PAGE, MADV_DONTNEED) == 0);
        REQUIRE(madvise(block[i] + 2 * PAGE, PAGE, MADV_FREE) == 0);
        block[i][2 * PAGE] = (unsigned char)i;
    }
    sparse();
    for (int i = 0; i < BLOCKS; i++) {
        REQUIRE(block[i][0] == (unsigned char)i && block[i][SIZE - 1] == (unsigned char)i);
        REQUIRE(block[i][PAGE] == 0 && block[i][2 * PAGE - 1] == 0 && block[i][2 * PAGE] == (unsigned char)i);
    }
    use_and_fork();
}

/* ---- debuggers and signals ---- */

static void read_by_file(const char *file, const char *when)
{
    static unsigned char bytes[1 << 16];
    int fd = open(file, O_RDONLY);
    REQUIRE(fd >= 0);
    for (size_t i = 0; i < heap.count; i++) {
        if (!heap.p[i])
            continue;
        if (pread(fd, bytes, heap.size[i], (off_t)(uintptr_t)heap.p[i]) != (ssize_t)heap.size[i])
            fail("%s: cannot read %u bytes at %p, errno %d", when, heap.size[i], (void *)heap.p[i], errno);
        check_bytes(i, bytes, when);
    }
    close(fd);
}

static void restore(void)
{
    STEP("sinter_restore()");
    REQUIRE(!sinter.restore || sinter.restore() == 0);
    struct sinter_stats s = stats_now();
    if (s.packed + s.aside != 0)
        fail("%zu bytes are away after sinter_restore()", (size_t)(s.packed + s.aside));
}

static void restore_case(void)
{
    sparse();
    for (int i = 0; i < 3; i++) {
        restore();
        pause_ms(300);
        read_by_file("/proc/self/mem", "by /proc/self/mem");
        if (stats_now().packed + stats_now().aside != 0)
            fail("pages were packed again after sinter_restore()");
        in_child(use, 0, "child of a restored process");
        pack();
        check("packed again");
        pack();
    }
}

/* Attaches to all threads of a process and stops them; returns how many. */
static size_t attach(pid_t pid, pid_t *threads, size_t most)
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && n < most && (e = readdir(d));) {
        pid_t tid = atoi(e->d_name);
        if (tid > 0 && ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 &&
            ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && waitpid(tid, NULL, __WALL) == tid)
            threads[n++] = tid;
    }
    if (d)
        closedir(d);
    return n;
}

static void detach(const pid_t *threads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ptrace(PTRACE_DETACH, threads[i], NULL, NULL);
}

static void peek(pid_t pid)
{
    for (size_t i = 0; i < heap.count; i++) {
        if (!heap.p[i] || heap.size[i] < 8)
            continue;
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, heap.p[i], NULL);
        if (errno != 0 || (uint64_t)word != word_of(i, 0))
            fail("PTRACE_PEEKDATA at %p: %lx, errno %d", (void *)heap.p[i], (unsigned long)word, errno);
    }
}

/* As a debugger that stops the process and looks at all of it. */
static void debug_parent(uintptr_t unused)
{
    (void)unused;
    pid_t threads[64];
    char file[64];
    size_t count = attach(getppid(), threads, 64);
    if (count == 0)
        _exit(SKIPPED);
    snprintf(file, sizeof file, "/proc/%d/mem", (int)getppid());
    read_by_file(file, "by the memory file of a stopped process");
    peek(getppid());
    detach(threads, count);
}

static void debugger_case(void)
{
    int status = 0;
    sparse();
    restore();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pid_t pid = start_child(debug_parent, 0);
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip("ptrace is not permitted");
    REQUIRE(status == 0);
    pack();
    check("after a debugger");
}

static void trace_parent(uintptr_t unused)
{
    (void)unused;
    pid_t threads[64];
    for (int i = 0; i < 50; i++) {
        size_t count = attach(getppid(), threads, 64);
        pause_ms(i % 4);
        detach(threads, count);
        pause_ms(5);
    }
}

static void ptrace_case(void)
{
    sparse();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    touchers_start(4, true, true);
    in_child(trace_parent, 0, "tracer");
    touchers_stop();
    check("after a tracer");
}

static void stop_parent(uintptr_t unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        kill(getppid(), SIGSTOP);
        pause_ms(i % 4);
        kill(getppid(), SIGCONT);
        pause_ms(5);
    }
}

static void stop_case(void)
{
    sparse();
    touchers_start(4, true, true);
    in_child(stop_parent, 0, "child that stops its parent");
    touchers_stop();
    check("stopped and continued");
}

static void on_signal(int signal)
{
    static atomic_ulong state;
    (void)signal;
    for (int n = 0; n < 20; n++) {
        size_t i = mix(atomic_fetch_add(&state, 1)) % heap.count;
        if (heap.p[i])
            check_object(i, "in a signal handler");
    }
}

static void signal_parent(uintptr_t unused)
{
    (void)unused;
    for (int i = 0; i < 3000; i++) {
        kill(getppid(), i % 2 ? SIGUSR1 : SIGRTMIN);
        usleep(300);
    }
}

/* Signals to the process must not end up on a thread of the library, whichever threads of the program block them. */
static void signals_case(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t all, old;
    sparse();
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    touchers_start(3, false, true);
    in_child(signal_parent, 0, "child that sends signals");
    touchers_stop();
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    kill(getpid(), SIGUSR1);
    use_and_fork();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    use_and_fork();
}

/* ---- a core dump ---- */

static void dump(uintptr_t unused)
{
    (void)unused;
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &all);
    pack();
    restore();
    abort();
}

static const unsigned char *in_core(const unsigned char *core, const unsigned char *address, size_t size)
{
    const Elf64_Ehdr *e = (const void *)core;
    const Elf64_Phdr *h = (const void *)(core + e->e_phoff);
    uint64_t a = (uintptr_t)address;
    for (size_t i = 0; i < e->e_phnum; i++) {
        if (h[i].p_type == PT_LOAD && a >= h[i].p_vaddr && a + size <= h[i].p_vaddr + h[i].p_filesz)
            return core + h[i].p_offset + (a - h[i].p_vaddr);
    }
    return NULL;
}

static void check_core(const char *file)
{
    int fd = open(file, O_RDONLY);
    if (fd < 0)
        skip("no core file was written");
    off_t size = lseek(fd, 0, SEEK_END);
    const unsigned char *core = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(core != MAP_FAILED);
    for (size_t i = 0; i < heap.count; i++) {
        const unsigned char *bytes = heap.p[i] ? in_core(core, heap.p[i], heap.size[i]) : NULL;
        if (bytes)
            check_bytes(i, bytes, "in a core dump");
        else if (heap.p[i] && page_of(heap.p[i]) == page_of(heap.p[i] + heap.size[i] - 1))
            fail("object %zu at %p is not in the core dump", i, (void *)heap.p[i]);
    }
}

static void core_case(void)
{
    char pattern[100] = "", directory[] = "/tmp/sinter-test.XXXXXX", file[100];
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY), status = 0;
    if (fd < 0 || read(fd, pattern, sizeof pattern - 1) <= 0 || strchr("|/", pattern[0]))
        skip("core dumps do not go to the current directory");
    close(fd);
    REQUIRE(mkdtemp(directory) && chdir(directory) == 0);
    sparse();
    pid_t pid = start_child(dump, 0);
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    snprintf(file, sizeof file, "core.%d", (int)pid);
    if (access(file, R_OK) != 0)
        strcpy(file, "core");
    fd = open(file, O_RDONLY);
    unlink(file);
    rmdir(directory);
    snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    check_core(file);
}

static const struct test_case cases[] = {
    {"mlockall_current", mlockall_current_case},
    {"mlockall_future", mlockall_future_case},
    {"mlockall_both", mlockall_both_case},
    {"mlockall_onfault", mlockall_onfault_case},
    {"mlockall_first", mlockall_first_case},
    {"mlockall_first_future", mlockall_first_future_case},
    {"mlock", mlock_case},
    {"mprotect", mprotect_case},
    {"mprotect_all", mprotect_all_case},
    {"dontfork", dontfork_case},
    {"wipeonfork", wipeonfork_case},
    {"advice", advice_case},
    {"advice_blocks", advice_blocks_case},
    {"restore", restore_case},
    {"debugger", debugger_case},
    {"ptrace", ptrace_case},
    {"stop", stop_case},
    {"signals", signals_case},
    {"core", core_case},
};

int main(int argc, char **argv)
{
    return packing_main(cases, sizeof cases / sizeof *cases, argc, argv);
}
