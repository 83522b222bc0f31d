#include "doctor.h"
#include "doctor_probe.h"

#include "os.h"
#include "pressure.h"
#include "uffd.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAPPINGS_DEFAULT = 65530 };

/* ---- trials ---- */

static void try_pressure(long *values)
{
    values[0] = pressure_open();
}

static void try_barrier(long *values)
{
    values[0] = os_barrier_init() && os_barrier();
}

static void try_descriptors(long *values)
{
    values[0] = uffd_may_read_forks();
}

static void try_idle(long *values)
{
    const struct sched_param none = {0};
    values[0] = sched_setscheduler(0, SCHED_IDLE, &none) == 0;
}

static bool succeeds(void (*trial)(long *values))
{
    struct probe probe = probe_run(trial);
    return probe.end == PROBE_DONE && probe.values[0] == 1;
}

/* ---- what the system does ---- */

static void check_pressure(struct report *report)
{
    struct probe probe = probe_run(try_pressure);
    bool told = probe.end == PROBE_DONE && probe.values[0] >= 0;
    struct check *check =
        report_add(report, "pressure", "memory pressure", CHECK_OK,
                   told                      ? doctor_text("is told by /proc/pressure/memory")
                   : probe.end == PROBE_DONE ? doctor_text("is not told: /proc/pressure/memory: %s",
                                                           strerror((int)-probe.values[0]))
                                             : doctor_text("%s", probe_end_text(probe.end)));
    if (told)
        return;
    check_costs(check, CHECK_LIMITED, doctor_text("packing does not begin earlier when memory is short"));
    if (probe.values[0] == -ENOENT || probe.values[0] == -EOPNOTSUPP)
        check_grant(check, doctor_text("a kernel with CONFIG_PSI, booted with psi=1"));
    else
        check_grant(
            check,
            doctor_text("Linux 6.4 or later, where every user may ask for it; CAP_SYS_RESOURCE before"));
}

/* The library calls it when a program's first thread cache is made. */
static void check_barrier(struct report *report)
{
    struct probe probe = probe_run(try_barrier);
    bool works = probe.end == PROBE_DONE && probe.values[0] == 1;
    struct check *check =
        report_add(report, "membarrier", "membarrier(2)", CHECK_OK,
                   doctor_text("%s", works                     ? "may be called"
                                     : probe.end == PROBE_DONE ? "may not be called"
                                                               : probe_end_text(probe.end)));
    if (works)
        return;
    check_costs(check, CHECK_LIMITED, doctor_text("what the caches of idle threads hold is not taken back"));
    check_grant(check, doctor_text("a system call filter that lets membarrier(2) pass"));
    if (probe.end != PROBE_FILTERED)
        return;
    check_costs(check, CHECK_MISSING, doctor_text("a program with Sinter is killed at its start"));
    report->packs = false;
    report->packing =
        doctor_text("Sinter cannot be used here: a system call filter kills who calls membarrier(2).");
}

static void check_idle(struct report *report)
{
    bool works = succeeds(try_idle);
    struct check *check =
        report_add(report, "idle", "idle threads", CHECK_OK,
                   doctor_text(works ? "may be had (SCHED_IDLE)" : "may not be had (SCHED_IDLE)"));
    if (works)
        return;
    check_costs(check, CHECK_LIMITED,
                doctor_text("a thread that touches one packed page after the other waits longer for each"));
    check_grant(check, doctor_text("a system call filter that lets sched_setscheduler(2) pass"));
}

static void check_huge_pages(struct report *report)
{
    static const char *const words[] = {[OS_HUGE_NEVER] = "never",
                                        [OS_HUGE_ON_REQUEST] = "for those who ask (madvise)",
                                        [OS_HUGE_ALWAYS] = "always"};
    enum os_huge_pages huge = os_huge_pages();
    struct check *check =
        report_add(report, "huge_pages", "huge pages", CHECK_OK, doctor_text("%s", words[huge]));
    if (huge != OS_HUGE_NEVER)
        return;
    check_costs(check, CHECK_LIMITED, doctor_text("large heaps miss the translation buffer more often"));
    check_grant(check, doctor_text("echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"));
}

/* ---- what this process may have ---- */

static void check_descriptors(struct report *report)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    bool enough = succeeds(try_descriptors);
    struct check *check = report_add(report, "descriptors", "descriptors", CHECK_OK,
                                     doctor_text("%llu, %s", (unsigned long long)limit.rlim_cur,
                                                 enough ? "enough" : "too few to read of a fork"));
    if (enough)
        return;
    check_costs(check, CHECK_LIMITED,
                doctor_text("before the first fork everything packed comes back, and packing ends"));
    check_grant(check, doctor_text("ulimit -n 1024"));
    check_grant(check, doctor_text("[Service] LimitNOFILE=1024 (in a systemd unit)"));
}

