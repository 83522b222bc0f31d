#include "doctor.h"

#include "command.h"
#include "peer.h"

#include <argp.h>
#include <pwd.h>
#include <stdlib.h>

enum { KEY_JSON = 'j' };

struct question {
    bool json;
    pid_t process; /* 0: none */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct question *question = state->input;
    switch (key) {
    case KEY_JSON:
        question->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (question->process != 0)
            argp_usage(state);
        if (!peer_parse(arg, &question->process))
            exit(STATUS_USAGE);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* argp's hook for the part of the help behind \v. The caller frees it. */
static char *list_statuses(int key, const char *text, void *unused)
{
    (void)unused;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    static const char *const texts[] = {
#define X(name, text) text,
        VERDICT_TABLE(X)
#undef X
    };
    return doctor_text("Exit status:\n  %d  %s\n  %d  %s\n  %d  %s\n  %d  %s\n  %d  wrong arguments",
                       VERDICT_ALL, texts[VERDICT_ALL], VERDICT_LIMITS, texts[VERDICT_LIMITS],
                       VERDICT_NO_PACKING, texts[VERDICT_NO_PACKING], VERDICT_UNKNOWN, texts[VERDICT_UNKNOWN],
                       STATUS_USAGE);
}

static char *describe(const struct host *host)
{
    const struct passwd *user = getpwuid(host->user);
    const char *name = user != NULL ? user->pw_name : NULL;
    char *number = doctor_text("%u", (unsigned)host->user);
    const char *place = host->service[0] != '\0' ? host->service : host_container_text(host->container);
    char *line = doctor_text("Linux %s on %s; user %s%s%s; %s", host->kernel.release, host->kernel.machine,
                             name != NULL ? name : number, host->may_ptrace ? " with CAP_SYS_PTRACE" : "",
                             host->user_namespace ? " of a user namespace" : "", place);
    free(number);
    return line;
}

int command_doctor(int argc, char **argv)
{
    const struct argp_option options[] = {{.name = "json", .key = KEY_JSON, .doc = "print one JSON object"},
                                          {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[PID]",
        .doc = "Tries what this machine offers to a program of this user: what is missing, what that costs, "
               "and the line that grants it. "
               "Of a process PID, it says what the process found, and where its situation is another.\v",
        .help_filter = list_statuses,
    };
    struct question question = {0};
    static struct report report;
    struct host host;
    argp_parse(&argp, argc, argv, 0, NULL, &question);
    host_look(&host);
    report.situation = describe(&host);
    doctor_kernel(&report, &host);
    doctor_pages(&report, &host);
    doctor_limits(&report, &host);
    if (question.process != 0 && !doctor_process(&report, &host, question.process))
        return VERDICT_UNKNOWN;
    if (question.json)
        report_print_json(&report, stdout);
    else
        report_print_text(&report, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return VERDICT_UNKNOWN;
    return (int)report_verdict(&report);
}
