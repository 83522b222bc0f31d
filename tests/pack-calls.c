/*
 * Packed pages and the kernel as their reader and writer: buffers, vectors, futexes, signal stacks, pinned pages. One
 * case a run, named by the first argument ("list" names them); tests/pack.sh runs them all preloaded.
 */
#include "packing.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>

/* Blocks that lie between the objects of the heap, on pages that are packed like theirs. */
enum { BLOCKS = 300, BLOCK_BYTES = 640 };
static unsigned char *block[BLOCKS];

static unsigned char mark_of(size_t n)
{
    return (unsigned char)(n * 37 + 11);
}

static void add_block(unsigned n)
{
    if (n < BLOCKS)
        block[n] = memset(malloc(BLOCK_BYTES), mark_of(n), BLOCK_BYTES);
}

static void require_mark(const unsigned char *p, size_t n, const char *what)
{
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        if (p[i] != mark_of(n))
            fail("%s: block %zu at %p: byte %zu is %02x, expected %02x", what, n, (void *)block[n], i, p[i],
                 mark_of(n));
    }
}

static void check_blocks(const char *when)
{
    for (size_t n = 0; n < BLOCKS; n++)
        require_mark(block[n], n, when);
    check(when);
}

static void sparse_with_blocks(void)
{
    sparse_with(16, 1000, add_block, 100);
    require_away((void **)block, BLOCKS, "blocks");
}

static void make_pipe(int fd[2])
{
    REQUIRE(pipe(fd) == 0);
}

static int temporary_file(int flags)
{
    char name[] = "/tmp/sinter-test.XXXXXX";
    int fd = mkostemp(name, flags);
    if (fd >= 0)
        unlink(name);
    return fd;
}

/* ---- plain buffers ---- */

/* Each even block goes through `out`, and comes back from `in` into the odd one behind it. */
static void through(int out, int in, const char *what)
{
    for (int round = 0; round < 3; round++) {
        STEP("%s, from and to packed blocks", what);
        for (size_t n = 0; n < BLOCKS; n += 2) {
            REQUIRE(write(out, block[n], BLOCK_BYTES) == BLOCK_BYTES);
            REQUIRE(read(in, block[n + 1], BLOCK_BYTES) == BLOCK_BYTES);
            require_mark(block[n + 1], n, what);
            memset(block[n + 1], mark_of(n + 1), BLOCK_BYTES);
        }
        pack();
    }
}

static void read_write_case(void)
{
    int fd[2];
    sparse_with_blocks();
    make_pipe(fd);
    through(fd[1], fd[0], "pipe");
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    through(fd[1], fd[0], "socket");
    fd[0] = temporary_file(O_APPEND);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
    fd[1] = open(path, O_RDONLY);
    through(fd[0], fd[1], "file");
    check_blocks("after read and write");
}

enum { DIRECT = 100, SECTOR = 512 };
static unsigned char *sectors[DIRECT];

static void add_sector(unsigned n)
{
    if (n < DIRECT)
        sectors[n] = memset(memalign(SECTOR, SECTOR), mark_of(n), SECTOR);
}

static void direct_case(void)
{
    int fd = temporary_file(O_DIRECT);
    sparse_with(16, 1000, add_sector, 300);
    require_away((void **)sectors, DIRECT, "sectors");
    if (fd < 0 || pwrite(fd, sectors[0], SECTOR, 0) < 0)
        skip("no O_DIRECT for 512 bytes in /tmp");
    for (int round = 0; round < 3; round++) {
        STEP("pwrite and pread with O_DIRECT");
        for (size_t n = 0; n < DIRECT; n++)
            REQUIRE(pwrite(fd, sectors[n], SECTOR, (off_t)n * SECTOR) == SECTOR);
        for (size_t n = 0; n < DIRECT; n++)
            memset(sectors[n], 0, SECTOR);
        pack();
        for (size_t n = 0; n < DIRECT; n++)
            REQUIRE(pread(fd, sectors[n], SECTOR, (off_t)n * SECTOR) == SECTOR);
        pack();
        for (size_t n = 0; n < DIRECT; n++) {
            for (size_t i = 0; i < SECTOR; i++)
                REQUIRE(sectors[n][i] == mark_of(n));
        }
    }
    check("after O_DIRECT");
}

