/*
 * sinter top: processes that run with Sinter, as they change.
 */
#include "clock.h"
#include "command.h"
#include "screen.h"
#include "watched.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 512 };

/* X(name, title, width, value): the columns, in their order. `w` is a struct watched. */
#define COLUMN_TABLE(X)                                                                                      \
    X(RESIDENT, "RESIDENT", BYTES, w->resident)                                                              \
    X(LIVE, "LIVE", BYTES, w->now.allocated)                                                                 \
    X(PACKED, "PACKED", BYTES, w->now.aside + w->now.packed)                                                 \
    X(SAVED, "SAVED", BYTES, w->now.saved)                                                                   \
    X(RETURNED, "RETURNED", BYTES, w->now.purged)                                                            \
    X(OUT, "OUT/s", RATE, WATCHED_RATE(w, moved_out))                                                        \
    X(BACK, "BACK/s", RATE, WATCHED_RATE(w, pages_returned))                                                 \
    X(STALLS, "STALLS/s", RATE, WATCHED_RATE(w, faults))                                                     \
    X(STALL, "P99 us", MICROSECONDS, w->now.stall_p99)                                                       \
    X(CPU, "CPU%", PERCENT, WATCHED_RATE(w, compactor_cpu) / 1e9)

enum form { BYTES, RATE, MICROSECONDS, PERCENT };

struct top {
    struct processes processes; /* none: all */
    double delay;
    unsigned long looks; /* 0: without end */
    bool plain;
    struct watched_list watched;
    pid_t selected; /* whose history is shown; 0: the largest */
};

/* ---- lines ---- */

static void print_bytes(char *text, size_t size, double bytes)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    unsigned unit = 0;
    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, size, "%.*f%s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]);
}

static void print_value(char *text, size_t size, enum form form, double value)
{
    switch (form) {
    case BYTES:
        print_bytes(text, size, value);
        break;
    case RATE:
        snprintf(text, size, "%.0f", value);
        break;
    case MICROSECONDS:
        snprintf(text, size, "%.0f", value / 1e3);
        break;
    case PERCENT:
        snprintf(text, size, "%.1f", value * 100);
        break;
    }
}

static void print_heading(char line[LINE])
{
    int at = snprintf(line, LINE, "%7s %-15s", "PID", "COMMAND");
#define X(name, title, form, value) at += snprintf(line + at, LINE - (size_t)at, " %8s", title);
    COLUMN_TABLE(X)
#undef X
}

static void print_row(char line[LINE], const struct watched *w)
{
    char text[32];
    int at = snprintf(line, LINE, "%7ld %-15.15s", (long)w->peer.pid, w->peer.comm);
#define X(name, title, form, value)                                                                          \
    print_value(text, sizeof(text), form, (double)(value));                                                  \
    at += snprintf(line + at, LINE - (size_t)at, " %8s", text);
    COLUMN_TABLE(X)
#undef X
}

/* Resident memory at the last looks, as many as fit, each a bar of eight heights. */
static void print_history(char *line, size_t size, const struct watched *w, unsigned columns)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    char most_text[32];
    uint64_t most = 1;
    size_t count = w->looks < HISTORY ? w->looks : HISTORY, room = columns > 24 ? columns - 24 : 0;
    if (count > room)
        count = room;
    for (size_t i = w->looks - count; i < w->looks; i++)
        most = w->history[i % HISTORY] > most ? w->history[i % HISTORY] : most;
    print_bytes(most_text, sizeof(most_text), (double)most);
    size_t at = (size_t)snprintf(line, size, "resident, up to %6s ", most_text);
    for (size_t i = w->looks - count; i < w->looks && at + 4 < size; i++) {
        size_t height = (size_t)(w->history[i % HISTORY] * 8 / most);
        at += (size_t)snprintf(line + at, size - at, "%s", bars[height > 7 ? 7 : height]);
    }
}

/* ---- the picture ---- */

static int by_resident(const void *a, const void *b)
{
    const struct watched *left = a, *right = b;
    return (left->resident < right->resident) - (left->resident > right->resident);
}

static size_t selected_row(const struct top *top)
{
    for (size_t i = 0; i < top->watched.count; i++) {
        if (top->watched.list[i].peer.pid == top->selected)
            return i;
    }
    return 0;
}

static void clock_text(char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(text, size, "%H:%M:%S", &local);
}

