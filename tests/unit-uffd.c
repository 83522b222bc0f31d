/*
 * The kernel interface of the compactor. The test's main thread is the mover: it moves, and serves the faults of the
 * threads it starts. What the kernel refuses is provoked for real where that can be done, else injected.
 */
#include "unit.h"

#include "os.h"
#include "stats_report.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGES = 2048, EVENTS = 64 };

static struct uffd uffd;
static char *zone, *side; /* pages are moved from one to the other; both are registered */
static uint8_t result[PAGES], present[PAGES];
static bool away[PAGES]; /* to `side`, as far as serve() is concerned */

/* Events that the pump has read and nobody has dealt with. */
static struct uffd_event events[EVENTS];
static size_t event_count, pumped;

static bool quick(void)
{
    return getenv("SINTER_CHECK_QUICK") != NULL;
}

static char *page_of(char *base, size_t i)
{
    return base + i * PAGE_BYTES;
}

static void pump(void)
{
    pumped++;
    while (event_count < EVENTS) {
        struct uffd_event event = uffd_read(&uffd);
        if (event.kind == UFFD_EVENT_NONE)
            break;
        events[event_count++] = event;
    }
}

/* ---- The area ---- */

static char *map_pages(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    madvise(p, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
    return p;
}

static int setup(void **state)
{
    (void)state;
    enum uffd_lack lack = uffd_open(&uffd, UFFD_FORKS);
    if (lack != UFFD_READY) {
        print_message("skipped: %s\n", uffd_lack_text(lack));
        return 0;
    }
    uffd.pump = pump;
    event_count = 0;
    memset(away, 0, sizeof(away));
    zone = map_pages(PAGES);
    side = map_pages(PAGES);
    return uffd_register(&uffd, zone, PAGES * PAGE_BYTES) || uffd_register(&uffd, side, PAGES * PAGE_BYTES);
}

static int teardown(void **state)
{
    (void)state;
    if (uffd.fd < 0)
        return 0;
    uffd_inject(0, 0);
    uffd_close(&uffd);
    munmap(zone, PAGES * PAGE_BYTES);
    munmap(side, PAGES * PAGE_BYTES);
    return 0;
}

static void need_uffd(void)
{
    if (uffd.fd < 0)
        skip();
}

/* A page's contents tell which one it is. */
static void fill_page(char *page, uint64_t id)
{
    uint64_t *word = (uint64_t *)page;
    for (size_t i = 0; i < PAGE_BYTES / sizeof(*word); i++)
        word[i] = id ^ i << 40;
}

static bool page_is(const char *page, uint64_t id)
{
    const uint64_t *word = (const uint64_t *)page;
    for (size_t i = 0; i < PAGE_BYTES / sizeof(*word); i++) {
        if (word[i] != (id ^ i << 40))
            return false;
    }
    return true;
}

static uint64_t id_of(size_t i)
{
    return 1000003 * (i + 1);
}

/* Puts pages at zone[first ..], through the descriptor, since a touch would wait for us. */
static void populate(char *base, size_t first, size_t n)
{
    static char source[PAGE_BYTES];
    for (size_t i = first; i < first + n; i++) {
        fill_page(source, id_of(i));
        assert_int_equal(uffd_copy(&uffd, page_of(base, i), source, 1, 0, result), 1);
    }
}

static bool is_present(char *page)
{
    uint8_t there;
    assert_true(uffd_present(&uffd, page, 1, &there));
    return there;
}

static void expect_results(size_t first, size_t n, enum uffd_result expected)
{
    for (size_t i = first; i < first + n; i++)
        assert_int_equal(result[i], expected);
}

static void expect_pages(char *base, size_t first, size_t n)
{
    assert_true(uffd_present(&uffd, page_of(base, first), n, present));
    for (size_t i = first; i < first + n; i++) {
        assert_true(present[i - first]);
        assert_true(page_is(page_of(base, i), id_of(i)));
    }
}

static void expect_absent(char *base, size_t first, size_t n)
{
    assert_true(uffd_present(&uffd, page_of(base, first), n, present));
    for (size_t i = 0; i < n; i++)
        assert_false(present[i]);
}

/* ---- Serving ---- */

/* Brings back one page, by whatever means it takes. */
static void bring_back(size_t i)
{
    uint8_t r = UFFD_OCCUPIED;
    if (!away[i]) {
        uffd_wake(&uffd, page_of(zone, i), PAGE_BYTES);
        return;
    }
    while (uffd_move(&uffd, page_of(zone, i), page_of(side, i), 1, 0, &r) == 0 && r != UFFD_OCCUPIED) {
        assert_int_not_equal(r, UFFD_HOLE);
        if (uffd_copy(&uffd, page_of(zone, i), page_of(side, i), 1, 0, &r) == 1) {
            madvise(page_of(side, i), PAGE_BYTES, MADV_DONTNEED);
            break;
        }
    }
    assert_int_not_equal(r, UFFD_OCCUPIED);
    away[i] = false;
}

static void serve(int timeout_ms)
{
    struct pollfd p = {.fd = uffd.fd, .events = POLLIN};
    for (size_t i = 0; i < event_count; i++)
        timeout_ms = events[i].kind == UFFD_EVENT_FAULT ? 0 : timeout_ms;
    poll(&p, 1, timeout_ms);
    pump();
    size_t left = 0;
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].kind == UFFD_EVENT_FAULT)
            bring_back((size_t)(events[i].addr - zone) / PAGE_BYTES);
        else
            events[left++] = events[i];
    }
    event_count = left;
}

