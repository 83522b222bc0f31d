/*
 * verify: threads, and the children of forks, work with objects of which every byte is known, while pages are packed,
 * brought back, restored. Preloaded.
 *
 *   verify [-s SEED] [-t THREADS] [-d SECONDS] [-n OBJECTS] [-c] [-m] [-p MIB]
 *     -c  close descriptors at random, from 3 to 100, whoever they belong to
 *     -m  have the kernel migrate pages all the time (as root)
 *     -p  a child that takes and returns so much memory
 *
 * An object is only used under the lock of its shard, and a thread that forks holds all of these: what a child inherits
 * is consistent. The tables are in mappings; nothing here is allocated but the objects.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sinter/malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHARDS = 64, MAX_THREADS = 64, MAX_CHILDREN = 3, HANG_SECONDS = 180, MAX_PRESSURE = 4096 };

struct object {
    unsigned char *p;
    uint32_t size;
    uint32_t version;
};

struct shard {
    pthread_mutex_t lock;
    struct object *objects;
};

/* What the process is at: the phases follow each other in this order. */
enum phase { FILL, CHURN, THIN, IDLE, READ, PHASES };
static const char *const phase_names[] = {"fill", "churn", "thin", "idle", "read"};

static uint64_t seed;
static unsigned threads = 8, seconds = 10, per_shard;
static bool closing, migrating;
static unsigned pressure;

static struct shard *shards;
static _Atomic enum phase phase;
static atomic_bool stop;
static atomic_ulong operations, controls;
static unsigned long forks;

/* Of all processes, since nobody waits for some. */
static struct {
    atomic_uint failed, running;
} * family;

static struct {
    int (*compact)(void);
    int (*restore)(void);
    int (*stats)(struct sinter_stats *);
} sinter;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(STDERR_FILENO,
            "verify: FAILED: %s\nverify: process %d, phase %s; replay with -s %llu -t %u%s%s\n", text,
            (int)getpid(), phase_names[phase], (unsigned long long)seed, threads, closing ? " -c" : "",
            migrating ? " -m" : "");
    atomic_fetch_add(&family->failed, 1);
    _exit(1);
}

static void *map_as(size_t size, int flags)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        fail("mmap of %zu bytes: errno %d", size, errno);
    return p;
}

static void *map(size_t size)
{
    return map_as(size, MAP_PRIVATE);
}

static void pause_us(long us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t next(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15);
}

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return next(random) % limit;
}

/* ---- objects; all under the lock of their shard ---- */

static uint64_t name_of(unsigned s, size_t i)
{
    return (uint64_t)s << 32 | i;
}

static uint64_t word_of(uint64_t name, uint32_t version, size_t at)
{
    return mix((name * 0x9e3779b97f4a7c15 ^ version) + at * 0xbf58476d1ce4e5b9);
}

static void write_object(struct object *o, uint64_t name)
{
    for (size_t at = 0; at < o->size; at += 8) {
        uint64_t w = word_of(name, o->version, at);
        memcpy(o->p + at, &w, o->size - at < 8 ? o->size - at : 8);
    }
}

__attribute__((noreturn)) static void wrong(const struct object *o, uint64_t name, size_t at,
                                            const char *when)
{
    uint64_t expected = word_of(name, o->version, at), found = 0;
    memcpy(&found, o->p + at, o->size - at < 8 ? o->size - at : 8);
    fail("%s: object %llx at %p, %u bytes, version %u: at offset %zu expected %016llx, found %016llx", when,
         (unsigned long long)name, (void *)o->p, o->size, o->version, at, (unsigned long long)expected,
         (unsigned long long)found);
}

static void check_object(const struct object *o, uint64_t name, size_t size, const char *when)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t w = word_of(name, o->version, at);
        if (memcmp(o->p + at, &w, size - at < 8 ? size - at : 8) != 0)
            wrong(o, name, at, when);
    }
}

static uint32_t random_size(uint64_t *random)
{
    uint64_t kind = below(random, 1000);
    if (kind < 2)
        return 1 + (uint32_t)below(random, 300000);
    return 1 + (uint32_t)below(random, kind < 30 ? 8000 : kind < 400 ? 1200 : 200);
}