static void check_address_space(struct report *report)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur == RLIM_INFINITY) {
        report_add(report, "address_space", "address space", CHECK_OK, doctor_text("without limit"));
        return;
    }
    struct check *check = report_add(report, "address_space", "address space", CHECK_OK,
                                     doctor_text("%llu MiB", (unsigned long long)limit.rlim_cur >> 20));
    check_costs(
        check, CHECK_LIMITED,
        doctor_text(
            "tables and pages on their way count as well; the runtime heap reserves twice its limit"));
    check_grant(check, doctor_text("ulimit -v unlimited"));
    check_grant(check, doctor_text("a limit on memory instead ([Service] MemoryMax= in a systemd unit)"));
}

static void check_locked(struct report *report)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    report_add(report, "locked", "locked memory", limit.rlim_cur == RLIM_INFINITY ? CHECK_OK : CHECK_NOTE,
               limit.rlim_cur == RLIM_INFINITY
                   ? doctor_text("without limit")
                   : doctor_text("%llu KiB; Sinter locks nothing, and does not pack what the program locks",
                                 (unsigned long long)limit.rlim_cur >> 10));
}

static void check_mappings(struct report *report)
{
    long most = host_number("/proc/sys/vm/max_map_count");
    if (most < 0)
        return;
    struct check *check =
        report_add(report, "mappings", "mappings", CHECK_OK, doctor_text("%ld (vm.max_map_count)", most));
    if (most >= MAPPINGS_DEFAULT)
        return;
    check_costs(
        check, CHECK_LIMITED,
        doctor_text("fewer chunks are moved out or have huge pages at a time, and fewer blocks are guarded"));
    check_grant(check, doctor_text("sysctl -w vm.max_map_count=%d", MAPPINGS_DEFAULT));
}

static void check_overcommit(struct report *report)
{
    long mode = host_number("/proc/sys/vm/overcommit_memory");
    if (mode == 2)
        report_add(report, "overcommit", "overcommit", CHECK_NOTE,
                   doctor_text("mode 2: what the arena has grown by counts as used, pages or not"));
    else if (mode >= 0)
        report_add(report, "overcommit", "overcommit", CHECK_OK, doctor_text("mode %ld", mode));
}

/* ---- the memory limit of the control group ---- */

/* The path of this process in the hierarchy, without the newline; false if there is none of that kind. */
static bool find_cgroup(const char *prefix, char *path, size_t size)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, prefix);
        found = at != NULL;
        if (found)
            snprintf(path, size, "%.*s", (int)strcspn(at + strlen(prefix), "\n"), at + strlen(prefix));
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* The limit in a file of the group, or, where a container does not show the path, of the root. -1: no limit. */
static long long group_limit(const char *root, const char *path, const char *name)
{
    char file[1024];
    snprintf(file, sizeof(file), "%s%s/%s", root, path, name);
    long limit = host_number(file);
    if (limit < 0) {
        snprintf(file, sizeof(file), "%s/%s", root, name);
        limit = host_number(file);
    }
    const long none = 1L << 60; /* how version 1 says it */
    return limit < none ? limit : -1;
}

static void check_group(struct report *report)
{
    char path[512];
    long long limit = -1;
    if (find_cgroup(":memory:", path, sizeof(path)))
        limit = group_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
    else if (find_cgroup("0::", path, sizeof(path)))
        limit = group_limit("/sys/fs/cgroup", path, "memory.max");
    if (limit < 0)
        report_add(report, "group", "control group", CHECK_OK, doctor_text("without a limit on memory"));
    else
        report_add(report, "group", "control group", CHECK_NOTE,
                   doctor_text("%lld MiB of memory; what is packed does not count any more", limit >> 20));
}

static void check_filter(struct report *report, const struct host *host)
{
    static const char *const modes[] = {"none", "strict: read, write and exit only",
                                        "there is one; it has been heeded above"};
    int mode = host->seccomp >= 0 && host->seccomp <= 2 ? host->seccomp : 2;
    report_add(report, "seccomp", "system call filter", mode == 0 ? CHECK_OK : CHECK_NOTE,
               doctor_text("%s", modes[mode]));
}

void doctor_limits(struct report *report, const struct host *host)
{
    check_pressure(report);
    check_barrier(report);
    check_idle(report);
    check_huge_pages(report);
    check_descriptors(report);
    check_address_space(report);
    check_locked(report);
    check_mappings(report);
    check_overcommit(report);
    check_group(report);
    check_filter(report, host);
}
