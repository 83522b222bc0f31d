/*
 * The processes of this machine that can be seen.
 */
#ifndef SINTER_PROCESSES_H
#define SINTER_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct processes {
    pid_t *pids;
    size_t count;
};

/* Adds one. False if memory is short. */
bool processes_add(struct processes *processes, pid_t pid);

/* Adds all that /proc has. */
void processes_add_all(struct processes *processes);

void processes_free(struct processes *processes);

#endif