static void *allocate(uint64_t *random, size_t size)
{
    uint64_t kind = below(random, 16);
    if (kind == 0)
        return memalign((size_t)16 << below(random, 8), size);
    if (kind > 3)
        return malloc(size);
    unsigned char *p = calloc(1, size);
    for (size_t i = 0; p && i < size; i++) {
        if (p[i] != 0)
            fail("memory of calloc at %p, %zu bytes: byte %zu is %02x", (void *)p, size, i, p[i]);
    }
    return p;
}

static void make(struct object *o, uint64_t name, uint64_t *random)
{
    o->size = random_size(random);
    o->p = allocate(random, o->size);
    if (!o->p)
        fail("out of memory, %u bytes", o->size);
    if (malloc_usable_size(o->p) < o->size)
        fail("malloc_usable_size of %u bytes at %p", o->size, (void *)o->p);
    o->version++;
    write_object(o, name);
}

static void drop(struct object *o, uint64_t name)
{
    check_object(o, name, o->size, "before free");
    free(o->p);
    o->p = NULL;
}

/* Frees without looking, so that a packed object is freed where it is. */
static void drop_unseen(struct object *o)
{
    free(o->p);
    o->p = NULL;
}

static void resize(struct object *o, uint64_t name, uint64_t *random)
{
    uint32_t size = random_size(random);
    o->p = realloc(o->p, size);
    if (!o->p)
        fail("out of memory, realloc to %u bytes", size);
    check_object(o, name, size < o->size ? size : o->size, "after realloc");
    o->size = size;
    o->version++;
    write_object(o, name);
}

static void rewrite(struct object *o, uint64_t name)
{
    o->version++;
    write_object(o, name);
}

/* How likely, of 100, a place is to be taken at the end of the phase. */
static unsigned wanted(enum phase now)
{
    return now == FILL ? 95 : now == CHURN ? 50 : 8;
}

static void work(struct object *o, uint64_t name, enum phase now, uint64_t *random)
{
    unsigned r = (unsigned)below(random, 100);
    if (!o->p) {
        if (now < IDLE && r < wanted(now))
            make(o, name, random);
    } else if (now < IDLE && r >= wanted(now)) {
        if (r % 2)
            drop(o, name);
        else
            drop_unseen(o);
    } else if (now != THIN && r % 8 == 0) {
        resize(o, name, random);
    } else if (now != THIN || r % 8 == 0) {
        check_object(o, name, o->size, "when touched");
        if (r % 4 == 0)
            rewrite(o, name);
    }
}

/* Objects that are touched in the idle phase: few, and not always the same. */
static size_t choose(uint64_t *random, enum phase now, unsigned id)
{
    size_t span = now == IDLE ? per_shard / 100 + 1 : per_shard;
    return (id * 97 + below(random, span)) % per_shard;
}

static void step(unsigned id, uint64_t *random)
{
    enum phase now = phase;
    unsigned s = (unsigned)below(random, SHARDS);
    struct shard *shard = &shards[s];
    pthread_mutex_lock(&shard->lock);
    unsigned burst = now == IDLE ? 1 : 20;
    for (unsigned n = 0; n < burst; n++) {
        size_t i = choose(random, now, id);
        work(&shard->objects[i], name_of(s, i), now, random);
    }
    pthread_mutex_unlock(&shard->lock);
    atomic_fetch_add(&operations, burst);
    if (now == IDLE)
        pause_us(2000);
}

static void *run(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    uint64_t random = mix(seed + id + 1);
    while (!atomic_load(&stop))
        step(id, &random);
    return NULL;
}

static void check_all(const char *when)
{
    for (unsigned s = 0; s < SHARDS; s++) {
        for (size_t i = 0; i < per_shard; i++) {
            const struct object *o = &shards[s].objects[i];
            if (o->p)
                check_object(o, name_of(s, i), o->size, when);
        }
    }
}

static void lock_all(void)
{
    for (unsigned s = 0; s < SHARDS; s++)
        pthread_mutex_lock(&shards[s].lock);
}

static void unlock_all(void)
{
    for (unsigned s = 0; s < SHARDS; s++)
        pthread_mutex_unlock(&shards[s].lock);
}

/* ---- the library's own calls ---- */

