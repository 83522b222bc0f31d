#include "init.h"

#include "arena.h"
#include "background.h"
#include "border.h"
#include "canary.h"
#include "conf.h"
#include "control.h"
#include "fatal.h"
#include "guard.h"
#include "guard_report.h"
#include "heap.h"
#include "huge.h"
#include "lock.h"
#include "meta.h"
#include "os.h"
#include "quarantine.h"
#include "run.h"
#include "sizeclass.h"
#include "span.h"
#include "stats.h"
#include "tcache.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* The program's own defaults; see sinter/malloc.h. */
extern const char *sinter_conf __attribute__((weak, visibility("default")));

_Atomic bool init_done;

static struct lock init_lock = LOCK_INITIALIZER(LOCK_INIT);

/* SINTER_CONF, not in programs that run with more rights than their user, and also before libc has set `environ` up. */
static const char *environment_conf(void)
{
    static const char key[] = "SINTER_CONF=";
    static char text[64 * 1024];
    if (getauxval(AT_SECURE))
        return NULL;
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, key, sizeof(key) - 1) == 0)
            return *e + sizeof(key) - 1;
    }
    if (environ != NULL)
        return NULL;
    long length = os_read_file("/proc/self/environ", text, sizeof(text));
    for (const char *e = text; length > 0 && e < text + length; e += strlen(e) + 1) {
        if (strncmp(e, key, sizeof(key) - 1) == 0)
            return e + sizeof(key) - 1;
    }
    return NULL;
}

void init_first_use(void)
{
    lock_take(&init_lock);
    if (!atomic_load(&init_done)) {
        conf_init(SINTER_SYSCONFDIR "/sinter.conf", &sinter_conf != NULL ? sinter_conf : NULL,
                  environment_conf());
        control_init();
        canary_init();
        sizeclass_init();
        if (!arena_init())
            fatal("no address space left for the arena");
        border_init();
        span_init();
        background_init();
        tcache_init();
        atomic_store(&init_done, true);
    }
    lock_give(&init_lock);
}

void heap_init(void)
{
    if (unlikely(!load_relaxed(&init_done)))
        init_first_use();
}

/* All locks, in the order of enum lock_rank: what they guard is whole in the child. */
static void fork_prepare(void)
{
    background_fork_prepare();
    tcache_fork_prepare();
    quarantine_fork_prepare();
    span_fork_prepare();
    run_fork_prepare();
    huge_fork_prepare();
    guard_fork_prepare();
    meta_fork_prepare();
    arena_fork_prepare();
}

static void fork_parent(void)
{
    arena_fork_parent();
    meta_fork_parent();
    guard_fork_parent();
    huge_fork_parent();
    run_fork_parent();
    span_fork_parent();
    quarantine_fork_parent();
    tcache_fork_parent();
    background_fork_parent();
}

static void fork_child(void)
{
    arena_fork_child();
    meta_fork_child();
    guard_fork_child();
    huge_fork_child();
    run_fork_child();
    span_fork_child();
    quarantine_fork_child();
    tcache_fork_child();
    background_fork_child();
}

/*
 * A copy of stderr for the statistics: programs close theirs in exit handlers that run before ours. Its identity is
 * kept as well, for a program that has closed all its descriptors may have opened files of its own under the numbers.
 */
enum { STATS_FD_LEAST = 200 };

static int stats_fd = -1;
static struct stat stats_identity;

static void stats_keep_stderr(void)
{
    if (fstat(2, &stats_identity) == 0)
        stats_fd = fcntl(2, F_DUPFD_CLOEXEC, STATS_FD_LEAST);
}

static bool stats_fd_is_ours(int fd)
{
    struct stat now;
    return fd >= 0 && fstat(fd, &now) == 0 && now.st_dev == stats_identity.st_dev &&
           now.st_ino == stats_identity.st_ino;
}

/* Early, so that the handlers of others, which may allocate, run before ours in the parent and after in the child. */
__attribute__((constructor(101))) static void at_start(void)
{
    heap_init();
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    guard_init();
    border_report();
    if (quarantine_is_on() || canary_is_on)
        guard_report_init();
    if (conf_get(CONF_stats) != STATS_OFF)
        stats_keep_stderr();
}

__attribute__((destructor(101))) static void at_exit(void)
{
    background_exiting();
    background_check();
    int64_t mode = conf_get(CONF_stats);
    int fd = stats_fd_is_ours(stats_fd) ? stats_fd : 2;
    if (mode == STATS_OFF || !stats_fd_is_ours(fd))
        return;
    if (mode == STATS_ON)
        stats_print_text(fd);
    else
        stats_print_json(fd);
}
