#include "tree_memory.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t own_memory(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    }
    fclose(file);
    return (uint64_t)kib * 1024;
}

/* Those that the thread has forked: proc_pid_task(5) has them by thread. */
static uint64_t children_memory(pid_t pid, const char *thread)
{
    char path[sizeof("/proc//task//children") + 2 * 20];
    uint64_t sum = 0;
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fscanf(file, "%d", &child) == 1)
        sum += tree_memory(child);
    fclose(file);
    return sum;
}

uint64_t tree_memory(pid_t pid)
{
    char path[64];
    uint64_t sum = own_memory(pid);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return sum;
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        if (thread->d_name[0] != '.')
            sum += children_memory(pid, thread->d_name);
    }
    closedir(threads);
    return sum;
}
