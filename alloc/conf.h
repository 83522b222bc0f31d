/*
 * The options: one table that feeds parsing, SINTER_CONF=help:on, sinter_option_get/set and the manual.
 */
#ifndef SINTER_CONF_H
#define SINTER_CONF_H

#include "base.h"

/*
 * X(name, kind, default, least, most, choices, when, help)
 *   kind     SWITCH (on/off), COUNT (a whole number), BYTES (with an optional suffix k, m, g or t),
 *            MILLIS (milliseconds, with an optional suffix ms or s; -1 means never), CHOICE (a word of `choices`), RATE (one in
 *            so many: sample=N, or the words off, on, all for 0, CONF_RATE_ON and 1), PATH (absolute, or empty; START only)
 *   when     START (given at start only) or LIVE (may change in the running process)
 */
#define CONF_TABLE(X)                                                                                        \
    X(help, SWITCH, 0, 0, 1, NULL, START, "print the options with their values to stderr at start")          \
    X(stats, CHOICE, 0, 0, 2, "off|on|json", START,                                                          \
      "print statistics to stderr at exit, as text or as JSON")                                              \
    X(decay, MILLIS, 10000, -1, 3600000, NULL, LIVE,                                                         \
      "time after which free pages have gone back to the system; 0: at once, -1: never")                     \
    X(background, SWITCH, 1, 0, 1, NULL, LIVE,                                                               \
      "give pages back by a background thread; off: only by the program's own calls")                        \
    X(control, SWITCH, 1, 0, 1, NULL, START,                                                                 \
      "let the command sinter reach the process, through a page in /dev/shm, once that thread has run")      \
    X(thp, CHOICE, 0, 0, 2, "auto|always|never", START,                                                      \
      "ask for huge pages: auto does so in the part of a zone beyond thp_start")                             \
    X(thp_start, BYTES, 128 * MiB, 0, 1024 * GiB, NULL, START,                                               \
      "size of a zone from which thp:auto asks for huge pages")                                              \
    X(cache, SWITCH, 1, 0, 1, NULL, START, "thread caches; off: every call goes to the spans")               \
    X(cache_bin, BYTES, 512 * KiB, 4 * KiB, 64 * MiB, NULL, LIVE,                                            \
      "most bytes of one size class in one thread's cache")                                                  \
    X(cache_thread, BYTES, 4 * MiB, 64 * KiB, 1024 * MiB, NULL, LIVE, "most bytes in one thread's cache")    \
    X(cache_idle, MILLIS, 2000, -1, 3600000, NULL, LIVE,                                                     \
      "time after which unused parts of a thread's cache are drained; -1: never")                            \
    X(check, SWITCH, 0, 0, 1, NULL, START,                                                                   \
      "find every double free of a small block at once (implies cache:off, slower)")                         \
    X(randomize, SWITCH, 0, 0, 1, NULL, START, "hand out free slots in random order (implies cache:off)")    \
    X(zero_on_free, SWITCH, 0, 0, 1, NULL, START,                                                            \
      "overwrite blocks with zeros when they are freed (implies cache:off)")                                 \
    X(quarantine, BYTES, 0, 0, 1024 * GiB, NULL, START,                                                      \
      "freed small blocks, so many bytes, wait before they are used again (implies cache:off)")              \
    X(canary, SWITCH, 0, 0, 1, NULL, START,                                                                  \
      "find writes behind small blocks when they are freed (implies cache:off)")                             \
    X(guard, RATE, 0, 0, 1000000000, "off|on|all|sample=N", START,                                           \
      "guard one in N allocations by pages that nobody may touch; on: one in 1000, all: each")               \
    X(guard_way, CHOICE, 0, 0, 3, "auto|poison|madvise|mprotect", START,                                     \
      "how pages are guarded: UFFDIO_POISON, MADV_GUARD_INSTALL, PROT_NONE; auto: the cheapest that works")  \
    X(guard_place, CHOICE, 0, 0, 2, "alternate|end|start", START,                                            \
      "where on its pages a guarded block lies: end finds overflows at once, start underflows")              \
    X(guard_quarantine, BYTES, 64 * MiB, 0, 1024 * GiB, NULL, LIVE,                                          \
      "address space of freed guarded blocks that is not used again yet; it takes no memory")                \
    X(guard_cpu, COUNT, 1, 1, 100, NULL, LIVE,                                                               \
      "percent of a thread's time that guarding may take, beyond which its turns pass; 100: no limit, as "   \
      "with guard:all")                                                                                      \
    X(guard_large, SWITCH, 0, 0, 1, NULL, START,                                                             \
      "pages that nobody may touch behind blocks of more than 32 KiB")                                       \
    X(guard_tail, SWITCH, 0, 0, 1, NULL, START,                                                              \
      "the same at the end of spans, where their last slot leaves a page free")                              \
    X(guard_misuse, CHOICE, 0, 0, 1, "abort|report", LIVE,                                                   \
      "what follows a report of misuse: the end, or nothing; pages are then opened, pointers ignored")       \
    X(guard_report, CHOICE, 0, 0, 1, "text|json", LIVE, "the form of reports; json: an object a line")       \
    X(guard_fd, COUNT, 2, 0, 1048575, NULL, LIVE, "descriptor that reports go to")                           \
    X(guard_file, PATH, 0, 0, 0, NULL, START, "file that reports are added to, instead")                     \
    X(seed, COUNT, 0, 0, INT64_MAX, NULL, START,                                                             \
      "seed of randomize and compact_inject; 0: different in every process")                                 \
    X(compact, CHOICE, 1, 0, 2, "off|on|stress", START,                                                      \
      "pack sparse, cold pages; stress: all pages, all the time, for tests")                                 \
    X(compact_start, COUNT, 20, 0, 10000, NULL, LIVE,                                                        \
      "percent of the live bytes of small blocks that may be wasted before packing starts")                  \
    X(compact_stop, COUNT, 3, 0, 10000, NULL, LIVE, "the same, below which it stops again")                  \
    X(compact_least, BYTES, 4 * MiB, 0, 1024 * GiB, NULL, LIVE, "waste that is never worth packing")         \
    X(compact_full, COUNT, 95, 0, 100, NULL, LIVE, "percent of a page in use from which it stays")           \
    X(compact_settle, MILLIS, 1000, 10, 3600000, NULL, LIVE,                                                 \
      "how long a span must not have been allocated from or freed into")                                     \
    X(compact_probation, MILLIS, 2000, 0, 3600000, NULL, LIVE,                                               \
      "how long a page that was moved out is kept as it is, in case it is touched")                          \
    X(compact_cpu, COUNT, 25, 1, 100, NULL, LIVE, "percent of one CPU that packing may use")                 \
    X(compact_stall, COUNT, 10, 0, 1000, NULL, LIVE,                                                         \
      "milliseconds a second that threads may wait for pages before packing pauses")                         \
    X(compact_returns, COUNT, 20, 0, 1000, NULL, LIVE,                                                       \
      "pages in 1000 that may come back in a minute before packing pauses")                                  \
    X(compact_around, COUNT, 2, 0, 4, NULL, LIVE,                                                            \
      "pages that come back with one that is touched: an aligned group of 2 to the power of this")           \
    X(compact_pressure, SWITCH, 1, 0, 1, NULL, START, "pack at once when the system is short of memory")     \
    X(compact_every, MILLIS, 1, 0, 3600000, NULL, LIVE, "for tests: time between passes of compact:stress")  \
    X(compact_inject, COUNT, 0, 0, 1000000, NULL, START,                                                     \
      "for tests: one in so many of the mover's system calls fails; 0: none")

