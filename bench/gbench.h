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

enum bench_kind {
    BENCH_TIME,     /* time and memory are results; iterates as long as the time asked for */
    BENCH_MEMORY,   /* memory is the result; one iteration */
    BENCH_BASELINE, /* does nothing: what the program itself needs */
};

struct bench_case {
    const char *name;
    void (*run)(struct bench_state *state);
    int threads;    /* 1: process CPU time is measured; more: real time */
    size_t args[2]; /* what they mean is up to `run` */
    enum bench_kind kind;
};

/* True as long as another iteration is wanted; starts the clock at the first call, stops it at the last. */
bool bench_next(struct bench_state *state);

size_t bench_arg(const struct bench_state *state, int index);
int bench_thread(const struct bench_state *state); /* 0 to bench_threads() - 1 */
int bench_threads(const struct bench_state *state);

/* After the loop: how much of what one iteration of this thread did, and other results. */
void bench_items(struct bench_state *state, size_t per_iteration);
void bench_bytes(struct bench_state *state, size_t per_iteration);
void bench_counter(struct bench_state *state, const char *name, double value);

/* Before bench_run(). */
void bench_context(const char *key, const char *value);
void bench_register(const struct bench_case *benchmark);

/* Runs what is registered, with Google Benchmark's options. Returns the exit status. */
int bench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
