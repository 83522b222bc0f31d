#include "doctor_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long host_number(const char *path)
{
    long value;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%ld", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

const char *host_container_text(enum container container)
{
    static const char *const texts[] = {
#define X(name, text) text,
        CONTAINER_TABLE(X)
#undef X
    };
    return texts[container];
}

/* ---- the process ---- */

bool host_look_at(struct host *host, const char *process)
{
    enum { SYS_PTRACE_BIT = 19 };
    char line[512];
    unsigned long long effective;
    snprintf(line, sizeof(line), "/proc/%s/status", process);
    FILE *file = fopen(line, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        sscanf(line, "Uid: %*u %u", &host->user);
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            host->may_ptrace = effective >> SYS_PTRACE_BIT & 1;
        sscanf(line, "Seccomp: %d", &host->seccomp);
    }
    if (file == NULL)
        return false;
    fclose(file);
    return true;
}

static bool in_user_namespace(void)
{
    unsigned inside = 0, outside = 0, count = 0;
    FILE *file = fopen("/proc/self/uid_map", "re");
    if (file == NULL)
        return false;
    bool whole = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 &&
                 count == 0xffffffff;
    fclose(file);
    return !whole;
}

/* The last part of the cgroup's path that is a unit. */
static void read_service(struct host *host)
{
    static const char suffix[] = ".service";
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *slash = strrchr(line, '/'), *name = slash != NULL ? slash + 1 : "";
        size_t length = strlen(name);
        if (length > sizeof(suffix) && strcmp(name + length - sizeof(suffix) + 1, suffix) == 0)
            snprintf(host->service, sizeof(host->service), "%s", name);
    }
    if (file != NULL)
        fclose(file);
}

/* ---- the container ---- */

/* As systemd's tools and the container managers tell each other. */
static enum container named(const char *name)
{
    static const struct {
        const char *name;
        enum container container;
    } names[] = {
        {"docker", CONTAINER_DOCKER},
        {"podman", CONTAINER_PODMAN},
        {"lxc", CONTAINER_LXC},
        {"lxc-libvirt", CONTAINER_LXC},
        {"oci", CONTAINER_OTHER},
        {"kubernetes", CONTAINER_KUBERNETES},
        {"systemd-nspawn", CONTAINER_NSPAWN},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, name) == 0)
            return names[i].container;
    }
    return *name != '\0' ? CONTAINER_OTHER : CONTAINER_NONE;
}

static enum container written_down(void)
{
    char name[64] = "";
    FILE *file = fopen("/run/systemd/container", "re");
    if (file == NULL)
        return CONTAINER_NONE;
    if (fscanf(file, "%63s", name) != 1)
        name[0] = '\0';
    fclose(file);
    return named(name);
}

static enum container find_container(void)
{
    const char *name = getenv("container");
    if (getenv("KUBERNETES_SERVICE_HOST") != NULL || access("/var/run/secrets/kubernetes.io", F_OK) == 0)
        return CONTAINER_KUBERNETES;
    if (access("/run/.containerenv", F_OK) == 0)
        return CONTAINER_PODMAN;
    if (access("/.dockerenv", F_OK) == 0)
        return CONTAINER_DOCKER;
    return name != NULL ? named(name) : written_down();
}

/* ---- the kernel ---- */

static int device_minor(void)
{
    char name[64];
    int minor, found = -1;
    FILE *file = fopen("/proc/misc", "re");
    while (file != NULL && fscanf(file, "%d %63s", &minor, name) == 2) {
        if (strcmp(name, "userfaultfd") == 0)
            found = minor;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

void host_look(struct host *host)
{
    *host = (struct host){
        .user = geteuid(), .user_namespace = in_user_namespace(), .container = find_container()};
    uname(&host->kernel);
    host_look_at(host, "self");
    if (host->container == CONTAINER_NONE)
        read_service(host);
    host->device_minor = device_minor();
    host->unprivileged = (int)host_number("/proc/sys/vm/unprivileged_userfaultfd");
    host->has_uffd = host->device_minor >= 0 || host->unprivileged >= 0;
}
