#include "doctor.h"
#include "doctor_probe.h"

#include "os.h"
#include "uffd.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* ---- trials: in processes of their own ---- */

static void close_if_open(long fd)
{
    if (fd >= 0)
        close((int)fd);
}

/* values[way]: 0 or -errno */
static void try_way(long *values, enum uffd_way way)
{
    long fd = uffd_open_by(way);
    values[0] = fd < 0 ? fd : 0;
    close_if_open(fd);
}

static void try_device(long *values)
{
    try_way(values, UFFD_DEVICE);
}

static void try_call(long *values)
{
    try_way(values, UFFD_CALL);
}

static void try_user_mode(long *values)
{
    try_way(values, UFFD_CALL_USER_MODE);
}

enum { SCRATCH_PAGES = 8 };

struct scratch {
    struct uffd uffd;
    char *home, *aside;
    int pipe[2];
};

/* What moving pages takes, in the order in which the libraries come upon it. */
enum move_step { STEP_OPEN, STEP_REGISTER, STEP_OUT, STEP_FAULT, STEP_BACK, STEP_HOLES, STEP_ALL };

/* Where a trial puts what it has found. */
enum { MOVED_STEPS, MOVED_LACK, MOVED_USER_MODE };

static bool fill(struct scratch *s)
{
    const size_t size = SCRATCH_PAGES * PAGE_BYTES;
    s->home = os_map(size, PAGE_BYTES);
    s->aside = os_map(size, PAGE_BYTES);
    if (s->home == NULL || s->aside == NULL || pipe(s->pipe) != 0)
        return false;
    for (size_t i = 0; i < size; i++)
        s->home[i] = (char)(i / PAGE_BYTES + i);
    return uffd_register(&s->uffd, s->home, size) == 0 && uffd_register(&s->uffd, s->aside, size) == 0;
}

static bool is_whole(const struct scratch *s)
{
    for (size_t i = 0; i < SCRATCH_PAGES * PAGE_BYTES; i++) {
        if (s->home[i] != (char)(i / PAGE_BYTES + i))
            return false;
    }
    return true;
}

/* The kernel reads the page; where it would get EFAULT, the thread itself does. */
static void *touch(void *arg)
{
    struct scratch *s = arg;
    char byte;
    if (s->uffd.user_mode)
        byte = *(volatile char *)s->home;
    return write(s->pipe[1], s->uffd.user_mode ? &byte : s->home, 1) == 1 ? s : NULL;
}

static struct uffd_event next_event(const struct scratch *s)
{
    struct uffd_event event;
    do {
        struct pollfd wait = {.fd = s->uffd.fd, .events = POLLIN};
        poll(&wait, 1, -1);
        event = uffd_read(&s->uffd);
    } while (event.kind == UFFD_EVENT_NONE);
    return event;
}

static bool move_all(struct scratch *s, char *to, char *from, int flags)
{
    uint8_t result[SCRATCH_PAGES];
    return uffd_move(&s->uffd, to, from, SCRATCH_PAGES, flags, result) == SCRATCH_PAGES;
}

static bool there_and_back(struct scratch *s, long *values)
{
    pthread_t thread;
    void *touched;
    if (!move_all(s, s->aside, s->home, 0))
        return false;
    values[MOVED_STEPS] = STEP_FAULT;
    if (pthread_create(&thread, NULL, touch, s) != 0)
        return false;
    struct uffd_event event = next_event(s);
    if (event.kind != UFFD_EVENT_FAULT || event.addr != s->home)
        return false;
    values[MOVED_STEPS] = STEP_BACK;
    return move_all(s, s->home, s->aside, 0) && pthread_join(thread, &touched) == 0 && touched != NULL &&
           is_whole(s);
}

