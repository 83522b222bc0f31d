/*
 * Packed pages and what else happens to a process: the malloc calls themselves, threads, descriptors,
 * privileges, limits, seccomp. One case a run, named by the first argument ("list" names them); tests/pack.sh runs
 * them all preloaded.
 */
#include "packing.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- the malloc calls on packed objects ---- */

static void rounds_case(void)
{
    sparse();
    for (int i = 0; i < 20; i++) {
        check("packed");
        rewrite(3);
        pack();
    }
    check("packed again");
}

static void free_case(void)
{
    sparse();
    thin(2);
    check("after freeing half of what was packed");
    pack();
    drop_all();
    pack();
    for (size_t i = 0; i < heap.count; i++)
        new_object(i, heap.size[i]);
    check("filled again");
    thin(10);
    pack();
    check("packed again");
}

static bool all_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i])
            return false;
    }
    return true;
}

static void calloc_case(void)
{
    sparse();
    for (int i = 0; i < 3; i++) {
        STEP("filling holes of packed pages with calloc");
        for (size_t k = 0; k < heap.count; k++) {
            if (heap.p[k] || k % 2 == 0)
                continue;
            heap.p[k] = calloc(1, heap.size[k]);
            if (!heap.p[k] || !all_zero(heap.p[k], heap.size[k]))
                fail("memory of calloc is not zero at %p", (void *)heap.p[k]);
            rewrite_object(k);
        }
        check("with new objects among packed ones");
        thin(10);
        pack();
    }
    check("packed again");
}

static void resize(size_t i, size_t size)
{
    size_t old = heap.size[i];
    heap.p[i] = realloc(heap.p[i], size);
    REQUIRE(heap.p[i]);
    heap.size[i] = (uint32_t)(size < old ? size : old);
    check_object(i, "after realloc");
    heap.size[i] = (uint32_t)size;
    write_object(i);
}

static void realloc_case(void)
{
    sparse();
    for (size_t round = 0; round < 6; round++) {
        STEP("realloc of packed objects, round %zu", round);
        for (size_t i = 0; i < heap.count; i++) {
            size_t size = heap.size[i];
            if (heap.p[i] && i % 2 == 0)
                resize(i, round % 3 == 0 ? size + 1 : round % 3 == 1 ? size * 2 : size / 3 + 1);
        }
        check("after realloc");
        pack();
    }
    check("packed again");
}

static void usable_case(void)
{
    sparse();
    STEP("malloc_usable_size of packed objects");
    for (size_t i = 0; i < heap.count; i++) {
        size_t usable = malloc_usable_size(heap.p[i]);
        REQUIRE(usable >= (heap.p[i] ? heap.size[i] : 0));
        if (heap.p[i] && i % 3 == 0) {
            heap.size[i] = (uint32_t)usable; /* the program may use all of it */
            write_object(i);
        }
    }
    check("with all usable bytes written");
    pack();
    check("packed again");
}

enum { ALIGNED = 300 };
static unsigned char *aligned[ALIGNED];

static void add_aligned(unsigned n)
{
    if (n >= ALIGNED)
        return;
    aligned[n] = memalign((size_t)32 << n % 7, 200);
    REQUIRE(aligned[n] && (uintptr_t)aligned[n] % ((size_t)32 << n % 7) == 0);
    memset(aligned[n], (int)n, 200);
}

static void memalign_case(void)
{
    sparse_with(16, 2200, add_aligned, 100);
    for (int n = 0; n < ALIGNED; n++) {
        for (int k = 0; k < 200; k++)
            REQUIRE(aligned[n][k] == (unsigned char)n);
        free(aligned[n]);
    }
    check("after freeing aligned blocks");
}

static void trim_case(void)
{
    make_heap(40000, 16, 1000, NULL, 1);
    thin(10);
    STEP("malloc_trim(0)");
    malloc_trim(0);
    struct sinter_stats s = stats_now();
    if (s.compactor == 2)
        skip("pages cannot be packed here");
    if (least_packed > 1 && s.packed < heap.pages * PAGE / 2)
        fail("malloc_trim(0) packed only %zu of %zu pages", (size_t)s.packed / PAGE, heap.pages);
    check("packed by malloc_trim(0)");
}

/* ---- threads ---- */

static pthread_key_t key;

static void end_of_thread(void *arg)
{
    size_t id = (size_t)(uintptr_t)arg - 1;
    for (size_t i = id; i < heap.count; i += 64) {
        if (!heap.p[i])
            continue;
        check_object(i, "in a destructor of a thread");
        if (i % 3 == 0)
            drop_object(i);
    }
}

