/*
 * sinter report: a program under Sinter and under another allocator, side by side.
 */
#include "command.h"
#include "find.h"
#include "plot.h"
#include "trial.h"

#include <argp.h>
#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_MOST = 20, CONTESTANTS = 2, OTHER = 0, SINTER = 1 };

struct contestant {
    const char *name;
    char *preload; /* NULL: the C library's allocator */
    struct trial trials[ROUNDS_MOST];
};

struct report {
    struct trial_plan plan;
    const char *against, *picture;
    unsigned rounds;
    struct contestant contestants[CONTESTANTS];
};

/* ---- what is compared with ---- */

static const struct {
    const char *name, *file;
} known_allocators[] = {
    {"jemalloc", "libjemalloc.so.2"},
    {"mimalloc", "libmimalloc.so.2*"},
    {"tcmalloc", "libtcmalloc_minimal.so.4"},
};

/* The path of the first file of this name where libraries are; the caller frees it. */
static char *find_installed(const char *file)
{
    static const char *const directories[] = {"/usr/local/lib", "/usr/lib/*-linux-gnu", "/usr/lib64",
                                              "/usr/lib"};
    char *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof(directories) / sizeof(directories[0]); i++) {
        char pattern[256];
        glob_t matches;
        snprintf(pattern, sizeof(pattern), "%s/%s", directories[i], file);
        if (glob(pattern, 0, NULL, &matches) == 0)
            found = strdup(matches.gl_pathv[0]);
        globfree(&matches);
    }
    return found;
}

/* The option's words: system, a known name, or a path; NULL: jemalloc, or else the system's. */
static bool choose_other(const char *against, struct contestant *other)
{
    *other = (struct contestant){.name = "system"};
    if (against != NULL && strcmp(against, "system") == 0)
        return true;
    for (size_t i = 0; i < sizeof(known_allocators) / sizeof(known_allocators[0]); i++) {
        if (strcmp(against != NULL ? against : "jemalloc", known_allocators[i].name) != 0)
            continue;
        other->preload = find_installed(known_allocators[i].file);
        if (other->preload != NULL) {
            other->name = known_allocators[i].name;
            return true;
        }
        if (against == NULL) {
            fputs("sinter report: jemalloc (libjemalloc2) is not installed; compared with the C library's "
                  "malloc\n",
                  stderr);
            return true;
        }
        fprintf(stderr, "sinter report: %s (%s) is not installed\n", against, known_allocators[i].file);
        return false;
    }
    if (strchr(against, '/') == NULL || access(against, R_OK) != 0) {
        fprintf(stderr, "sinter report: --against %s: neither a known allocator nor a readable file\n",
                against);
        return false;
    }
    other->name = strrchr(against, '/') + 1;
    other->preload = strdup(against);
    return other->preload != NULL;
}

/* ---- the table ---- */

typedef double (*measure)(const struct trial *trial);

static double peak(const struct trial *trial)
{
    return (double)trial->peak / (1 << 20);
}

static double settled(const struct trial *trial)
{
    return (double)trial->settled / (1 << 20);
}

static double work(const struct trial *trial)
{
    return trial->work_s;
}

static double cpu(const struct trial *trial)
{
    return trial->cpu_s;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), by_value);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double median_of(const struct contestant *contestant, unsigned rounds, measure of)
{
    double values[ROUNDS_MOST];
    for (unsigned i = 0; i < rounds; i++)
        values[i] = of(&contestant->trials[i]);
    return median(values, rounds);
}

/* Formed within each round: both have met the same machine then. */
static double median_ratio(const struct report *report, measure of)
{
    double values[ROUNDS_MOST];
    for (unsigned i = 0; i < report->rounds; i++)
        values[i] = of(&report->contestants[SINTER].trials[i]) / of(&report->contestants[OTHER].trials[i]);
    return median(values, report->rounds);
}

static void print_row(const struct report *report, const char *title, const char *unit, measure of)
{
    double ratio = median_ratio(report, of);
    printf("%-18s", title);
    for (int i = 0; i < CONTESTANTS; i++)
        printf(" %10.1f %-3s", median_of(&report->contestants[i], report->rounds, of), unit);
    if (isfinite(ratio))
        printf(" %+7.0f %%", (ratio - 1) * 100);
    putchar('\n');
}