static void try_moving(long *values, int wishes)
{
    struct scratch s = {0};
    values[MOVED_LACK] = os_own_descriptors() ? uffd_open(&s.uffd, wishes) : UFFD_NO_TABLE;
    if (values[MOVED_LACK] != UFFD_READY)
        return;
    values[MOVED_USER_MODE] = s.uffd.user_mode;
    values[MOVED_STEPS] = STEP_REGISTER;
    if (!fill(&s))
        return;
    values[MOVED_STEPS] = STEP_OUT;
    if (!there_and_back(&s, values))
        return;
    values[MOVED_STEPS] = STEP_HOLES;
    if (os_purge(s.home + PAGE_BYTES, 2 * PAGE_BYTES) && move_all(&s, s.aside, s.home, UFFD_ALLOW_HOLES))
        values[MOVED_STEPS] = STEP_ALL;
}

static void try_packing(long *values)
{
    try_moving(values, UFFD_FORKS);
}

static void try_runtime_heap(long *values)
{
    try_moving(values, UFFD_USER_MODE);
}

static void *await_child(void *arg)
{
    struct uffd_event event = next_event(arg);
    return event.kind == UFFD_EVENT_CHILD ? arg : NULL;
}

/* A fork returns when its event has been read. */
static void try_forks(long *values)
{
    struct scratch s = {0};
    pthread_t thread;
    void *heard;
    if (uffd_open(&s.uffd, UFFD_FORKS) != UFFD_READY || !uffd_reports_forks(&s.uffd) || !fill(&s) ||
        pthread_create(&thread, NULL, await_child, &s) != 0)
        return;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    values[0] = child > 0 && pthread_join(thread, &heard) == 0 && heard != NULL;
}

/* A page that may not be read, by the kernel neither. */
static bool is_closed(const char *page)
{
    int ends[2];
    return pipe(ends) == 0 && write(ends[1], page, 1) < 0 && errno == EFAULT;
}

static void try_poison(long *values)
{
    struct uffd u;
    char *page = os_map(PAGE_BYTES, PAGE_BYTES);
    values[0] = page != NULL && uffd_open(&u, UFFD_POISON) == 0 &&
                uffd_register_wp(&u, page, PAGE_BYTES) == 0 && uffd_poison(&u, page, 1) == 1 &&
                is_closed(page);
}

static void try_guard_advice(long *values)
{
    char *page = os_map(PAGE_BYTES, PAGE_BYTES);
    values[0] = page != NULL && os_guard_install(page, PAGE_BYTES) && is_closed(page) &&
                os_guard_remove(page, PAGE_BYTES) && !is_closed(page);
}

static void try_writes(long *values)
{
    const size_t size = SCRATCH_PAGES * PAGE_BYTES;
    struct uffd_part part;
    struct uffd u;
    char *pages = os_map(size, PAGE_BYTES), *from = pages;
    values[1] = uffd_open(&u, UFFD_WRITES | UFFD_USER_MODE);
    if (values[1] != UFFD_READY || pages == NULL)
        return;
    memset(pages, 1, size);
    if (uffd_register_wp(&u, pages, size) != 0 || !uffd_forget_writes(&u, pages, size))
        return;
    pages[3 * PAGE_BYTES] = 2;
    values[0] = uffd_writes(&u, &from, pages + size, &part, 1) == 1 &&
                part.start == (uintptr_t)pages + 3 * PAGE_BYTES && part.end == part.start + PAGE_BYTES;
}

/* ---- what is said of them ---- */

static char *why_not(const struct probe *probe)
{
    if (probe->end != PROBE_DONE)
        return doctor_text("%s", probe_end_text(probe->end));
    return doctor_text("%s", strerror((int)-probe->values[0]));
}

static bool works(const struct probe *probe)
{
    return probe->end == PROBE_DONE && probe->values[0] == 0;
}

struct ways {
    struct probe device, call, user_mode;
};