/* Thread `id` owns every 64th object from there. */
static void *live_shortly(void *arg)
{
    size_t id = (size_t)(uintptr_t)arg - 1;
    pthread_setspecific(key, arg);
    for (size_t i = id; i < heap.count; i += 64) {
        if (heap.p[i])
            check_object(i, "in a thread");
        else if (i % 2 == 0)
            new_object(i, heap.size[i]);
    }
    return NULL;
}

static void threads_case(void)
{
    REQUIRE(pthread_key_create(&key, end_of_thread) == 0);
    sparse();
    for (int round = 0; round < 10; round++) {
        pthread_t t[64];
        STEP("threads that come and go");
        for (uintptr_t i = 0; i < 64; i++)
            REQUIRE(pthread_create(&t[i], NULL, live_shortly, (void *)(i + 1)) == 0);
        for (int i = 0; i < 64; i++)
            REQUIRE(pthread_join(t[i], NULL) == 0);
        check("after their threads ended");
        thin(10);
        pack();
    }
}

static void races_case(void)
{
    sparse();
    touchers_start(8, true, true);
    pause_ms(3000);
    touchers_stop();
    check("after threads that write");
    pack();
    check("packed again");
}

/* Blocks of sizes that are packed and of sizes that are not take turns in the same spans, just while pages go. */
enum { TURN_BYTES = 128 * 1024, TURN_SMALL = 500, TURN_LARGE = 12000, TURN_BLOCKS = TURN_BYTES / TURN_SMALL };

static void take_turn(uint64_t *random, size_t size)
{
    unsigned char *blocks[TURN_BLOCKS];
    size_t count = TURN_BYTES / size;
    unsigned char mark = (unsigned char)next_random(random);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(blocks[i] = malloc(size));
        memset(blocks[i], mark, size);
    }
    if (next_random(random) % 8 == 0)
        pause_ms(2);
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < size; at++) {
            if (blocks[i][at] != mark)
                fail("block of %zu bytes at %p: byte %zu is %02x, expected %02x", size, (void *)blocks[i], at,
                     blocks[i][at], mark);
        }
        free(blocks[i]);
    }
}

static void *take_turns(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    while (!atomic_load(&touchers.stop)) {
        take_turn(&random, TURN_SMALL);
        take_turn(&random, TURN_LARGE);
        if (next_random(&random) % 4 == 0)
            malloc_trim(0);
    }
    return NULL;
}

static void turns_case(void)
{
    pthread_t t[4];
    sparse();
    touchers_start(0, false, true);
    STEP("sizes that take turns");
    for (uintptr_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, take_turns, (void *)i) == 0);
    pause_ms(3000);
    touchers_stop();
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(t[i], NULL) == 0);
    check("after sizes that took turns");
}

static void *control(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < 30 && sinter.compact; i++) {
        uint64_t r = next_random(&random) % 4;
        if (r == 0)
            REQUIRE(sinter.restore() == 0);
        else if (r == 1)
            malloc_trim(0);
        else
            sinter.compact();
    }
    return NULL;
}

static void control_case(void)
{
    pthread_t t[4];
    sparse();
    touchers_start(3, true, false);
    for (uintptr_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, control, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(t[i], NULL) == 0);
    touchers_stop();
    check("after threads that pack and restore");
    pack();
    check("packed again");
}

/* ---- descriptors, privileges, limits ---- */

static void close_case(void)
{
    sparse();
    close_range(3, ~0U, 0);
    use_and_fork();
    pack();
    close_range(0, ~0U, 0);
    use_and_fork();
    pack();
}

static void become_nobody(void)
{
    if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        skip("setresuid is not permitted");
}

static void setuid_case(void)
{
    sparse();
    become_nobody();
    use_and_fork();
}

/* The parent is gone before the child has touched anything; the child may not open what the parent could. */
static void setuid_orphan(uintptr_t unused)
{
    (void)unused;
    sparse();
    become_nobody();
    if (fork() != 0)
        kill(getpid(), SIGKILL);
    alarm(CHILD_SECONDS);
    use_and_fork();
    atomic_fetch_add(&report->done, 1);
}

static void setuid_orphan_case(void)
{
    for (unsigned i = 1; i <= 3; i++) {
        pid_t pid = start_child(setuid_orphan, 0);
        while (waitpid(pid, NULL, 0) < 0)
            REQUIRE(errno == EINTR);
        await_done(i);
    }
}

static void capabilities_case(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    sparse();
    REQUIRE(syscall(SYS_capset, &header, none) == 0);
    use_and_fork();
}

static void dumpable_case(void)
{
    sparse();
    REQUIRE(prctl(PR_SET_DUMPABLE, 0) == 0);
    use_and_fork();
    become_nobody();
    use_and_fork();
}