static void print_stalls(const struct trial *trial)
{
    const struct sinter_stats *stats = &trial->stats.totals;
    if (!trial->has_stats)
        puts("\nThe program has not grown so far that Sinter's background thread was needed.");
    else if (stats->compactor == 2)
        printf("\nPages could not be packed: %s.\n`sinter doctor', run by the user that the program runs as, "
               "says how it is granted.\n",
               trial->stats.lack);
    else if (stats->faults == 0)
        printf("\nSinter: %.1f MiB packed; nothing of it was touched.\n", (double)stats->packed / (1 << 20));
    else
        printf("\nSinter: %.1f MiB packed; %llu touches of packed pages waited %.0f us (median), %.0f us "
               "(p99), %.0f us "
               "(worst).\n",
               (double)stats->packed / (1 << 20), (unsigned long long)stats->faults,
               (double)stats->stall_p50 / 1e3, (double)stats->stall_p99 / 1e3,
               (double)stats->stall_max / 1e3);
}

static void print_table(const struct report *report)
{
    printf("%-18s %14s %14s %9s\n", "", report->contestants[OTHER].name, "Sinter", "");
    print_row(report, "peak memory", "MiB", peak);
    print_row(report, "settled memory", "MiB", settled);
    print_row(report, report->plan.load != NULL ? "time of the load" : "time", "s", work);
    print_row(report, "CPU time", "s", cpu);
    print_stalls(&report->contestants[SINTER].trials[report->rounds - 1]);
}

/* ---- the picture ---- */

static unsigned terminal_columns(void)
{
    struct winsize size;
    if (ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col >= 60)
        return size.ws_col < 120 ? size.ws_col : 120;
    return 100;
}

/* Of the last round. False if the file that was asked for could not be drawn. */
static bool draw(const struct report *report)
{
    struct plot_curve curves[CONTESTANTS];
    char title[128];
    for (int i = 0; i < CONTESTANTS; i++) {
        const struct trial *trial = &report->contestants[i].trials[report->rounds - 1];
        curves[i] = (struct plot_curve){i == SINTER ? "Sinter" : report->contestants[i].name, trial->samples,
                                        trial->samples_count};
    }
    const char *slash = strrchr(report->plan.program[0], '/');
    snprintf(title, sizeof(title), "resident memory of %s",
             slash != NULL ? slash + 1 : report->plan.program[0]);
    if (report->picture == NULL) {
        putchar('\n');
        if (!plot_draw(NULL, terminal_columns(), title, curves, CONTESTANTS))
            puts("(With gnuplot installed, there would be a picture here.)");
        return true;
    }
    if (plot_draw(report->picture, 0, title, curves, CONTESTANTS)) {
        printf("\nThe picture is in %s.\n", report->picture);
        return true;
    }
    fprintf(stderr,
            "sinter report: %s cannot be drawn: is gnuplot (gnuplot-nox) installed, and the directory "
            "writable?\n",
            report->picture);
    return false;
}

/* ---- running ---- */

/* Did it end as it was to? What is said about it once is not said again for the other. */
static bool went_well(const struct trial *trial, const char *name)
{
    if (trial->load_status != 0)
        fprintf(stderr, "sinter report: with %s, the load ended with status %d\n", name,
                WIFEXITED(trial->load_status) ? WEXITSTATUS(trial->load_status)
                                              : 128 + WTERMSIG(trial->load_status));
    if (WIFSIGNALED(trial->status) && !trial->ended)
        fprintf(stderr, "sinter report: with %s, the program died of signal %d (%s)\n", name,
                WTERMSIG(trial->status), strsignal(WTERMSIG(trial->status)));
    else if (WIFEXITED(trial->status) && WEXITSTATUS(trial->status) != 0 && !trial->ended)
        fprintf(stderr, "sinter report: with %s, the program ended with status %d\n", name,
                WEXITSTATUS(trial->status));
    else
        return trial->load_status == 0;
    return false;
}