/* The ways to a userfaultfd; one is enough, so the others cost nothing. */
static void check_ways(struct report *report, const struct host *host, const struct ways *w)
{
    enum check_state lack = works(&w->device) || works(&w->call) ? CHECK_NOTE : CHECK_MISSING;
    bool hidden = host->has_uffd && host->seccomp != 0 && w->call.values[0] == -ENOSYS;
    report_add(report, "device", "/dev/userfaultfd", works(&w->device) ? CHECK_OK : lack,
               works(&w->device) ? doctor_text("may be opened") : why_not(&w->device));
    report_add(report, "call", "userfaultfd(2)", works(&w->call) ? CHECK_OK : lack,
               works(&w->call) ? doctor_text("may be called, for faults inside system calls too")
               : hidden        ? doctor_text("hidden by a system call filter")
                               : why_not(&w->call));
    report_add(report, "user_mode", "  of user mode", works(&w->user_mode) ? CHECK_OK : lack,
               works(&w->user_mode) ? doctor_text("may be called, for faults of user mode")
                                    : why_not(&w->user_mode));
}

/* Why pages are not moved; NULL if they are. */
static char *lack_of_moving(const struct probe *probe)
{
    static const char *const steps[STEP_ALL] = {
        [STEP_REGISTER] = "memory cannot be registered with userfaultfd",
        [STEP_OUT] = "UFFDIO_MOVE moves no pages",
        [STEP_FAULT] = "a touch of a page that was moved away is not reported",
        [STEP_BACK] = "a page that was moved away does not come back",
        [STEP_HOLES] = "UFFDIO_MOVE does not pass over holes",
    };
    long step = probe->values[MOVED_STEPS];
    if (probe->end != PROBE_DONE)
        return doctor_text("%s", probe_end_text(probe->end));
    if (step == STEP_ALL)
        return NULL;
    return doctor_text("%s", step == STEP_OPEN ? uffd_lack_text((enum uffd_lack)probe->values[MOVED_LACK])
                                               : steps[step]);
}

/* What becomes of a program that does what the trial has died of. */
static void check_deadly(struct report *report, struct check *check, const char *lack)
{
    check_costs(check, CHECK_MISSING, doctor_text("a program that begins to pack ends as the trial did"));
    check_grant(check, doctor_text("sinter run --compact=off PROGRAM (no packing)"));
    report->packing = doctor_text("Sinter must not pack here, for %s: use --compact=off.", lack);
}

static void check_plain(struct report *report, struct check *check, const char *lack)
{
    check_costs(check, CHECK_MISSING,
                doctor_text("no packing: only pages without a live object are given back"));
    report->packing = doctor_text("Sinter runs as a plain allocator here: %s.", lack);
}

static void advise_moving(struct check *check, const struct host *host, const struct ways *w, long why)
{
    if (!works(&w->device) && !works(&w->call))
        advise_uffd(check, host, w->device.values[0],
                    w->call.end == PROBE_FILTERED ? -EPERM : w->call.values[0]);
    else if (why == UFFD_NO_MOVE)
        check_grant(check, doctor_text("Linux 6.8 or later"));
    else if (why == UFFD_BAD_KERNEL)
        check_grant(check, doctor_text("swapoff -a (and none in /etc/fstab), or one of these kernels"));
    else if (why == UFFD_NO_PAGEMAP)
        check_grant(check, doctor_text("mount -t proc proc /proc"));
}

static void check_packing(struct report *report, const struct host *host, const struct ways *w,
                          const struct probe *probe)
{
    char *lack = lack_of_moving(probe);
    report->tried = probe->end != PROBE_NOT_RUN;
    report->packs = lack == NULL;
    if (lack == NULL) {
        report_add(report, "move", "moving pages", CHECK_OK,
                   doctor_text("there and back, and for a system call that waited for one"));
        report->packing = doctor_text("Packing works here.");
        return;
    }
    struct check *check = report_add(report, "move", "moving pages", CHECK_MISSING, lack);
    if (probe->end != PROBE_DONE)
        check_deadly(report, check, lack);
    else
        check_plain(report, check, lack);
    advise_moving(check, host, w, probe->values[MOVED_LACK]);
}

