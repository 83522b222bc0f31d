/*
 * The lines that grant what is missing, for where the program runs. Not among them: file capabilities (setcap) on the
 * program, for the loader does not preload into one that has them.
 */
#include "doctor.h"

#include <errno.h>

static const char *manager(const struct host *host)
{
    return host->container == CONTAINER_PODMAN ? "podman" : "docker";
}

/* May a filter be what refuses the call? */
static bool may_be_filtered(const struct host *host, long call)
{
    return host->seccomp != 0 && call != 0 && host->has_uffd;
}

/* It is, for nothing else would: neither a right nor the sysctl would help. */
static bool is_filtered(const struct host *host, long call)
{
    bool allowed = (host->may_ptrace && !host->user_namespace) || host->unprivileged == 1;
    return may_be_filtered(host, call) && (call == -ENOSYS || allowed);
}

/* Docker's profile lets ioctl(2) pass but not userfaultfd(2): the device is all it takes. */
static void advise_docker(struct check *check, const struct host *host, long device, long call)
{
    if (device == -EACCES)
        check_grant(
            check,
            doctor_text("chmod 0666 /dev/userfaultfd (as root in the container, before the program starts)"));
    else if (host->device_minor >= 0)
        check_grant(check, doctor_text("%s run --device /dev/userfaultfd ... (a user other than root also "
                                       "has to be let by the file's mode)",
                                       manager(host)));
    check_grant(check,
                doctor_text("%s run --cap-add SYS_PTRACE %s... (for a process of root in the container; "
                            "serves forks as well)",
                            manager(host),
                            may_be_filtered(host, call) ? "--security-opt seccomp=unconfined " : ""));
}

static void advise_kubernetes(struct check *check, const struct host *host, long call)
{
    check_grant(
        check,
        doctor_text(
            "securityContext: {capabilities: {add: [SYS_PTRACE]}%s} (for a process of root in the container)",
            may_be_filtered(host, call) ? ", seccompProfile: {type: Unconfined}" : ""));
    check_grant(check, doctor_text("a device plugin that gives the container /dev/userfaultfd"));
}

static void advise_lxc(struct check *check, const struct host *host)
{
    if (host->device_minor >= 0)
        check_grant(
            check,
            doctor_text("lxc.mount.entry = /dev/userfaultfd dev/userfaultfd none bind,create=file, and "
                        "lxc.cgroup2.devices.allow = c 10:%d rw",
                        host->device_minor));
}

static void advise_nspawn(struct check *check)
{
    check_grant(
        check,
        doctor_text(
            "systemd-nspawn --bind=/dev/userfaultfd --property='DeviceAllow=/dev/userfaultfd rw' ..."));
}

static void advise_service(struct check *check, const struct host *host, long device, long call)
{
    const char *unit = host->service;
    check_grant(
        check, doctor_text(
                   "systemctl edit %s: [Service] AmbientCapabilities=CAP_SYS_PTRACE%s (serves forks as well)",
                   unit, may_be_filtered(host, call) ? " and SystemCallFilter=userfaultfd" : ""));
    if (device == -EPERM || device == -ENOENT)
        check_grant(
            check,
            doctor_text("systemctl edit %s: [Service] DeviceAllow=/dev/userfaultfd rw and PrivateDevices=no",
                        unit));
}

/* What lets the members of a group, or everybody on the machine. */
static void advise_machine(struct check *check, const struct host *host, long device, long call)
{
    bool filtered = is_filtered(host, call);
    if (filtered && host->service[0] == '\0')
        check_grant(check, doctor_text("a system call filter that lets userfaultfd(2) pass"));
    if (device == -EACCES)
        check_grant(check,
                    doctor_text("echo 'KERNEL==\"userfaultfd\", MODE=\"0660\", GROUP=\"sinter\"' "
                                ">/etc/udev/rules.d/60-userfaultfd.rules && udevadm control --reload && "
                                "udevadm trigger --name-match=userfaultfd (for the members of that group)"));
    if (!filtered && host->unprivileged == 0)
        check_grant(
            check, doctor_text(
                       "sysctl -w vm.unprivileged_userfaultfd=1 (for everybody; to stay, in /etc/sysctl.d)"));
    if (!filtered && host->service[0] == '\0')
        check_grant(
            check,
            doctor_text(
                "[Service] AmbientCapabilities=CAP_SYS_PTRACE (in a systemd unit; serves forks as well)"));
}

void advise_uffd(struct check *check, const struct host *host, long device, long call)
{
    if (!host->has_uffd) {
        check_grant(check, doctor_text("a kernel of 6.8 or later with CONFIG_USERFAULTFD"));
        return;
    }
    switch (host->container) {
    case CONTAINER_DOCKER:
    case CONTAINER_PODMAN:
        advise_docker(check, host, device, call);
        break;
    case CONTAINER_KUBERNETES:
        advise_kubernetes(check, host, call);
        break;
    case CONTAINER_LXC:
        advise_lxc(check, host);
        break;
    case CONTAINER_NSPAWN:
        advise_nspawn(check);
        break;
    case CONTAINER_OTHER:
        check_grant(check, doctor_text("the device /dev/userfaultfd in the container, or CAP_SYS_PTRACE"));
        break;
    case CONTAINER_NONE:
        if (host->service[0] != '\0')
            advise_service(check, host, device, call);
        advise_machine(check, host, device, call);
    }
    if (host->container != CONTAINER_NONE && host->unprivileged == 0 && !is_filtered(host, call))
        check_grant(check,
                    doctor_text("on the host: sysctl -w vm.unprivileged_userfaultfd=1 (for everybody)"));
}

void advise_ptrace(struct check *check, const struct host *host)
{
    switch (host->container) {
    case CONTAINER_DOCKER:
    case CONTAINER_PODMAN:
        check_grant(check,
                    doctor_text("%s run --cap-add SYS_PTRACE ... (for a process of root in the container)",
                                manager(host)));
        break;
    case CONTAINER_KUBERNETES:
        check_grant(check, doctor_text("securityContext: {capabilities: {add: [SYS_PTRACE]}} (for a process "
                                       "of root in the container)"));
        break;
    default:
        check_grant(check,
                    host->service[0] != '\0'
                        ? doctor_text("systemctl edit %s: [Service] AmbientCapabilities=CAP_SYS_PTRACE",
                                      host->service)
                        : doctor_text("[Service] AmbientCapabilities=CAP_SYS_PTRACE (in a systemd unit)"));
        check_grant(check, doctor_text("setpriv --reuid=USER --init-groups --inh-caps=+sys_ptrace "
                                       "--ambient-caps=+sys_ptrace sinter run PROGRAM (as root)"));
    }
}
