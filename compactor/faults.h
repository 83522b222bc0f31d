/*
 * Reading the faults of a descriptor and having them answered, for whoever serves memory.
 *
 * Faults may come while others are being answered, and while the kernel waits for its events to be read (a fork's, or those of a
 * change to the mappings): they are queued. Waiting is counted from when it was last known that nothing had come.
 */
#ifndef SINTER_FAULTS_H
#define SINTER_FAULTS_H

#include "base.h"
#include "uffd.h"

enum {
    FAULTS_QUEUE = 4096,         /* more than threads that are likely to wait at a time */
    FAULTS_EXPECTED_NS = 200000, /* faults closer together than this: the next is awaited without sleep */
};

struct faults {
    struct uffd *uffd;
    /* Answers the fault of `thread` (0: not known) at the page `address`, which has waited at most since `since`, ns. */
    void (*serve)(struct faults *faults, char *address, uint32_t thread, uint64_t since);
    void (*child)(int fd); /* a fork's child has been born; NULL: there is no event of that kind */
    struct uffd_event queue[FAULTS_QUEUE];
    uint32_t queued;
    uint64_t quiet_at;    /* when it was last known that nothing had come */
    uint64_t answered_at; /* when the last answer was given */
    bool in_row;          /* soon after the one before */
};

/* Reads what has come, without answering it. */
void faults_read(struct faults *f);

/* The same; if the queue is full, half of it is let go, to come again: an event that must be read may be behind it. */
void faults_read_all(struct faults *f);

/* Reads and answers until nothing is left. Returns whether there was anything. */
bool faults_drain(struct faults *f, uint64_t since);

/* Is it worth to wait for the next fault without sleep? */
bool faults_are_expected(const struct faults *f, uint64_t now);

#endif