/* The vector itself is in block `at`, and names the blocks from `first` on. */
static struct iovec *vector_in(size_t at, size_t first, size_t count)
{
    struct iovec *v = (struct iovec *)(void *)block[at];
    for (size_t i = 0; i < count; i++)
        v[i] = (struct iovec){block[first + i], BLOCK_BYTES};
    return v;
}

enum { VECTOR = 20 };

static void vector_case(void)
{
    int fd[2];
    sparse_with_blocks();
    make_pipe(fd);
    for (size_t n = 0; n + 2 * VECTOR < BLOCKS - 2; n += VECTOR) {
        struct iovec *out = vector_in(BLOCKS - 1, n, VECTOR), *in = vector_in(BLOCKS - 2, n + VECTOR, VECTOR);
        pack();
        STEP("writev and readv");
        REQUIRE(writev(fd[1], out, VECTOR) == VECTOR * BLOCK_BYTES);
        REQUIRE(readv(fd[0], in, VECTOR) == VECTOR * BLOCK_BYTES);
        for (size_t i = 0; i < VECTOR; i++) {
            require_mark(block[n + VECTOR + i], n + i, "readv");
            memset(block[n + VECTOR + i], mark_of(n + VECTOR + i), BLOCK_BYTES);
        }
    }
    memset(block[BLOCKS - 1], mark_of(BLOCKS - 1), BLOCK_BYTES);
    memset(block[BLOCKS - 2], mark_of(BLOCKS - 2), BLOCK_BYTES);
    pack();
    check_blocks("after writev and readv");
}

/* A message of which header, vector and control data are in three blocks; its data is in a fourth. */
static struct msghdr *message_in(size_t n, int fd)
{
    struct msghdr *m = (struct msghdr *)(void *)block[n];
    struct cmsghdr *c = (struct cmsghdr *)(void *)block[n + 1];
    *m = (struct msghdr){.msg_iov = vector_in(n + 2, n + 3, 1), .msg_iovlen = 1};
    m->msg_control = c;
    m->msg_controllen = CMSG_SPACE(sizeof fd);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return m;
}

static void message_case(void)
{
    int fd[2], received;
    sparse_with_blocks();
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
    for (size_t n = 0; n + 8 <= BLOCKS; n += 8) {
        struct msghdr *out = message_in(n, fd[0]), *in = message_in(n + 4, -1);
        pack();
        STEP("sendmsg and recvmsg");
        REQUIRE(sendmsg(fd[0], out, 0) == BLOCK_BYTES);
        pack();
        REQUIRE(recvmsg(fd[1], in, 0) == BLOCK_BYTES);
        require_mark(block[n + 7], n + 3, "recvmsg");
        memcpy(&received, CMSG_DATA((struct cmsghdr *)(void *)block[n + 5]), sizeof received);
        REQUIRE(received != -1 && close(received) == 0);
        for (size_t i = n; i < n + 8; i++)
            memset(block[i], mark_of(i), BLOCK_BYTES);
    }
    check_blocks("after sendmsg and recvmsg");
}

static void copy_from_parent(uintptr_t unused)
{
    unsigned char copy[BLOCK_BYTES];
    struct iovec here = {copy, BLOCK_BYTES};
    (void)unused;
    for (size_t n = 0; n < BLOCKS; n++) {
        struct iovec there = {block[n], BLOCK_BYTES};
        if (process_vm_readv(getppid(), &here, 1, &there, 1, 0) != BLOCK_BYTES)
            fail("process_vm_readv of a packed block: errno %d", errno);
        require_mark(copy, n, "process_vm_readv");
        memset(copy, mark_of(n + 1), BLOCK_BYTES);
        if (n % 2 && process_vm_writev(getppid(), &here, 1, &there, 1, 0) != BLOCK_BYTES)
            fail("process_vm_writev to a packed block: errno %d", errno);
    }
}

