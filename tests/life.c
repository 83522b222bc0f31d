/*
 * What happens to a process while it allocates: start, threads, fork, exit, limits. One case a run, named by the
 * first argument; tests/life.sh runs them all preloaded. A case that hangs is killed by SIGALRM.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *self;

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            give_up(__func__, __LINE__, #condition);                                                         \
    } while (0)

__attribute__((noreturn)) static void give_up(const char *where, int line, const char *what)
{
    dprintf(STDERR_FILENO, "life: %s, line %d: not so: %s (errno %d)\n", where, line, what, errno);
    _exit(1);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

/* Blocks of many sizes, each filled with its own number. */
enum { SET = 200 };
struct set {
    unsigned char *p[SET];
    size_t size[SET];
};

static void set_put(struct set *s, unsigned i, uint32_t *state)
{
    uint32_t r = next_random(state);
    s->size[i] = r % 50 == 0 ? r % 300000 : r % 2000;
    s->p[i] = malloc(s->size[i]);
    REQUIRE(s->p[i] && malloc_usable_size(s->p[i]) >= s->size[i]);
    memset(s->p[i], (int)i, s->size[i]);
}

static void set_drop(struct set *s, unsigned i)
{
    for (size_t k = 0; k < s->size[i]; k++)
        REQUIRE(s->p[i][k] == (unsigned char)i);
    free(s->p[i]);
    s->p[i] = NULL;
    s->size[i] = 0;
}

static void churn(struct set *s, unsigned rounds, uint32_t state)
{
    for (unsigned n = 0; n < rounds; n++) {
        unsigned i = next_random(&state) % SET;
        if (s->p[i])
            set_drop(s, i);
        else
            set_put(s, i, &state);
    }
}

static void clear(struct set *s)
{
    for (unsigned i = 0; i < SET; i++)
        set_drop(s, i);
}

static void churn_once(unsigned rounds)
{
    struct set s = {{0}, {0}};
    churn(&s, rounds, rounds + 1);
    clear(&s);
}

/* Threads that allocate in the background of a case. */
enum { BACKGROUND = 3 };
static atomic_bool stop;
static pthread_t background[BACKGROUND];

static void *churn_until_stop(void *arg)
{
    struct set s = {{0}, {0}};
    for (uint32_t n = 1; !atomic_load(&stop); n++)
        churn(&s, 100, n + (uint32_t)(uintptr_t)arg * 1000);
    clear(&s);
    return NULL;
}

static void background_start(void)
{
    for (int i = 0; i < BACKGROUND; i++)
        REQUIRE(pthread_create(&background[i], NULL, churn_until_stop, (void *)(uintptr_t)i) == 0);
}

static void background_stop(void)
{
    atomic_store(&stop, true);
    for (int i = 0; i < BACKGROUND; i++)
        pthread_join(background[i], NULL);
}

static void *short_life(void *arg)
{
    churn_once(50);
    return arg;
}

static void reap(pid_t pid)
{
    int status = 0;
    REQUIRE(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "life: child died of signal %d%s\n", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Forks a child that does its work and ends well. */
static pid_t fork_to(void *(*work)(void *), void *arg)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        work(arg);
        _exit(0);
    }
    return pid;
}

static size_t status_kib(const char *key)
{
    char line[256];
    size_t value = 0;
    FILE *f = fopen("/proc/self/status", "r");
    REQUIRE(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoul(line + strlen(key) + 1, NULL, 10);
    }
    fclose(f);
    return value;
}

/* ---- start ---- */

static void *preinit_block, *constructor_block;