/* Serves until the thread has ended; false if that takes too long. */
static bool join_serving(pthread_t thread)
{
    for (uint64_t end = os_now_ms() + 30000; os_now_ms() < end;) {
        if (pthread_tryjoin_np(thread, NULL) == 0)
            return true;
        serve(1);
    }
    return false;
}

/* ---- Forking: from another thread, for the fork waits until its event is read ---- */

struct forking {
    int (*body)(void);
    pid_t pid;
};

static void *fork_thread(void *arg)
{
    struct forking *f = arg;
    f->pid = fork();
    if (f->pid == 0) {
        alarm(100); /* should the test fail */
        _exit(f->body());
    }
    return NULL;
}

/* The child's descriptor, or -1 if forks aren't reported. */
static int take_child_fd(void)
{
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].kind == UFFD_EVENT_CHILD) {
            int fd = events[i].child_fd;
            events[i] = events[--event_count];
            return fd;
        }
    }
    return -1;
}

static pid_t fork_serving(int (*body)(void), int *child_fd)
{
    struct forking f = {.body = body};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fork_thread, &f), 0);
    assert_true(join_serving(thread));
    assert_true(f.pid > 0);
    *child_fd = take_child_fd();
    return f.pid;
}

static int wait_for_kill(void)
{
    for (;;)
        pause();
    return 0;
}

static int status_of(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* ---- Tests ---- */

static void known_bad_releases(void **state)
{
    (void)state;
    static const char *const bad[] = {"5.14.0-427.el9", "6.8.0",        "6.12.36", "6.12-rc3",
                                      "6.14.11",        "6.15.5-arch1", "6.15"};
    static const char *const good[] = {"6.12.37",  "6.12.100-1-lts", "6.15.6", "6.16.0",
                                       "6.16-rc1", "6.18.44-x",      "7.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(uffd_bad_release(bad[i]));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_false(uffd_bad_release(good[i]));
    for (int lack = UFFD_READY; lack <= UFFD_NO_RESOURCES; lack++)
        assert_in_range(strlen(uffd_lack_text(lack)), 1, sizeof(((struct stats_report *)NULL)->lack) - 1);
}

/* As a daemon does that has been started as root: its pagemap is root's then. */
static int lack_as_another(void)
{
    struct uffd own;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return UFFD_READY;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return (int)uffd_open(&own, UFFD_USER_MODE);
}

static void changed_users_are_told(void **state)
{
    (void)state;
    int child_fd;
    need_uffd();
    int status = status_of(fork_serving(lack_as_another, &child_fd));
    if (child_fd >= 0)
        close(child_fd);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), UFFD_CHANGED_USER);
}

static void runs_move_there_and_back(void **state)
{
    (void)state;
    need_uffd();
    populate(zone, 0, PAGES);
    for (size_t n = 1; n <= PAGES; n = n * 3 + 1) {
        assert_int_equal(uffd_move(&uffd, side, zone, n, 0, result), n);
        expect_results(0, n, UFFD_DONE);
        expect_absent(zone, 0, n);
        expect_pages(side, 0, n);
        assert_int_equal(uffd_move(&uffd, zone, side, n, 0, result), n);
        expect_absent(side, 0, n);
        expect_pages(zone, 0, n);
    }
}

/* A run of holes costs few calls. */
static void holes(void **state)
{
    (void)state;
    need_uffd();
    populate(zone, 10, 20);
    populate(zone, 200, 1);
    uint64_t moves = uffd_counters.moves;
    assert_int_equal(uffd_move(&uffd, side, zone, 256, 0, result), 21);
    expect_results(0, 10, UFFD_HOLE);
    expect_results(10, 20, UFFD_DONE);
    expect_results(30, 170, UFFD_HOLE);
    expect_results(200, 1, UFFD_DONE);
    expect_results(201, 55, UFFD_HOLE);
    assert_in_range(uffd_counters.moves - moves, 1, 12);
    expect_pages(side, 10, 20);
    expect_pages(side, 200, 1);
    assert_int_equal(uffd_move(&uffd, zone, side, 256, UFFD_ALLOW_HOLES, result), 256);
    expect_results(0, 256, UFFD_DONE);
    expect_absent(side, 0, 256);
    expect_absent(zone, 0, 10);
    expect_pages(zone, 10, 20);
    expect_pages(zone, 200, 1);
}

static void occupied_destinations(void **state)
{
    (void)state;
    need_uffd();
    populate(zone, 0, 64);
    populate(side, 0, 1);
    populate(side, 20, 1);
    assert_int_equal(uffd_move(&uffd, page_of(side, 1), page_of(zone, 1), 63, 0, result + 1), 62);
    expect_results(1, 19, UFFD_DONE);
    expect_results(20, 1, UFFD_OCCUPIED);
    expect_results(21, 43, UFFD_DONE);
    expect_pages(zone, 20, 1);
    expect_pages(side, 1, 19);
    expect_pages(side, 21, 43);
    assert_int_equal(uffd_copy(&uffd, zone, side, 64, 0, result), 62);
    assert_int_equal(result[0], UFFD_OCCUPIED);
    assert_int_equal(result[20], UFFD_OCCUPIED);
    assert_int_equal(uffd_zero(&uffd, zone, 70, result), 6);
    assert_int_equal(result[63], UFFD_OCCUPIED);
    assert_int_equal(page_of(zone, 69)[77], 0);
}

