/*
 * Who asks, and where: what the advice depends on.
 */
#ifndef SINTER_DOCTOR_HOST_H
#define SINTER_DOCTOR_HOST_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/utsname.h>

/* X(name, text) */
#define CONTAINER_TABLE(X)                                                                                   \
    X(NONE, "no container")                                                                                  \
    X(DOCKER, "docker")                                                                                      \
    X(PODMAN, "podman")                                                                                      \
    X(KUBERNETES, "kubernetes")                                                                              \
    X(LXC, "lxc")                                                                                            \
    X(NSPAWN, "systemd-nspawn")                                                                              \
    X(OTHER, "a container")

enum container {
#define X(name, text) CONTAINER_##name,
    CONTAINER_TABLE(X)
#undef X
};

struct host {
    struct utsname kernel;
    uid_t user;
    bool may_ptrace;     /* CAP_SYS_PTRACE is in effect */
    bool user_namespace; /* not the first one: capabilities mean nothing outside */
    int seccomp;         /* 0: none, 1: strict, 2: a filter */
    enum container container;
    char service[128]; /* the systemd unit; "" if there is none */
    bool has_uffd;     /* the kernel does, whatever this process may see of it */
    int device_minor;  /* of /dev/userfaultfd; -1: the kernel has no such device */
    int unprivileged;  /* the sysctl vm.unprivileged_userfaultfd; -1 unknown */
};

void host_look(struct host *host);

/* The part of it that is the process's, of another one (its number as text): user, may_ptrace, seccomp. False if it is not there. */
bool host_look_at(struct host *host, const char *process);

const char *host_container_text(enum container container);

/* The number in a file such as those of /proc/sys; -1 if there is none. */
long host_number(const char *path);

#endif