static void preinit(void)
{
    preinit_block = strcpy(malloc(100), "from preinit");
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;
__attribute__((constructor(101))) static void construct(void)
{
    constructor_block = strcpy(malloc(70000), "from a constructor");
}
__attribute__((destructor(101))) static void destruct(void)
{
    free(preinit_block);
    churn_once(1000);
}

static void start_case(void)
{
    REQUIRE(strcmp(preinit_block, "from preinit") == 0);
    REQUIRE(strcmp(constructor_block, "from a constructor") == 0);
    constructor_block = realloc(constructor_block, 200000);
    REQUIRE(strcmp(constructor_block, "from a constructor") == 0);
    free(constructor_block);
    churn_once(5000);
}

/* Run with hook.so preloaded before the library. */
static void hook_case(void)
{
    void **block = dlsym(RTLD_DEFAULT, "hook_block");
    atomic_ulong *calls = dlsym(RTLD_DEFAULT, "hook_calls");
    REQUIRE(block && calls && atomic_load(calls) > 20);
    REQUIRE(strcmp(*block, "from a constructor") == 0);
    free(*block);
    background_start();
    churn_once(5000);
    background_stop();
}

/* ---- the end of threads ---- */

extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;

static pthread_key_t keys[3];
static atomic_uint destroyed;

static void key_destructor(void *arg)
{
    churn_once(300);
    unsigned *rounds = arg, left = *rounds;
    free(rounds);
    atomic_fetch_add(&destroyed, 1);
    if (left > 1) { /* set again: the library calls us again, up to four times */
        rounds = malloc(sizeof *rounds);
        *rounds = left - 1;
        pthread_setspecific(keys[left % 3], rounds);
    }
}

static void tls_destructor(void *arg)
{
    churn_once(300);
    free(arg);
    atomic_fetch_add(&destroyed, 1);
}

static void *thread_with_destructors(void *arg)
{
    __cxa_thread_atexit_impl(tls_destructor, malloc(100), &__dso_handle);
    unsigned *rounds = malloc(sizeof *rounds);
    *rounds = 4;
    pthread_setspecific(keys[0], rounds);
    if (arg)
        churn_once(300);
    return NULL;
}

static void destructors_case(void)
{
    enum { N = 200 };
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_key_create(&keys[i], key_destructor) == 0);
    for (uintptr_t i = 0; i < N; i++) {
        pthread_t t;
        REQUIRE(pthread_create(&t, NULL, thread_with_destructors, (void *)(i % 2)) == 0);
        REQUIRE(pthread_join(t, NULL) == 0);
    }
    REQUIRE(atomic_load(&destroyed) >= N * 4);
}

static void *make_set(void *arg)
{
    struct set *s = malloc(sizeof *s);
    memset(s, 0, sizeof *s);
    churn(s, 2000, (uint32_t)(uintptr_t)arg + 1);
    return s;
}

static void handover_case(void)
{
    enum { N = 16 };
    for (int round = 0; round < 20; round++) {
        pthread_t t[N];
        struct set *s[N];
        for (uintptr_t i = 0; i < N; i++)
            REQUIRE(pthread_create(&t[i], NULL, make_set, (void *)i) == 0);
        for (int i = 0; i < N; i++)
            REQUIRE(pthread_join(t[i], (void **)&s[i]) == 0);
        for (int i = 0; i < N; i++) {
            churn(s[i], 500, (uint32_t)i + 77);
            clear(s[i]);
            free(s[i]);
        }
    }
}

static _Atomic(void *) passed_on;

static void *brief(void *arg)
{
    (void)arg;
    char *p[20];
    for (int i = 0; i < 20; i++)
        p[i] = memset(malloc((size_t)i * 100 + 1), i, (size_t)i * 100 + 1);
    for (int i = 1; i < 20; i++)
        free(p[i]);
    free(atomic_exchange(&passed_on, p[0]));
    return NULL;
}

static void threads_case(void)
{
    enum { AT_ONCE = 20 };
    size_t early = 0;
    for (int i = 0; i < 10000 / AT_ONCE; i++) {
        pthread_t t[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++)
            REQUIRE(pthread_create(&t[k], NULL, brief, NULL) == 0);
        for (int k = 0; k < AT_ONCE; k++)
            REQUIRE(pthread_join(t[k], NULL) == 0);
        if (i == 50)
            early = status_kib("VmRSS:");
    }
    free(atomic_exchange(&passed_on, NULL));
    size_t late = status_kib("VmRSS:");
    if (late > early + 16384)
        dprintf(STDERR_FILENO, "life: grew from %zu to %zu KiB\n", early, late);
    REQUIRE(late <= early + 16384);
}