static void process_vm_case(void)
{
    sparse_with_blocks();
    for (int round = 0; round < 5; round++) {
        in_child(copy_from_parent, 0, "child that reads and writes its parent's memory");
        for (size_t n = 0; n < BLOCKS; n++) {
            require_mark(block[n], n + n % 2, "after process_vm_writev");
            memset(block[n], mark_of(n), BLOCK_BYTES);
        }
        pack();
    }
    check_blocks("after process_vm_readv");
}

/* ---- many calls, each with its result on a packed page ---- */

static bool call_getrandom(void *p)
{
    return getrandom(p, 600, 0) == 600;
}

static bool call_uname(void *p)
{
    return uname(p) == 0 && strcmp(p, "Linux") == 0;
}

static bool call_stat(void *p)
{
    return stat("/", p) == 0 && S_ISDIR(((struct stat *)p)->st_mode);
}

static bool call_path(void *p)
{
    char *path = p;
    int fd = memcmp(path, "/proc/", 6) == 0 ? open(path, O_RDONLY) : -1;
    return fd >= 0 && close(fd) == 0 && readlink(path, path + 100, 400) > 0 && path[100] == '/';
}

static bool call_getcwd(void *p)
{
    return syscall(SYS_getcwd, p, 600) > 0 && *(char *)p == '/';
}

static bool call_clock(void *p)
{
    return syscall(SYS_clock_gettime, CLOCK_REALTIME, p) == 0 && ((struct timespec *)p)->tv_sec > 1000000000;
}

static bool call_poll(void *p)
{
    return poll(p, 2, 0) >= 0;
}

static bool call_select(void *p)
{
    fd_set *sets = p;
    return select(64, &sets[0], &sets[1], &sets[2], &(struct timeval){0, 0}) >= 0;
}

static bool call_epoll(void *p)
{
    int fd[2], e = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = 77};
    make_pipe(fd);
    bool done = epoll_ctl(e, EPOLL_CTL_ADD, fd[1], &event) == 0 && epoll_wait(e, p, 10, 0) == 1 &&
                ((struct epoll_event *)p)->data.u64 == 77;
    close(fd[0]);
    close(fd[1]);
    close(e);
    return done;
}

static bool call_rusage(void *p)
{
    return getrusage(RUSAGE_SELF, p) == 0 && ((struct rusage *)p)->ru_maxrss > 0;
}

static bool call_sysinfo(void *p)
{
    return sysinfo(p) == 0 && ((struct sysinfo *)p)->totalram > 0;
}

static bool call_signals(void *p)
{
    return syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, (char *)p + 8, 8) == 0;
}

static bool call_affinity(void *p)
{
    return syscall(SYS_sched_getaffinity, 0, 512, p) > 0;
}

static void calls_case(void)
{
    static bool (*const calls[])(void *) = {
        call_getrandom, call_uname, call_stat,   call_path,    call_getcwd,  call_clock,   call_poll,
        call_select,    call_epoll, call_rusage, call_sysinfo, call_signals, call_affinity};
    sparse_with_blocks();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (size_t n = 0; n < BLOCKS; n++) {
            memset(block[n], 0, BLOCK_BYTES);
            if (calls[i] == call_path)
                strcpy((char *)block[n], "/proc/self/exe");
        }
        pack();
        STEP("call %zu with packed memory", i);
        for (size_t n = 0; n < BLOCKS; n++) {
            if (!calls[i](block[n]))
                fail("call %zu failed with errno %d on block %zu", i, errno, n);
        }
    }
    pack();
    check("after many calls");
}

/* ---- futexes ---- */

static long futex(void *p, int op, uint32_t value)
{
    return syscall(SYS_futex, p, op, value, NULL, NULL, 0);
}

static void *wait_on_word(void *p)
{
    while (atomic_load((_Atomic uint32_t *)p) == 1) {
        long result = futex(p, FUTEX_WAIT, 1);
        REQUIRE(result == 0 || errno == EAGAIN || errno == EINTR);
    }
    return NULL;
}

enum { WAITERS = 40 };

