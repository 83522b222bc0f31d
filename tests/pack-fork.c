/*
 * Packed pages and the making and ending of processes: fork and its relatives, exec, exit. One case a run, named by the
 * first argument ("list" names them); tests/pack.sh runs them all preloaded.
 */
#include "packing.h"

#include <limits.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;

/* What every child does with what it has inherited; pages that its parent has as well are not packed. */
static void use_all(void)
{
    check("in a child, as inherited");
    rewrite(3);
    pack_some();
    check("in a child, packed again");
    thin(2);
    pack_some();
    check("in a child, thinned");
}

static void read_all(uintptr_t unused)
{
    (void)unused;
    check("in a child");
}

/* ---- fork ---- */

static void descend(uintptr_t depth)
{
    use_all();
    if (depth > 0)
        in_child(descend, depth - 1, "grandchild");
    check("in a child, after its own child");
}

/* Does the kernel tell the library of forks? */
static bool has_fork_events(void)
{
    enum { CAP_SYS_PTRACE_BIT = 19 };
    char line[256];
    unsigned long long caps = ~0ull;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "CapEff: %llx", &caps);
    if (status)
        fclose(status);
    return caps >> CAP_SYS_PTRACE_BIT & 1;
}

/* Pages that were away at the fork are the child's own when they come back; those that were not are shared and stay. */
static void pack_again(uintptr_t unused)
{
    (void)unused;
    void (*pack_child)(void) = has_fork_events() ? pack : pack_some;
    check("in a child, as inherited");
    pack_child();
    check("in a child, packed again");
    pack_child();
}

static void fork_case(void)
{
    sparse();
    in_child(pack_again, 0, "child");
    for (int i = 0; i < 3; i++) {
        in_child(descend, 3, "child");
        check("in the parent");
        pack();
    }
}

static void fork_touch_case(void)
{
    sparse();
    touchers_start(4, false, true);
    for (int i = 0; i < 30; i++)
        in_child(read_all, 0, "child of a process whose threads touch");
    touchers_stop();
    check("in the parent");
}

static void *fork_some(void *arg)
{
    for (int i = 0; i < 8; i++)
        in_child(read_all, 0, "child of one of several threads that fork");
    return arg;
}

static void fork_threads_case(void)
{
    pthread_t t[4];
    sparse();
    touchers_start(2, false, true);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, fork_some, NULL) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(t[i], NULL) == 0);
    touchers_stop();
    check("in the parent");
}

static void read_twice(uintptr_t unused)
{
    read_all(unused);
    pause_ms(20);
    read_all(unused);
}

/* The child must go on seeing what was there at the fork. */
static void fork_write_case(void)
{
    sparse();
    for (int i = 0; i < 20; i++) {
        pid_t pid = start_child(read_twice, 0);
        rewrite(2);
        pack();
        check("in the parent, beside a child");
        reap(pid, "child of a parent that writes");
        check("in the parent");
        pack();
    }
}

static void use_and_end(uintptr_t unused)
{
    (void)unused;
    use_all();
    drop_all();
    exit(0);
}

static void fork_many_case(void)
{
    enum { MANY = 12 };
    pid_t pid[MANY];
    sparse();
    for (int i = 0; i < MANY; i++)
        pid[i] = start_child(use_and_end, 0);
    for (int i = 0; i < MANY; i++)
        reap(pid[i], "one of many children");
    check("in the parent");
    pack();
    check("in the parent, packed again");
}

static void fork_in_handler(int signal)
{
    (void)signal;
    in_child(read_all, 0, "child forked in a signal handler");
}

static void fork_handler_case(void)
{
    sparse();
    signal(SIGUSR1, fork_in_handler);
    touchers_start(2, false, true);
    for (int i = 0; i < 10; i++)
        raise(SIGUSR1);
    touchers_stop();
    check("in the parent");
}

static void close_and_use(uintptr_t first)
{
    close_range((unsigned)first, ~0U, 0);
    use_all();
    in_child(read_all, 0, "grandchild without descriptors");
}

