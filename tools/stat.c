#include "command.h"

#include "peer.h"
#include "processes.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_S = 5, ALL = 'a', JSON = 'j', PROMETHEUS = 'p' };
enum form { FORM_TEXT, FORM_JSON, FORM_PROMETHEUS };

struct wanted {
    bool all;
    enum form form;
    struct processes processes;
};

/* What was read of one process. */
struct reading {
    pid_t pid;
    char comm[32];
    struct stats_report report;
};

struct readings {
    struct reading *list;
    size_t count;
    bool failed;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct wanted *wanted = state->input;
    pid_t pid;
    switch (key) {
    case ALL:
        wanted->all = true;
        return 0;
    case JSON:
        wanted->form = FORM_JSON;
        return 0;
    case PROMETHEUS:
        wanted->form = FORM_PROMETHEUS;
        return 0;
    case ARGP_KEY_ARG:
        if (!peer_parse(arg, &pid) || !processes_add(&wanted->processes, pid))
            exit(STATUS_USAGE);
        return 0;
    case ARGP_KEY_END:
        if (wanted->all == (wanted->processes.count > 0))
            argp_error(state, "either the numbers of processes or --all");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One that does not answer has left the figures of when it did so last. */
static bool read_peer(struct peer *peer, struct reading *reading)
{
    double age;
    int result = peer_call(peer, CONTROL_REFRESH, 0, NULL, ANSWER_S);
    reading->pid = peer->pid;
    snprintf(reading->comm, sizeof(reading->comm), "%s", peer->comm);
    if (!peer_report(peer, &reading->report, &age))
        return false;
    if (result != 0)
        fprintf(stderr, "sinter: process %ld: these figures are %.0f seconds old\n", (long)peer->pid, age);
    return true;
}

static struct readings read_all(const struct wanted *wanted)
{
    struct readings all = {.list = calloc(wanted->processes.count, sizeof(struct reading))};
    for (size_t i = 0; i < wanted->processes.count && all.list != NULL; i++) {
        struct peer peer;
        bool open = peer_open(&peer, wanted->processes.pids[i], wanted->all) == 0;
        if (open && read_peer(&peer, &all.list[all.count]))
            all.count++;
        else if (open || !wanted->all)
            all.failed = true;
        if (open)
            peer_close(&peer);
    }
    return all;
}

/* ---- forms ---- */

static bool print_reports(const struct readings *all,
                          void (*form)(struct fmt *f, const struct stats_report *report))
{
    static char buffer[1024];
    struct fmt f;
    fmt_to_fd(&f, STDOUT_FILENO, buffer, sizeof(buffer));
    for (size_t i = 0; i < all->count; i++) {
        struct stats_report *report = &all->list[i].report;
        report->process =
            (uint32_t)all->list[i].pid; /* as it is known here, if the process is in a namespace */
        form(&f, report);
    }
    return fmt_flush(&f) == 0;
}

static const char *const suffixes[][2] = {
    [STATS_BYTES] = {"_bytes", "_bytes_total"},
    [STATS_NUMBER] = {"", "_total"},
    [STATS_NANOSECONDS] = {"_seconds", "_seconds_total"},
};

static void print_sample(const struct reading *reading, const struct stats_field *field, const char *suffix)
{
    uint64_t value = stats_value(&reading->report.totals, field);
    printf("sinter_%s%s{pid=\"%ld\",comm=\"%s\"} ", field->name, suffix, (long)reading->pid, reading->comm);
    if (field->unit == STATS_NANOSECONDS)
        printf("%.9f\n", (double)value / 1e9);
    else
        printf("%lu\n", value);
}

/* The text format: all samples of a metric stand together. */
static bool print_prometheus(const struct readings *all)
{
    for (size_t i = 0; i < STATS_FIELDS; i++) {
        const struct stats_field *field = &stats_fields[i];
        const char *suffix = suffixes[field->unit][field->kind];
        printf("# HELP sinter_%s%s %s\n", field->name, suffix, field->help);
        printf("# TYPE sinter_%s%s %s\n", field->name, suffix,
               field->kind == STATS_COUNTER ? "counter" : "gauge");
        for (size_t k = 0; k < all->count; k++)
            print_sample(&all->list[k], field, suffix);
    }
    return fflush(stdout) == 0;
}

int command_stat(int argc, char **argv)
{
    const struct argp_option options[] = {
        {"all", ALL, NULL, 0, "Every process that runs with Sinter and that you may look at", 0},
        {"json", JSON, NULL, 0, "A JSON object a process, on a line of its own", 0},
        {"prometheus", PROMETHEUS, NULL, 0, "The text format that Prometheus reads", 0},
        {0},
    };
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PID...\n--all",
        .doc = "Prints what the allocator of running processes holds and does.\vA process that does not "
               "answer within 5 "
               "seconds, because it is stopped for instance, is printed as it was when it wrote its figures "
               "down last; a line "
               "on stderr says so.",
    };
    struct wanted wanted = {.form = FORM_TEXT};
    argp_parse(&argp, argc, argv, 0, NULL, &wanted);
    if (wanted.all) {
        processes_add_all(&wanted.processes);
        peer_clean();
    }
    struct readings all = read_all(&wanted);
    bool printed =
        wanted.form == FORM_PROMETHEUS
            ? print_prometheus(&all)
            : print_reports(&all, wanted.form == FORM_JSON ? stats_report_json : stats_report_text);
    if (!printed)
        fprintf(stderr, "sinter: the figures cannot be written\n");
    free(all.list);
    processes_free(&wanted.processes);
    return all.failed || !printed ? STATUS_FAILED : 0;
}
