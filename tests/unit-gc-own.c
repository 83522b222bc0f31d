/*
 * Threads that serve their own faults. The collector is held up where it would begin to move: what the test touches then is there only
 * if the thread, or the service, brings it.
 */
#include "unit.h"

#include "sinter/gc.h"
#include "uffd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBJECTS = 4000, LARGE = 1 << 20, SMALLER = 1 << 18, BLOCK = 16384, HANG_SECONDS = 60 };

struct object {
    uint64_t header;
    struct object *next;
    uint64_t number;
    size_t count;
    unsigned char bytes[];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type plain, called, sized;
static struct object *objects[OBJECTS];

/* ---- holding up ---- */

static sem_t begun, go_on;
static _Atomic bool held;
static pthread_t collecting;

void __real_move_all(sinter_gc_heap *h, unsigned workers);
void __wrap_move_all(sinter_gc_heap *h, unsigned workers);

void __wrap_move_all(sinter_gc_heap *h, unsigned workers)
{
    if (atomic_load(&held)) {
        sem_post(&begun);
        while (sem_wait(&go_on) != 0)
            ;
    }
    __real_move_all(h, workers);
}

static void *collect(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    sinter_gc_collect(mine, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_detach(mine);
    return NULL;
}

/* From here on everything is on the move, and nothing moves by itself. */
static void hold_up(void)
{
    atomic_store(&held, true);
    assert_int_equal(pthread_create(&collecting, NULL, collect, NULL), 0);
    sinter_gc_block(m);
    while (sem_wait(&begun) != 0)
        ;
    sinter_gc_unblock(m);
}

static void let_go(void)
{
    atomic_store(&held, false);
    sem_post(&go_on);
    sinter_gc_block(m);
    pthread_join(collecting, NULL);
    sinter_gc_unblock(m);
}

/* ---- failing ---- */

static _Atomic bool move_half, zeros_lie;

bool __real_uffd_try_move(const struct uffd *u, void *to, void *from, size_t pages);
bool __wrap_uffd_try_move(const struct uffd *u, void *to, void *from, size_t pages);

bool __wrap_uffd_try_move(const struct uffd *u, void *to, void *from, size_t pages)
{
    if (!atomic_load(&move_half))
        return __real_uffd_try_move(u, to, from, pages);
    __real_uffd_try_move(u, to, from, pages / 2);
    return false;
}

enum uffd_result __real_uffd_try_zero(const struct uffd *u, void *to);
enum uffd_result __wrap_uffd_try_zero(const struct uffd *u, void *to);

enum uffd_result __wrap_uffd_try_zero(const struct uffd *u, void *to)
{
    return atomic_load(&zeros_lie) ? UFFD_OCCUPIED : __real_uffd_try_zero(u, to);
}

/* ---- a heap ---- */

static _Atomic unsigned calls_here;
static pthread_t here;

static void note_call(void)
{
    if (pthread_equal(pthread_self(), here))
        atomic_fetch_add(&calls_here, 1);
}

static void visit(void *object, sinter_gc_edge edge, void *context)
{
    note_call();
    edge((void **)&((struct object *)object)->next, context);
}

static size_t size_of(const void *object)
{
    note_call();
    return sizeof(struct object) + ((const struct object *)object)->count;
}

static void visit_objects(void *data, sinter_gc_edge edge, void *context)
{
    (void)data;
    for (int i = 0; i < OBJECTS; i++)
        edge((void **)&objects[i], context);
}

static void new_types(void)
{
    struct sinter_gc_layout layout = {.name = "plain",
                                      .size = sizeof(struct object),
                                      .references = 2,
                                      .element_size = 1,
                                      .count_offset = offsetof(struct object, count)};
    plain = sinter_gc_type_new(heap, &layout);
    struct sinter_gc_layout by_callback = layout;
    by_callback.references = 0;
    by_callback.visit = visit;
    called = sinter_gc_type_new(heap, &by_callback);
    struct sinter_gc_layout by_size = {
        .name = "sized", .size = sizeof(struct object), .references = 2, .size_of = size_of};
    sized = sinter_gc_type_new(heap, &by_size);
    assert_true(plain && called && sized);
}

static struct sinter_gc_stats stats(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s;
}

static int open_heap(void **state)
{
    struct sinter_gc_config config;
    (void)state;
    sinter_gc_config_init(&config);
    config.maximum = 256 << 20;
    config.minimum = 256 << 20;
    config.generational = false;
    config.faults = SINTER_GC_FAULTS_OWN;
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
    new_types();
    sinter_gc_roots_add(heap, visit_objects, NULL);
    here = pthread_self();
    alarm(HANG_SECONDS);
    return 0;
}

static int close_heap(void **state)
{
    (void)state;
    if (atomic_load(&held)) /* by a test that failed */
        let_go();
    sinter_gc_roots_remove(heap, visit_objects, NULL);
    memset(objects, 0, sizeof(objects));
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    alarm(0);
    return 0;
}

/* Where userfaultfd does not serve, there is nothing to be seen. */
static void need_service(void)
{
    if (stats().served == SINTER_GC_SERVED_NOT)
        skip();
}

static struct object *new_object(sinter_gc_type type, unsigned number, size_t bytes)
{
    struct object *o = sinter_gc_alloc(m, type, sizeof(*o) + bytes);
    assert_non_null(o);
    o->count = bytes;
    o->number = number;
    memset(o->bytes, (int)(number % 251), bytes);
    return o;
}

/* Each refers to the one before it. One in `keep` lives, so that blocks are moved whole, or gathered. */
static void fill(sinter_gc_type type, unsigned keep)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = new_object(type, i, 100 + i % 50);
        objects[i]->next = i > 0 ? objects[i - 1] : NULL;
        for (unsigned n = 1; n < keep; n++)
            new_object(type, 0, 100);
    }
}