/* After a fork pages cannot be moved, also when the child is gone, until they are written. */
static void busy_since_a_fork(void **state)
{
    (void)state;
    need_uffd();
    int child_fd;
    populate(zone, 0, 100);
    assert_true(uffd_exclusive(&uffd, zone));
    pid_t pid = fork_serving(wait_for_kill, &child_fd);
    close(child_fd);
    assert_false(uffd_exclusive(&uffd, zone));
    assert_int_equal(uffd_move(&uffd, side, zone, 100, 0, result), 0);
    expect_results(0, 100, UFFD_BUSY);
    kill(pid, SIGKILL);
    status_of(pid);
    assert_true(uffd_exclusive(&uffd, zone));
    assert_int_equal(uffd_move(&uffd, side, zone, 50, 0, result), 0);
    expect_results(0, 50, UFFD_BUSY);
    assert_int_equal(madvise(zone, 100 * PAGE_BYTES, MADV_POPULATE_WRITE), 0);
    assert_int_equal(uffd_move(&uffd, side, zone, 100, 0, result), 100);
    expect_pages(side, 0, 100);
}

static void busy_while_pinned(void **state)
{
    (void)state;
    need_uffd();
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        skip();
    populate(zone, 0, 32);
    struct iovec buffer = {.iov_base = page_of(zone, 7), .iov_len = 5 * PAGE_BYTES};
    assert_int_equal(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1), 0);
    assert_int_equal(uffd_move(&uffd, side, zone, 32, 0, result), 27);
    expect_results(0, 7, UFFD_DONE);
    expect_results(7, 5, UFFD_BUSY);
    expect_results(12, 20, UFFD_DONE);
    expect_pages(zone, 7, 5);
    assert_int_equal(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
    close(ring);
    for (int i = 0; i < 1000 && uffd_move(&uffd, page_of(side, 7), page_of(zone, 7), 5, 0, result) < 5; i++)
        usleep(1000);
    expect_pages(side, 0, 32);
}

static void other_mappings_in_a_run(void **state)
{
    (void)state;
    need_uffd();
    populate(zone, 0, 512);
    uint64_t moves = uffd_counters.moves;
    mprotect(page_of(zone, 300), PAGE_BYTES, PROT_READ);
    assert_int_equal(uffd_move(&uffd, side, zone, 512, 0, result), 511);
    expect_results(0, 300, UFFD_DONE);
    assert_int_equal(result[300], UFFD_REFUSED);
    expect_results(301, 211, UFFD_DONE);
    assert_in_range(uffd_counters.moves - moves, 10, 20);
    mprotect(page_of(zone, 300), PAGE_BYTES, PROT_READ | PROT_WRITE);
    expect_pages(zone, 300, 1);
    assert_int_equal(uffd_move(&uffd, page_of(side, 300), page_of(zone, 300), 1, 0, result), 1);
    /* Locked memory is refused in either direction, and can be copied to. */
    assert_int_equal(mlock2(page_of(zone, 77), 2 * PAGE_BYTES, MLOCK_ONFAULT), 0);
    assert_int_equal(uffd_move(&uffd, zone, side, 512, 0, result), 510);
    expect_results(77, 2, UFFD_REFUSED);
    populate(side, 76, 1);
    populate(side, 79, 1);
    assert_int_equal(uffd_copy(&uffd, page_of(zone, 76), page_of(side, 76), 4, 0, result), 2);
    assert_int_equal(result[0], UFFD_OCCUPIED);
    expect_results(1, 2, UFFD_DONE);
    expect_pages(zone, 0, 512);
    syscall(SYS_munlock, page_of(zone, 77), 2 * PAGE_BYTES); /* sanitizers ignore munlock() */
    madvise(page_of(side, 76), 4 * PAGE_BYTES, MADV_DONTNEED);
    /* A border that does not matter to the pages is no reason to refuse any. */
    madvise(page_of(zone, 41), PAGE_BYTES, MADV_DONTFORK);
    assert_int_equal(uffd_move(&uffd, side, zone, 512, 0, result), 512);
    expect_pages(side, 0, 512);
}

static void unmapped_and_unreadable_pages(void **state)
{
    (void)state;
    need_uffd();
    munmap(page_of(zone, 5), PAGE_BYTES);
    populate(side, 0, 16);
    mprotect(page_of(side, 9), PAGE_BYTES, PROT_NONE);
    assert_int_equal(uffd_copy(&uffd, zone, side, 16, 0, result), 14);
    assert_int_equal(result[5], UFFD_REFUSED);
    assert_int_equal(result[9], UFFD_REFUSED);
    assert_int_equal(uffd_move(&uffd, page_of(zone, 4), page_of(side, 4), 3, 0, result), 0);
    assert_int_equal(result[0], UFFD_OCCUPIED);
    assert_int_equal(result[1], UFFD_REFUSED);
    assert_int_equal(result[2], UFFD_OCCUPIED);
    assert_int_equal(uffd_move(&uffd, page_of(side, 64), page_of(zone, 4), 2, 0, result), 1);
    assert_int_equal(result[1], UFFD_HOLE);
    expect_pages(zone, 0, 4);
    expect_pages(zone, 6, 3);
    expect_pages(zone, 10, 6);
}

