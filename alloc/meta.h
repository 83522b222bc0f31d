/*
 * Memory for the allocator's own structures: blocks of a power of two, aligned to their size, never returned to
 * the system but reused. It lies in a region of the arena, with the other tables and far from blocks of the program.
 */
#ifndef SINTER_META_H
#define SINTER_META_H

#include "base.h"

enum { META_MAX = 1024 * 1024 };

/* A block, with any contents, of at least `bytes` (at most META_MAX), NULL if memory is exhausted. */
void *meta_alloc(size_t bytes);
void meta_free(void *block, size_t bytes);

/* Bytes taken from the system. */
size_t meta_bytes(void);

void meta_fork_prepare(void);
void meta_fork_parent(void);
void meta_fork_child(void);

#endif
