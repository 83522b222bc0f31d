#include "command.h"

#include "find.h"
#include "obstacle.h"
#include "preload.h"
#include "run_options.h"

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    char *options;  /* as SINTER_CONF has them; NULL if there are none */
    char **program; /* with its arguments */
};

/* Behind the options that are there already: of two that contradict each other the last counts. */
static bool add_options(const char *options)
{
    const char *old = getenv("SINTER_CONF");
    char *joined;
    if (old == NULL || *old == '\0')
        return setenv("SINTER_CONF", options, 1) == 0;
    if (asprintf(&joined, "%s,%s", old, options) < 0)
        return false;
    bool added = setenv("SINTER_CONF", joined, 1) == 0;
    free(joined);
    return added;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->options;
        return 0;
    case ARGP_KEY_ARG:
        (void)arg;
        arguments->program = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    const struct argp_child children[] = {{.argp = &run_options}, {0}};
    const struct argp argp = {
        .parser = parse,
        .args_doc = "[--] PROGRAM [ARGUMENT...]",
        .doc = "Runs PROGRAM with libsinter.so preloaded. The options are those of SINTER_CONF, and have the "
               "last word over "
               "what it says.\v"
               "The exit status is the program's; 127 if there is no such program, 126 if it cannot be run, "
               "64 for wrong "
               "arguments, 1 if the library is not found.",
        .children = children,
    };
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, arguments);
}

/* The program runs all the same. */
static void warn_without_effect(const char *program)
{
    char *why = preload_obstacle(program);
    if (why != NULL)
        fprintf(stderr, "sinter run: %s %s: it runs without Sinter\n", program, why);
    free(why);
}

int command_run(int argc, char **argv)
{
    struct arguments arguments = {0};
    if (run_options_init() != 0) {
        fprintf(stderr, "sinter run: %s\n", strerror(ENOMEM));
        return STATUS_FAILED;
    }
    parse_arguments(argc, argv, &arguments);
    char *library = find_library("libsinter.so");
    if (library == NULL)
        return STATUS_FAILED;
    if (!preload_add(library) || (arguments.options != NULL && !add_options(arguments.options))) {
        fprintf(stderr, "sinter run: %s\n", strerror(errno));
        return STATUS_FAILED;
    }
    warn_without_effect(arguments.program[0]);
    execvp(arguments.program[0], arguments.program);
    int error = errno;
    fprintf(stderr, "sinter run: %s: %s\n", arguments.program[0], strerror(error));
    return error == ENOENT ? STATUS_NO_PROGRAM : STATUS_NO_RUN;
}
