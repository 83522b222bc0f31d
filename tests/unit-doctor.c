/* What the doctor says without trying: faults of kernels by their version, and advice by where the program runs. */
#include "unit.h"

#include "base.h"
#include "doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void faults_by_release(void **state)
{
    (void)state;
    static const struct {
        const char *release, *names[4];
    } cases[] = {
        {"6.7.12", {NULL}},
        {"6.8.0-45-generic", {"CVE-2024-27007", "CVE-2025-38686"}},
        {"6.8.7", {"CVE-2024-27007", "CVE-2025-38686"}},
        {"6.8.8", {"CVE-2025-38686"}},
        {"6.9.0", {"CVE-2025-38686"}},
        {"6.12.42", {"CVE-2025-38686"}},
        {"6.12.43+deb13-amd64", {NULL}},
        {"6.14.11", {"CVE-2025-38686"}},
        {"6.15.11", {NULL}},
        {"6.16.1", {"CVE-2025-38686", "CVE-2026-31397"}},
        {"6.16.2", {"CVE-2026-31397"}},
        {"6.17.13", {"CVE-2026-31397"}},
        {"6.18.19", {"CVE-2026-31397"}},
        {"6.18.20", {NULL}},
        {"6.19.9", {"CVE-2026-31397"}},
        {"6.19.10", {NULL}},
        {"7.0.0", {NULL}},
        {"7.1-rc2", {NULL}},
        {"unheard of", {NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *list = doctor_faults(cases[i].release);
        size_t count = 0;
        for (; cases[i].names[count] != NULL; count++) {
            if (list == NULL || strstr(list, cases[i].names[count]) == NULL)
                fail_msg("%s: %s is not in: %s", cases[i].release, cases[i].names[count], list);
        }
        size_t found = 0;
        for (const char *p = list; p != NULL && (p = strstr(p, "CVE-")) != NULL; p++)
            found++;
        if (found != count)
            fail_msg("%s: not %zu: %s", cases[i].release, count, list);
        free(list);
    }
}

/* Is there a line with this text? */
static bool granted(const struct check *check, const char *text)
{
    for (size_t i = 0; i < check->grant_count; i++) {
        if (strstr(check->grants[i], text) != NULL)
            return true;
    }
    return false;
}

static struct check advice(struct host host, long device, long call)
{
    struct check check = {.key = "move"};
    advise_uffd(&check, &host, device, call);
    assert_true(check.grant_count > 0);
    return check;
}

static struct host somebody(enum container container, int seccomp)
{
    return (struct host){
        .user = 1000, .container = container, .seccomp = seccomp, .has_uffd = true, .device_minor = 257};
}

static void advice_by_place(void **state)
{
    (void)state;
    struct check c = advice(somebody(CONTAINER_NONE, 0), -EACCES, -EPERM);
    assert_true(granted(&c, "udev") && granted(&c, "sysctl") && granted(&c, "AmbientCapabilities"));
    assert_false(granted(&c, "filter") || granted(&c, "docker"));

    struct host service = somebody(CONTAINER_NONE, 2);
    strcpy(service.service, "redis.service");
    c = advice(service, -EPERM, -EPERM);
    assert_true(granted(
        &c,
        "systemctl edit redis.service: [Service] AmbientCapabilities=CAP_SYS_PTRACE and SystemCallFilter="));
    assert_true(granted(&c, "DeviceAllow=/dev/userfaultfd rw"));

    c = advice(somebody(CONTAINER_DOCKER, 2), -ENOENT, -EPERM);
    assert_true(granted(&c, "docker run --device /dev/userfaultfd") && granted(&c, "seccomp=unconfined"));
    c = advice(somebody(CONTAINER_DOCKER, 0), -EACCES, -EPERM);
    assert_true(granted(&c, "chmod 0666 /dev/userfaultfd"));
    assert_false(granted(&c, "--device") || granted(&c, "seccomp"));
    c = advice(somebody(CONTAINER_PODMAN, 2), -ENOENT, -ENOSYS);
    assert_true(granted(&c, "podman run --device"));
    assert_false(granted(&c, "sysctl")); /* would not open what the filter closes */
    c = advice(somebody(CONTAINER_KUBERNETES, 2), -ENOENT, -EPERM);
    assert_true(granted(&c, "securityContext") && granted(&c, "seccompProfile"));
    c = advice(somebody(CONTAINER_LXC, 0), -ENOENT, -EPERM);
    assert_true(granted(&c, "c 10:257 rw"));
    c = advice(somebody(CONTAINER_NSPAWN, 0), -ENOENT, -EPERM);
    assert_true(granted(&c, "--bind=/dev/userfaultfd"));
}

/* Where a right is there, or the call is hidden, more rights are no remedy. */
static void advice_under_filters(void **state)
{
    (void)state;
    struct host root = somebody(CONTAINER_NONE, 2);
    root.may_ptrace = true;
    struct check c = advice(root, -EPERM, -EPERM);
    assert_true(granted(&c, "filter"));
    assert_false(granted(&c, "sysctl") || granted(&c, "AmbientCapabilities") || granted(&c, "udev"));
    c = advice(somebody(CONTAINER_NONE, 2), -EACCES, -ENOSYS);
    assert_true(granted(&c, "filter") && granted(&c, "udev")); /* the device is another way */
    assert_false(granted(&c, "sysctl"));
    struct host old = {.device_minor = -1, .unprivileged = -1};
    c = advice(old, -ENOENT, -ENOSYS);
    assert_true(granted(&c, "CONFIG_USERFAULTFD") && c.grant_count == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_by_release),
        cmocka_unit_test(advice_by_place),
        cmocka_unit_test(advice_under_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