static void check(unsigned i)
{
    assert_int_equal(objects[i]->number, i);
    assert_ptr_equal(objects[i]->next, i > 0 ? objects[i - 1] : NULL);
    for (size_t n = 0; n < objects[i]->count; n++)
        assert_int_equal(objects[i]->bytes[n], i % 251);
}

static void check_all(void)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        check(i);
}

/* How many faults touching this object takes, and how many of those the thread serves alone. */
struct taken {
    uint64_t faults, alone;
};

static struct taken touch(unsigned i)
{
    struct sinter_gc_stats before = stats();
    check(i);
    struct sinter_gc_stats after = stats();
    return (struct taken){after.faults - before.faults, after.faults_own - before.faults_own};
}

static void assert_alone(unsigned i)
{
    struct taken taken = touch(i);
    assert_int_not_equal(taken.faults, 0);
    assert_int_equal(taken.alone, taken.faults);
}

static void assert_by_service(unsigned i)
{
    struct taken taken = touch(i);
    assert_int_not_equal(taken.faults, 0);
    assert_int_equal(taken.alone, 0);
}

/* ---- who serves ---- */

static void in_force(void **state)
{
    (void)state;
    need_service();
    assert_int_equal(stats().faults_mode, SINTER_GC_FAULTS_OWN);
    assert_int_equal(stats().served, SINTER_GC_SERVED_USER);
}

static void served_alone(unsigned keep)
{
    need_service();
    fill(plain, keep);
    hold_up();
    errno = EXDEV;
    assert_alone(OBJECTS / 2);
    assert_int_equal(errno, EXDEV);
    assert_alone(OBJECTS / 4);
    assert_int_equal(touch(OBJECTS / 4).faults, 0);
    assert_int_equal(stats().pauses, stats().faults + stats().collections + 1);
    let_go();
    check_all();
}

static void whole_blocks(void **state)
{
    (void)state;
    served_alone(1);
    assert_int_not_equal(stats().moved_whole, 0);
}

static void gathered_blocks(void **state)
{
    (void)state;
    served_alone(3);
    assert_int_not_equal(stats().moved_copied, 0);
}

/* All of them, so that the spare pages and those that are left are used again and again. */
static void every_block(void **state)
{
    (void)state;
    need_service();
    for (unsigned keep = 1; keep <= 3; keep++) {
        fill(plain, keep);
        hold_up();
        check_all();
        assert_int_equal(stats().faults_own, stats().faults);
        let_go();
        check_all();
    }
}

