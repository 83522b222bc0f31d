/*
 * The subcommands. Each is one function, in a file of its own, that reads its arguments with argp and returns the
 * exit status.
 */
#ifndef SINTER_COMMAND_H
#define SINTER_COMMAND_H

/*
 * X(name, summary): `sinter name` calls command_name(argc, argv), argv[0] being "sinter name". The order is that of
 * the help.
 */
#define COMMAND_TABLE(X)                                                                                     \
    X(run, "run a program with Sinter as its allocator")                                                     \
    X(doctor, "say what this machine lacks for Sinter and how it is granted")                                \
    X(report, "run a program with Sinter and with jemalloc, and compare")                                    \
    X(top, "show processes that use Sinter as they change")                                                  \
    X(stat, "print what the allocator of a process holds and does")                                          \
    X(compact, "have a process give back all memory that it can")                                            \
    X(restore, "have a process bring every packed page back")                                                \
    X(option, "print or change options of a process")                                                        \
    X(map, "print what the pages of a process's heap are used for")                                          \
    X(symbolize, "add functions and source lines to guard mode's reports")

#define X(name, summary) int command_##name(int argc, char **argv);
COMMAND_TABLE(X)
#undef X

/* Exit statuses beside 0. A program that is run gives its own, the doctor those of doctor_report.h. */
enum {
    STATUS_FAILED = 1,   /* what was asked for could not be done; a line on stderr says why */
    STATUS_USAGE = 64,   /* wrong arguments, as argp's */
    STATUS_NO_RUN = 126, /* `sinter run`: the program is there and cannot be run, as in a shell */
    STATUS_NO_PROGRAM = 127,
};

#endif