/* ---- Threads that touch what is moved ---- */

enum { MUTATORS = 2 };
static _Atomic bool stop, mutator_found_wrong;

/* Each mutator counts in pages of its own. */
static void *mutate(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    uint32_t seed = (uint32_t)me * 77 + 5;
    static uint64_t written[PAGES];
    while (!stop) {
        size_t i = unit_random(&seed) % (PAGES / MUTATORS) * MUTATORS + me;
        volatile uint64_t *word = (volatile uint64_t *)page_of(zone, i);
        if (word[0] != written[i] || word[511] != id_of(i))
            mutator_found_wrong = true;
        word[0] = ++written[i];
    }
    for (size_t i = me; i < PAGES; i += MUTATORS) {
        volatile uint64_t *word = (volatile uint64_t *)page_of(zone, i);
        if (word[0] != written[i] || word[511] != id_of(i))
            mutator_found_wrong = true;
        written[i] = 0;
    }
    return NULL;
}

/* How many pages from `first` on are where that one is. */
static size_t alike(size_t first, size_t n)
{
    size_t k = 1;
    while (k < n && away[first + k] == away[first])
        k++;
    return k;
}

/* Moves pages to where they are not. */
static void flip(size_t first, size_t n, int flags)
{
    bool out = !away[first];
    char *to = page_of(out ? side : zone, first), *from = page_of(out ? zone : side, first);
    uffd_move(&uffd, to, from, n, flags, result);
    for (size_t i = 0; i < n; i++) {
        if (result[i] == UFFD_DONE)
            away[first + i] = out;
    }
    if (!out && flags & UFFD_DONTWAKE)
        uffd_wake(&uffd, to, n * PAGE_BYTES);
}

/* Moves runs back and forth under the mutators' feet. */
static void shuttle(uint64_t ms, uint32_t seed)
{
    uint64_t end = os_now_ms() + ms;
    while (os_now_ms() < end) {
        size_t n = 1 + unit_random(&seed) % 1024, first = unit_random(&seed) % (PAGES - n);
        for (size_t run; n > 0; first += run, n -= run) {
            run = alike(first, n);
            flip(first, run, unit_random(&seed) % 4 == 0 ? UFFD_DONTWAKE : 0);
        }
        for (int i = 0; i < 4; i++)
            serve(0);
    }
}

#define counted(what) ((unsigned long)(uffd_counters.what - before.what))

static void shuttle_with_mutators(uint64_t ms, uint32_t seed)
{
    struct uffd_counters before = uffd_counters;
    pthread_t thread[MUTATORS];
    for (size_t i = 0; i < PAGES; i++) {
        uint64_t *word = (uint64_t *)page_of(zone, i);
        assert_int_equal(uffd_zero(&uffd, page_of(zone, i), 1, result), 1);
        word[511] = id_of(i);
    }
    stop = mutator_found_wrong = false;
    for (size_t i = 0; i < MUTATORS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, mutate, (void *)(uintptr_t)i), 0);
    shuttle(ms, seed);
    stop = true;
    for (size_t i = 0; i < MUTATORS; i++)
        assert_true(join_serving(thread[i]));
    assert_false(mutator_found_wrong);
    print_message("%lu pages moved, %lu found moved after EEXIST, %lu busy, %lu failures injected\n",
                  counted(moved_pages), counted(exists_moved), counted(busy), counted(injected));
}

static void *compact_memory(void *arg)
{
    int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);
    (void)arg;
    while (!stop && fd >= 0 && write(fd, "1", 1) == 1)
        ;
    close(fd);
    return NULL;
}

/* Migration of pages on the move, which is where the kernel answers EEXIST to a move that it has made. */
static void migration(void **state)
{
    (void)state;
    need_uffd();
    if (access("/proc/sys/vm/compact_memory", W_OK) != 0)
        skip();
    pthread_t thread;
    stop = false;
    assert_int_equal(pthread_create(&thread, NULL, compact_memory, NULL), 0);
    shuttle_with_mutators(quick() ? 500 : 4000, 9);
    assert_true(join_serving(thread));
}

static void no_thread_is_left_waiting(void **state)
{
    (void)state;
    need_uffd();
    for (uint64_t one_in = 3; one_in <= 30; one_in *= 3) {
        uffd_inject(one_in, one_in);
        shuttle_with_mutators(quick() ? 150 : 700, (uint32_t)one_in);
        uffd_inject(0, 0);
        for (size_t i = 0; i < PAGES; i++)
            assert_true(is_present(page_of(zone, i)));
        madvise(zone, PAGES * PAGE_BYTES, MADV_DONTNEED);
    }
}

/* ---- Waking ---- */

static _Atomic bool touched;

static void *touch(void *arg)
{
    volatile char *p = arg;
    *p += 1;
    touched = true;
    return NULL;
}

