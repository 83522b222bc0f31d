#include "command.h"

#include "peer.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The two subcommands that have a process do something and wait for its end. */

enum { TIMEOUT = 't', TIMEOUT_S = 60 };

struct wanted {
    pid_t pid;
    int seconds;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct wanted *wanted = state->input;
    char *end;
    switch (key) {
    case TIMEOUT:
        wanted->seconds = (int)strtol(arg, &end, 10);
        if (*arg == '\0' || *end != '\0' || wanted->seconds < 1)
            argp_error(state, "'%s' is not a number of seconds", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (wanted->pid != 0)
            argp_usage(state);
        if (!peer_parse(arg, &wanted->pid))
            exit(STATUS_USAGE);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_size(const char *before, size_t bytes, const char *after)
{
    printf("%s%.1f MiB%s", before, (double)bytes / (1 << 20), after);
}

static int ask(int argc, char **argv, const char *doc, enum control_command command)
{
    const struct argp_option options[] = {
        {"timeout", TIMEOUT, "SECONDS", 0, "Wait so long at most (60)", 0},
        {0},
    };
    const struct argp argp = {.options = options, .parser = parse, .args_doc = "PID", .doc = doc};
    struct wanted wanted = {.seconds = TIMEOUT_S};
    struct peer peer;
    argp_parse(&argp, argc, argv, 0, NULL, &wanted);
    if (peer_open(&peer, wanted.pid, false) != 0)
        return STATUS_FAILED;
    size_t before = peer_resident(&peer);
    int result = peer_call(&peer, command, 0, NULL, wanted.seconds);
    size_t after = peer_resident(&peer);
    if (result > 0) /* what is free has been given back all the same */
        fprintf(stderr, "sinter: process %ld cannot pack pages: %s; `sinter stat %ld' says why\n",
                (long)peer.pid, strerror(result), (long)peer.pid);
    if (result >= 0) {
        printf("%ld (%s): ", (long)peer.pid, peer.comm);
        print_size("", before, " resident before");
        print_size(", ", after, " after\n");
    }
    peer_close(&peer);
    return result == 0 ? 0 : STATUS_FAILED;
}

int command_compact(int argc, char **argv)
{
    return ask(argc, argv,
               "Has a process give back all memory that it can: free memory, and sparse pages, which are "
               "packed.\vPages come "
               "back when they are touched. Prints the process's resident memory before and after.",
               CONTROL_COMPACT);
}

int command_restore(int argc, char **argv)
{
    return ask(argc, argv,
               "Has a process bring every packed page back, so that a debugger or a core dump sees them, and "
               "pack no more.\vIt "
               "packs again after `sinter compact'. Prints the process's resident memory before and after.",
               CONTROL_RESTORE);
}
