/*
 * The page through which a process and the command `sinter` talk: what both sides know of it. See docs/control.md.
 *
 * It is a file in /dev/shm that both have mapped:
 *
 *     0               struct control_page: who, request, answer, figures
 *     CONTROL_WINDOW  room for what an answer is longer than that
 *     CONTROL_BYTES   end
 *
 * A request, by the client that has locked the file (flock(2)): writes `command` and what it takes, adds one to `request`,
 * then one to `bell`, and wakes who sleeps there. The answer: the process writes `result` and what there is to it, makes
 * `answer` the number of the request, and wakes who sleeps there. Neither side believes the other: every field is bounded by who
 * reads it, and none is an address.
 */
#ifndef SINTER_CONTROL_PAGE_H
#define SINTER_CONTROL_PAGE_H

#include "stats_report.h"

#include <stdatomic.h>
#include <stdint.h>

#define CONTROL_MAGIC     UINT64_C(0x3172657472656e69)
#define CONTROL_DIRECTORY "/dev/shm"
#define CONTROL_PREFIX    "sinter-" /* then the user id: a directory of that user's own, */
/* and in it files named after the process: number of its pid namespace, '-', pid there. */

enum {
    CONTROL_LAYOUT = 1, /* changes with what is below, map.h included, except for what only makes it longer */
    CONTROL_WINDOW = 4096,
    CONTROL_BYTES = 64 * 1024,
    CONTROL_TEXT = 512,
};

enum control_command {
    CONTROL_NOTHING,
    CONTROL_REFRESH,    /* figures of now, with the size classes */
    CONTROL_COMPACT,    /* sinter_compact() */
    CONTROL_RESTORE,    /* sinter_restore() */
    CONTROL_OPTION_GET, /* `text`: a key. The window: its value */
    CONTROL_OPTION_SET, /* `text`: a key, NUL, a value */
    CONTROL_MAP,        /* `argument`: see map.h. The window: a part of it */
};

struct control_page {
    uint64_t magic;
    uint32_t layout, bytes, process;

    _Atomic int bell; /* a futex: the process sleeps here */

    /* The client's. */
    _Atomic uint32_t request;
    uint32_t command;
    uint64_t argument;
    char text[CONTROL_TEXT];

    /* The process's. */
    _Atomic int answer; /* a futex; the number of the last request that is answered */
    int32_t result;     /* 0 or a positive errno value */
    uint32_t length;    /* bytes in the window */

    /* Odd while what follows is being written. */
    _Atomic uint32_t sequence;
    uint64_t reported_at; /* CLOCK_MONOTONIC, nanoseconds */
    struct stats_report report;
};

_Static_assert(sizeof(struct control_page) <= CONTROL_WINDOW, "the page");

/* What both sides have to agree on. */
#define CONTROL_FORM ((uint32_t)CONTROL_LAYOUT << 16 | (uint32_t)sizeof(struct control_page))

#endif
