/*
 * A trial in a process of its own: whatever comes of it, a filter that kills, a hang, a limit that is hit, the doctor is
 * there to tell.
 */
#ifndef SINTER_DOCTOR_PROBE_H
#define SINTER_DOCTOR_PROBE_H

enum { PROBE_VALUES = 4 };

enum probe_end {
    PROBE_DONE,
    PROBE_FILTERED, /* a system call filter killed it */
    PROBE_DIED,     /* of another signal */
    PROBE_HUNG,
    PROBE_NOT_RUN, /* no process, or no memory for it */
};

struct probe {
    enum probe_end end;
    long values[PROBE_VALUES]; /* what the trial has put there, 0 otherwise */
};

struct probe probe_run(void (*trial)(long *values));

/* What its end means, as a phrase. */
const char *probe_end_text(enum probe_end end);

#endif
