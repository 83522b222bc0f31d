/*
 * Another process that runs with Sinter: finding its control page (alloc/control_page.h) and asking it for things.
 */
#ifndef SINTER_PEER_H
#define SINTER_PEER_H

#include "control_page.h"

#include <stdbool.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    char comm[32]; /* without control characters */
    int process;   /* pidfd */
    int file;
    struct control_page *page;
    bool quiet; /* nothing is said on stderr from now on; the caller may set it */
};

/* The number of a process, from the command line. A line on stderr and false if it is none. */
bool peer_parse(const char *text, pid_t *pid);

/*
 * Opens the process's page. 0, or, with one line on stderr that says why not, -1. Quietly: without that line where the process
 * does not use Sinter, cannot be looked at, or has ended.
 */
int peer_open(struct peer *peer, pid_t pid, bool quietly);
void peer_close(struct peer *peer);

/*
 * Sends a request and waits for the answer, at most so long: 0 or what the process answers, a positive errno value; -1, with a
 * line on stderr, if none came. `text`: CONTROL_TEXT bytes, or NULL.
 */
int peer_call(struct peer *peer, enum control_command command, uint64_t argument, const char *text,
              int seconds);

/* What the last answer has in the window: at most `size` bytes are copied. How many. */
size_t peer_window(const struct peer *peer, void *to, size_t size);

/* The latest figures, as they were so many seconds ago. False, with a line on stderr, if there are none. */
bool peer_report(const struct peer *peer, struct stats_report *report, double *age);

/* Bytes of memory the process has; 0 if it is not known. */
size_t peer_resident(const struct peer *peer);

/* Removes files of processes that are gone, which the caller may remove. */
void peer_clean(void);

#endif