static void fork_close_case(void)
{
    sparse();
    in_child(close_and_use, 3, "child that closes descriptors");
    in_child(close_and_use, 0, "child that closes all descriptors");
    check("in the parent");
    pack();
    close_range(0, ~0U, 0);
    in_child(descend, 1, "child of a parent without descriptors");
    check("in the parent without descriptors");
}

static void limit_and_use(uintptr_t resource)
{
    struct rlimit none = {0, 0};
    REQUIRE(setrlimit((__rlimit_resource_t)resource, &none) == 0);
    check("under the limit");
    pack_some();
    check("under the limit, packed again");
    in_child(read_all, 0, "child under a limit");
    check("under the limit, after a fork");
}

static void fork_limits_case(void)
{
    sparse();
    in_child(limit_and_use, RLIMIT_NOFILE, "child with RLIMIT_NOFILE 0");
    in_child(limit_and_use, RLIMIT_MEMLOCK, "child with RLIMIT_MEMLOCK 0");
    pack();
    limit_and_use(RLIMIT_NOFILE);
}

/* ---- libc's own memory on packed pages, which it touches in the child before any handler ---- */

enum { FILES = 60 };
static FILE *files[FILES];

static void open_file(unsigned n)
{
    if (n >= FILES)
        return;
    files[n] = fdopen(memfd_create("file", MFD_CLOEXEC), "w+");
    char *buffer = malloc(600);
    REQUIRE(files[n] && buffer && setvbuf(files[n], buffer, _IOFBF, 600) == 0);
    REQUIRE(fprintf(files[n], "file %u", n) > 0);
}

static void use_files(const char *word, const char *expected)
{
    for (unsigned n = 0; n < FILES; n++) {
        char text[100] = "", wanted[100];
        REQUIRE(fprintf(files[n], " %s.", word) > 0 && fflush(files[n]) == 0);
        REQUIRE(pread(fileno(files[n]), text, sizeof text - 1, 0) > 0);
        snprintf(wanted, sizeof wanted, expected[0] ? "file %u %s.file %u %s." : "file %u %s.", n,
                 expected[0] ? expected : word, n, word);
        if (strcmp(text, wanted) != 0)
            fail("file %u holds \"%s\", expected \"%s\"", n, text, wanted);
    }
}

static void child_uses_files(uintptr_t unused)
{
    (void)unused;
    check("in a child with files");
    STEP("using files in a child");
    use_files("child", "");
    check("in a child, files used");
}

static void fork_files_case(void)
{
    sparse_with(400, 700, open_file, 400);
    require_away((void **)files, FILES, "FILEs");
    in_child(child_uses_files, 0, "child with FILEs on packed pages");
    STEP("using files in the parent");
    use_files("parent", "child");
    check("in the parent");
}

enum { KEYS = 80, SPECIFIC_THREADS = 40 };
static pthread_key_t keys[KEYS];
static pthread_barrier_t specific_made, specific_end;
static pthread_t specific_thread[SPECIFIC_THREADS];

/* Keys from 32 on are in blocks from malloc. */
static void *hold_specific(void *arg)
{
    for (int i = 32; i < KEYS; i += 16)
        REQUIRE(pthread_setspecific(keys[i], arg) == 0);
    pthread_barrier_wait(&specific_made);
    pthread_barrier_wait(&specific_end);
    for (int i = 32; i < KEYS; i++)
        REQUIRE(pthread_getspecific(keys[i]) == (i % 16 == 0 ? arg : NULL));
    return NULL;
}

static void start_specific(unsigned n)
{
    if (n >= SPECIFIC_THREADS)
        return;
    REQUIRE(pthread_create(&specific_thread[n], NULL, hold_specific, &keys[n]) == 0);
    pthread_barrier_wait(&specific_made);
}

