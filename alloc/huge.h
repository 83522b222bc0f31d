/*
 * Huge blocks: mappings of their own, found by address in a hash table, grown by mremap, and kept for a while
 * after they are freed, so that repeated use does not go to the kernel each time.
 */
#ifndef SINTER_HUGE_H
#define SINTER_HUGE_H

#include "base.h"

/*
 * A mapping for `bytes` at a multiple of `align` (a power of two). *zeroed tells whether it reads as zeros.
 * NULL if memory is exhausted.
 */
void *huge_alloc(size_t bytes, size_t align, bool *zeroed);

/* Bytes of the live mapping that starts at `p`; 0 if there is none. */
size_t huge_bytes(const void *p);

struct huge_location {
    void *start; /* NULL: no mapping of ours covers the address */
    size_t bytes;
    bool live;
};

struct huge_location huge_find(const void *p);

/* For signal handlers: the live block on whose border the address lies. `start` is NULL if there is none, or the table is in use. */
struct block_place huge_border_find(const void *p);

/* Frees a live mapping. False if none starts at `p`. */
bool huge_free(void *p);

/* Changes a live mapping's size; it may move. NULL if the system has no room, and nothing has changed then. */
void *huge_resize(void *p, size_t bytes);

/* Unmaps freed mappings, oldest first, of at least `most` pages if there are so many. Returns how many pages. */
size_t huge_purge(size_t most);

size_t huge_dirty_pages(void);

struct huge_stats {
    size_t mappings, bytes; /* live */
};

void huge_stats(struct huge_stats *stats);

void huge_fork_prepare(void);
void huge_fork_parent(void);
void huge_fork_child(void);

#endif