static void *check_all_in_thread(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    check_all();
    sinter_gc_detach(mine);
    return NULL;
}

/* At the same time, and while the collector moves as well. */
static void several_threads(void **state)
{
    (void)state;
    pthread_t threads[3];
    need_service();
    fill(plain, 2);
    for (int round = 0; round < 10; round++) {
        hold_up();
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, check_all_in_thread, NULL), 0);
        let_go();
        check_all();
        sinter_gc_block(m);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        sinter_gc_unblock(m);
    }
}

static void large_objects(void **state)
{
    (void)state;
    need_service();
    objects[0] = new_object(plain, 0, LARGE);
    objects[1] = new_object(plain, 1, 100);
    objects[0]->next = objects[1];
    hold_up();
    struct sinter_gc_stats before = stats();
    for (size_t n = 0; n < LARGE; n++)
        assert_int_equal(objects[0]->bytes[n], 0);
    assert_true(stats().faults_own - before.faults_own >= LARGE / BLOCK);
    assert_ptr_equal(objects[0]->next, objects[1]);
    let_go();
}

/* What is allocated while others move lies in the window that they come to. */
static void holes(void **state)
{
    (void)state;
    need_service();
    fill(plain, 1);
    hold_up();
    struct object *o = sinter_gc_alloc(m, plain, sizeof(*o) + SMALLER);
    assert_non_null(o);
    struct sinter_gc_stats before = stats();
    for (size_t n = 0; n < SMALLER; n += PAGE_BYTES)
        assert_int_equal(o->bytes[n], 0);
    struct sinter_gc_stats after = stats();
    assert_true(after.faults_own - before.faults_own >= SMALLER / PAGE_BYTES - 1);
    assert_int_equal(after.faults_own - before.faults_own, after.faults - before.faults);
    let_go();
}

/* Callbacks may lock what the thread holds that touches: none runs in it. What is beside needs none. */
static void callbacks(sinter_gc_type type, unsigned keep)
{
    need_service();
    fill(type, keep);
    for (unsigned i = 0; i < OBJECTS / 2; i++) {
        objects[i] = new_object(plain, i, 100);
        objects[i]->next = i > 0 ? objects[i - 1] : NULL;
        if (keep > 1)
            new_object(plain, 0, 200);
    }
    objects[OBJECTS / 2]->next = objects[OBJECTS / 2 - 1];
    hold_up();
    atomic_store(&calls_here, 0);
    assert_by_service(OBJECTS * 3 / 4);
    assert_alone(OBJECTS / 4);
    assert_int_equal(atomic_load(&calls_here), 0);
    let_go();
    check_all();
}

static void visited(void **state)
{
    (void)state;
    callbacks(called, 1);
}

static void visited_and_gathered(void **state)
{
    (void)state;
    callbacks(called, 3);
}

static void sized_and_gathered(void **state)
{
    (void)state;
    callbacks(sized, 3);
}

static void visited_large(void **state)
{
    (void)state;
    need_service();
    objects[1] = new_object(plain, 1, 10);
    objects[0] = new_object(called, 0, LARGE);
    objects[0]->next = objects[1];
    hold_up();
    struct sinter_gc_stats before = stats();
    atomic_store(&calls_here, 0);
    assert_int_equal(objects[0]->bytes[LARGE / 2], 0);
    assert_int_equal(stats().faults_own, before.faults_own);
    assert_int_not_equal(stats().faults, before.faults);
    assert_ptr_equal(objects[0]->next, objects[1]);
    assert_int_equal(atomic_load(&calls_here), 0);
    let_go();
}

/* The kernel has moved a part, and then no more. */
static void half_moved(void **state)
{
    (void)state;
    need_service();
    for (unsigned keep = 1; keep <= 3; keep += 2) {
        fill(plain, keep);
        hold_up();
        atomic_store(&move_half, true);
        assert_by_service(OBJECTS / 2);
        atomic_store(&move_half, false);
        assert_alone(OBJECTS / 4);
        let_go();
        check_all();
    }
}

/* ---- the program's descriptors ---- */

