/*
 * Google Benchmark for benchmarks written in C.
 *
 * A case is a C function that loops while bench_next() says so; one turn of the loop is one iteration. Cases
 * with more than one thread are called once in each; all of them enter and leave the loop together, so thread 0
 * may prepare shared data before it and drop it after it.
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_state;

enum { BENCH_ARGS = 5 };

enum bench_kind {
    BENCH_TIME,     /* time and memory are results; iterates as long as the time asked for */
    BENCH_MEMORY,   /* memory is the result; one iteration */
    BENCH_BASELINE, /* does nothing: what the program itself needs */
    BENCH_PROGRAM,  /* a whole program: one iteration, in real time; one a process */
    BENCH_STEP,     /* times itself, with bench_time(); one iteration */
};

struct bench_case {
    const char *name;
    void (*run)(struct bench_state *state);
    int threads;             /* 1: process CPU time is measured; more: real time */
    size_t args[BENCH_ARGS]; /* what they mean is up to `run` */
    enum bench_kind kind;
    const void *subject; /* as args, for what is no number */
    const char *help;
};

/* True as long as another iteration is wanted; starts the clock at the first call, stops it at the last. */
bool bench_next(struct bench_state *state);

size_t bench_arg(const struct bench_state *state, int index);
const void *bench_subject(const struct bench_state *state);
int bench_thread(const struct bench_state *state); /* 0 to bench_threads() - 1 */
int bench_threads(const struct bench_state *state);

/* What happens between these two, in the loop, is not timed. */
void bench_pause(struct bench_state *state);
void bench_resume(struct bench_state *state);

/* In the loop of a BENCH_STEP: how long this iteration took. */
void bench_time(struct bench_state *state, double seconds);

/* After the loop: how much of what one iteration of this thread did, and other results. */
void bench_items(struct bench_state *state, size_t per_iteration);
void bench_bytes(struct bench_state *state, size_t per_iteration);
void bench_counter(struct bench_state *state, const char *name, double value);

/*
 * Before bench_run(). `arg_names`: what its arguments are called, NULL behind the last, to become part of the case's name;
 * none: that says it all. bench_set_arg() goes before whatever a case has there.
 */
void bench_context(const char *key, const char *value);
void bench_set_arg(int index, size_t value);
void bench_register(const struct bench_case *benchmark, const char *const *arg_names);

/* Runs what is registered, with Google Benchmark's options. Returns the exit status. */
int bench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