static void check_runtime_heap(struct report *report, const struct probe *probe)
{
    char *lack = lack_of_moving(probe);
    if (probe->end != PROBE_DONE)
        report->runtime_heap = doctor_text("The runtime heap must not be used here, for %s.", lack);
    else if (lack != NULL)
        report->runtime_heap =
            doctor_text("The runtime heap compacts with the program's threads stopped here: %s.", lack);
    else if (probe->values[MOVED_USER_MODE])
        report->runtime_heap =
            doctor_text("The runtime heap moves objects here; system calls on objects that are "
                        "on the move fail with EFAULT.");
    else
        report->runtime_heap = doctor_text("The runtime heap moves objects here.");
}

static bool succeeds(void (*trial)(long *values), struct probe *probe)
{
    *probe = probe_run(trial);
    return probe->end == PROBE_DONE && probe->values[0] == 1;
}

static void check_forks(struct report *report, const struct host *host)
{
    struct probe probe;
    bool served = report->packs && succeeds(try_forks, &probe);
    struct check *check =
        report_add(report, "forks", "forks", CHECK_OK,
                   doctor_text("%s", served          ? "children are served from their parent's pages"
                                     : report->packs ? "are not reported (no CAP_SYS_PTRACE)"
                                                     : "nothing is packed that a child could miss"));
    if (served || !report->packs) {
        check->state = served ? CHECK_OK : CHECK_NOTE;
        return;
    }
    check_costs(check, CHECK_LIMITED, doctor_text("all packed pages come back before each fork"));
    advise_ptrace(check, host);
}

static void check_writes(struct report *report)
{
    struct probe probe;
    bool seen = succeeds(try_writes, &probe);
    const char *why = probe.end != PROBE_DONE            ? probe_end_text(probe.end)
                      : probe.values[1] == UFFD_NO_WATCH ? uffd_lack_text(UFFD_NO_WATCH)
                                                         : "no userfaultfd that could tell";
    struct check *check = report_add(
        report, "writes", "pages written to", CHECK_OK,
        seen ? doctor_text("are told by the kernel (write protection without a handler, PAGEMAP_SCAN)")
             : doctor_text("are not told: %s", why));
    if (!seen)
        check_costs(check, CHECK_LIMITED, doctor_text("every cycle of the runtime heap is a full one"));
}

static void check_guards(struct report *report)
{
    struct probe poison, advice;
    bool poisons = succeeds(try_poison, &poison), advises = succeeds(try_guard_advice, &advice);
    const char *also = advises ? "MADV_GUARD_INSTALL" : "PROT_NONE";
    struct check *check = report_add(report, "guards", "guard pages", CHECK_OK,
                                     doctor_text("by %s%s", poisons ? "UFFDIO_POISON and " : "", also));
    if (poison.end != PROBE_DONE) {
        check_costs(
            check, CHECK_LIMITED,
            doctor_text("%s by UFFDIO_POISON: guard mode needs a word on how", probe_end_text(poison.end)));
        check_grant(check, doctor_text("--guard-way=%s", advises ? "madvise" : "mprotect"));
    } else if (!poisons && !advises) {
        check_costs(
            check, CHECK_LIMITED,
            doctor_text("two mappings for each guarded block, of which a process may have vm.max_map_count"));
        check_grant(check, doctor_text("Linux 6.13 or later"));
        check_grant(check, doctor_text("sysctl -w vm.max_map_count=1048576"));
    }
}

void doctor_pages(struct report *report, const struct host *host)
{
    struct ways ways = {probe_run(try_device), probe_run(try_call), probe_run(try_user_mode)};
    struct probe packing = probe_run(try_packing), runtime_heap = probe_run(try_runtime_heap);
    check_ways(report, host, &ways);
    check_packing(report, host, &ways, &packing);
    check_runtime_heap(report, &runtime_heap);
    check_forks(report, host);
    check_writes(report);
    check_guards(report);
}