enum conf_option {
#define X(name, ...) CONF_##name,
    CONF_TABLE(X)
#undef X
        CONF_COUNT
};

/* What `on` means for a RATE. */
enum { CONF_RATE_ON = 1000 };

extern HIDDEN _Atomic int64_t conf_values[CONF_COUNT];

static inline int64_t conf_get(enum conf_option option)
{
    return load_relaxed(&conf_values[option]);
}

/* Of a PATH: "" if it was not given. */
const char *conf_text(enum conf_option option);

/* The words of option `stats`. */
enum { STATS_OFF, STATS_ON, STATS_JSON };
/* The words of option `compact`. */
enum { COMPACT_OFF, COMPACT_ON, COMPACT_STRESS };
/* The words of option `thp`. */
enum { THP_AUTO, THP_ALWAYS, THP_NEVER };

/* Does a test have all pages packed all the time? */
static inline bool conf_compact_stress(void)
{
    return conf_get(CONF_compact) == COMPACT_STRESS;
}

/*
 * Reads the file at the path `file`, the program's own string, then the environment, each overriding what was before it; each
 * unknown key and bad value is one line on stderr, and the rest counts. `environment` is the value of SINTER_CONF. All may
 * be NULL, and the file may be missing.
 */
void conf_init(const char *file, const char *program, const char *environment);

/* As the functions of sinter/malloc.h, but with 0 or a positive errno value for a result. */
int conf_get_text(const char *key, char *value, size_t size);
int conf_set_text(const char *key, const char *value);

/* Prints the table: name, present value, default, help. */
void conf_help(int fd);

/* What a front end tells of an option. */
struct conf_description {
    const char *name, *help;
    char initial[32]; /* its value if none is given */
    char form[96];    /* the values that it takes */
};

void conf_describe(enum conf_option option, struct conf_description *description);

/* Is this one of the values that it takes? */
bool conf_takes(enum conf_option option, const char *value);

#endif