/* No /proc and no /dev any more. */
static void chroot_case(void)
{
    char empty[] = "/tmp/sinter-test.XXXXXX";
    sparse();
    if (!mkdtemp(empty))
        skip("no directory to be made in /tmp");
    int result = chroot(empty);
    rmdir(result == 0 ? "/" : empty);
    if (result != 0)
        skip("chroot is not permitted");
    use_and_fork();
}

static void limit_and_use(uintptr_t resource)
{
    struct rlimit limit = {0, 0};
    pack();
    REQUIRE(setrlimit((__rlimit_resource_t)resource, &limit) == 0);
    use(0);
    thin(2);
    in_child(use, 0, "child under the limit");
    check("under the limit");
}

static void limits_case(void)
{
    static const int limits[] = {RLIMIT_AS,    RLIMIT_DATA,  RLIMIT_NOFILE,     RLIMIT_MEMLOCK,
                                 RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_SIGPENDING, RLIMIT_RSS};
    sparse();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char what[40];
        snprintf(what, sizeof what, "child under limit %d", limits[i]);
        in_child(limit_and_use, (uintptr_t)limits[i], what);
    }
    limit_and_use(RLIMIT_AS);
    least_packed = -1; /* without descriptors packing ends with the next fork */
    limit_and_use(RLIMIT_NOFILE);
}

/* ---- seccomp ---- */

static atomic_bool strict_done;

static void *live_strictly(void *arg)
{
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    for (size_t i = 0; i < heap.count; i++) {
        if (heap.p[i])
            check_object(i, "in a thread in strict mode");
    }
    atomic_store(&strict_done, true);
    syscall(SYS_exit, 0);
    return arg;
}

static void seccomp_strict_case(void)
{
    pthread_t t;
    sparse();
    REQUIRE(pthread_create(&t, NULL, live_strictly, NULL) == 0);
    REQUIRE(pthread_join(t, NULL) == 0);
    REQUIRE(atomic_load(&strict_done));
    check("after a thread in strict mode");
    pack();
    check("packed again");
}

/* userfaultfd and ioctl fail with EPERM from now on. */
static void deny(unsigned flags)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
        skip("no seccomp filters here");
}

static void *live_filtered(void *arg)
{
    deny(0);
    use_and_fork();
    return arg;
}

static void seccomp_thread_case(void)
{
    pthread_t t;
    sparse();
    REQUIRE(pthread_create(&t, NULL, live_filtered, NULL) == 0);
    REQUIRE(pthread_join(t, NULL) == 0);
    pack();
    check("after a thread with a filter");
    deny(0);
    use_and_fork();
}

/* The filter is put on all threads, the library's own included: the process says so and ends, rather than wait for ever. */
static void seccomp_process_case(void)
{
    int status;
    sparse();
    pid_t pid = fork();
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        deny(SECCOMP_FILTER_FLAG_TSYNC);
        use(0);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT))
        fail("under a filter for all threads the child ended with status %d", status);
    check("in the parent of a child with a filter");
}

static void exec_filtered(uintptr_t unused)
{
    (void)unused;
    deny(0);
    execl("/proc/self/exe", "pack-life", "unavailable", (char *)NULL);
}

static void seccomp_exec_case(void)
{
    in_child(exec_filtered, 0, "program started under a filter");
}

/* A program for which packing may be impossible from the start. */
static int unavailable(void)
{
    report = map(sizeof *report);
    alarm(CHILD_SECONDS);
    find_sinter();
    make_heap(40000, 16, 1000, NULL, 1);
    thin(10);
    errno = 0;
    int result = sinter.compact ? sinter.compact() : 0;
    REQUIRE(result == 0 || errno == ENOTSUP);
    REQUIRE(result == 0 || stats_now().packed == 0);
    use_and_fork();
    return 0;
}

static const struct test_case cases[] = {
    {"rounds", rounds_case},
    {"free", free_case},
    {"calloc", calloc_case},
    {"realloc", realloc_case},
    {"usable", usable_case},
    {"memalign", memalign_case},
    {"trim", trim_case},
    {"threads", threads_case},
    {"races", races_case},
    {"turns", turns_case},
    {"control", control_case},
    {"close", close_case},
    {"setuid", setuid_case},
    {"setuid_orphan", setuid_orphan_case},
    {"capabilities", capabilities_case},
    {"dumpable", dumpable_case},
    {"chroot", chroot_case},
    {"limits", limits_case},
    {"seccomp_strict", seccomp_strict_case},
    {"seccomp_thread", seccomp_thread_case},
    {"seccomp_process", seccomp_process_case},
    {"seccomp_exec", seccomp_exec_case},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "unavailable") == 0)
        return unavailable();
    return packing_main(cases, sizeof cases / sizeof *cases, argc, argv);
}