/* ---- exit ---- */

static void *kept_for_exit;

static void at_exit(void)
{
    REQUIRE(strcmp(kept_for_exit, "kept") == 0);
    free(kept_for_exit);
    churn_once(1000);
}

static void at_exit_again(void)
{
    churn_once(1000);
    atexit(at_exit);
}

static void exit_case(void)
{
    kept_for_exit = strcpy(malloc(50), "kept");
    atexit(at_exit_again);
    background_start(); /* and still running when the handlers are */
}

static void *outlive_main(void *arg)
{
    usleep(100000);
    churn_once(5000);
    puts("outlived main");
    return arg;
}

/* The process must end with its last thread, whatever threads the library runs. */
static void pthread_exit_case(void)
{
    enum { N = 4000, SIZE = 16000 };
    static void *p[N];
    for (int i = 0; i < N; i++)
        p[i] = memset(malloc(SIZE), 1, SIZE);
    for (int i = 0; i < N; i++)
        free(p[i]);
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, outlive_main, NULL) == 0);
    churn_once(1000);
    pthread_exit(NULL);
}

/* ---- fork and its relatives ---- */

/* The life of a child, and of its own children to the depth given. */
__attribute__((noreturn)) static void in_child(struct set *s, int depth)
{
    pid_t child;
    do {
        alarm(20);
        churn(s, 500, (uint32_t)getpid());
        pthread_t t[3];
        for (int i = 0; i < 3; i++)
            REQUIRE(pthread_create(&t[i], NULL, short_life, NULL) == 0);
        for (int i = 0; i < 3; i++)
            REQUIRE(pthread_join(t[i], NULL) == 0);
        child = depth-- > 0 ? fork() : -1;
    } while (child == 0);
    if (child > 0)
        reap(child);
    clear(s);
    malloc_trim(0);
    churn_once(200);
    if (depth % 2)
        exit(0);
    _exit(0);
}

static void fork_case(void)
{
    static struct set s;
    background_start();
    for (int i = 0; i < 100; i++) {
        churn(&s, 200, (uint32_t)i + 1);
        pid_t pid = fork();
        if (pid == 0)
            in_child(&s, i % 3);
        churn(&s, 50, (uint32_t)i + 5);
        reap(pid);
    }
    background_stop();
    clear(&s);
}

/* Several threads fork at once. */
static void *forking(void *arg)
{
    for (int i = 0; i < 30; i++) {
        pid_t pid = fork_to(short_life, NULL);
        churn_once(50);
        reap(pid);
    }
    return arg;
}

static void fork_threads_case(void)
{
    pthread_t t[4];
    background_start();
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, forking, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    background_stop();
}

static void vfork_case(void)
{
    background_start();
    for (int i = 0; i < 200; i++) {
        void *volatile from_child = NULL;
        pid_t pid = vfork();
        if (pid == 0) {
            free(malloc(100)); /* not allowed, but done, before execve */
            from_child = malloc(5000);
            if (i % 2)
                execl("/proc/self/exe", self, "nothing", (char *)NULL);
            _exit(i % 2);
        }
        free(from_child);
        reap(pid);
    }
    background_stop();
}

static void spawn_case(void)
{
    char *argv[] = {(char *)(uintptr_t)self, (char *)(uintptr_t) "start", NULL};
    background_start();
    for (int i = 0; i < 100; i++) {
        pid_t pid = 0;
        REQUIRE(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
        churn_once(100);
        reap(pid);
    }
    background_stop();
}

static volatile sig_atomic_t handled;

static void fork_in_handler(int signal)
{
    (void)signal;
    reap(fork_to(short_life, NULL));
    handled++;
}

static void handler_case(void)
{
    background_start();
    /* Blocked but in sigsuspend, so that the handler never interrupts malloc. */
    sigset_t usr1, old;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &old);
    struct sigaction action = {.sa_handler = fork_in_handler};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 50; i++) {
        churn_once(100);
        pthread_kill(pthread_self(), SIGUSR1);
        sigset_t waiting = old;
        sigdelset(&waiting, SIGUSR1);
        sigsuspend(&waiting);
    }
    REQUIRE(handled == 50);
    background_stop();
}