static void fork_specific_case(void)
{
    pthread_barrier_init(&specific_made, NULL, 2);
    pthread_barrier_init(&specific_end, NULL, SPECIFIC_THREADS + 1);
    for (int i = 0; i < KEYS; i++)
        REQUIRE(pthread_key_create(&keys[i], NULL) == 0);
    sparse_with(450, 520, start_specific, 700);
    for (int i = 0; i < 3; i++) {
        in_child(descend, 1, "child with blocks of other threads' keys on packed pages");
        check("in the parent");
        pack();
    }
    pthread_barrier_wait(&specific_end);
    for (int i = 0; i < SPECIFIC_THREADS; i++)
        REQUIRE(pthread_join(specific_thread[i], NULL) == 0);
    check("in the parent, after the threads");
}

/* ---- parents that go at once ---- */

static void end_orphan(void)
{
    use_all();
    in_child(read_all, 0, "child of an orphan");
    atomic_fetch_add(&report->done, 1);
    _exit(0);
}

static void run_daemon(uintptr_t unused)
{
    (void)unused;
    sparse();
    REQUIRE(daemon(1, 1) == 0);
    alarm(CHILD_SECONDS);
    end_orphan();
}

static void fork_twice(uintptr_t unused)
{
    (void)unused;
    sparse();
    for (int i = 0; i < 2; i++) {
        if (fork() != 0)
            _exit(0);
    }
    alarm(CHILD_SECONDS);
    end_orphan();
}

/* Each generation is gone before the next has touched anything. */
static void fork_chain(uintptr_t unused)
{
    (void)unused;
    sparse();
    for (int i = 0; i < 20; i++) {
        if (fork() != 0)
            _exit(0);
    }
    alarm(CHILD_SECONDS);
    end_orphan();
}

static void fork_and_die(uintptr_t unused)
{
    (void)unused;
    sparse();
    if (fork() != 0)
        kill(getpid(), SIGKILL);
    alarm(CHILD_SECONDS);
    end_orphan();
}

static void fork_and_exec(uintptr_t unused)
{
    (void)unused;
    sparse();
    if (fork() != 0) {
        execl("/proc/self/exe", "pack-fork", "nothing", (char *)NULL);
        _exit(1);
    }
    alarm(CHILD_SECONDS);
    end_orphan();
}

static void orphans(child_work *work, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        pid_t pid = start_child(work, 0);
        while (waitpid(pid, NULL, 0) < 0)
            REQUIRE(errno == EINTR);
        await_done(i);
    }
}

static void daemon_case(void)
{
    orphans(run_daemon, 3);
}

static void double_fork_case(void)
{
    orphans(fork_twice, 3);
}

static void chain_case(void)
{
    orphans(fork_chain, 2);
}

static void parent_killed_case(void)
{
    orphans(fork_and_die, 5);
}

static void parent_execs_case(void)
{
    orphans(fork_and_exec, 5);
}

/* ---- children of which no handler is told ---- */

static pid_t bare_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void raw_children(pid_t (*make)(void), void (*work)(void), const char *what)
{
    for (int i = 0; i < 5; i++) {
        STEP("%s", what);
        pid_t pid = make();
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            work();
            _exit(0);
        }
        rewrite(3);
        pack_some();
        check("in the parent, beside such a child");
        reap(pid, what);
        check("in the parent");
        pack();
    }
}

/* Where it does not, such children find zeros in place of what is packed: a limit. */
static void needs_fork_events(void)
{
    if (!has_fork_events())
        skip("no CAP_SYS_PTRACE: children made without fork are not served");
}

static void read_in_clone(void)
{
    check("in a child made without fork");
}

static void allocate_in_clone(void)
{
    check("in a child made without fork");
    if (option_is("compact", "stress")) /* the library's own thread is in the allocator all the time */
        return;
    thin(2);
    for (size_t i = 0; i < heap.count; i += 3) {
        if (!heap.p[i])
            new_object(i, heap.size[i]);
    }
    rewrite(2);
    check("in a child made without fork, which allocates");
}

static void clone_read_case(void)
{
    needs_fork_events();
    sparse();
    raw_children(bare_clone, read_in_clone, "child by clone");
    touchers_start(3, false, true);
    for (int i = 0; i < 10; i++) {
        pid_t pid = bare_clone();
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            read_in_clone();
            _exit(0);
        }
        reap(pid, "child by clone beside threads that touch");
    }
    touchers_stop();
}

