/*
 * Sinter's own calls beside the standard malloc interface.
 *
 * The standard functions (malloc, free, aligned_alloc, malloc_usable_size, mallinfo2, ...) are declared by
 * <stdlib.h> and <malloc.h>; libsinter.so replaces them. Everything here may be called from any thread.
 */
#ifndef SINTER_MALLOC_H
#define SINTER_MALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SINTER_VERSION_MAJOR  0
#define SINTER_VERSION_MINOR  1
#define SINTER_VERSION_PATCH  0
#define SINTER_VERSION_STRING "0.1.0"

/* The version of the library that is running, such as "0.1.0"; it may be newer than this header. */
const char *sinter_version(void);

/*
 * A program may define this string to give its own defaults, in the syntax of the environment variable
 * SINTER_CONF ("key:value,key:value"); the environment has the last word.
 */
extern const char *sinter_conf;

/*
 * Reads the option `key` as text into `value`, at most `size` bytes with the terminating NUL.
 * Returns 0, or -1 with errno ENOENT (no such option) or ERANGE (`size` is too small).
 */
int sinter_option_get(const char *key, char *value, size_t size);

/*
 * Sets the option `key` of the running process from text.
 * Returns 0, or -1 with errno ENOENT (no such option), EINVAL (the value is not of the option's form or out of
 * its range) or EPERM (the option can only be given at start).
 */
int sinter_option_set(const char *key, const char *value);

/* What the allocator holds, in bytes unless named otherwise. Read with sinter_stats_get(). */
struct sinter_stats {
    uint64_t size;        /* sizeof(struct sinter_stats) of the library that filled it */
    uint64_t allocated;   /* in blocks the program holds, with the rounding to size classes */
    uint64_t cached;      /* free, in thread caches */
    uint64_t active;      /* in spans and runs that hold at least one block */
    uint64_t dirty;       /* free pages that still have physical memory behind them */
    uint64_t metadata;    /* the allocator's own tables */
    uint64_t committed;   /* address space made readable and writable for blocks */
    uint64_t huge;        /* of `allocated`: in mappings of their own */
    uint64_t purged;      /* given back to the system since start */
    uint64_t purge_calls; /* times that was done */
    uint64_t threads;     /* threads with a cache */
    uint64_t drained;     /* blocks taken out of idle threads' caches since start */
    uint64_t refills;     /* times a thread cache was filled */
    uint64_t flushes;     /* times a thread cache was emptied in part */
    uint64_t spans;       /* spans in use (a span is 64 KiB of one size class) */
    uint64_t runs;        /* page runs in use */
    uint64_t background;  /* 1 while the background thread runs */
    /* Packing: sparse, cold pages moved out of the program's way; see docs/compactor.md. */
    uint64_t compactor;      /* 0: not needed so far, 1: at work, 2: not available here */
    uint64_t aside;          /* pages moved out and kept as they are, on probation */
    uint64_t packed;         /* pages of which only the live slots are kept */
    uint64_t store;          /* where these slots are: memory of the store */
    uint64_t saved;          /* packed less store */
    uint64_t moved_out;      /* pages moved out since start (number) */
    uint64_t pages_packed;   /* pages packed since start (number) */
    uint64_t pages_returned; /* pages that came back since start (number), with neighbours */
    uint64_t faults;         /* touches of pages that were away */
    uint64_t stall_p50;      /* how long they took to answer, in nanoseconds: median, ... */
    uint64_t stall_p99;
    uint64_t stall_p999;
    uint64_t stall_max;
    uint64_t compactor_cpu; /* CPU time of the background thread since packing started, in nanoseconds */
    /* Guard mode; see docs/guard.md. */
    uint64_t guard_way;     /* how pages are guarded: 0 not at all, 1 poison, 2 madvise, 3 mprotect */
    uint64_t guarded;       /* of `allocated`: guarded blocks */
    uint64_t guards;        /* blocks guarded since start (number) */
    uint64_t quarantined;   /* address space of freed guarded blocks that is not used again yet */
    uint64_t guards_failed; /* frees of guarded blocks whose pages the kernel would not close (number) */
    uint64_t control; /* can the command `sinter` reach the process? 0: not so far, 1: yes, 2: not here */
    /* System calls that answered EFAULT because of a guarded page (number). */
    uint64_t guard_efaults;
    uint64_t held; /* freed small blocks that wait in quarantine */
};

/*
 * Fills `stats`, whose `size` the caller has set to sizeof(struct sinter_stats); a newer library fills what fits.
 * Returns 0, or -1 with errno EINVAL if `size` is too small to hold anything.
 */
int sinter_stats_get(struct sinter_stats *stats);

/*
 * Gives back now what can be given back: free memory, as malloc_trim(0), and then every sparse page of small blocks is
 * packed, whatever the options say about time, and also after sinter_restore(). Returns when it is done: 0, or -1 with
 * errno ENOTSUP if pages cannot be packed in this process (what is free has been given back all the same).
 */
int sinter_compact(void);

/*
 * Brings every packed page back, so that debuggers and core dumps see them, and packs no more until sinter_compact() is
 * called. Returns 0, also if there was nothing to bring back.
 */
int sinter_restore(void);

/*
 * Writes statistics to a file descriptor: as text for people, or as one JSON object.
 * Returns 0, or -1 with errno of write(2). Neither allocates memory.
 */
int sinter_stats_text(int fd);
int sinter_stats_json(int fd);

#ifdef __cplusplus
}
#endif

#endif