static void futex_case(void)
{
    pthread_t t[WAITERS];
    sparse_with_blocks();
    STEP("futex calls on packed words");
    for (size_t n = 0; n < BLOCKS; n++) {
        errno = 0;
        REQUIRE(futex(block[n], FUTEX_WAIT_PRIVATE, 0x12345678) == -1 && errno == EAGAIN);
        REQUIRE(futex(block[n], FUTEX_WAKE, 1) == 0);
    }
    for (size_t n = 0; n < WAITERS; n++) {
        atomic_store((_Atomic uint32_t *)(void *)block[n], 1);
        REQUIRE(pthread_create(&t[n], NULL, wait_on_word, block[n]) == 0);
    }
    for (int i = 0; i < 5; i++) {
        pause_ms(20);
        pack(); /* under the waiting threads */
    }
    STEP("waking waiters on packed words");
    for (size_t n = 0; n < WAITERS; n++) {
        atomic_store((_Atomic uint32_t *)(void *)block[n], 0);
        futex(block[n], FUTEX_WAKE, 100);
        REQUIRE(pthread_join(t[n], NULL) == 0);
    }
    check("after futex calls");
}

struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t turn;
    sem_t go;
    int round;
};
_Static_assert(sizeof(struct meeting) <= BLOCK_BYTES, "a meeting is held in a block");

static void init_meeting(struct meeting *m, int protocol)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, protocol);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    REQUIRE(pthread_mutex_init(&m->lock, &attr) == 0 && pthread_cond_init(&m->turn, NULL) == 0);
    REQUIRE(sem_init(&m->go, 0, 0) == 0);
    m->round = 0;
}

/* The kernel marks the lock of a thread that ends only if its page is here. */
static bool mutex_may_end(void)
{
    return !option_is("compact", "stress");
}

/* Waits in each of the three ways and ends with the lock held, which the kernel must then note in packed memory. */
static void *attend(void *arg)
{
    struct meeting *m = arg;
    while (sem_wait(&m->go) != 0)
        ;
    REQUIRE(pthread_mutex_lock(&m->lock) == 0);
    while (m->round == 0)
        REQUIRE(pthread_cond_wait(&m->turn, &m->lock) == 0);
    m->round = 2;
    pause_ms(50);
    if (!mutex_may_end()) /* where the page may be away at any moment, a lock may not be left */
        REQUIRE(pthread_mutex_unlock(&m->lock) == 0);
    return NULL;
}

static void hold_meetings(int protocol)
{
    pthread_t t[WAITERS];
    for (size_t n = 0; n < WAITERS; n++) {
        init_meeting((struct meeting *)(void *)block[n], protocol);
        REQUIRE(pthread_create(&t[n], NULL, attend, block[n]) == 0);
    }
    pause_ms(20);
    pack();
    STEP("semaphores on packed pages");
    for (size_t n = 0; n < WAITERS; n++)
        REQUIRE(sem_post(&((struct meeting *)(void *)block[n])->go) == 0);
    pause_ms(20);
    pack();
    STEP("mutexes and conditions on packed pages");
    for (size_t n = 0; n < WAITERS; n++) {
        struct meeting *m = (struct meeting *)(void *)block[n];
        REQUIRE(pthread_mutex_lock(&m->lock) == 0);
        m->round = 1;
        REQUIRE(pthread_cond_signal(&m->turn) == 0 && pthread_mutex_unlock(&m->lock) == 0);
    }
    pause_ms(20);
    STEP("threads that end");
    for (size_t n = 0; n < WAITERS; n++) {
        struct meeting *m = (struct meeting *)(void *)block[n];
        REQUIRE(m->round == 1 || m->round == 2);
        REQUIRE(pthread_join(t[n], NULL) == 0);
        REQUIRE(pthread_mutex_lock(&m->lock) == (mutex_may_end() ? EOWNERDEAD : 0) && m->round == 2);
        REQUIRE(!mutex_may_end() || pthread_mutex_consistent(&m->lock) == 0);
        REQUIRE(pthread_mutex_unlock(&m->lock) == 0);
    }
}

