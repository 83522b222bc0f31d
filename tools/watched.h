/*
 * What `sinter top` knows of each process: its figures, now and at the look before, and its history.
 */
#ifndef SINTER_WATCHED_H
#define SINTER_WATCHED_H

#include "peer.h"
#include "processes.h"

enum { HISTORY = 240 };

struct watched {
    struct peer peer;
    bool gone;
    uint64_t resident;
    struct sinter_stats now, before;
    double now_at, before_at;  /* seconds; before_at is 0 after the first look */
    uint64_t history[HISTORY]; /* of `resident`, a ring */
    size_t looks;
};

struct watched_list {
    struct watched *list;
    size_t count;
};

/* Opens the page of each process, of which it is told on stderr if there is none. False if any was not there. */
bool watched_add(struct watched_list *watched, const struct processes *processes);

/* Adds those of this machine that use Sinter and are not there yet. */
void watched_add_all(struct watched_list *watched);

/* Looks at all; those that have ended are `gone`. */
void watched_look(struct watched_list *watched);

/* Those that are gone are forgotten. */
void watched_remove_gone(struct watched_list *watched);

void watched_free(struct watched_list *watched);

/* By how much a counter of struct sinter_stats grows in a second. */
#define WATCHED_RATE(watched, counter)                                                                       \
    watched_rate(watched, (watched)->now.counter, (watched)->before.counter)
double watched_rate(const struct watched *watched, uint64_t now, uint64_t before);

#endif