/* ---- limits ---- */

enum { EXHAUST_MAX = 1 << 16 };
static void *exhausted[EXHAUST_MAX];

/* Allocates until nothing is left, and everything back; returns the bytes it got. */
static size_t exhaust(size_t size)
{
    size_t n = 0;
    errno = 0;
    while (n < EXHAUST_MAX && (exhausted[n] = malloc(size)))
        *(char *)exhausted[n++] = 1;
    REQUIRE(n > 0 && n < EXHAUST_MAX && errno == ENOMEM);
    errno = 0;
    REQUIRE(calloc(1, 1 << 30) == NULL && errno == ENOMEM);
    REQUIRE(realloc(exhausted[0], 1 << 30) == NULL && *(char *)exhausted[0] == 1);
    for (size_t i = 0; i < n; i++)
        free(exhausted[i]);
    return n * size;
}

/* Blocks of one size, twice over: what was freed must serve again. */
static void *exhaust_one(void *arg)
{
    size_t size = (size_t)(uintptr_t)arg;
    for (int round = 0; round < 2; round++) {
        size_t got = exhaust(size);
        if (got < (size_t)100 << 20)
            dprintf(STDERR_FILENO, "life: only %zu MiB in blocks of %zu, round %d\n", got >> 20, size, round);
        REQUIRE(got >= (size_t)100 << 20);
        churn_once(2000);
    }
    return NULL;
}

static void limited(bool mixed)
{
    static const size_t sizes[] = {32000, 100000, 1 << 20, 20 << 20, 100000, 32000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (mixed)
            exhaust_one((void *)sizes[i]);
        else
            reap(fork_to(exhaust_one, (void *)sizes[i]));
    }
}

/* The stack can't grow either once the limit is reached. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile char stack[512 << 10];
    for (size_t i = 0; i < sizeof stack; i += 4096)
        stack[i] = 1;
}

static void set_limit(void)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)700 << 20, .rlim_max = RLIM_INFINITY};
    churn_once(2000);
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void limit_inside_case(void)
{
    grow_stack();
    set_limit();
    limited(false);
}

/* What blocks of one size have given back must serve those of another. */
static void limit_inside_mixed_case(void)
{
    grow_stack();
    set_limit();
    limited(true);
}

/* Address space that the allocator holds in reserve must not be what the rest of the process lacks. */
static void limit_inside_others_case(void)
{
    set_limit();
    grow_stack();
    void *p = mmap(NULL, 100 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, short_life, NULL) == 0);
    REQUIRE(pthread_join(t, NULL) == 0);
}

/* These run under ulimit -v 1000000. */
static void limit_outside_case(void)
{
    struct rlimit limit;
    grow_stack();
    REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == (rlim_t)1000000 * 1024);
    pthread_t t;
    for (int i = 0; i < 20; i++) {
        REQUIRE(pthread_create(&t, NULL, short_life, NULL) == 0);
        REQUIRE(pthread_join(t, NULL) == 0);
    }
    limited(false);
}

static void limit_outside_mixed_case(void)
{
    limited(true);
}

/* Run under overcommit mode 2. */
static void overcommit_case(void)
{
    background_start();
    churn_once(20000);
    char *p = malloc(200 << 20);
    REQUIRE(p);
    memset(p, 1, 200 << 20);
    free(p);
    reap(fork_to(short_life, NULL));
    background_stop();
}

static void close_all_case(void)
{
    background_start();
    churn_once(1000);
    close_range(0, ~0U, 0);
    churn_once(20000);
    char *p = malloc(100 << 20);
    REQUIRE(p);
    memset(p, 1, 100 << 20);
    free(p);
    malloc_trim(0);
    reap(fork_to(short_life, NULL));
    background_stop();
}