/* The number of the descriptor of own faults, and what it is; -1: there is none. */
static int find_descriptor(struct stat *file)
{
    int found = -1;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[300], target[64] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 &&
            strcmp(target, "anon_inode:[userfaultfd]") == 0) {
            assert_int_equal(found, -1);
            found = atoi(e->d_name);
        }
    }
    closedir(dir);
    if (found >= 0)
        assert_int_equal(fstat(found, file), 0);
    return found;
}

static void kept_apart(void **state)
{
    struct stat file;
    need_service();
    int fd = find_descriptor(&file);
    assert_true(fd >= 3);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close_heap(state);
    assert_int_equal(find_descriptor(&file), -1);
    open_heap(state);
}

static void closed_by_the_program(void **state)
{
    struct stat file;
    (void)state;
    need_service();
    fill(plain, 1);
    hold_up();
    assert_alone(OBJECTS / 2);
    assert_int_equal(close(find_descriptor(&file)), 0);
    assert_by_service(OBJECTS / 4);
    let_go();
    check_all();
    hold_up();
    assert_by_service(OBJECTS / 2);
    let_go();
    check_all();
}

static void used_by_the_program(void **state)
{
    struct stat file, ours, now;
    need_service();
    fill(plain, 3);
    int null = open("/dev/null", O_RDWR), fd = find_descriptor(&file);
    assert_int_equal(dup2(null, fd), fd);
    assert_int_equal(fstat(fd, &ours), 0);
    hold_up();
    assert_by_service(OBJECTS / 2);
    let_go();
    check_all();
    close_heap(state);
    assert_int_equal(fstat(fd, &now), 0);
    assert_int_equal(now.st_ino, ours.st_ino);
    close(fd);
    close(null);
    open_heap(state);
}

/* ---- the program's SIGBUS ---- */

static char *beyond; /* an address whose touch raises SIGBUS, until fix() */
static _Atomic unsigned programs_first, programs_second;
static struct sigaction before_second;
static siginfo_t seen;
static sigset_t blocked;

static void make_beyond(void)
{
    char name[] = "/tmp/sinter-own-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    beyond = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(beyond, MAP_FAILED);
    close(fd);
}

static void fix(void)
{
    mmap(beyond, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void first_handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    atomic_fetch_add(&programs_first, 1);
    seen = *info;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    fix();
}

/* As a good one does: what it does not know goes to the one before it. */
static void second_handler(int signal, siginfo_t *info, void *context)
{
    if (atomic_fetch_add(&programs_second, 1) < 100)
        before_second.sa_sigaction(signal, info, context);
}

static void plain_handler(int signal)
{
    if (signal == SIGBUS)
        atomic_fetch_add(&programs_first, 1);
    fix();
}

static void install(void (*handler)(int, siginfo_t *, void *), int flags, struct sigaction *old)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR1);
    assert_int_equal(sigaction(SIGBUS, &action, old), 0);
}

static void touch_beyond(void)
{
    make_beyond();
    assert_int_equal(*(volatile char *)beyond, 0);
    munmap(beyond, PAGE_BYTES);
}

static void touch_moving(void)
{
    hold_up();
    assert_alone(OBJECTS / 2);
    let_go();
}

/* The program's is there first, has its signals, and all that belongs to them. */
static void passed_on(void **state)
{
    need_service();
    close_heap(state);
    install(first_handler, SA_SIGINFO, NULL);
    open_heap(state);
    fill(plain, 1);
    touch_moving();
    assert_int_equal(atomic_load(&programs_first), 0);
    touch_beyond();
    assert_int_equal(atomic_load(&programs_first), 1);
    assert_ptr_equal(seen.si_addr, beyond);
    assert_int_equal(seen.si_code, BUS_ADRERR);
    assert_true(sigismember(&blocked, SIGUSR1));
    assert_false(sigismember(&blocked, SIGUSR2));
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGUSR1));
    touch_moving();
    raise(SIGBUS); /* sent, at whatever address */
    assert_int_equal(atomic_load(&programs_first), 2);
    assert_int_equal(seen.si_code, SI_TKILL);
}