static void *control(void *arg)
{
    uint64_t random = mix(seed + 1000);
    while (!atomic_load(&stop)) {
        uint64_t kind = below(&random, 12);
        if (kind == 0 && sinter.restore)
            sinter.restore();
        else if (kind < 4)
            malloc_trim(0);
        else if (sinter.compact)
            sinter.compact();
        atomic_fetch_add(&controls, 1);
        pause_us((long)below(&random, 200000));
    }
    return arg;
}

/* ---- what disturbs ---- */

static void *close_descriptors(void *arg)
{
    uint64_t random = mix(seed + 2000);
    while (!atomic_load(&stop)) {
        int fd[2];
        if (below(&random, 2) && pipe(fd) == 0 && below(&random, 2))
            close(fd[0]);
        else
            open("/dev/null", O_RDWR);
        close(3 + (int)below(&random, 98));
        if (below(&random, 100) == 0)
            close_range(3, 100, 0);
        pause_us((long)below(&random, 2000));
    }
    return arg;
}

static pid_t helper(void (*what)(void))
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        what();
    _exit(0);
}

static void migrate(void)
{
    int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);
    if (fd < 0 || write(fd, "1", 1) != 1)
        pause_us(1000000);
    if (fd >= 0)
        close(fd);
    pause_us(20000);
}

static void press(void)
{
    size_t size = (size_t)pressure << 20;
    char *p = map(size);
    for (size_t at = 0; at < size; at += 4096)
        p[at] = 1;
    pause_us(100000);
    munmap(p, size);
    pause_us(100000);
}

/* ---- forks ---- */

static void *run_in_child(void *arg)
{
    uint64_t random = mix(seed + (uintptr_t)arg);
    for (int i = 0; i < 200; i++)
        step((unsigned)below(&random, 1000), &random);
    return NULL;
}

static void live_as_child(unsigned number, int generations);

static pid_t fork_locked(unsigned number, int generations)
{
    lock_all();
    atomic_fetch_add(&family->running, 1);
    pid_t pid = fork();
    if (pid == 0)
        live_as_child(number, generations);
    unlock_all();
    if (pid < 0)
        fail("fork: errno %d", errno);
    return pid;
}

/* Every fourth time it is left behind at once. */
static void have_child(unsigned number, int generations)
{
    int status;
    pid_t pid = fork_locked(number, generations);
    if (number % 4 && (waitpid(pid, &status, 0) != pid || status != 0))
        fail("a grandchild ended with status %x", (unsigned)status);
}

/* With all locks held, as at the fork. */
__attribute__((noreturn)) static void live_as_child(unsigned number, int generations)
{
    pthread_t t[2];
    alarm((unsigned)(HANG_SECONDS * (1 + generations))); /* it waits for its children, and they for theirs */
    if (number % 2)
        check_all("in a child, at once");
    unlock_all();
    phase = CHURN;
    for (uintptr_t i = 0; i < 2; i++) {
        if (pthread_create(&t[i], NULL, run_in_child, (void *)(number * 10 + i)) != 0)
            fail("no thread in a child");
    }
    if (sinter.compact && number % 3)
        sinter.compact();
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    check_all("in a child, at its end");
    if (generations > 0)
        have_child(number + 1, generations - 1);
    atomic_fetch_sub(&family->running, 1);
    _exit(0);
}

static pid_t children[MAX_CHILDREN];

