#include "command.h"

#include "find.h"
#include "preload.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static error_t parse(int key, char *arg, struct argp_state *state)
{
    char ***program = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        (void)arg;
        *program = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_run(int argc, char **argv)
{
    const struct argp argp = {
        .parser = parse,
        .args_doc = "[--] PROGRAM [ARGUMENT...]",
        .doc = "Runs PROGRAM with libsinter.so preloaded.",
    };
    char **program = NULL;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &program);
    char *library = find_library("libsinter.so");
    if (library == NULL)
        return STATUS_FAILED;
    if (!preload_add(library)) {
        fprintf(stderr, "sinter run: %s\n", strerror(errno));
        return STATUS_FAILED;
    }
    execvp(program[0], program);
    fprintf(stderr, "sinter run: %s: %s\n", program[0], strerror(errno));
    return errno == ENOENT ? STATUS_NO_PROGRAM : STATUS_NO_RUN;
}