static void replaced(void **state)
{
    (void)state;
    need_service();
    fill(plain, 1);
    install(first_handler, SA_SIGINFO, NULL);
    touch_moving();
    touch_beyond();
    assert_int_equal(atomic_load(&programs_first), 1);
    struct sigaction plain_one = {.sa_handler = plain_handler};
    assert_int_equal(sigaction(SIGBUS, &plain_one, NULL), 0);
    touch_moving();
    touch_beyond();
    assert_int_equal(atomic_load(&programs_first), 2);
}

/* It calls ours, which has come in front of it meanwhile: that ends, at the one that was before both. */
static void replaced_by_one_that_chains(void **state)
{
    need_service();
    close_heap(state);
    install(first_handler, SA_SIGINFO, NULL);
    open_heap(state);
    fill(plain, 1);
    install(second_handler, SA_SIGINFO, &before_second);
    for (int round = 0; round < 3; round++) {
        touch_moving();
        assert_int_equal(atomic_load(&programs_second), round);
        touch_beyond();
        assert_int_equal(atomic_load(&programs_second), round + 1);
        assert_int_equal(atomic_load(&programs_first), round + 1);
        if (round == 1) /* and again where there is nothing in front of it */
            install(second_handler, SA_SIGINFO, NULL);
    }
    install(second_handler, SA_SIGINFO, NULL);
    hold_up();
    install(second_handler, SA_SIGINFO, NULL);
    assert_alone(OBJECTS / 2); /* by way of it */
    assert_int_equal(atomic_load(&programs_second), 4);
    let_go();
}

