#include "uffd.h"

#include "fatal.h"
#include "os.h"
#include "uffd_abi.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

enum {
    PATIENCE = 8, /* tries before an error that may pass is taken for an answer */
    WINDOW = 64,  /* pages looked up in the pagemap at once */
};

struct uffd_counters uffd_counters;

/* ---- The system call, and its failures for tests ---- */

static _Atomic uint64_t inject_one_in, inject_state;

void uffd_inject(uint64_t one_in, uint64_t seed)
{
    store_relaxed(&inject_state, seed << 1 | 1);
    store_relaxed(&inject_one_in, one_in);
}

/* Threads that draw at once may get the same number, which does no harm. */
static uint64_t inject_random(void)
{
    uint64_t x = load_relaxed(&inject_state);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    store_relaxed(&inject_state, x);
    return x * 0x2545f4914f6cdd1du >> 32;
}

static long control(const struct uffd *u, unsigned long request, void *arg)
{
    return os_syscall(SYS_ioctl, u->fd, (long)request, (long)arg, 0, 0, 0);
}

/* Only processes other than this one can be gone, and only of this one can a false EEXIST be told from a true one. */
static long inject_error(const struct uffd *u, unsigned long request)
{
    static const uint8_t of_move[] = {EAGAIN, EINVAL, ENOENT, ENOMEM, EFAULT, EEXIST, EBUSY};
    static const uint8_t of_fill[] = {EAGAIN, EINVAL, ENOENT, ENOMEM, EFAULT, EEXIST};
    if (request == UFFDIO_MOVE)
        return -of_move[inject_random() % ARRAY_LEN(of_move)];
    if (request == UFFDIO_COPY || request == UFFDIO_ZEROPAGE || request == UFFDIO_POISON) {
        long error = of_fill[inject_random() % ARRAY_LEN(of_fill)];
        return error == EEXIST && u->pagemap < 0 ? -ESRCH : -error;
    }
    return request == UFFDIO_REGISTER ? -ENOMEM : -EINVAL;
}

/* What is said of a part that was done. Of what is not said, nobody is woken. */
enum said { ALL, SOME, NOTHING, SAID_WAYS };

static long inject_part(const struct uffd *u, struct uffdio_move *move, enum said said)
{
    struct uffdio_move part = *move;
    part.len = (1 + inject_random() % (move->len >> PAGE_BITS)) << PAGE_BITS;
    if (said != ALL)
        part.mode |= UFFDIO_MOVE_MODE_DONTWAKE;
    long ret = control(u, UFFDIO_MOVE, &part);
    move->move = part.move;
    if (ret < 0 && part.move <= 0)
        return ret;
    if (said == SOME)
        move->move = (int64_t)align_down((uint64_t)part.move / 2, PAGE_BYTES);
    if (said == NOTHING || move->move == 0)
        move->move = -EEXIST;
    return move->move < 0 ? -EEXIST : move->move == (int64_t)move->len ? 0 : -EAGAIN;
}

static long inject_part_of_copy(const struct uffd *u, struct uffdio_copy *copy)
{
    uint64_t whole = copy->len;
    copy->len = (1 + inject_random() % (whole >> PAGE_BITS)) << PAGE_BITS;
    long ret = control(u, UFFDIO_COPY, copy);
    if (ret == 0 && copy->len < whole)
        ret = -EAGAIN;
    copy->len = whole;
    return ret;
}

static long inject_part_of_poison(const struct uffd *u, struct uffdio_poison *poison)
{
    uint64_t whole = poison->range.len;
    poison->range.len = (1 + inject_random() % (whole >> PAGE_BITS)) << PAGE_BITS;
    long ret = control(u, UFFDIO_POISON, poison);
    if (ret == 0 && poison->range.len < whole)
        ret = -EAGAIN;
    poison->range.len = whole;
    return ret;
}

static COLD long inject(const struct uffd *u, unsigned long request, void *arg)
{
    add_relaxed(&uffd_counters.injected, 1);
    uint64_t way = inject_random() % 4;
    if (request == UFFDIO_MOVE && way < SAID_WAYS)
        return inject_part(u, arg, (enum said)way);
    if (request == UFFDIO_COPY && way == 0)
        return inject_part_of_copy(u, arg);
    if (request == UFFDIO_POISON && way == 0)
        return inject_part_of_poison(u, arg);
    return inject_error(u, request);
}

