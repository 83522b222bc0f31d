/*
 * A program with a sparse heap of known contents that other processes reach: usage: control WORD...
 * It does what the words say one after the other, and ends well if every byte of its heap is right:
 *
 *   page        waits until it has a control page
 *   none        waits until it is known that it cannot have one
 *   lost        waits until its page is given up
 *   parked      waits until the background thread sleeps on the page
 *   say         prints "ready" and its process id
 *   wait        waits for a line of input
 *   busy        frees and allocates until there is input
 *   more        frees what a thread that sleeps has to be woken for
 *   large       keeps some large blocks
 *   close       closes all descriptors but the first three
 *   chroot=DIR  changes the root directory, and the user
 *   filter      forbids itself, on pain of death, to open and to remove files
 *   fsize       limits the size of files to nothing
 *   fork        has a child do the words that follow, and waits for it
 *   clone       the same without fork(3)
 *   exec        becomes itself, with the words that follow
 *   exit        ends by exit(3) at once
 */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sinter/malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBJECTS = 60000, KEPT = 10, LONGEST_S = 60, NOBODY = 65534, MORE = 600 };

static unsigned char *objects[OBJECTS];
static int (*stats_get)(struct sinter_stats *);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(STDERR_FILENO, "control: %s, line %d: not so: %s (errno %d)\n", __func__, __LINE__,      \
                    #condition, errno);                                                                      \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* ---- the heap ---- */

static size_t size_of(size_t i)
{
    return 100 + i * 7 % 400;
}

static void make(size_t i)
{
    objects[i] = malloc(size_of(i));
    REQUIRE(objects[i]);
    memset(objects[i], (int)(i % 251), size_of(i));
}

static void check(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        for (size_t k = 0; objects[i] && k < size_of(i); k++)
            REQUIRE(objects[i][k] == i % 251);
    }
}

/* Full, then nine of ten freed. */
static void make_sparse(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        if (!objects[i])
            make(i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i % KEPT) {
            free(objects[i]);
            objects[i] = NULL;
        }
    }
}

/* ---- the words ---- */

static struct sinter_stats stats(void)
{
    struct sinter_stats s = {.size = sizeof s};
    REQUIRE(stats_get && stats_get(&s) == 0);
    return s;
}

static void wait_page(void)
{
    while (stats().control == 0)
        usleep(1000);
    REQUIRE(stats().control == 1);
}

static void wait_none(void)
{
    while (stats().control == 0)
        usleep(1000);
    REQUIRE(stats().control == 2);
}

static void wait_lost(void)
{
    while (stats().control != 2)
        usleep(1000);
}

static void wait_parked(void)
{
    while (stats().background != 0)
        usleep(1000);
    REQUIRE(stats().control == 1);
}

static void say(void)
{
    char line[64];
    int length = snprintf(line, sizeof line, "ready %ld\n", (long)getpid());
    REQUIRE(write(STDOUT_FILENO, line, (size_t)length) == length);
}

static void wait_input(void)
{
    char c;
    while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
        ;
}

static void busy(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; poll(&input, 1, 0) == 0; i += 7919) {
        size_t at = i % OBJECTS;
        if (objects[at] && at % KEPT) {
            free(objects[at]);
            objects[at] = NULL;
        } else if (!objects[at]) {
            make(at);
        }
        if (i % 64 == 0)
            check();
    }
    wait_input();
}

/* Pages, not slots: they are noticed at once. */
static void more(void)
{
    static void *blocks[MORE];
    uint64_t before = stats().purged;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MORE; i++) {
            blocks[i] = malloc(60000);
            REQUIRE(blocks[i]);
            memset(blocks[i], 1, 60000);
        }
        for (int i = 0; i < MORE; i++)
            free(blocks[i]);
    }
    while (stats().purged == before) { /* where no thread can be woken, calls of the program do it */
        free(malloc(60000));
        usleep(1000);
    }
}

static void large(void)
{
    for (size_t i = 0; i < 40; i++) {
        char *block = memset(malloc(100000 + i * 5000), 1, 100000);
        if (i % 3 == 0)
            free(block);
    }
}

static void change_root(const char *directory)
{
    REQUIRE(chroot(directory) == 0 && chdir("/") == 0);
    REQUIRE(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void set_filter(void)
{
    static const unsigned forbidden[] = {SYS_openat, SYS_unlinkat,   SYS_prctl,
                                         SYS_kill,   SYS_readlinkat, SYS_mkdirat};
    enum { N = sizeof forbidden / sizeof forbidden[0] };
    struct sock_filter code[N + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    for (unsigned i = 0; i < N; i++)
        code[1 + i] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], (unsigned char)(N - i), 0);
    code[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog program = {N + 3, code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void limit_files(void)
{
    const struct rlimit none = {0, 0};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
}

/* 0 in the child, whose words follow; the parent goes on with none when it has ended well. */
static bool in_child(pid_t pid)
{
    int status;
    REQUIRE(pid >= 0);
    if (pid == 0)
        return true;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return false;
}

/* The pages of the parent's background thread are not here. */
static void require_own_page(void)
{
    char line[4096], name[64];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;
    REQUIRE(maps);
    snprintf(name, sizeof name, "-%ld\n", (long)getpid());
    while (fgets(line, sizeof line, maps)) {
        const char *path = strstr(line, "/dev/shm/sinter-");
        REQUIRE(!path || strstr(path, name));
        found += path != NULL;
    }
    fclose(maps);
    REQUIRE(found <= 1);
}

static bool plain_word(const char *word)
{
    static const struct {
        const char *word;
        void (*function)(void);
    } words[] = {{"page", wait_page}, {"none", wait_none},    {"lost", wait_lost},   {"parked", wait_parked},
                 {"say", say},        {"wait", wait_input},   {"busy", busy},        {"more", more},
                 {"large", large},    {"filter", set_filter}, {"fsize", limit_files}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) == 0) {
            words[i].function();
            return true;
        }
    }
    return false;
}

/* Returns whether there are more words for this process. */
static bool other_word(char **argv, int at)
{
    const char *word = argv[at];
    if (strcmp(word, "close") == 0) {
        REQUIRE(close_range(3, ~0U, 0) == 0);
    } else if (strncmp(word, "chroot=", 7) == 0) {
        change_root(word + 7);
    } else if (strcmp(word, "fork") == 0) {
        if (!in_child(fork()))
            return false;
        require_own_page();
        make_sparse();
    } else if (strcmp(word, "clone") == 0) {
        if (!in_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)))
            return false;
        require_own_page();
    } else if (strcmp(word, "exec") == 0) {
        argv[at] = argv[0];
        execv("/proc/self/exe", argv + at);
        REQUIRE(!"exec");
    } else if (strcmp(word, "exit") == 0) {
        exit(0);
    } else {
        dprintf(STDERR_FILENO, "control: unknown word '%s'\n", word);
        _exit(64);
    }
    return true;
}

int main(int argc, char **argv)
{
    alarm(LONGEST_S);
    *(void **)&stats_get = dlsym(RTLD_DEFAULT, "sinter_stats_get");
    make_sparse();
    for (int i = 1; i < argc; i++) {
        if (!plain_word(argv[i]) && !other_word(argv, i))
            break;
    }
    check();
    return 0;
}
