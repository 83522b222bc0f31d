#include "trial.h"

#include "clock.h"
#include "peer.h"
#include "preload.h"
#include "tree_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLE_MS = 100,
    SAMPLE_SHARE = 20, /* at most 1/20 of the time goes into looking */
    GRACE_S = 10,      /* between SIGTERM and SIGKILL */
};

struct running {
    const struct trial_plan *plan;
    struct trial *trial;
    double started_at;
    pid_t program, load; /* 0: does not run */
    double ready_at, load_ended_at;
    double next_sample_at;
    double told_at; /* when it was asked to end; 0: not yet */
    bool has_peer;  /* it runs with Sinter, and has grown so far that it tells its figures */
    struct peer peer;
};

static double at(const struct running *running)
{
    return clock_seconds() - running->started_at;
}

/* ---- starting ---- */

/* In the child: what the program reads and writes. A file as standard input is read from its start again. */
static void arrange_files(bool show)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (lseek(0, 0, SEEK_SET) < 0)
        dup2(null, 0);
    if (!show)
        dup2(null, 1);
}

/* In the child, to the parent, who sees the end of the pipe if all went well. */
static void report_errno(int pipe_end)
{
    int number = errno;
    ssize_t unused = write(pipe_end, &number, sizeof(number));
    (void)unused;
    _exit(127);
}

/* 0 and the process, or a positive errno value. */
static int start(char **program, const char *preload, bool show, pid_t *pid)
{
    int ends[2], number = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    *pid = fork();
    if (*pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0); /* Ctrl-C is for us, who then end it */
        arrange_files(show);
        if (preload != NULL && !preload_add(preload))
            report_errno(ends[1]);
        execvp(program[0], program);
        report_errno(ends[1]);
    }
    close(ends[1]);
    if (*pid < 0)
        number = errno;
    else if (read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
        waitpid(*pid, NULL, 0);
    else
        number = 0;
    close(ends[0]);
    return number;
}

static void start_load(struct running *running)
{
    char name[] = "/bin/sh", option[] = "-c", pid[32];
    char *shell[] = {name, option, running->plan->load, NULL};
    snprintf(pid, sizeof(pid), "%d", (int)running->program);
    setenv("PROGRAM_PID", pid, 1);
    running->ready_at = at(running);
    int number = start(shell, NULL, running->plan->show, &running->load);
    if (number != 0) {
        fprintf(stderr, "sinter report: the load cannot be started: %s\n", strerror(number));
        running->load = 0;
        running->trial->load_status = 127 << 8;
        running->load_ended_at = at(running);
    }
}

/* ---- watching ---- */

static bool add_sample(struct trial *trial, double when, uint64_t bytes)
{
    if ((trial->samples_count & (trial->samples_count - 1)) == 0) {
        size_t room = trial->samples_count == 0 ? 1 : 2 * trial->samples_count;
        void *samples = reallocarray(trial->samples, room, sizeof(*trial->samples));
        if (samples == NULL)
            return false;
        trial->samples = samples;
    }
    trial->samples[trial->samples_count++] = (struct plot_point){when, bytes};
    if (bytes > trial->peak)
        trial->peak = bytes;
    return true;
}

static void look(struct running *running)
{
    double before = at(running);
    uint64_t bytes = tree_memory(running->program);
    double took = at(running) - before, pause = took * SAMPLE_SHARE;
    if (!running->has_peer)
        running->has_peer = peer_open(&running->peer, running->program, true) == 0;
    running->peer.quiet = true;
    if (bytes > 0)
        add_sample(running->trial, before, bytes);
    running->next_sample_at = at(running) + (pause > SAMPLE_MS / 1e3 ? pause : SAMPLE_MS / 1e3);
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The median of the last second. */
static uint64_t settled(const struct trial *trial)
{
    enum { MOST = 1000 / SAMPLE_MS };
    uint64_t last[MOST];
    size_t count = 0;
    for (size_t i = trial->samples_count; i > 0 && count < MOST; i--)
        last[count++] = trial->samples[i - 1].bytes;
    if (count == 0)
        return 0;
    qsort(last, count, sizeof(last[0]), by_size);
    return last[count / 2];
}

/* ---- ending ---- */

/* The page outlives the process. */
static void keep_stats(struct running *running)
{
    double age;
    if (!running->has_peer)
        return;
    running->trial->has_stats = peer_report(&running->peer, &running->trial->stats, &age);
    peer_close(&running->peer);
}

static void collect_load(struct running *running)
{
    int status;
    if (running->load == 0 || waitpid(running->load, &status, WNOHANG) != running->load)
        return;
    running->load = 0;
    running->load_ended_at = at(running);
    running->trial->load_status = status;
    running->trial->work_s = running->load_ended_at - running->ready_at;
}

static bool collect_program(struct running *running)
{
    struct rusage usage;
    struct trial *trial = running->trial;
    if (wait4(running->program, &trial->status, WNOHANG, &usage) != running->program)
        return false;
    trial->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (running->plan->load == NULL)
        trial->work_s = at(running);
    return true;
}

/* Is it time for the program to end? */
static bool is_over(const struct running *running)
{
    const struct trial_plan *plan = running->plan;
    if (plan->longest_s > 0 && at(running) > plan->longest_s && (plan->load == NULL || running->load != 0))
        return true;
    return running->load_ended_at > 0 && at(running) > running->load_ended_at + plan->idle_s;
}

static void end(struct running *running)
{
    if (running->told_at == 0) {
        running->told_at = at(running);
        running->trial->ended = true;
        if (running->has_peer) /* figures of now */
            peer_call(&running->peer, CONTROL_REFRESH, 0, NULL, 2);
        if (running->load != 0)
            kill(-running->load, SIGTERM);
        kill(running->program, SIGTERM);
    } else if (at(running) > running->told_at + GRACE_S) {
        kill(-running->program, SIGKILL);
    }
}

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    interrupted = number;
}

static void step(struct running *running)
{
    const struct trial_plan *plan = running->plan;
    if (running->told_at == 0 && at(running) >= running->next_sample_at)
        look(running);
    if (plan->load != NULL && running->ready_at == 0 && at(running) >= plan->ready_s)
        start_load(running);
    collect_load(running);
    if (running->told_at != 0 || interrupted || is_over(running))
        end(running);
    poll(NULL, 0, SAMPLE_MS / 10);
}

static void watch(struct running *running)
{
    struct sigaction action = {.sa_handler = note_interrupt}, old_int, old_term;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    while (!collect_program(running))
        step(running);
    keep_stats(running);
    if (running->load != 0) { /* the program ended before its load */
        kill(-running->load, SIGTERM);
        waitpid(running->load, &running->trial->load_status, 0);
    }
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
}

bool trial_run(const struct trial_plan *plan, struct trial *trial)
{
    *trial = (struct trial){0};
    struct running running = {.plan = plan, .trial = trial, .started_at = clock_seconds()};
    int number = start(plan->program, plan->preload, plan->show, &running.program);
    if (number != 0) {
        fprintf(stderr, "sinter report: %s: %s\n", plan->program[0], strerror(number));
        return false;
    }
    watch(&running);
    trial->settled = settled(trial);
    if (interrupted) {
        fprintf(stderr, "sinter report: interrupted\n");
        return false;
    }
    if (trial->samples_count == 0) {
        fprintf(stderr, "sinter report: %s ended before it could be looked at\n", plan->program[0]);
        return false;
    }
    return true;
}