static bool run_round(struct report *report, unsigned round, bool *well)
{
    for (int turn = 0; turn < CONTESTANTS; turn++) {
        struct contestant *contestant = &report->contestants[(turn + (int)round) % CONTESTANTS];
        fprintf(stderr, "round %u of %u: %s ...\n", round + 1, report->rounds, contestant->name);
        report->plan.preload = contestant->preload;
        if (!trial_run(&report->plan, &contestant->trials[round]))
            return false;
        *well &= went_well(&contestant->trials[round], contestant->name);
    }
    return true;
}

/* ---- arguments ---- */

enum { KEY_READY = 256, KEY_SHOW };

static const struct argp_option argp_options[] = {
    {"load", 'l', "COMMAND", 0,
     "shell command that gives a server its work; it finds the server's pid in PROGRAM_PID. When it ends, "
     "the "
     "server is left idle, and then told to end",
     0},
    {"ready", KEY_READY, "SECONDS", 0, "time the server has before its load comes (2)", 0},
    {"idle", 'i', "SECONDS", 0, "time it is left idle after its load (20)", 0},
    {"for", 'f', "SECONDS", 0, "end the program, or its load, after this time", 0},
    {"rounds", 'r', "NUMBER", 0, "runs with each allocator, in turns; medians are shown (1)", 0},
    {"against", 'a', "ALLOCATOR", 0,
     "jemalloc, mimalloc, tcmalloc, system or the path of a library (jemalloc if installed)", 0},
    {"output", 'o', "FILE", 0, "draw memory over time to FILE, .png or .svg, instead of in characters", 0},
    {"show", KEY_SHOW, NULL, 0, "show the program's standard output", 0},
    {0},
};

static double seconds(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1e6))
        argp_error(state, "--%s takes seconds, not '%s'", option, text);
    return value;
}

static unsigned rounds(struct argp_state *state, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > ROUNDS_MOST)
        argp_error(state, "--rounds takes a number from 1 to %d, not '%s'", ROUNDS_MOST, text);
    return (unsigned)value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct report *report = state->input;
    struct trial_plan *plan = &report->plan;
    switch (key) {
    case 'l':
        plan->load = arg;
        return 0;
    case KEY_READY:
        plan->ready_s = seconds(state, "ready", arg);
        return 0;
    case 'i':
        plan->idle_s = seconds(state, "idle", arg);
        return 0;
    case 'f':
        plan->longest_s = seconds(state, "for", arg);
        return 0;
    case 'r':
        report->rounds = rounds(state, arg);
        return 0;
    case 'a':
        report->against = arg;
        return 0;
    case 'o':
        if (!plot_knows(arg))
            argp_error(state, "--output takes a name that ends in .png or .svg, not '%s'", arg);
        report->picture = arg;
        return 0;
    case KEY_SHOW:
        plan->show = true;
        return 0;
    case ARGP_KEY_ARG:
        plan->program = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_report(int argc, char **argv)
{
    const struct argp argp = {
        .options = argp_options,
        .parser = parse,
        .args_doc = "[--] PROGRAM [ARGUMENT...]",
        .doc = "Runs PROGRAM with Sinter and with another allocator, in turns, and prints what it would "
               "gain: memory at "
               "its peak and at the end, time, and how long it waited for packed pages."
               "\vMemory is that of the program and all its children, shared pages in parts. Standard input "
               "is read "
               "again from the start for each run if it is a file. Ends with 0 if all runs did; 1 if a run "
               "could not "
               "be made or ended in failure.",
    };
    struct report report = {.plan = {.ready_s = 2, .idle_s = 20}, .rounds = 1};
    bool well = true;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &report);
    report.contestants[SINTER] =
        (struct contestant){.name = "Sinter", .preload = find_library("libsinter.so")};
    if (report.contestants[SINTER].preload == NULL ||
        !choose_other(report.against, &report.contestants[OTHER]))
        return STATUS_FAILED;
    for (unsigned round = 0; round < report.rounds; round++) {
        if (!run_round(&report, round, &well))
            return STATUS_FAILED;
    }
    print_table(&report);
    well &= draw(&report);
    return well ? 0 : STATUS_FAILED;
}
