/*
 * The kernel interface: the only place that makes userfaultfd calls.
 *
 * Sources: userfaultfd(2), UFFDIO_MOVE(2const), UFFDIO_COPY(2const), UFFDIO_POISON(2const), PAGEMAP_SCAN in
 * Documentation/admin-guide/mm/pagemap.rst. What the kernel does beyond these is said where it is dealt with.
 *
 * A descriptor belongs to the thread that opened it (it has a private descriptor table), and all functions here are
 * called by that thread; one for poison only may be in any table, and is used under a lock. They use raw system calls only: no errno, no thread-local storage, no allocation.
 */
#ifndef SINTER_UFFD_H
#define SINTER_UFFD_H

#include "base.h"

struct uffd {
    int fd;
    int pagemap;       /* descriptor of this process's pagemap, -1 if `fd` serves another process */
    uint64_t features; /* UFFD_FEATURE_* granted */
    bool user_mode;    /* of user mode only: a system call that touches an absent page gets EFAULT */
    bool quiet;        /* for poison only: nobody waits on it */
    /*
     * Called when the kernel says that the mappings are changing (EAGAIN without progress), and while memory is
     * short: it must read what can be read from `fd`, for a fork ends only when its event is read. It must not move or
     * copy pages: it would be called again from there. NULL: yield. uffd_open leaves it NULL.
     */
    void (*pump)(void);
};

/* Why there is no packing; the texts are for people. */
enum uffd_lack {
    UFFD_READY,
    UFFD_NO_CALL,      /* the kernel has no userfaultfd */
    UFFD_NOT_ALLOWED,  /* not for this user: at best faults of user mode would be served */
    UFFD_NO_MOVE,      /* the kernel is older than 6.8 */
    UFFD_NO_WATCH,     /* or, for UFFD_WRITES, than 6.7 */
    UFFD_NO_POISON,    /* or, for UFFD_POISON, than 6.6 */
    UFFD_BAD_KERNEL,   /* the kernel is known to lose pages that it moves while they are swapped out */
    UFFD_NO_PAGEMAP,   /* /proc is missing, or PAGEMAP_SCAN */
    UFFD_CHANGED_USER, /* the pagemap belongs to root, as that of every process that is not dumpable */
    UFFD_NO_TABLE,     /* descriptors cannot be kept apart from the program's */
    UFFD_NO_SIGBUS,    /* for UFFD_SIGBUS: the kernel has no such mode */
    UFFD_NO_RESOURCES, /* out of descriptors or memory */
};

const char *uffd_lack_text(enum uffd_lack lack);

/* The ways to a descriptor, in the order in which uffd_open() tries them. */
enum uffd_way { UFFD_DEVICE, UFFD_CALL, UFFD_CALL_USER_MODE };

/* A descriptor that has not been asked for features yet, or -errno. */
long uffd_open_by(enum uffd_way way);

/* Is a kernel of this release (as uname(2) has it) one that loses pages if swap is in use? */
bool uffd_bad_release(const char *release);

/*
 * Opens a descriptor for missing faults of this process, of user and of kernel mode, non-blocking: /dev/userfaultfd,
 * else userfaultfd(2). Asks for UFFD_FEATURE_MOVE (needed) and UFFD_FEATURE_POISON, and opens the pagemap. Leaves nothing open
 * unless it returns UFFD_READY. `wishes`: UFFD_FORKS, that forks are reported (done where CAP_SYS_PTRACE allows it);
 * UFFD_USER_MODE, that one for faults of user mode only will do, if there is no other for this user; UFFD_WRITES, that it is to
 * tell which pages are written to, and nothing else; UFFD_POISON, that it is for uffd_register_wp() and uffd_poison() and nothing
 * else, which any user may have and which takes no pagemap; UFFD_SIGBUS, that a touch of an absent page raises SIGBUS with
 * BUS_ADRERR and is not reported, for whichever thread: the descriptor may then be in any table, and the pagemap is left to
 * uffd_open_pagemap().
 */
enum { UFFD_FORKS = 1, UFFD_USER_MODE = 2, UFFD_WRITES = 4, UFFD_POISON = 8, UFFD_SIGBUS = 16 };
enum uffd_lack uffd_open(struct uffd *u, int wishes);
enum uffd_lack uffd_open_pagemap(struct uffd *u);
void uffd_close(struct uffd *u);

/* Does the descriptor report forks, so that absent pages stay absent in the child? */
bool uffd_reports_forks(const struct uffd *u);

/* Does the limit on descriptors leave room for a child's, or can it be raised? A fork whose event cannot be read hangs. */
bool uffd_may_read_forks(void);

/* Missing faults of [addr, addr + size) come to the descriptor, or no longer do. 0 or -errno. */
long uffd_register(const struct uffd *u, void *addr, size_t size);
long uffd_unregister(const struct uffd *u, void *addr, size_t size);

/*
 * The same for write protection: no fault comes to the descriptor, and absent pages are the kernel's to fill. They can be poisoned;
 * and if the descriptor was opened with UFFD_WRITES, it can be told which were written to, by whomever, the kernel included.
 * 0 or -errno, -EINVAL where the machine cannot do this (no write protection by userfaultfd).
 */
long uffd_register_wp(const struct uffd *u, void *addr, size_t size);

/*
 * What became of one page of a batch. The kernel does not always tell a page that it has just moved from one that was
 * there before: where the source is a hole, a page found at the destination counts as UFFD_DONE.
 */