static void wait_for_fault(void)
{
    struct pollfd p = {.fd = uffd.fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
}

static void nobody_is_woken_unless_wanted(void **state)
{
    (void)state;
    need_uffd();
    pthread_t thread;
    populate(side, 3, 1);
    touched = false;
    assert_int_equal(pthread_create(&thread, NULL, touch, page_of(zone, 3)), 0);
    wait_for_fault();
    struct uffd_event event = uffd_read(&uffd);
    assert_int_equal(event.kind, UFFD_EVENT_FAULT);
    assert_ptr_equal(event.addr, page_of(zone, 3));
    assert_int_equal(uffd_read(&uffd).kind, UFFD_EVENT_NONE);
    assert_int_equal(uffd_move(&uffd, page_of(zone, 3), page_of(side, 3), 1, UFFD_DONTWAKE, result), 1);
    usleep(30000);
    assert_false(touched);
    uffd_wake(&uffd, page_of(zone, 3), PAGE_BYTES);
    assert_true(join_serving(thread));
}

/* A page that is there already wakes as well: by copy, by zero and, after an error, by move. */
static void occupied_pages_wake(void **state)
{
    (void)state;
    need_uffd();
    for (size_t way = 0; way < 3; way++) {
        pthread_t thread;
        char *page = page_of(zone, 10 + way);
        populate(side, 10 + way, 1);
        touched = false;
        assert_int_equal(pthread_create(&thread, NULL, touch, page), 0);
        wait_for_fault();
        pump();
        event_count = 0;
        assert_int_equal(uffd_move(&uffd, page, page_of(side, 10 + way), 1, UFFD_DONTWAKE, result), 1);
        populate(side, 10 + way, 1);
        usleep(10000);
        assert_false(touched);
        if (way == 0)
            uffd_copy(&uffd, page, page_of(side, 10), 1, 0, result);
        else if (way == 1)
            uffd_zero(&uffd, page, 1, result);
        else
            uffd_move(&uffd, page, page_of(side, 10 + way), 1, 0, result);
        assert_int_equal(result[0], UFFD_OCCUPIED);
        assert_true(join_serving(thread));
    }
}

/* ---- Forks ---- */

static int child_reads_pages(void)
{
    for (size_t i = 0; i < 8; i++) {
        if (!page_is(page_of(zone, i), id_of(i)))
            return 1;
    }
    return page_of(zone, 100)[5] != 0 ? 2 : 0;
}

/* Serves a child's faults until it has none for a while after its last. */
static void serve_child(const struct uffd *child, pid_t pid, int *status)
{
    struct pollfd p = {.fd = child->fd, .events = POLLIN};
    while (waitpid(pid, status, WNOHANG) == 0) {
        poll(&p, 1, 10);
        for (struct uffd_event event; (event = uffd_read(child)).kind == UFFD_EVENT_FAULT;) {
            size_t i = (size_t)(event.addr - zone) / PAGE_BYTES;
            if (i == 100)
                uffd_zero(child, event.addr, 1, result);
            else
                uffd_copy(child, event.addr, page_of(side, i), 1, 0, result);
        }
    }
}

static void children_are_served(uint64_t one_in)
{
    need_uffd();
    if (!uffd_reports_forks(&uffd))
        skip();
    struct uffd child = {.pagemap = -1};
    int status = -1;
    populate(zone, 0, 8);
    assert_int_equal(uffd_move(&uffd, side, zone, 8, 0, result), 8);
    pid_t pid = fork_serving(child_reads_pages, &child.fd);
    assert_true(child.fd >= 0);
    uffd_inject(one_in, 4711);
    serve_child(&child, pid, &status);
    uffd_inject(0, 0);
    assert_int_equal(status, 0);
    assert_int_equal(uffd_copy(&child, page_of(zone, 20), page_of(side, 2), 3, 0, result), 0);
    expect_results(0, 3, UFFD_GONE);
    assert_int_equal(uffd_move(&child, page_of(zone, 20), page_of(side, 2), 3, 0, result), 0);
    close(child.fd);
    expect_pages(side, 0, 8);
}

static void a_child_is_served(void **state)
{
    (void)state;
    children_are_served(0);
}

static void a_child_is_served_in_spite_of_failures(void **state)
{
    (void)state;
    children_are_served(3);
}

static void occupied_in_the_child(void **state)
{
    (void)state;
    need_uffd();
    if (!uffd_reports_forks(&uffd))
        skip();
    struct uffd child = {.pagemap = -1};
    populate(zone, 0, 4);
    pid_t pid = fork_serving(wait_for_kill, &child.fd);
    assert_int_equal(uffd_copy(&child, page_of(zone, 2), page_of(zone, 0), 4, 0, result), 2);
    expect_results(0, 2, UFFD_OCCUPIED);
    expect_results(2, 2, UFFD_DONE);
    expect_absent(zone, 4, 2); /* the child's copy is its own */
    kill(pid, SIGKILL);
    status_of(pid);
    close(child.fd);
}

/* While a fork waits for its event to be read, nothing else gets on: the pump has to read it. */
static void calls_during_a_fork(void **state)
{
    (void)state;
    need_uffd();
    if (!uffd_reports_forks(&uffd))
        skip();
    struct forking f = {.body = wait_for_kill};
    for (int way = 0; way < 4; way++) {
        pthread_t thread;
        populate(side, (size_t)way * 4, 4);
        assert_int_equal(pthread_create(&thread, NULL, fork_thread, &f), 0);
        wait_for_fault();
        uint64_t again = uffd_counters.again;
        pumped = 0;
        char *to = page_of(zone, (size_t)way * 4);
        if (way == 0)
            uffd_move(&uffd, to, page_of(side, 0), 4, 0, result); /* busy since the fork */
        else if (way == 1)
            assert_int_equal(uffd_copy(&uffd, to, page_of(side, 4), 4, 0, result), 4);
        else if (way == 2)
            assert_int_equal(uffd_zero(&uffd, to, 4, result), 4);
        else if (uffd.features & 1 << 14)
            assert_int_equal(uffd_poison(&uffd, to, 4), 4);
        assert_true(way == 3 || (pumped > 0 && uffd_counters.again > again));
        if (way == 0)
            expect_results(0, 4, UFFD_BUSY);
        assert_true(join_serving(thread));
        close(take_child_fd());
        kill(f.pid, SIGKILL);
        status_of(f.pid);
    }
}

/* ---- Poison ---- */

static sigjmp_buf after_bus_error;
static void *volatile bus_error_at;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    bus_error_at = info->si_addr;
    siglongjmp(after_bus_error, 1);
}

