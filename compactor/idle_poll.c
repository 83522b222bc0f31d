#include "idle_poll.h"

#include "fmt.h"
#include "layout.h"
#include "os.h"
#include "raw_thread.h"

#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    STREAK = 2,      /* faults of one thread, one after the other, from which more are expected */
    LOOK_AGAIN = 32, /* faults after which it may run elsewhere */
    FIELD_CPU = 36,  /* of /proc/self/task/N/stat, counted from the one behind the command's name */
    LOOPS = 64,      /* between looks at the clock */
};

static struct {
    struct raw_thread helper;
    bool started, refused;
    uint32_t thread, streak;
    int cpu;
    _Atomic int awake; /* futex of its sleep */
    _Atomic uint64_t until, cpu_ns;
} idle_poll = {.cpu = -1};

static const struct layout_entry places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(idle_poll.helper.memory)};

/* The CPU on which the thread ran last, -1 if that cannot be told. */
static int cpu_of(uint32_t thread)
{
    char path[64], text[1024];
    struct fmt f;
    fmt_to_buffer(&f, path, sizeof(path));
    fmt_print(&f, "/proc/self/task/%u/stat", thread);
    if (os_read_file(path, text, sizeof(text)) <= 0)
        return -1;
    const char *p = strrchr(text, ')');
    for (int field = 0; p != NULL && field < FIELD_CPU + 1; field++)
        p = strchr(p + 1, ' ');
    int cpu = 0;
    for (p = p != NULL ? p + 1 : ""; *p >= '0' && *p <= '9'; p++)
        cpu = cpu * 10 + (*p - '0');
    return p[-1] >= '0' && p[-1] <= '9' ? cpu : -1;
}

static void poll(void)
{
    do {
        for (int i = 0; i < LOOPS; i++)
            os_relax();
    } while (os_now_ns() < load_relaxed(&idle_poll.until));
    store_relaxed(&idle_poll.cpu_ns, os_thread_cpu_ns());
}

static int run(void *unused)
{
    struct sched_param none = {0};
    (void)unused;
    os_syscall(SYS_prctl, PR_SET_NAME, (long)"sinter-idle", 0, 0, 0, 0);
    if (os_syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, (long)&none, 0, 0, 0) != 0)
        return 0;
    for (;;) {
        poll();
        atomic_store(&idle_poll.awake, 0);
        if (os_now_ns() < atomic_load(&idle_poll.until))
            atomic_store(&idle_poll.awake, 1);
        else
            os_futex_wait(&idle_poll.awake, 0, -1);
    }
}

static bool start(void)
{
    if (!idle_poll.started && !idle_poll.refused) {
        idle_poll.started = raw_thread_start(&idle_poll.helper, run);
        idle_poll.refused = !idle_poll.started;
    }
    return idle_poll.started && load_relaxed(&idle_poll.helper.alive) != 0;
}

/* Has the helper run where the thread does. */
static void bind_to(int cpu)
{
    cpu_set_t one;
    if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == idle_poll.cpu)
        return;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    os_syscall(SYS_sched_setaffinity, load_relaxed(&idle_poll.helper.alive), sizeof(one), (long)&one, 0, 0,
               0);
    idle_poll.cpu = cpu;
}

static void keep_awake(uint64_t until)
{
    atomic_store(&idle_poll.until, until);
    if (atomic_exchange(&idle_poll.awake, 1) == 0)
        os_futex_wake(&idle_poll.awake, 1);
}

void idle_poll_expect(uint32_t thread, uint64_t until)
{
    if (thread == 0 || thread != idle_poll.thread) {
        idle_poll.thread = thread;
        idle_poll.streak = 0;
        return;
    }
    idle_poll.streak++;
    if (idle_poll.streak < STREAK || !start())
        return;
    if (idle_poll.streak % LOOK_AGAIN == STREAK)
        bind_to(cpu_of(thread));
    keep_awake(until);
}

uint64_t idle_poll_cpu_ns(void)
{
    return load_relaxed(&idle_poll.cpu_ns);
}

void idle_poll_forget(void)
{
    raw_thread_forget(&idle_poll.helper);
    idle_poll.started = idle_poll.refused = false;
    idle_poll.cpu = -1;
    store_relaxed(&idle_poll.awake, 0);
}