enum uffd_result {
    UFFD_DONE,     /* it is at the destination (and, after a move, no longer at the source) */
    UFFD_HOLE,     /* there was no page at the source; nothing at the destination either */
    UFFD_OCCUPIED, /* there was a page at the destination already; the source still has its own */
    UFFD_BUSY,     /* pinned, or not exclusive since a fork: still at the source */
    UFFD_REFUSED,  /* the kernel will not (no or another mapping, locked, protected): still at the source */
    UFFD_GONE,     /* the destination's process has exited */
};

/*
 * Moves `pages` pages; result[i] (enum uffd_result) says what became of each. However the kernel answers, each page is
 * at one place at the end, and unless nobody is to be woken (DONTWAKE) every thread that waited on a page that is now
 * there has been woken. `flags`: UFFD_DONTWAKE, UFFD_ALLOW_HOLES (a hole counts as UFFD_DONE then; not
 * for pages that another thread may drop meanwhile: as its source reads, Linux 6.18 may then loop until it is killed).
 * Returns the number of UFFD_DONE.
 */
enum { UFFD_DONTWAKE = 1, UFFD_ALLOW_HOLES = 2 };
size_t uffd_move(const struct uffd *u, void *to, void *from, size_t pages, int flags, uint8_t *result);

/*
 * Copies `pages` pages from this process's memory into the descriptor's process. As uffd_move, but the source stays, and
 * of the flags only UFFD_DONTWAKE has a meaning; results are UFFD_DONE, UFFD_OCCUPIED (which wakes as well), UFFD_REFUSED and UFFD_GONE. Waits for memory as
 * long as it takes: a thread that waits for its page has no other way out. The source's pages must all be there: if one
 * is absent from a registered range, the caller waits for itself.
 */
size_t uffd_copy(const struct uffd *u, void *to, const void *from, size_t pages, int flags, uint8_t *result);

/* Maps pages of zeros, as uffd_copy, and wakes. */
size_t uffd_zero(const struct uffd *u, void *to, size_t pages, uint8_t *result);

/*
 * For signal handlers, which may not have the pagemap and whose number may mean another file by now: one move of pages that may be
 * holes, waking nobody; and one page of zeros, which is UFFD_DONE, UFFD_OCCUPIED or UFFD_REFUSED. False, or UFFD_REFUSED: the
 * kernel has answered anything else, and whoever has the pagemap has to look what there is.
 */
bool uffd_try_move(const struct uffd *u, void *to, void *from, size_t pages);
enum uffd_result uffd_try_zero(const struct uffd *u, void *to);

/* Marks absent pages so that any access raises SIGBUS. Returns how many pages are marked, from the first on. */
size_t uffd_poison(const struct uffd *u, void *addr, size_t pages);

void uffd_wake(const struct uffd *u, void *addr, size_t size);

/*
 * present[i]: is there a page (in memory, in swap or migrating) or a poison marker at addr + i pages? False if the
 * pagemap cannot tell.
 */
bool uffd_present(const struct uffd *u, const void *addr, size_t pages, uint8_t *present);

/* Is this page mapped by this process only (bit 56 of its pagemap entry)? */
bool uffd_exclusive(const struct uffd *u, const void *addr);

enum uffd_event_kind { UFFD_EVENT_NONE, UFFD_EVENT_FAULT, UFFD_EVENT_CHILD, UFFD_EVENT_OTHER };

struct uffd_event {
    enum uffd_event_kind kind;
    char *addr;      /* of a fault: its page */
    uint32_t thread; /* of a fault: who waits; 0 if the kernel does not say */
    int child_fd;    /* of a fork: a descriptor for the child's memory */
};

/* The next event; UFFD_EVENT_NONE if there is none now. */
struct uffd_event uffd_read(const struct uffd *u);

/*
 * Fault injection, for tests: one in `one_in` calls fails, or succeeds in part or without waking, in one of the ways in
 * which the kernel does. 0 switches it off; 1 leaves nothing that could ever succeed. Affects every userfaultfd call of
 * the process but opening and the reading of events.
 */
void uffd_inject(uint64_t one_in, uint64_t seed);

/* Counters of the calls, for statistics and tests. */
struct uffd_counters {
    _Atomic uint64_t moves; /* UFFDIO_MOVE calls */
    _Atomic uint64_t moved_pages, copied_pages;
    _Atomic uint64_t again;                /* EAGAIN without progress */
    _Atomic uint64_t exists;               /* EEXIST answers */
    _Atomic uint64_t exists_moved;         /* pages found at the destination after an error */
    _Atomic uint64_t busy, holes, refused; /* pages */
    _Atomic uint64_t injected;
};

extern HIDDEN struct uffd_counters uffd_counters;

/*
 * Of a descriptor with UFFD_WRITES: the pages of the range, which is registered for write protection, count as not written to. A
 * write to one takes a fault, in the kernel alone. False: an error.
 */
bool uffd_forget_writes(const struct uffd *u, void *addr, size_t size);

struct uffd_part {
    uint64_t start, end; /* addresses */
    uint64_t unused;
};

/*
 * The pages of [*from, end) that were written to since, or came to be; pages that are not there are none. Fills at most `most`
 * parts and moves *from to where it has got to. How many parts, or -errno.
 */
long uffd_writes(const struct uffd *u, char **from, char *end, struct uffd_part *parts, size_t most);

#endif