static void draw(const struct top *top)
{
    char line[LINE], clock[16], history[4 * LINE];
    size_t count = top->watched.count, chosen = selected_row(top);
    clock_text(clock, sizeof(clock));
    screen_begin();
    if (screen_is_live())
        snprintf(line, sizeof(line), "sinter top  %s  %zu process%s   up, down: history of another   q: end",
                 clock, count, count == 1 ? "" : "es");
    else
        snprintf(line, sizeof(line), "%s", clock);
    screen_line(SCREEN_BOLD, line);
    if (screen_is_live() && count > 0) {
        print_history(history, sizeof(history), &top->watched.list[chosen], screen_columns());
        screen_line(SCREEN_NORMAL, history);
    }
    if (count == 0)
        screen_line(SCREEN_NORMAL,
                    "no process that can be looked at has grown so far that Sinter does something for it");
    print_heading(line);
    if (count > 0)
        screen_line(screen_is_live() ? SCREEN_REVERSE : SCREEN_NORMAL, line);
    for (size_t i = 0; i < count; i++) {
        print_row(line, &top->watched.list[i]);
        screen_line(screen_is_live() && count > 1 && i == chosen ? SCREEN_BOLD : SCREEN_NORMAL, line);
    }
    screen_end();
}

/* ---- the loop ---- */

static volatile sig_atomic_t ended;

static void end(int number)
{
    ended = number;
}

static void select_other(struct top *top, int by)
{
    size_t count = top->watched.count, row = selected_row(top);
    if (count > 0)
        top->selected = top->watched.list[(row + count + (size_t)by) % count].peer.pid;
}

/* Until it is time for the next look. */
static void attend_keys(struct top *top)
{
    double next = clock_seconds() + top->delay;
    for (double left; !ended && (left = next - clock_seconds()) > 0;) {
        int key = screen_key((int)(left * 1000) + 1);
        if (key == 'q')
            ended = SIGINT;
        if (key == SCREEN_UP || key == SCREEN_DOWN)
            select_other(top, key == SCREEN_UP ? -1 : 1);
        if (key != SCREEN_NONE && !ended)
            draw(top);
    }
}

static void look(struct top *top)
{
    if (top->processes.count == 0)
        watched_add_all(&top->watched);
    watched_look(&top->watched);
    watched_remove_gone(&top->watched);
    qsort(top->watched.list, top->watched.count, sizeof(top->watched.list[0]), by_resident);
}

static void run(struct top *top)
{
    for (unsigned long n = 0; !ended; n++) {
        look(top);
        if (top->processes.count > 0 && top->watched.count == 0)
            break; /* they have ended */
        draw(top);
        if (top->looks > 0 && n + 1 == top->looks)
            break;
        attend_keys(top);
    }
}

/* ---- arguments ---- */

static double delay(struct argp_state *state, const char *text)
{
    char *rest;
    double value = strtod(text, &rest);
    if (rest == text || *rest != '\0' || !(value >= 0.1 && value <= 3600))
        argp_error(state, "--delay takes 0.1 to 3600 seconds, not '%s'", text);
    return value;
}

static unsigned long looks(struct argp_state *state, const char *text)
{
    char *rest;
    unsigned long value = strtoul(text, &rest, 10);
    if (rest == text || *rest != '\0' || value == 0 || text[0] == '-')
        argp_error(state, "--number takes a number from 1 on, not '%s'", text);
    return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct top *top = state->input;
    pid_t pid;
    switch (key) {
    case 'd':
        top->delay = delay(state, arg);
        return 0;
    case 'n':
        top->looks = looks(state, arg);
        return 0;
    case 'b':
        top->plain = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!peer_parse(arg, &pid) || !processes_add(&top->processes, pid))
            exit(STATUS_USAGE);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_top(int argc, char **argv)
{
    const struct argp_option options[] = {
        {"delay", 'd', "SECONDS", 0, "Time between looks (1)", 0},
        {"number", 'n', "NUMBER", 0, "End after so many looks", 0},
        {"batch", 'b', NULL, 0, "Plain lines, as where standard output is no terminal", 0},
        {0},
    };
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[PID...]",
        .doc =
            "Shows processes that run with Sinter as they change, the largest first."
            "\vRESIDENT is the memory that the process has, LIVE what is in blocks that it holds, PACKED the "
            "pages that are away, SAVED what that saves, RETURNED what was given back to the system so far; "
            "OUT, "
            "BACK and STALLS are pages that left, pages that came back and touches that waited, each a "
            "second; P99 "
            "is what 99 of 100 touches waited less than so far; CPU% is what packing takes of one CPU.",
    };
    struct top top = {.delay = 1};
    struct sigaction action = {.sa_handler = end};
    argp_parse(&argp, argc, argv, 0, NULL, &top);
    if (!watched_add(&top.watched, &top.processes))
        return STATUS_FAILED;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    screen_open(top.plain);
    run(&top);
    screen_close();
    watched_free(&top.watched);
    processes_free(&top.processes);
    return 0;
}
