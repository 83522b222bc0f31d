#include "follow.h"

#include "fmt.h"
#include "os.h"

#include <sched.h>
#include <string.h>

enum {
    STREAK = 2,      /* faults of one thread, one after the other, from which it is followed */
    LOOK_AGAIN = 32, /* faults after which it may run elsewhere */
    FIELD_CPU = 36,  /* of /proc/self/task/N/stat, counted from the one behind the command's name */
};

static struct {
    uint32_t thread, streak;
    bool bound;
    cpu_set_t everywhere; /* where the thread may run when it is not bound */
} follow;

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

static void bind_to(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    if (!follow.bound && os_syscall(SYS_sched_getaffinity, 0, sizeof(follow.everywhere),
                                    (long)&follow.everywhere, 0, 0, 0) <= 0)
        return;
    follow.bound =
        os_syscall(SYS_sched_setaffinity, 0, sizeof(one), (long)&one, 0, 0, 0) == 0 || follow.bound;
}

void follow_thread(uint32_t thread)
{
    if (thread == 0 || thread != follow.thread) {
        follow_nobody();
        follow.thread = thread;
        follow.streak = 0;
        return;
    }
    follow.streak++;
    if (follow.streak == STREAK || follow.streak % LOOK_AGAIN == 0 ||
        (follow.streak > STREAK && !follow.bound)) {
        int cpu = cpu_of(thread);
        if (cpu >= 0 && cpu < CPU_SETSIZE)
            bind_to(cpu);
    }
}

void follow_nobody(void)
{
    if (!follow.bound)
        return;
    os_syscall(SYS_sched_setaffinity, 0, sizeof(follow.everywhere), (long)&follow.everywhere, 0, 0, 0);
    follow.bound = false;
}
