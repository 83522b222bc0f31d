/*
 * One run of a program for `sinter report`: started with an allocator, given its load, watched, and ended.
 */
#ifndef SINTER_TRIAL_H
#define SINTER_TRIAL_H

#include "plot.h"
#include "stats_report.h"

#include <stdbool.h>

struct trial_plan {
    char **program;      /* as for execvp(3) */
    char *load;          /* shell command that gives the program its work; NULL: it has its own */
    const char *preload; /* path of the allocator; NULL: the C library's */
    double ready_s;      /* from the start of the program to that of the load */
    double idle_s;       /* from the end of the load to the end of the program */
    double longest_s;    /* after which the program (or its load) is ended; 0: never */
    bool show;           /* the program's output is shown */
};

struct trial {
    struct plot_point *samples; /* of resident memory, since the start */
    size_t samples_count;
    uint64_t peak, settled; /* bytes: the most, and the median of the last second */
    double work_s;          /* what the load took, or the program if it has its own work */
    double cpu_s;           /* of the program and the children that it waited for */
    int status;             /* of the program, as from waitpid(2) */
    int load_status;
    bool ended;     /* here, because it was over */
    bool has_stats; /* of the program itself, not its children, at its end or in its last second */
    struct stats_report stats;
};

/* Runs it. False, with a line on stderr, if it could not be run or watched. The caller frees the samples. */
bool trial_run(const struct trial_plan *plan, struct trial *trial);

#endif