/* Every userfaultfd call goes through here. 0 or -errno. */
static long call_quietly(const struct uffd *u, unsigned long request, void *arg)
{
    uint64_t one_in = load_relaxed(&inject_one_in);
    if (unlikely(one_in != 0) && inject_random() % one_in == 0)
        return inject(u, request, arg);
    return control(u, request, arg);
}

static long call(const struct uffd *u, unsigned long request, void *arg)
{
    long ret = call_quietly(u, request, arg);
    /* The kernel itself has no such answer once a descriptor is there. Threads would wait for ever. */
    if (unlikely((ret == -EPERM || ret == -ENOSYS || ret == -EACCES) && !u->quiet))
        fatal("a system call filter keeps the background thread from bringing packed pages back (error %ld)",
              -ret);
    return ret;
}

/* ---- Ranges ---- */

static struct uffdio_range range_of(const void *addr, size_t size)
{
    return (struct uffdio_range){.start = (uintptr_t)addr, .len = size};
}

static long register_for(const struct uffd *u, void *addr, size_t size, uint64_t mode)
{
    struct uffdio_register arg = {.range = range_of(addr, size), .mode = mode};
    long ret = call(u, UFFDIO_REGISTER, &arg);
    for (int tries = 1; ret == -ENOMEM && tries < PATIENCE; tries++)
        ret = call(u, UFFDIO_REGISTER, &arg);
    return ret;
}

long uffd_register(const struct uffd *u, void *addr, size_t size)
{
    return register_for(u, addr, size, UFFDIO_REGISTER_MODE_MISSING);
}

/* Write protection is what the kernel has faults reported for that nobody ever asks for here. */
long uffd_register_wp(const struct uffd *u, void *addr, size_t size)
{
    return register_for(u, addr, size, UFFDIO_REGISTER_MODE_WP);
}

long uffd_unregister(const struct uffd *u, void *addr, size_t size)
{
    struct uffdio_range range = range_of(addr, size);
    return call(u, UFFDIO_UNREGISTER, &range);
}

void uffd_wake(const struct uffd *u, void *addr, size_t size)
{
    struct uffdio_range range = range_of(addr, size);
    for (int tries = 0; tries < 4 * PATIENCE && call(u, UFFDIO_WAKE, &range) != 0; tries++)
        ;
}

bool uffd_present(const struct uffd *u, const void *addr, size_t pages, uint8_t *present)
{
    struct page_region regions[16];
    uintptr_t start = (uintptr_t)addr, end = start + (pages << PAGE_BITS);
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = ARRAY_LEN(regions),
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        .return_mask = PAGE_IS_PRESENT,
    };
    memset(present, 0, pages);
    for (; scan.start < end; scan.start = scan.walk_end) {
        long n = os_syscall(SYS_ioctl, u->pagemap, PAGEMAP_SCAN, (long)&scan, 0, 0, 0);
        if (n < 0 || scan.walk_end <= scan.start)
            return false;
        for (long i = 0; i < n; i++)
            memset(present + ((regions[i].start - start) >> PAGE_BITS), 1,
                   (regions[i].end - regions[i].start) >> PAGE_BITS);
    }
    return true;
}

bool uffd_exclusive(const struct uffd *u, const void *addr)
{
    uint64_t entry = 0;
    long at = (long)((uintptr_t)addr >> PAGE_BITS << 3);
    return os_syscall(SYS_pread64, u->pagemap, (long)&entry, sizeof(entry), at, 0, 0) == sizeof(entry) &&
           entry >> 56 & 1;
}

/* ---- Filling a range with pages: by moving them, copying them, or with zeros ---- */

enum way { MOVE, COPY, ZERO };

struct batch {
    const struct uffd *u;
    enum way way;
    int flags;
    char *to;
    const char *from;
    size_t pages, done;
    uint8_t *result;
    bool failed; /* the kernel answered an error: threads may still wait on pages that are there */
};

/* The mappings are changing, or memory is short: lets others get on. */
static void let_others(const struct uffd *u)
{
    if (u->pump != NULL)
        u->pump();
    os_yield();
}

static void wake_all(const struct batch *b)
{
    if (b->failed && !(b->flags & UFFD_DONTWAKE))
        uffd_wake(b->u, b->to, b->pages << PAGE_BITS);
}

