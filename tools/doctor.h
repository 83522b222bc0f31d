/*
 * The doctor's checks, a file each group. They use the functions with which the libraries do the same, so that what is said
 * here is what will happen there.
 */
#ifndef SINTER_DOCTOR_H
#define SINTER_DOCTOR_H

#include "doctor_host.h"
#include "doctor_report.h"

/* Userfaultfd and what is done by it; sets the report's sentences on the two libraries. */
void doctor_pages(struct report *report, const struct host *host);

/* Limits and settings. */
void doctor_limits(struct report *report, const struct host *host);

/* Is a kernel of this release known to have faults that concern Sinter? */
void doctor_kernel(struct report *report, const struct host *host);

/* What a running process says itself, and where its situation is another than this one's. False, with a line on stderr: none such. */
bool doctor_process(struct report *report, const struct host *host, pid_t pid);

/* Those of a release, as uname(2) has it, in one line to be freed; NULL if there are none. */
char *doctor_faults(const char *release);

/* How a userfaultfd that is not allowed is had. `device` and `call`: what the two ways to one answered, 0 or -errno. */
void advise_uffd(struct check *check, const struct host *host, long device, long call);

/* How CAP_SYS_PTRACE is had. */
void advise_ptrace(struct check *check, const struct host *host);

#endif
