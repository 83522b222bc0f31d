#include "command.h"

#include "conf.h"
#include "peer.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_S = 5 };

struct wanted {
    pid_t pid;
    const char *key, *value;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct wanted *wanted = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num == 0 && !peer_parse(arg, &wanted->pid))
            exit(STATUS_USAGE);
        if (state->arg_num == 1)
            wanted->key = arg;
        if (state->arg_num == 2)
            wanted->value = arg;
        if (state->arg_num > 2)
            argp_usage(state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int failed(const struct wanted *wanted, int error)
{
    const char *key = wanted->key;
    if (error == ENOENT)
        fprintf(stderr, "sinter: there is no option '%s'\n", key);
    else if (error == EPERM)
        fprintf(stderr, "sinter: the option '%s' can be given at start only\n", key);
    else if (error == EINVAL)
        fprintf(stderr, "sinter: bad value '%s' for option '%s'\n", wanted->value, key);
    else if (error > 0)
        fprintf(stderr, "sinter: option '%s': %s\n", key, strerror(error));
    return STATUS_FAILED;
}

static int print_option(struct peer *peer, const struct wanted *wanted)
{
    char text[CONTROL_TEXT] = "", value[CONTROL_WINDOW];
    snprintf(text, sizeof(text), "%s", wanted->key);
    int error = peer_call(peer, CONTROL_OPTION_GET, 0, text, ANSWER_S);
    if (error != 0)
        return failed(wanted, error);
    size_t length = peer_window(peer, value, sizeof(value));
    printf("%s:%.*s\n", wanted->key, (int)length, value);
    return 0;
}

static int print_options(struct peer *peer, struct wanted *wanted)
{
    static const char *const keys[] = {
#define X(name, ...) #name,
        CONF_TABLE(X)
#undef X
    };
    int status = 0;
    for (size_t i = 0; i < ARRAY_LEN(keys) && status == 0; i++) {
        wanted->key = keys[i];
        status = print_option(peer, wanted);
    }
    return status;
}

static int set_option(struct peer *peer, const struct wanted *wanted)
{
    char text[CONTROL_TEXT] = "";
    size_t key = strlen(wanted->key) + 1, value = strlen(wanted->value) + 1;
    if (key + value > sizeof(text))
        return failed(wanted, EINVAL);
    memcpy(text, wanted->key, key);
    memcpy(text + key, wanted->value, value);
    int error = peer_call(peer, CONTROL_OPTION_SET, 0, text, ANSWER_S);
    return error != 0 ? failed(wanted, error) : 0;
}

int command_option(int argc, char **argv)
{
    const struct argp argp = {
        .parser = parse,
        .args_doc = "PID [KEY [VALUE]]",
        .doc = "Prints the options of a running process, or one of them, or changes it.\vThe options are "
               "those of the variable "
               "SINTER_CONF; some can be given at start only.",
    };
    struct wanted wanted = {0};
    struct peer peer;
    argp_parse(&argp, argc, argv, 0, NULL, &wanted);
    if (peer_open(&peer, wanted.pid, false) != 0)
        return STATUS_FAILED;
    int status = wanted.value != NULL ? set_option(&peer, &wanted)
                 : wanted.key != NULL ? print_option(&peer, &wanted)
                                      : print_options(&peer, &wanted);
    peer_close(&peer);
    return status;
}