static void wait_for_memory(const struct batch *b)
{
    _Atomic int never = 0;
    wake_all(b);
    let_others(b->u);
    os_futex_wait(&never, 0, 1);
}

/* Pages done, or -errno if none are. The kernel says EAGAIN where it stopped half-way. */
static long attempt(const struct batch *b, size_t first, size_t n)
{
    uint64_t to = (uintptr_t)b->to + (first << PAGE_BITS), from = (uintptr_t)b->from + (first << PAGE_BITS);
    uint64_t size = n << PAGE_BITS, mode = 0;
    int64_t progress;
    long ret;
    if (b->way == MOVE) {
        mode |= b->flags & UFFD_DONTWAKE ? UFFDIO_MOVE_MODE_DONTWAKE : 0;
        mode |= b->flags & UFFD_ALLOW_HOLES ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0;
        struct uffdio_move arg = {.dst = to, .src = from, .len = size, .mode = mode};
        add_relaxed(&uffd_counters.moves, 1);
        ret = call(b->u, UFFDIO_MOVE, &arg);
        progress = arg.move;
    } else if (b->way == COPY) {
        mode |= b->flags & UFFD_DONTWAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0;
        struct uffdio_copy arg = {.dst = to, .src = from, .len = size, .mode = mode};
        ret = call(b->u, UFFDIO_COPY, &arg);
        progress = arg.copy;
    } else {
        struct uffdio_zeropage arg = {.range = {.start = to, .len = size}};
        ret = call(b->u, UFFDIO_ZEROPAGE, &arg);
        progress = arg.zeropage;
    }
    if (ret == 0)
        return (long)n;
    return ret == -EAGAIN && progress > 0 ? progress >> PAGE_BITS : ret;
}

/* Notes what became of `n` pages, and returns `n`. */
static size_t settle(struct batch *b, size_t first, size_t n, enum uffd_result result)
{
    memset(b->result + first, result, n);
    b->done += result == UFFD_DONE ? n : 0;
    if (result == UFFD_DONE && b->way != ZERO)
        add_relaxed(b->way == MOVE ? &uffd_counters.moved_pages : &uffd_counters.copied_pages, n);
    else if (result == UFFD_HOLE)
        add_relaxed(&uffd_counters.holes, n);
    else if (result == UFFD_BUSY)
        add_relaxed(&uffd_counters.busy, n);
    else if (result == UFFD_REFUSED)
        add_relaxed(&uffd_counters.refused, n);
    return n;
}

/* What a page's whereabouts say; UFFD_REFUSED: nothing has been done to it. */
static enum uffd_result judge(const struct batch *b, bool at_source, bool at_destination)
{
    if (b->way != MOVE || at_source)
        return at_destination ? UFFD_OCCUPIED : UFFD_REFUSED;
    return at_destination || b->flags & UFFD_ALLOW_HOLES ? UFFD_DONE : UFFD_HOLE;
}

/*
 * Finds out what became of the first of `n` pages, and of those behind it that fared alike. Returns how many; 0 if
 * nothing has been done to the first.
 *
 * Needed because a batch that comes upon a page under migration, waits for it and moves on may then find its own
 * pages at the destination: it answers EEXIST, has moved them, and has not woken who waits for them (seen on 6.18).
 * Also the cheapest way past a run of holes.
 */
static size_t look(struct batch *b, size_t first, size_t n)
{
    uint8_t source[WINDOW] = {0}, destination[WINDOW];
    n = min_size(n, WINDOW);
    if (!uffd_present(b->u, b->to + (first << PAGE_BITS), n, destination))
        return 0;
    if (b->way == MOVE && !uffd_present(b->u, b->from + (first << PAGE_BITS), n, source))
        return 0;
    enum uffd_result result = judge(b, source[0], destination[0]);
    if (result == UFFD_REFUSED)
        return 0;
    size_t alike = 1;
    while (alike < n && judge(b, source[alike], destination[alike]) == result)
        alike++;
    if (result == UFFD_DONE && destination[0])
        add_relaxed(&uffd_counters.exists_moved, alike);
    return settle(b, first, alike, result);
}

/*
 * Nothing more is tried. What counts is where the pages are, not the last error: the kernel may have moved pages, not have said
 * so (a part that it does report hides the EEXIST of the pages behind it), and then have met something else.
 */