static void sync_case(void)
{
    sparse_with_blocks();
    for (int i = 0; i < 3; i++) {
        hold_meetings(PTHREAD_PRIO_NONE);
        hold_meetings(PTHREAD_PRIO_INHERIT);
    }
    check("after synchronization in packed memory");
}

/* ---- the kernel writes a signal's frame ---- */

enum { STACKS = 30, STACK_SIZE = 3584 };
static unsigned char *stacks[STACKS];
static atomic_uint handled;

static void add_stack(unsigned n)
{
    if (n < STACKS)
        stacks[n] = malloc(STACK_SIZE);
}

static void on_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&handled, 1);
}

static void sigaltstack_case(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    if (getauxval(AT_MINSIGSTKSZ) > STACK_SIZE - 200)
        skip("a signal's frame is too large for a packed page here");
    make_heap(4000, 3300, STACK_SIZE, add_stack, 100);
    thin(10);
    pack();
    require_away((void **)stacks, STACKS, "stacks");
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned n = 0; n < STACKS; n++) {
        stack_t s = {.ss_sp = stacks[n], .ss_size = STACK_SIZE};
        REQUIRE(sigaltstack(&s, NULL) == 0);
        STEP("signal on a packed stack");
        raise(SIGUSR1);
        pack();
        raise(SIGUSR1);
        REQUIRE(atomic_load(&handled) == 2 * n + 2);
    }
    check("after signals on packed stacks");
}

/* ---- pages that the kernel holds ---- */

enum { IN_PIPE = 8 };

static void vmsplice_case(void)
{
    sparse_with_blocks();
    for (size_t n = 0; n + IN_PIPE <= BLOCKS; n += IN_PIPE) {
        int fd[2];
        unsigned char bytes[BLOCK_BYTES];
        make_pipe(fd);
        STEP("vmsplice of packed blocks");
        for (size_t i = n; i < n + IN_PIPE; i++) {
            struct iovec v = {block[i], BLOCK_BYTES};
            REQUIRE(vmsplice(fd[1], &v, 1, 0) == BLOCK_BYTES);
        }
        pack();
        check("with pages in a pipe");
        pack();
        STEP("reading what was spliced");
        for (size_t i = n; i < n + IN_PIPE; i++) {
            REQUIRE(read(fd[0], bytes, BLOCK_BYTES) == BLOCK_BYTES);
            require_mark(bytes, i, "from the pipe");
        }
        close(fd[0]);
        close(fd[1]);
    }
    check_blocks("after vmsplice");
}

struct ring {
    int fd;
    struct io_uring_params params;
    unsigned char *rings;
    struct io_uring_sqe *entries;
};

static void open_ring(struct ring *r)
{
    memset(r, 0, sizeof *r);
    r->fd = (int)syscall(SYS_io_uring_setup, 64, &r->params);
    if (r->fd < 0 || !(r->params.features & IORING_FEAT_SINGLE_MMAP))
        skip("no io_uring here, errno %d", errno);
    size_t size = r->params.cq_off.cqes + r->params.cq_entries * sizeof(struct io_uring_cqe);
    r->rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
    r->entries = mmap(NULL, r->params.sq_entries * sizeof *r->entries, PROT_READ | PROT_WRITE, MAP_SHARED,
                      r->fd, IORING_OFF_SQES);
    REQUIRE(r->rings != MAP_FAILED && (void *)r->entries != MAP_FAILED);
}

static _Atomic uint32_t *ring_word(const struct ring *r, unsigned offset)
{
    return (_Atomic uint32_t *)(void *)(r->rings + offset);
}

static void submit(struct ring *r, const struct io_uring_sqe *entry)
{
    _Atomic uint32_t *tail = ring_word(r, r->params.sq_off.tail);
    uint32_t at = *tail & (r->params.sq_entries - 1);
    r->entries[at] = *entry;
    ring_word(r, r->params.sq_off.array)[at] = at;
    atomic_fetch_add(tail, 1);
    REQUIRE(syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1);
}