/* ---- dlopen ---- */

/* argv: a shared object to load and unload. */
static void dlopen_case(const char *object)
{
    background_start();
    for (int i = 0; i < 200; i++) {
        void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            dprintf(STDERR_FILENO, "life: %s\n", dlerror());
        REQUIRE(handle);
        void **block = dlsym(handle, "hook_block");
        REQUIRE(block && strcmp(*block, "from a constructor") == 0);
        free(*block);
        char **tls = dlsym(handle, "hook_tls"); /* allocates this thread's TLS block of the object */
        REQUIRE(tls);
        *tls = NULL;
        churn_once(50);
        REQUIRE(dlclose(handle) == 0);
        REQUIRE(dlopen("/does/not/exist.so", RTLD_NOW) == NULL && dlerror());
    }
    background_stop();
}

static void *(*loaded_malloc)(size_t);
static void (*loaded_free)(void *);

static void *use_loaded(void *arg)
{
    void *p[100];
    for (size_t i = 0; i < 100; i++)
        p[i] = memset(loaded_malloc(i * i), 1, i * i);
    for (size_t i = 0; i < 100; i++)
        loaded_free(p[i]);
    return arg;
}

/* The library itself, in a program that was not preloaded. */
static void dlopen_library_case(const char *library)
{
    background_start();
    for (int i = 0; i < 20; i++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            dprintf(STDERR_FILENO, "life: %s\n", dlerror());
        REQUIRE(handle);
        *(void **)&loaded_malloc = dlsym(handle, "malloc");
        *(void **)&loaded_free = dlsym(handle, "free");
        REQUIRE(loaded_malloc && loaded_free && loaded_malloc != malloc);
        pthread_t t[4];
        for (int k = 0; k < 4; k++)
            REQUIRE(pthread_create(&t[k], NULL, use_loaded, NULL) == 0);
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
        use_loaded(NULL);
        reap(fork_to(use_loaded, NULL));
        churn_once(100);
        REQUIRE(dlclose(handle) == 0);
        use_loaded(NULL); /* it must have stayed: threads and exit handlers of its own may be alive */
    }
    background_stop();
}

static void nothing_case(void) {}

static const struct {
    const char *name;
    void (*run)(void);
    void (*run_with)(const char *);
} cases[] = {
    {"nothing", nothing_case, NULL},
    {"start", start_case, NULL},
    {"hook", hook_case, NULL},
    {"destructors", destructors_case, NULL},
    {"handover", handover_case, NULL},
    {"threads", threads_case, NULL},
    {"exit", exit_case, NULL},
    {"pthread_exit", pthread_exit_case, NULL},
    {"fork", fork_case, NULL},
    {"fork_threads", fork_threads_case, NULL},
    {"vfork", vfork_case, NULL},
    {"spawn", spawn_case, NULL},
    {"handler", handler_case, NULL},
    {"limit_inside", limit_inside_case, NULL},
    {"limit_outside", limit_outside_case, NULL},
    {"limit_inside_others", limit_inside_others_case, NULL},
    {"limit_inside_mixed", limit_inside_mixed_case, NULL},
    {"limit_outside_mixed", limit_outside_mixed_case, NULL},
    {"overcommit", overcommit_case, NULL},
    {"close_all", close_all_case, NULL},
    {"dlopen", NULL, dlopen_case},
    {"dlopen_library", NULL, dlopen_library_case},
};

int main(int argc, char **argv)
{
    self = argv[0];
    for (size_t i = 0; i < sizeof cases / sizeof *cases && argc > 1; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        alarm(60);
        if (cases[i].run)
            cases[i].run();
        else if (argc > 2)
            cases[i].run_with(argv[2]);
        else
            break;
        return 0;
    }
    fprintf(stderr, "usage: life CASE [OBJECT]\n");
    return 2;
}
