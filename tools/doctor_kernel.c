/*
 * Faults of kernels, by version: a distribution may have mended one without telling by it.
 */
#include "doctor.h"

#include "os.h"
#include "uffd.h"

#include <stdio.h>
#include <stdlib.h>

struct version {
    int major, minor, patch;
};

enum { FIXES_MOST = 4 };

/*
 * Of UFFDIO_MOVE, with huge pages. Each record (cve.org) names the versions; the commit is the one in Linus's tree. What needs
 * swap, CVE-2025-21984 and CVE-2025-38242, is uffd_bad_release().
 */
static const struct fault {
    const char *name, *what;
    struct version since,
        fixed[FIXES_MOST]; /* in each stable series; the last one is the first release without it */
} faults[] = {
    /* c0205eaf3af9 "userfaultfd: change src_folio after ensuring it's unpinned in UFFDIO_MOVE" */
    {"CVE-2024-27007", "a huge page that cannot be moved may be damaged", {6, 8, 0}, {{6, 8, 8}, {6, 9, 0}}},
    /* aba6faec0103 "userfaultfd: fix a crash in UFFDIO_MOVE when PMD is a migration entry" */
    {"CVE-2025-38686",
     "the kernel may crash when a huge page is moved and migrated at once",
     {6, 8, 0},
     {{6, 12, 43}, {6, 15, 11}, {6, 16, 2}, {6, 17, 0}}},
    /* fae654083bfa "mm/huge_memory: fix use of NULL folio in move_pages_huge_pmd()" */
    {"CVE-2026-31397",
     "the kernel may crash when a huge page of zeros is moved",
     {6, 16, 0},
     {{6, 18, 20}, {6, 19, 10}, {7, 0, 0}}},
};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static int compare(struct version a, struct version b)
{
    if (a.major != b.major)
        return a.major < b.major ? -1 : 1;
    if (a.minor != b.minor)
        return a.minor < b.minor ? -1 : 1;
    return (a.patch > b.patch) - (a.patch < b.patch);
}

static bool has(const struct fault *fault, struct version v)
{
    if (compare(v, fault->since) < 0)
        return false;
    const struct version *last = fault->fixed;
    for (int i = 0; i < FIXES_MOST && fault->fixed[i].major != 0; i++) {
        last = &fault->fixed[i];
        if (last->major == v.major && last->minor == v.minor)
            return v.patch < last->patch;
    }
    return compare(v, *last) < 0;
}

static bool parse_release(const char *release, struct version *v)
{
    *v = (struct version){0};
    return sscanf(release, "%d.%d.%d", &v->major, &v->minor, &v->patch) >= 2;
}

char *doctor_faults(const char *release)
{
    struct version v;
    char *list = NULL;
    for (int i = 0; parse_release(release, &v) && i < FAULTS; i++) {
        if (!has(&faults[i], v))
            continue;
        char *longer = doctor_text("%s%s%s (%s)", list != NULL ? list : "", list != NULL ? "; " : "",
                                   faults[i].what, faults[i].name);
        free(list);
        list = longer;
    }
    return list;
}

/* What its version says. */
static const char *judge(const char *release, bool faulty)
{
    const struct version first = {6, 8, 0};
    struct version v;
    if (parse_release(release, &v) && compare(v, first) < 0)
        return "too old to move pages, which takes 6.8";
    if (faulty)
        return "by its version with known faults";
    return uffd_bad_release(release)
               ? "which packs only where there is no swap (CVE-2025-21984, CVE-2025-38242)"
               : "without known faults";
}

void doctor_kernel(struct report *report, const struct host *host)
{
    const char *release = host->kernel.release;
    char *list = os_huge_pages() != OS_HUGE_NEVER ? doctor_faults(release) : NULL;
    struct check *check =
        report_add(report, "kernel", "kernel", uffd_bad_release(release) ? CHECK_NOTE : CHECK_OK,
                   doctor_text("%s, %s", release, judge(release, list != NULL)));
    if (list == NULL)
        return;
    check_costs(check, CHECK_LIMITED, list);
    check_grant(check, doctor_text("a newer kernel"));
    check_grant(check,
                doctor_text("echo never >/sys/kernel/mm/transparent_hugepage/enabled (no huge pages)"));
}
