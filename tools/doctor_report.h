/*
 * What the doctor has found: a list of checks, each with its price and remedies, and the verdict, as text and as JSON.
 */
#ifndef SINTER_DOCTOR_REPORT_H
#define SINTER_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum check_state {
    CHECK_OK,
    CHECK_NOTE,    /* good to know; costs nothing */
    CHECK_LIMITED, /* something is slower, or done otherwise */
    CHECK_MISSING, /* something is not done at all */
};

enum { CHECKS_MOST = 32, GRANTS_MOST = 5 };

struct check {
    enum check_state state;
    const char *key, *name; /* for programs, for people */
    char *found;
    char *costs; /* NULL: nothing */
    char *grants[GRANTS_MOST];
    size_t grant_count;
};

/* X(name, text): the exit status of `sinter doctor`. */
#define VERDICT_TABLE(X)                                                                                     \
    X(ALL, "packing works and nothing is missing")                                                           \
    X(LIMITS, "packing works, and something else is limited or missing")                                     \
    X(NO_PACKING, "packing is not possible: Sinter is a plain allocator")                                    \
    X(UNKNOWN, "the checks could not be made")

enum verdict {
#define X(name, text) VERDICT_##name,
    VERDICT_TABLE(X)
#undef X
};

struct report {
    char *situation; /* kernel, user, container: a line */
    struct check checks[CHECKS_MOST];
    size_t count;
    bool tried, packs;
    char *packing;      /* the library: a sentence */
    char *runtime_heap; /* and the other one */
    char *process;      /* of the one that was asked about; NULL: of none */
    bool process_lacks; /* it has found that it cannot pack */
};

/* A printf into memory of its own; ends the program if there is none. */
char *doctor_text(const char *format, ...) __attribute__((format(printf, 1, 2), malloc));

struct check *report_add(struct report *report, const char *key, const char *name, enum check_state state,
                         char *found);
void check_costs(struct check *check, enum check_state state, char *costs);
void check_grant(struct check *check, char *line);

enum verdict report_verdict(const struct report *report);

void report_print_text(const struct report *report, FILE *out);
void report_print_json(const struct report *report, FILE *out);

#endif
