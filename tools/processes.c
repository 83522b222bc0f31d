#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>

bool processes_add(struct processes *processes, pid_t pid)
{
    pid_t *more = reallocarray(processes->pids, processes->count + 1, sizeof(*more));
    if (more == NULL)
        return false;
    processes->pids = more;
    more[processes->count++] = pid;
    return true;
}

void processes_add_all(struct processes *processes)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        if (isdigit((unsigned char)entry->d_name[0]) && !processes_add(processes, (pid_t)atol(entry->d_name)))
            break;
    }
    if (proc != NULL)
        closedir(proc);
}

void processes_free(struct processes *processes)
{
    free(processes->pids);
    *processes = (struct processes){0};
}