static void require_completions(struct ring *r, unsigned count)
{
    _Atomic uint32_t *head = ring_word(r, r->params.cq_off.head);
    struct io_uring_cqe *results = (void *)(r->rings + r->params.cq_off.cqes);
    for (unsigned i = 0; i < count; i++) {
        while (atomic_load(ring_word(r, r->params.cq_off.tail)) == *head)
            REQUIRE(syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
        const struct io_uring_cqe *c = &results[*head & (r->params.cq_entries - 1)];
        if (c->res != BLOCK_BYTES)
            fail("io_uring operation %u gave %d", (unsigned)c->user_data, c->res);
        atomic_fetch_add(head, 1);
    }
}

enum { RING_BLOCKS = 32 };

/* The kernel goes on using the pages that it has pinned: they must stay what the program sees. */
static void io_uring_registered_case(void)
{
    struct ring r;
    struct iovec v[RING_BLOCKS];
    sparse_with_blocks();
    open_ring(&r);
    int file = temporary_file(0);
    for (size_t n = 0; n < RING_BLOCKS; n++)
        v[n] = (struct iovec){block[n], BLOCK_BYTES};
    STEP("registering packed blocks");
    REQUIRE(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, v, RING_BLOCKS) == 0);
    for (unsigned round = 0; round < 5; round++) {
        pack();
        STEP("io_uring with registered blocks");
        for (size_t n = 0; n < RING_BLOCKS; n++) {
            unsigned char bytes[BLOCK_BYTES];
            memset(bytes, mark_of(n + round + 1), BLOCK_BYTES);
            REQUIRE(pwrite(file, bytes, BLOCK_BYTES, (off_t)n * BLOCK_BYTES) == BLOCK_BYTES);
            submit(&r, &(struct io_uring_sqe){.opcode = IORING_OP_READ_FIXED,
                                              .fd = file,
                                              .len = BLOCK_BYTES,
                                              .off = n * BLOCK_BYTES,
                                              .addr = (uintptr_t)block[n],
                                              .buf_index = (uint16_t)n,
                                              .user_data = n});
        }
        require_completions(&r, RING_BLOCKS);
        for (size_t n = 0; n < RING_BLOCKS; n++)
            require_mark(block[n], n + round + 1, "written by io_uring to a registered block");
        in_child(use, 0, "child of a process with pinned pages");
    }
    close(r.fd);
    pack();
    use_and_fork();
}

/* A read is under way while its buffer is packed. */
static void io_uring_pending_case(void)
{
    struct ring r;
    int fd[RING_BLOCKS][2];
    sparse_with_blocks();
    open_ring(&r);
    for (unsigned round = 0; round < 3; round++) {
        STEP("io_uring reads from pipes into packed blocks");
        for (size_t n = 0; n < RING_BLOCKS; n++) {
            make_pipe(fd[n]);
            submit(&r, &(struct io_uring_sqe){.opcode = IORING_OP_READ,
                                              .fd = fd[n][0],
                                              .len = BLOCK_BYTES,
                                              .addr = (uintptr_t)block[n],
                                              .user_data = n});
        }
        pack();
        STEP("completing reads into packed blocks");
        for (size_t n = 0; n < RING_BLOCKS; n++)
            REQUIRE(write(fd[n][1], block[n + RING_BLOCKS], BLOCK_BYTES) == BLOCK_BYTES);
        require_completions(&r, RING_BLOCKS);
        for (size_t n = 0; n < RING_BLOCKS; n++) {
            require_mark(block[n], n + RING_BLOCKS, "read by io_uring");
            close(fd[n][0]);
            close(fd[n][1]);
        }
        pack();
    }
    use_and_fork();
}

static const struct test_case cases[] = {
    {"read_write", read_write_case},
    {"direct", direct_case},
    {"vector", vector_case},
    {"message", message_case},
    {"process_vm", process_vm_case},
    {"calls", calls_case},
    {"futex", futex_case},
    {"sync", sync_case},
    {"sigaltstack", sigaltstack_case},
    {"vmsplice", vmsplice_case},
    {"io_uring_registered", io_uring_registered_case},
    {"io_uring_pending", io_uring_pending_case},
};

int main(int argc, char **argv)
{
    return packing_main(cases, sizeof cases / sizeof *cases, argc, argv);
}