static bool raises_bus_error(char *p)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGBUS, &action, &old);
    bool raised = sigsetjmp(after_bus_error, 1);
    if (!raised)
        *(volatile char *)p = 1;
    sigaction(SIGBUS, &old, NULL);
    return raised && bus_error_at == p;
}

static void need_poison(void)
{
    need_uffd();
    if (!(uffd.features & 1 << 14))
        skip();
}

static void expect_poison(char *base, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++)
        assert_true(raises_bus_error(page_of(base, i) + 77));
}

/* EEXIST: what is there, a page or a marker, stays; all that is before it is marked. */
static void poison_stops_at_what_is_there(void **state)
{
    (void)state;
    need_poison();
    populate(zone, 40, 1);
    assert_int_equal(uffd_poison(&uffd, zone, 100), 40);
    expect_poison(zone, 0, 40);
    expect_pages(zone, 40, 1);
    expect_absent(zone, 41, 59);
    assert_int_equal(uffd_poison(&uffd, zone, 40), 0);
    assert_int_equal(uffd_poison(&uffd, page_of(zone, 41), 59), 59);
    expect_poison(zone, 41, 59);
}

/* ENOENT: from a border on, nothing is mapped, or not registered. A border between two mappings that are is none. */
static void poison_stops_at_other_mappings(void **state)
{
    (void)state;
    need_poison();
    assert_int_equal(uffd_unregister(&uffd, page_of(zone, 50), 10 * PAGE_BYTES), 0);
    assert_int_equal(uffd_poison(&uffd, zone, 100), 50);
    expect_poison(zone, 0, 50);
    page_of(zone, 50)[0] = 1;
    munmap(page_of(zone, 130), PAGE_BYTES);
    assert_int_equal(uffd_poison(&uffd, page_of(zone, 100), 100), 30);
    assert_int_equal(uffd_poison(&uffd, page_of(zone, 130), 1), 0);
    mprotect(page_of(zone, 301), PAGE_BYTES, PROT_READ);
    assert_int_equal(uffd_poison(&uffd, page_of(zone, 200), 200), 200);
    expect_poison(zone, 200, 100);
}

static int child_touches_poison(void)
{
    return raises_bus_error(page_of(zone, 5) + 123) ? 0 : 1;
}

static void poison_survives_fork(void **state)
{
    (void)state;
    need_poison();
    int child_fd;
    assert_int_equal(uffd_poison(&uffd, zone, 10), 10);
    pid_t pid = fork_serving(child_touches_poison, &child_fd);
    assert_int_equal(status_of(pid), 0);
    close(child_fd);
    expect_poison(zone, 0, 10);
}

static void poison_survives_unregistering(void **state)
{
    (void)state;
    need_poison();
    assert_int_equal(uffd_poison(&uffd, zone, 10), 10);
    assert_int_equal(uffd_unregister(&uffd, zone, PAGES * PAGE_BYTES), 0);
    expect_poison(zone, 0, 10);
}

static void poison_goes_at_madv_dontneed(void **state)
{
    (void)state;
    need_poison();
    assert_int_equal(uffd_poison(&uffd, zone, 10), 10);
    assert_int_equal(madvise(page_of(zone, 7), PAGE_BYTES, MADV_DONTNEED), 0);
    expect_absent(zone, 7, 1);
    assert_int_equal(uffd_zero(&uffd, page_of(zone, 7), 1, result), 1);
    assert_int_equal(page_of(zone, 7)[5], 0);
    expect_poison(zone, 6, 1);
    expect_poison(zone, 8, 1);
}

/* Neither onto it nor away with it; only UFFDIO_COPY, not UFFDIO_ZEROPAGE, puts a page over it. */
static void poison_refuses_moves(void **state)
{
    (void)state;
    need_poison();
    populate(side, 5, 1);
    assert_int_equal(uffd_poison(&uffd, zone, 10), 10);
    assert_int_equal(uffd_move(&uffd, page_of(zone, 5), page_of(side, 5), 1, 0, result), 0);
    assert_int_equal(result[0], UFFD_OCCUPIED);
    expect_pages(side, 5, 1);
    assert_int_equal(uffd_move(&uffd, side, page_of(zone, 5), 1, 0, result), 0);
    assert_int_equal(result[0], UFFD_REFUSED);
    assert_int_equal(uffd_zero(&uffd, page_of(zone, 5), 1, result), 0);
    assert_int_equal(result[0], UFFD_OCCUPIED);
    expect_poison(zone, 5, 1);
    assert_int_equal(uffd_copy(&uffd, page_of(zone, 5), page_of(side, 5), 1, 0, result), 1);
    expect_pages(zone, 5, 1);
}