static void clone_allocate_case(void)
{
    needs_fork_events();
    sparse();
    raw_children(bare_clone, allocate_in_clone, "child by clone that allocates");
}

static void raw_fork_read_case(void)
{
    needs_fork_events();
    sparse();
    raw_children(_Fork, read_in_clone, "child by _Fork");
}

static void raw_fork_allocate_case(void)
{
    needs_fork_events();
    sparse();
    raw_children(_Fork, allocate_in_clone, "child by _Fork that allocates");
}

/* ---- vfork, spawn, exec ---- */

static void vfork_case(void)
{
    sparse();
    touchers_start(2, false, true);
    for (volatile size_t i = 0; i < 100; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            for (size_t k = i; k < heap.count; k += 1000) {
                if (heap.p[k])
                    check_object(k, "in a child of vfork");
            }
            if (i % 4 == 0)
                execl("/proc/self/exe", "pack-fork", "nothing", (char *)NULL);
            _exit(i % 4 == 0);
        }
        reap(pid, "child by vfork");
    }
    touchers_stop();
    check("after vfork");
}

/* Arguments of an exec, and the array of them, on packed pages. */
enum { STRINGS = 80 };
static char **strings;
static char *path;

static void make_string(char *to, unsigned n)
{
    int length = snprintf(to, 32, "string %u ", n);
    memset(to + length, 'a' + (int)(n % 26), n * 7 % 300);
    to[length + (int)(n * 7 % 300)] = '\0';
}

static void add_string(unsigned n)
{
    if (n == 0)
        strings = calloc(STRINGS + 3, sizeof *strings);
    if (n == 1)
        path = strcpy(malloc(200), "/proc/self/exe");
    if (n < STRINGS)
        make_string(strings[n + 2] = malloc(350), n);
}

static void sparse_with_strings(void)
{
    static char name[] = "pack-fork", word[] = "strings";
    sparse_with(16, 1000, add_string, 300);
    strings[0] = name;
    strings[1] = word;
    pack();
    require_away((void **)strings + 2, STRINGS, "strings");
}

static int check_strings(int argc, char **argv)
{
    char text[400];
    for (int i = 2; i < argc; i++) {
        make_string(text, (unsigned)i - 2);
        if (strcmp(text, argv[i]) != 0)
            return 4;
    }
    return argc == STRINGS + 2 ? 0 : 5;
}

static void exec_now(uintptr_t unused)
{
    (void)unused;
    execv(path, strings);
}

static void exec_case(void)
{
    sparse_with_strings();
    in_child(exec_now, 0, "exec with arguments on packed pages");
    pack();
    check("after a child's exec");
    pack();
    execv(path, strings);
    fail("exec failed with errno %d", errno);
}

static void *exec_in_thread(void *unused)
{
    (void)unused;
    execv(path, strings);
    fail("exec failed with errno %d", errno);
}

static void exec_beside_threads(uintptr_t in_thread)
{
    pthread_t t;
    touchers_start(4, false, true);
    pause_ms(20);
    if (in_thread && pthread_create(&t, NULL, exec_in_thread, NULL) == 0)
        pthread_join(t, NULL);
    execv(path, strings);
}

static void exec_threads_case(void)
{
    sparse_with_strings();
    for (int i = 0; i < 10; i++)
        in_child(exec_beside_threads, i % 2, "exec beside threads that touch");
    check("in the parent");
    exec_beside_threads(0);
    fail("exec failed with errno %d", errno);
}

static void spawn_case(void)
{
    sparse_with_strings();
    for (int i = 0; i < 10; i++) {
        pid_t pid = 0;
        STEP("posix_spawn");
        REQUIRE(posix_spawn(&pid, path, NULL, NULL, strings, environ) == 0);
        pack_some();
        reap(pid, "posix_spawn with arguments on packed pages");
        pack();
        STEP("system");
        strcpy(strings[20], "exit 7");
        pack();
        REQUIRE(WEXITSTATUS(system(strings[20])) == 7);
        make_string(strings[20], 18);
        pack();
    }
    char line[32] = "";
    STEP("popen");
    FILE *f = popen("echo yes", "r");
    pack();
    REQUIRE(f && fgets(line, sizeof line, f) && pclose(f) == 0 && strcmp(line, "yes\n") == 0);
    check("after spawn, system and popen");
}

