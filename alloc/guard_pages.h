/*
 * Pages that nobody may touch, in one of three ways. None of them leaves memory behind the page.
 *
 *   POISON    UFFDIO_POISON: a marker in the page table. Any access raises SIGBUS, a system call gets EFAULT. Linux 6.6.
 *   MADVISE   MADV_GUARD_INSTALL: the same with SIGSEGV, and no descriptor. Linux 6.13.
 *   MPROTECT  PROT_NONE: SIGSEGV. Every border between closed and open pages costs a mapping, of which a process may have
 *             vm.max_map_count (65 530).
 *
 * The markers survive fork(2).
 */
#ifndef SINTER_GUARD_PAGES_H
#define SINTER_GUARD_PAGES_H

#include "base.h"

/* The words of option `guard_way`, the first of which becomes one of the others. */
enum guard_way { GUARD_AUTO, GUARD_POISON, GUARD_MADVISE, GUARD_MPROTECT };

const char *guard_way_text(enum guard_way way);

/*
 * Chooses, once, by trying on the pages of [start, start + size), which are fresh, open memory: the way that is wished for, else
 * the cheapest that works (by make bench-guard-ways: MADVISE, POISON, MPROTECT). Closes these pages. False if none works.
 */
bool guard_pages_init(enum guard_way wish, void *start, size_t size);

enum guard_way guard_pages_way(void);

/* The same pages have been joined by fresh, open ones up to start + size: closes those from `from` on. False if that fails. */
bool guard_pages_extend(void *start, size_t from, size_t size);

/* From open to closed: what was there is gone. False, with the pages empty, if the kernel refuses. */
bool guard_pages_close(void *addr, size_t size);

/* The same in another way than the chosen one, which may not be POISON. */
bool guard_pages_close_by(enum guard_way by, void *addr, size_t size);
bool guard_pages_open_by(enum guard_way by, void *addr, size_t size);

/* From closed to open and zero. False if the kernel refuses, which is usual only of MPROTECT: too many mappings. */
bool guard_pages_open(void *addr, size_t size);

#endif