static size_t give_up(struct batch *b, size_t first, size_t n, enum uffd_result result)
{
    for (size_t i = 0; i < n;) {
        size_t known = look(b, first + i, n - i);
        i += known > 0 ? known : settle(b, first + i, 1, result);
    }
    return n;
}

/* Deals with an error. Returns how many pages it settles; 0: try again, up to a limit in `tries`. */
static size_t settle_error(struct batch *b, size_t first, size_t n, long error, int *tries)
{
    bool may_be_hole = error == -ENOENT && b->way == MOVE && !(b->flags & UFFD_ALLOW_HOLES);
    switch (-error) {
    case EAGAIN:
    case EINTR:
        add_relaxed(&uffd_counters.again, 1);
        let_others(b->u);
        return 0;
    case EEXIST:
        add_relaxed(&uffd_counters.exists, 1);
        if (b->u->pagemap < 0)
            return settle(b, first, 1, UFFD_OCCUPIED);
        ++*tries;
        return look(b, first, n);
    case EBUSY:
        return give_up(b, first, 1, UFFD_BUSY);
    case ENOMEM:
        if (b->way != MOVE) {
            wait_for_memory(b);
            return 0;
        }
        let_others(b->u);
        return ++*tries == PATIENCE ? give_up(b, first, n, UFFD_REFUSED) : 0;
    case ESRCH:
        return ++*tries == PATIENCE ? settle(b, first, n, UFFD_GONE) : 0;
    case ENOENT:
    case EINVAL: /* not all of the range is in one mapping, of the right kind */
        if (may_be_hole) {
            ++*tries;
            return look(b, first, n);
        }
        *tries = n > 1 || b->way == MOVE ? PATIENCE : *tries + 1;
        return 0;
    default:
        ++*tries;
        return 0;
    }
}

/* Settles `n` pages. A range that is refused is halved, which finds the pages that are to blame in few calls. */
static void fill(struct batch *b, size_t first, size_t n)
{
    for (int tries = 0; n > 0 && tries < PATIENCE;) {
        long ret = attempt(b, first, n);
        b->failed |= ret != (long)n;
        size_t settled =
            ret > 0 ? settle(b, first, (size_t)ret, UFFD_DONE) : settle_error(b, first, n, ret, &tries);
        tries = settled > 0 ? 0 : tries;
        first += settled;
        n -= settled;
    }
    if (n == 1)
        give_up(b, first, 1, UFFD_REFUSED);
    if (n > 1) {
        fill(b, first, n / 2);
        fill(b, first + n / 2, n - n / 2);
    }
}

static size_t fill_all(struct batch *b)
{
    fill(b, 0, b->pages);
    wake_all(b);
    return b->done;
}

size_t uffd_move(const struct uffd *u, void *to, void *from, size_t pages, int flags, uint8_t *result)
{
    struct batch b = {
        .u = u, .way = MOVE, .flags = flags, .to = to, .from = from, .pages = pages, .result = result};
    return fill_all(&b);
}

size_t uffd_copy(const struct uffd *u, void *to, const void *from, size_t pages, int flags, uint8_t *result)
{
    struct batch b = {
        .u = u, .way = COPY, .flags = flags, .to = to, .from = from, .pages = pages, .result = result};
    return fill_all(&b);
}

size_t uffd_zero(const struct uffd *u, void *to, size_t pages, uint8_t *result)
{
    struct batch b = {.u = u, .way = ZERO, .to = to, .pages = pages, .result = result};
    return fill_all(&b);
}

/* ---- In signal handlers ---- */

bool uffd_try_move(const struct uffd *u, void *to, void *from, size_t pages)
{
    struct uffdio_move arg = {
        .dst = (uintptr_t)to,
        .src = (uintptr_t)from,
        .len = pages << PAGE_BITS,
        .mode = UFFDIO_MOVE_MODE_DONTWAKE | UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES,
    };
    add_relaxed(&uffd_counters.moves, 1);
    if (call_quietly(u, UFFDIO_MOVE, &arg) != 0)
        return false;
    add_relaxed(&uffd_counters.moved_pages, pages);
    return true;
}