/* ---- the end ---- */

enum how { BY_EXIT, BY__EXIT, BY_SIGTERM, BY_SIGKILL, BY_ABORT, HOWS };

static void end_beside_threads(uintptr_t how)
{
    touchers_start(4, false, true);
    pause_ms((long)how + 10);
    switch ((enum how)how) {
    case BY_EXIT:
        exit(0);
    case BY__EXIT:
        _exit(0);
    case BY_SIGTERM:
        kill(getpid(), SIGTERM);
        break;
    case BY_SIGKILL:
        kill(getpid(), SIGKILL);
        break;
    default:
        abort();
    }
    pause();
}

static void end_threads_case(void)
{
    static const int expected[HOWS] = {0, 0, SIGTERM, SIGKILL, SIGABRT};
    sparse();
    for (int i = 0; i < 50; i++) {
        int status = 0;
        pid_t pid = start_child(end_beside_threads, (uintptr_t)i % HOWS);
        while (waitpid(pid, &status, 0) < 0)
            REQUIRE(errno == EINTR);
        if ((status & 0x7f) != expected[i % HOWS] || WEXITSTATUS(status) != 0)
            fail("way %d to end beside threads that touch gave status %x", i % HOWS, (unsigned)status);
    }
    check("in the parent");
}

static void check_at_exit(void)
{
    check("in an exit handler");
    pack_some();
    check("in an exit handler, packed");
    atomic_fetch_add(&report->done, 1);
}

static void exit_case(void)
{
    sparse();
    report->expected = 1;
    atexit(check_at_exit);
    touchers_start(4, false, true);
    exit(0);
}

static void quick_exit_case(void)
{
    sparse();
    touchers_start(4, false, true);
    pause_ms(20);
    _exit(0);
}

static void *outlive_main(void *arg)
{
    pause_ms(100);
    check("after main has ended");
    pack();
    in_child(descend, 1, "child of a process without its first thread");
    check("after main has ended, packed");
    atomic_fetch_add(&report->done, 1);
    return arg;
}

/* The process must end with its last thread. */
static void pthread_exit_case(void)
{
    pthread_t t;
    sparse();
    report->expected = 1;
    REQUIRE(pthread_create(&t, NULL, outlive_main, NULL) == 0);
    pthread_exit(NULL);
}

static void pthread_exit_at_once_case(void)
{
    sparse();
    pthread_exit(NULL);
}

static const struct test_case cases[] = {
    {"fork", fork_case},
    {"fork_touch", fork_touch_case},
    {"fork_threads", fork_threads_case},
    {"fork_write", fork_write_case},
    {"fork_many", fork_many_case},
    {"fork_handler", fork_handler_case},
    {"fork_close", fork_close_case},
    {"fork_limits", fork_limits_case},
    {"fork_files", fork_files_case},
    {"fork_specific", fork_specific_case},
    {"daemon", daemon_case},
    {"double_fork", double_fork_case},
    {"chain", chain_case},
    {"parent_killed", parent_killed_case},
    {"parent_execs", parent_execs_case},
    {"clone_read", clone_read_case},
    {"clone_allocate", clone_allocate_case},
    {"raw_fork_read", raw_fork_read_case},
    {"raw_fork_allocate", raw_fork_allocate_case},
    {"vfork", vfork_case},
    {"exec", exec_case},
    {"exec_threads", exec_threads_case},
    {"spawn", spawn_case},
    {"end_threads", end_threads_case},
    {"exit", exit_case},
    {"_exit", quick_exit_case},
    {"pthread_exit", pthread_exit_case},
    {"pthread_exit_at_once", pthread_exit_at_once_case},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    if (argc > 1 && strcmp(argv[1], "strings") == 0)
        return check_strings(argc, argv);
    return packing_main(cases, sizeof cases / sizeof *cases, argc, argv);
}