/* Takes in children that have ended; waits for all of them if told to. */
static void reap(bool all)
{
    for (int i = 0; i < MAX_CHILDREN; i++) {
        int status = 0;
        if (children[i] == 0 || waitpid(children[i], &status, all ? 0 : WNOHANG) == 0)
            continue;
        if (status != 0)
            fail("child %d ended with status %x%s", (int)children[i], (unsigned)status,
                 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
        children[i] = 0;
    }
}

/* Those that nobody waits for. */
static void await_orphans(void)
{
    for (int i = 0; i < HANG_SECONDS * 300 && family->running != 0; i++)
        pause_us(10000);
    if (family->running != 0)
        fail("%u orphans did not come to their end", family->running);
}

static void fork_one(void)
{
    for (int i = 0; i < MAX_CHILDREN; i++) {
        if (children[i] != 0)
            continue;
        children[i] = fork_locked((unsigned)forks, forks % 3 == 0 ? 2 : 0);
        forks++;
        return;
    }
}

/* ---- the whole ---- */

static void on_alarm(int signal)
{
    static const char text[] = "verify: FAILED: hung, no progress\n";
    (void)signal;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(4);
    _exit(3);
}

static void set_up(void)
{
    *(void **)&sinter.compact = dlsym(RTLD_DEFAULT, "sinter_compact");
    *(void **)&sinter.restore = dlsym(RTLD_DEFAULT, "sinter_restore");
    *(void **)&sinter.stats = dlsym(RTLD_DEFAULT, "sinter_stats_get");
    shards = map(SHARDS * sizeof *shards);
    for (unsigned s = 0; s < SHARDS; s++) {
        pthread_mutex_init(&shards[s].lock, NULL);
        shards[s].objects = map(per_shard * sizeof *shards[s].objects);
    }
    signal(SIGALRM, on_alarm);
}

/* Phases of random length; a fork each second. */
static void direct(void)
{
    uint64_t random = mix(seed + 3000);
    time_t end = time(NULL) + (time_t)seconds;
    int left = 0;
    for (unsigned tick = 0; time(NULL) < end; tick++) {
        if (left-- <= 0) {
            phase = (phase + 1) % PHASES;
            left = 3 + (int)below(&random, phase == IDLE ? 30 : 10);
        }
        alarm(HANG_SECONDS);
        pause_us(100000);
        reap(false);
        if (family->failed != 0)
            _exit(1); /* it has said why */
        if (tick % 10 == 9)
            fork_one();
    }
}

static void report(void)
{
    struct sinter_stats s = {.size = sizeof s};
    if (sinter.stats && sinter.stats(&s) != 0)
        fail("sinter_stats_get: errno %d", errno);
    printf("verify: %lu operations, %lu forks, %lu controls, %llu pages out, %llu packed, %llu returned, "
           "%llu faults, errors 0\n",
           (unsigned long)operations, forks, (unsigned long)controls, (unsigned long long)s.moved_out,
           (unsigned long long)s.pages_packed, (unsigned long long)s.pages_returned,
           (unsigned long long)s.faults);
}

static void run_all(void)
{
    pthread_t t[MAX_THREADS], controller, closer;
    for (uintptr_t i = 0; i < threads; i++) {
        if (pthread_create(&t[i], NULL, run, (void *)i) != 0)
            fail("cannot create thread %zu", (size_t)i);
    }
    if (pthread_create(&controller, NULL, control, NULL) != 0 ||
        (closing && pthread_create(&closer, NULL, close_descriptors, NULL) != 0))
        fail("cannot create threads");
    direct();
    stop = true;
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    pthread_join(controller, NULL);
    if (closing)
        pthread_join(closer, NULL);
    alarm(2 * HANG_SECONDS);
    reap(true);
    await_orphans();
    if (family->failed != 0)
        _exit(1);
}

static bool read_options(int argc, char **argv)
{
    unsigned objects = 100000;
    int c;
    seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    while ((c = getopt(argc, argv, "s:t:d:n:cmp:")) != -1) {
        switch (c) {
        case 's':
            seed = strtoull(optarg, NULL, 0);
            break;
        case 't':
            threads = (unsigned)atoi(optarg);
            break;
        case 'd':
            seconds = (unsigned)atoi(optarg);
            break;
        case 'n':
            objects = (unsigned)atoi(optarg);
            break;
        case 'p':
            pressure = (unsigned)atoi(optarg);
            break;
        case 'c':
            closing = true;
            break;
        case 'm':
            migrating = true;
            break;
        default:
            return false;
        }
    }
    per_shard = objects / SHARDS + 1;
    return optind == argc && threads <= MAX_THREADS && pressure <= MAX_PRESSURE;
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fprintf(stderr,
                "usage: verify [-s SEED] [-t THREADS] [-d SECONDS] [-n OBJECTS] [-c] [-m] [-p MIB]\n");
        return 2;
    }
    printf("verify: seed %llu, %u threads, %u s\n", (unsigned long long)seed, threads, seconds);
    fflush(stdout);
    family = map_as(sizeof *family, MAP_SHARED);
    set_up();
    pid_t helpers[2] = {migrating ? helper(migrate) : 0, pressure ? helper(press) : 0};
    run_all();
    check_all("at the end");
    for (int i = 0; i < 2; i++) {
        if (helpers[i] > 0)
            kill(helpers[i], SIGKILL);
    }
    report();
    return 0;
}