enum uffd_result uffd_try_zero(const struct uffd *u, void *to)
{
    struct uffdio_zeropage arg = {.range = range_of(to, PAGE_BYTES)};
    long ret = call_quietly(u, UFFDIO_ZEROPAGE, &arg);
    return ret == 0 ? UFFD_DONE : ret == -EEXIST ? UFFD_OCCUPIED : UFFD_REFUSED;
}

/* ---- Poison ---- */

/* Pages marked, or -errno if none are. The kernel says EAGAIN where it stopped half-way. */
static long attempt_poison(const struct uffd *u, char *addr, size_t pages)
{
    struct uffdio_poison arg = {.range = range_of(addr, pages << PAGE_BITS)};
    long ret = call(u, UFFDIO_POISON, &arg);
    if (ret == 0)
        return (long)pages;
    return ret == -EAGAIN && arg.updated > 0 ? arg.updated >> PAGE_BITS : ret;
}

/*
 * EAGAIN lasts as long as the mappings are changing. Every other error may pass, too, but is taken for an answer after a while:
 * EEXIST, a page or a marker is there; ENOENT, EINVAL and EFAULT, not all of the range is in one mapping of the right kind; ENOMEM;
 * ESRCH, the process is gone.
 */
size_t uffd_poison(const struct uffd *u, void *addr, size_t pages)
{
    size_t done = 0;
    for (int tries = 0; done < pages && tries < 2 * PATIENCE;) {
        /* Less at a time after a failure, which finds the page that is to blame. */
        size_t n = max_size((pages - done) >> tries, 1);
        long ret = attempt_poison(u, (char *)addr + (done << PAGE_BITS), n);
        if (ret == -EAGAIN || ret == -ENOMEM)
            let_others(u);
        if (ret > 0) {
            done += (size_t)ret;
            tries = 0;
        } else if (ret != -EAGAIN) {
            tries++;
        }
    }
    return done;
}

/* ---- Events ---- */

static long read_message(const struct uffd *u, struct uffd_msg *msg)
{
    long n;
    do
        n = os_syscall(SYS_read, u->fd, (long)msg, sizeof(*msg), 0, 0, 0);
    while (n == -EINTR);
    return n;
}

/*
 * A fork's event comes with a descriptor, and a program may have limited its descriptors to none. The fork would not end
 * before the event is read, so the limit is raised for as long as that takes.
 */
static bool raise_limit(struct rlimit *old)
{
    enum { ENOUGH = 256 };
    if (os_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)old, 0, 0) != 0)
        return false;
    struct rlimit raised = {max_size(old->rlim_cur, ENOUGH), max_size(old->rlim_max, ENOUGH)};
    return os_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&raised, 0, 0, 0) == 0;
}

static void lower_limit(const struct rlimit *old)
{
    os_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)old, 0, 0, 0);
}

static long read_beyond_limit(const struct uffd *u, struct uffd_msg *msg)
{
    struct rlimit old;
    if (!raise_limit(&old))
        return -EMFILE;
    long n = read_message(u, msg);
    lower_limit(&old);
    return n;
}

bool uffd_may_read_forks(void)
{
    enum { ENOUGH = 128 };
    struct rlimit old;
    if (os_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&old, 0, 0) != 0 || old.rlim_cur >= ENOUGH)
        return true;
    if (!raise_limit(&old))
        return false;
    lower_limit(&old);
    return true;
}

struct uffd_event uffd_read(const struct uffd *u)
{
    struct uffd_msg msg;
    long n = read_message(u, &msg);
    if (n == -EMFILE)
        n = read_beyond_limit(u, &msg);
    if (n != sizeof(msg))
        return (struct uffd_event){.kind = UFFD_EVENT_NONE};
    if (msg.event == UFFD_EVENT_PAGEFAULT) {
        char *page = (char *)align_down(msg.arg.pagefault.address, PAGE_BYTES);
        uint32_t thread = u->features & UFFD_FEATURE_THREAD_ID ? msg.arg.pagefault.feat.ptid : 0;
        return (struct uffd_event){.kind = UFFD_EVENT_FAULT, .addr = page, .thread = thread};
    }
    if (msg.event == UFFD_EVENT_FORK)
        return (struct uffd_event){.kind = UFFD_EVENT_CHILD, .child_fd = (int)msg.arg.fork.ufd};
    return (struct uffd_event){.kind = UFFD_EVENT_OTHER};
}
