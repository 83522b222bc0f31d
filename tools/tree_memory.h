/*
 * The memory of a process and all its descendants.
 */
#ifndef SINTER_TREE_MEMORY_H
#define SINTER_TREE_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes of physical memory that the process `pid` and its descendants have; a page that n processes share counts 1/n for
 * each (Pss of proc_pid_smaps(5)), so that forks are not counted twice. 0 if there is no such process any more.
 */
uint64_t tree_memory(pid_t pid);

#endif
