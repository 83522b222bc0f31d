#include "command.h"

#include "fatal.h"

#include "sinter/malloc.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
#define X(name, summary) {#name, summary, command_##name},
    COMMAND_TABLE(X)
#undef X
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

const char *argp_program_version = "sinter " SINTER_VERSION_STRING;

/* argp's hook for the part of the help behind \v. The caller frees it. */
static char *list_commands(int key, const char *text, void *unused)
{
    (void)unused;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *list = NULL;
    size_t size;
    FILE *out = open_memstream(&list, &size);
    if (out == NULL)
        return NULL;
    fputs("Commands:\n", out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`sinter COMMAND --help' says more about each.", out);
    fclose(out);
    return list;
}

static int call(const struct command *command, int argc, char **argv)
{
    char *name;
    if (asprintf(&name, "sinter %s", command->name) < 0)
        return STATUS_FAILED;
    argv[0] = name; /* what argp calls the program; in use until the end */
    return command->run(argc, argv);
}

/* What comes from the libraries asks; here are no threads. */
bool fatal_in_own_thread(void)
{
    return false;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_ARG:
        for (int i = 0; i < COMMANDS; i++) {
            if (strcmp(arg, commands[i].name) == 0)
                exit(call(&commands[i], state->argc - state->next + 1, state->argv + state->next - 1));
        }
        argp_error(state, "there is no command '%s'", arg);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    const struct argp argp = {
        .parser = parse,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Runs programs with the compacting allocator Sinter, and looks at those that run.\v",
        .help_filter = list_commands,
    };
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
    return STATUS_USAGE;
}