static void poison_gives_efault(void **state)
{
    (void)state;
    need_poison();
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(uffd_poison(&uffd, zone, 1), 1);
    assert_int_equal(write(fds[1], zone, 8), -1);
    assert_int_equal(errno, EFAULT);
    close(fds[0]);
    close(fds[1]);
}

/* ESRCH: of a process that has ended, nothing is marked, and the call comes to an end. */
static void poison_of_a_process_that_is_gone(void **state)
{
    (void)state;
    need_poison();
    if (!uffd_reports_forks(&uffd))
        skip();
    struct uffd child = {.pagemap = -1};
    pid_t pid = fork_serving(wait_for_kill, &child.fd);
    assert_int_equal(uffd_poison(&child, zone, 8), 8);
    expect_absent(zone, 0, 8); /* it is the child's */
    kill(pid, SIGKILL);
    status_of(pid);
    assert_int_equal(uffd_poison(&child, page_of(zone, 8), 8), 0);
    close(child.fd);
}

/* ENOMEM and all the others, and calls that stop half-way, are got over. Of `u`: one without a pagemap is told ESRCH as well. */
static void poison_in_spite_of_failures(const struct uffd *u, char *base)
{
    uint64_t injected = uffd_counters.injected;
    for (uint64_t seed = 1; seed < 200; seed++) {
        madvise(base, 64 * PAGE_BYTES, MADV_DONTNEED);
        uffd_inject(3, seed);
        size_t done = uffd_poison(u, base, 64);
        uffd_inject(0, 0);
        assert_int_equal(done, 64);
    }
    assert_true(uffd_counters.injected > injected + 50);
    expect_poison(base, 0, 64);
    /* Where every call fails or stops half-way it ends, and what it says is marked is. */
    madvise(base, 64 * PAGE_BYTES, MADV_DONTNEED);
    for (uint64_t seed = 1; seed < 20; seed++) {
        uffd_inject(1, seed);
        size_t done = uffd_poison(u, base, 64);
        uffd_inject(0, 0);
        expect_poison(base, 0, done);
        if (done < 64)
            assert_int_equal(uffd_poison(u, page_of(base, done), 1), 1);
        madvise(base, 64 * PAGE_BYTES, MADV_DONTNEED);
    }
}

static void poison_errors(void **state)
{
    (void)state;
    need_poison();
    poison_in_spite_of_failures(&uffd, zone);
}

static char *quiet_page;

static int child_touches_quiet_page(void)
{
    return raises_bus_error(quiet_page) ? 0 : 1;
}

/* For poison only, and a user without rights: no fault comes, pages are the kernel's to fill. */
static void quiet(void **state)
{
    (void)state;
    enum { QUIET_PAGES = 64 };
    struct uffd poisoner;
    if (uffd_open(&poisoner, UFFD_POISON) != UFFD_READY)
        skip();
    char *p = map_pages(QUIET_PAGES);
    if (uffd_register_wp(&poisoner, p, QUIET_PAGES * PAGE_BYTES) != 0)
        skip();
    p[0] = 1;
    assert_int_equal(p[PAGE_BYTES], 0);
    assert_int_equal(uffd_poison(&poisoner, page_of(p, 2), 6), 6);
    assert_int_equal(uffd_poison(&poisoner, p, 1), 0); /* there is a page */
    assert_true(raises_bus_error(page_of(p, 7)));
    assert_int_equal(madvise(page_of(p, 7), PAGE_BYTES, MADV_DONTNEED), 0);
    page_of(p, 7)[0] = 1;
    int child_fd;
    quiet_page = page_of(p, 3);
    assert_int_equal(status_of(fork_serving(child_touches_quiet_page, &child_fd)), 0);
    close(child_fd);
    poison_in_spite_of_failures(&poisoner, p);
    assert_int_equal(uffd_poison(&poisoner, p, QUIET_PAGES), QUIET_PAGES);
    uffd_close(&poisoner);
    expect_poison(p, 0, QUIET_PAGES);
    munmap(p, QUIET_PAGES * PAGE_BYTES);
}

/* ---- Injected failures, against a model of where each page is ---- */

static uint64_t at_zone[PAGES], at_side[PAGES], next_id; /* contents; 0: no page */

static void check_page(char *base, const uint64_t *model, size_t i)
{
    assert_int_equal(is_present(page_of(base, i)), model[i] != 0);
    if (model[i] != 0)
        assert_true(page_is(page_of(base, i), model[i]));
}

static void check_model(size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        check_page(zone, at_zone, i);
        check_page(side, at_side, i);
    }
}

static void model_move(uint64_t *to, uint64_t *from, size_t n, int flags)
{
    for (size_t i = 0; i < n; i++) {
        if (result[i] == UFFD_HOLE) {
            assert_true(from[i] == 0 && to[i] == 0);
        } else if (result[i] == UFFD_OCCUPIED) {
            assert_true(from[i] != 0 && to[i] != 0);
        } else if (result[i] == UFFD_DONE && from[i] != 0) {
            assert_int_equal(to[i], 0);
            to[i] = from[i];
            from[i] = 0;
        } else if (result[i] == UFFD_DONE) {
            assert_true(to[i] != 0 || flags & UFFD_ALLOW_HOLES);
        }
    }
}