static void once(void **state)
{
    (void)state;
    need_service();
    fill(plain, 1);
    install(first_handler, SA_SIGINFO | (int)SA_RESETHAND, NULL);
    touch_moving();
    touch_beyond();
    assert_int_equal(atomic_load(&programs_first), 1);
    pid_t pid = fork();
    if (pid == 0) {
        touch_beyond();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static int status_of(void (*function)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        function();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void send_bus(void)
{
    raise(SIGBUS);
}

/* With nobody to pass on to, it is as if there were no handler. */
static void by_default(void **state)
{
    (void)state;
    need_service();
    fill(plain, 1);
    signal(SIGBUS, SIG_DFL); /* there is cmocka's */
    touch_moving();
    int status = status_of(touch_beyond);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_of(send_bus);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    signal(SIGBUS, SIG_IGN);
    touch_moving();
    raise(SIGBUS);
    touch_moving();
    status = status_of(touch_beyond);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* A page that is there, as the kernel says, and whose touch fails all the same. */
static void touched_in_vain(void **state)
{
    need_service();
    close_heap(state);
    install(first_handler, SA_SIGINFO, NULL);
    open_heap(state);
    fill(plain, 1);
    hold_up();
    struct object *o = sinter_gc_alloc(m, plain, sizeof(*o) + SMALLER);
    beyond = (char *)align_down((uintptr_t)o + SMALLER / 2, PAGE_BYTES);
    atomic_store(&zeros_lie, true);
    assert_int_equal(*(volatile char *)beyond, 0);
    atomic_store(&zeros_lie, false);
    assert_int_equal(atomic_load(&programs_first), 1);
    assert_ptr_equal(seen.si_addr, beyond);
    let_go();
}

/* ---- threads ---- */

static bool is_blocked(void)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, SIGBUS);
}

static void *attach_blocked(void *unused)
{
    (void)unused;
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    sinter_gc_mutator *mine = sinter_gc_attach(heap), *second = sinter_gc_attach(heap);
    bool right = !is_blocked();
    check(OBJECTS / 2);
    sinter_gc_detach(mine);
    right &= !is_blocked();
    sinter_gc_detach(second);
    right &= is_blocked();
    return right ? heap : NULL;
}

static void attached_while_blocked(void **state)
{
    (void)state;
    pthread_t thread;
    void *right;
    need_service();
    fill(plain, 1);
    hold_up();
    pthread_create(&thread, NULL, attach_blocked, NULL);
    sinter_gc_block(m);
    pthread_join(thread, &right);
    sinter_gc_unblock(m);
    let_go();
    assert_non_null(right);
    assert_false(is_blocked());
}

/* In a service heap nothing is changed. */
static void attached_to_another(void **state)
{
    (void)state;
    struct sinter_gc_config config;
    sigset_t sigbus, old;
    sigemptyset(&sigbus);
    sigaddset(&sigbus, SIGBUS);
    sinter_gc_config_init(&config);
    sinter_gc_heap *other = sinter_gc_create(&config);
    pthread_sigmask(SIG_BLOCK, &sigbus, &old);
    sinter_gc_mutator *mine = sinter_gc_attach(other);
    assert_true(is_blocked());
    sinter_gc_detach(mine);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sinter_gc_destroy(other);
}

/* ---- system calls ---- */

static void system_calls(void **state)
{
    (void)state;
    int ends[2];
    char text[] = "0123456789";
    need_service();
    fill(plain, 1);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(sinter_gc_pin(m, objects[0]), 0);
    hold_up();
    assert_int_equal(write(ends[1], text, 10), 10);
    errno = 0;
    assert_int_equal(read(ends[0], objects[OBJECTS / 2]->bytes, 0), 0); /* touches nothing of it */
    assert_int_equal(read(ends[0], objects[0]->bytes, 10), 10);
    assert_memory_equal(objects[0]->bytes, text, 10);
    let_go();
    sinter_gc_unpin(m, objects[0]);
    hold_up();
    assert_int_equal(write(ends[1], text, 10), 10);
    unsigned char *moving = objects[OBJECTS / 4]->bytes;
    errno = 0;
    assert_int_equal(read(ends[0], moving, 10), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(write(ends[1], objects[OBJECTS / 2]->bytes, 10), -1);
    assert_int_equal(errno, EFAULT);
    assert_alone(OBJECTS / 4);
    assert_int_equal(read(ends[0], moving, 10), 10);
    let_go();
    close(ends[0]);
    close(ends[1]);
}

/* ---- fork ---- */

static void live_as_child(const struct stat *parents)
{
    struct stat file;
    alarm(HANG_SECONDS);
    int none = find_descriptor(&file);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    int fd = find_descriptor(&file);
    if (none != -1 || fd < 0 || file.st_ino == parents->st_ino)
        _exit(1);
    uint64_t before = stats().faults_own;
    hold_up();
    check_all();
    let_go();
    check_all();
    _exit(stats().faults_own == before ? 2 : 0);
}

static void forked(void **state)
{
    (void)state;
    struct stat file;
    int status = 0;
    need_service();
    fill(plain, 1);
    hold_up();
    let_go();
    assert_true(find_descriptor(&file) >= 0);
    pid_t pid = fork();
    if (pid == 0)
        live_as_child(&file);
    sinter_gc_block(m);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    sinter_gc_unblock(m);
    assert_int_equal(status, 0);
    touch_moving();
}

/* ---- two heaps ---- */

static void another_heap(void **state)
{
    (void)state;
    need_service();
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.faults = SINTER_GC_FAULTS_OWN;
    fill(plain, 1);
    for (int i = 0; i < 50; i++) { /* that come and go */
        sinter_gc_heap *other = sinter_gc_create(&config);
        assert_non_null(other);
        if (i % 10 == 0)
            touch_moving();
        sinter_gc_destroy(other);
    }
    touch_moving();
}

static int set_up(void **state)
{
    atomic_store(&programs_first, 0);
    atomic_store(&programs_second, 0);
    return open_heap(state);
}

static int tear_down(void **state)
{
    close_heap(state);
    signal(SIGBUS, SIG_DFL);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(in_force),
        TEST(whole_blocks),
        TEST(gathered_blocks),
        TEST(every_block),
        TEST(several_threads),
        TEST(large_objects),
        TEST(holes),
        TEST(visited),
        TEST(visited_and_gathered),
        TEST(sized_and_gathered),
        TEST(visited_large),
        TEST(half_moved),
        TEST(kept_apart),
        TEST(closed_by_the_program),
        TEST(used_by_the_program),
        TEST(passed_on),
        TEST(replaced),
        TEST(replaced_by_one_that_chains),
        TEST(once),
        TEST(by_default),
        TEST(touched_in_vain),
        TEST(attached_while_blocked),
        TEST(attached_to_another),
        TEST(system_calls),
        TEST(forked),
        TEST(another_heap),
    };
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    unsetenv("SINTER_GC_CONF");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
