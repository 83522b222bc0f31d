/*
 * A process that runs already. What it has found, it says itself; the trials are not made in its place, so what is said here of
 * the machine holds for it only where nothing differs.
 */
#include "doctor.h"
#include "peer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A list of phrases that grows. */
static void append(char **list, char *phrase)
{
    char *longer = doctor_text("%s%s%s", *list != NULL ? *list : "", *list != NULL ? ", " : "", phrase);
    free(*list);
    free(phrase);
    *list = longer;
}

/* ---- what it says itself ---- */

enum { COMPACTOR_IDLE, COMPACTOR_AT_WORK, COMPACTOR_LACKING };

static char *own_word(pid_t pid, bool *lacks)
{
    struct peer peer;
    static struct stats_report report;
    double age;
    if (peer_open(&peer, pid, true) != 0)
        return doctor_text("does not say, having no page of Sinter's (or none for this user)");
    bool known = peer_report(&peer, &report, &age);
    peer_close(&peer);
    if (!known)
        return doctor_text("does not say");
    *lacks = report.totals.compactor == COMPACTOR_LACKING;
    if (*lacks)
        return doctor_text("does not pack: %s", report.lack);
    return doctor_text(report.totals.compactor == COMPACTOR_AT_WORK ? "packs"
                                                                    : "has had nothing to pack so far");
}

/* ---- where it differs ---- */

static void compare_limit(char **list, pid_t pid, int resource, const char *name)
{
    struct rlimit here = {0}, there = {0};
    if (getrlimit((__rlimit_resource_t)resource, &here) != 0 ||
        prlimit(pid, (__rlimit_resource_t)resource, NULL, &there) != 0 || here.rlim_cur == there.rlim_cur)
        return;
    if (there.rlim_cur == RLIM_INFINITY)
        append(list, doctor_text("%s without limit", name));
    else
        append(list, doctor_text("%s limited to %llu", name, (unsigned long long)there.rlim_cur));
}

static void compare_namespace(char **list, pid_t pid, const char *kind, const char *name)
{
    struct stat here, there;
    char *own = doctor_text("/proc/self/ns/%s", kind), *other = doctor_text("/proc/%d/ns/%s", (int)pid, kind);
    if (stat(own, &here) == 0 && stat(other, &there) == 0 && here.st_ino != there.st_ino)
        append(list, doctor_text("another %s namespace", name));
    free(own);
    free(other);
}

/* NULL if nothing does. */
static char *differences(const struct host *here, const struct host *there, pid_t pid)
{
    char *list = NULL;
    if (there->user != here->user)
        append(&list, doctor_text("user %u", (unsigned)there->user));
    if (there->may_ptrace != here->may_ptrace)
        append(&list, doctor_text("%s CAP_SYS_PTRACE", there->may_ptrace ? "with" : "without"));
    if (there->seccomp != here->seccomp)
        append(&list, doctor_text("%s system call filter", there->seccomp != 0 ? "a" : "no"));
    compare_limit(&list, pid, RLIMIT_NOFILE, "descriptors");
    compare_limit(&list, pid, RLIMIT_AS, "address space");
    compare_namespace(&list, pid, "user", "user");
    compare_namespace(&list, pid, "mnt", "mount");
    return list;
}

static void read_name(const char *process, char *name, size_t size)
{
    char *path = doctor_text("/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, (int)size, file) == NULL)
        *name = '\0';
    name[strcspn(name, "\n")] = '\0';
    for (char *p = name; *p != '\0'; p++)
        *p = isprint((unsigned char)*p) ? *p : '?';
    if (file != NULL)
        fclose(file);
    free(path);
}

bool doctor_process(struct report *report, const struct host *host, pid_t pid)
{
    struct host there = {0};
    char name[32], *process = doctor_text("%d", (int)pid);
    if (!host_look_at(&there, process)) {
        fprintf(stderr, "sinter doctor: process %s: %s\n", process,
                strerror(errno == ENOENT ? ESRCH : errno));
        return false;
    }
    read_name(process, name, sizeof(name));
    char *list = differences(host, &there, pid), *word = own_word(pid, &report->process_lacks);
    report_add(report, "process", "the process", CHECK_NOTE, doctor_text("%s", word));
    report_add(report, "differs", "its situation", list != NULL ? CHECK_NOTE : CHECK_OK,
               list != NULL ? list : doctor_text("as here"));
    report->process = doctor_text("Process %s (%s) %s; its situation is %s.", process, name, word,
                                  list != NULL ? "another: ask there" : "the same");
    free(word);
    free(process);
    return true;
}