static void random_move(size_t first, size_t n, uint32_t random)
{
    int flags = (random & 2 ? UFFD_ALLOW_HOLES : 0) | (random & 4 ? UFFD_DONTWAKE : 0);
    if (random & 1) {
        uffd_move(&uffd, page_of(zone, first), page_of(side, first), n, flags, result);
        model_move(at_zone + first, at_side + first, n, flags);
    } else {
        uffd_move(&uffd, page_of(side, first), page_of(zone, first), n, flags, result);
        model_move(at_side + first, at_zone + first, n, flags);
    }
}

/* Copies or zeros: what is absent is there afterwards, whatever was injected. */
static void random_copy(size_t first, size_t n)
{
    static char source[64 * PAGE_BYTES];
    n = min_size(n, 64);
    for (size_t i = 0; i < n; i++)
        fill_page(source + i * PAGE_BYTES, ++next_id);
    size_t done = uffd_copy(&uffd, page_of(zone, first), source, n, 0, result);
    for (size_t i = 0; i < n; i++) {
        if (at_zone[first + i] != 0) {
            assert_int_equal(result[i], UFFD_OCCUPIED);
        } else {
            assert_int_equal(result[i], UFFD_DONE);
            at_zone[first + i] = next_id - n + i + 1;
            done--;
        }
    }
    assert_int_equal(done, 0);
}

static void random_drop(char *base, uint64_t *model, size_t first, size_t n)
{
    assert_int_equal(madvise(page_of(base, first), n * PAGE_BYTES, MADV_DONTNEED), 0);
    memset(model + first, 0, n * sizeof(*model));
}

static void failures_lose_nothing(void **state)
{
    (void)state;
    need_uffd();
    uint32_t seed = 2463534242u;
    memset(at_zone, 0, sizeof(at_zone));
    memset(at_side, 0, sizeof(at_side));
    for (int round = 0; round < (quick() ? 600 : 4000); round++) {
        uint32_t random = unit_random(&seed);
        size_t n = 1 + unit_random(&seed) % 200, first = unit_random(&seed) % (512 - n);
        uffd_inject(random >> 8 & 1 ? 3 : 10, seed);
        if (random % 8 == 0)
            random_drop(random & 8 ? zone : side, random & 8 ? at_zone : at_side, first, n / 8 + 1);
        else if (random % 8 <= 2)
            random_copy(first, n);
        else
            random_move(first, n, random >> 4);
        uffd_inject(0, 0);
        check_model(first, n);
    }
    check_model(0, 512);
}

/* What a call claims about registration is true. */
static void registration_failures_are_told(void **state)
{
    (void)state;
    need_uffd();
    size_t failed = 0;
    for (int i = 0; i < 200; i++) {
        uffd_inject(3, (uint64_t)i);
        long off = uffd_unregister(&uffd, zone, PAGE_BYTES);
        uffd_inject(0, 0);
        uint8_t r;
        assert_int_equal(uffd_zero(&uffd, zone, 1, &r), off == 0 ? 0 : 1);
        uffd_inject(3, (uint64_t)i + 1000);
        long on = uffd_register(&uffd, zone, PAGE_BYTES);
        uffd_inject(0, 0);
        failed += (off != 0) + (on != 0);
        if (on != 0)
            assert_int_equal(uffd_register(&uffd, zone, PAGE_BYTES), 0);
        madvise(zone, PAGE_BYTES, MADV_DONTNEED);
    }
    assert_in_range(failed, 50, 250);
}

#define uffd_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bad_releases),
        uffd_test(changed_users_are_told),
        uffd_test(runs_move_there_and_back),
        uffd_test(holes),
        uffd_test(occupied_destinations),
        uffd_test(busy_since_a_fork),
        uffd_test(busy_while_pinned),
        uffd_test(other_mappings_in_a_run),
        uffd_test(unmapped_and_unreadable_pages),
        uffd_test(nobody_is_woken_unless_wanted),
        uffd_test(occupied_pages_wake),
        uffd_test(a_child_is_served),
        uffd_test(a_child_is_served_in_spite_of_failures),
        uffd_test(occupied_in_the_child),
        uffd_test(calls_during_a_fork),
        uffd_test(poison_stops_at_what_is_there),
        uffd_test(poison_stops_at_other_mappings),
        uffd_test(poison_survives_fork),
        uffd_test(poison_survives_unregistering),
        uffd_test(poison_goes_at_madv_dontneed),
        uffd_test(poison_refuses_moves),
        uffd_test(poison_gives_efault),
        uffd_test(poison_of_a_process_that_is_gone),
        uffd_test(poison_errors),
        uffd_test(quiet),
        uffd_test(failures_lose_nothing),
        uffd_test(registration_failures_are_told),
        uffd_test(no_thread_is_left_waiting),
        uffd_test(migration),
    };
    alarm(120); /* a thread that nobody wakes must not hold up everything */
    return cmocka_run_group_tests_name("uffd", tests, NULL, NULL);
}
