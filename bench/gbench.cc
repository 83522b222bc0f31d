/* The shim behind gbench.h; the only C++ here. */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "process.h"

struct bench_state {
    benchmark::State &google;
    const bench_case &benchmark;
};

/* What takes the place of the arguments of all cases. */
static struct {
    bool set;
    size_t value;
} args_instead[BENCH_ARGS];

static size_t arg_of(const bench_case &benchmark, int index)
{
    return args_instead[index].set ? args_instead[index].value : benchmark.args[index];
}

bool bench_next(bench_state *state)
{
    return state->google.KeepRunning();
}

size_t bench_arg(const bench_state *state, int index)
{
    return arg_of(state->benchmark, index);
}

const void *bench_subject(const bench_state *state)
{
    return state->benchmark.subject;
}

int bench_thread(const bench_state *state)
{
    return state->google.thread_index();
}

int bench_threads(const bench_state *state)
{
    return state->google.threads();
}

void bench_pause(bench_state *state)
{
    state->google.PauseTiming();
}

void bench_resume(bench_state *state)
{
    state->google.ResumeTiming();
}

void bench_time(bench_state *state, double seconds)
{
    state->google.SetIterationTime(seconds);
}

void bench_items(bench_state *state, size_t per_iteration)
{
    state->google.SetItemsProcessed(state->google.iterations() * per_iteration);
}

void bench_bytes(bench_state *state, size_t per_iteration)
{
    state->google.SetBytesProcessed(state->google.iterations() * per_iteration);
}

void bench_counter(bench_state *state, const char *name, double value)
{
    state->google.counters[name] = value;
}

void bench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

/* Runs the case in one thread; the peak is that of the process, so it belongs to whichever case ran alone. */
static void run_case(const bench_case &benchmark, benchmark::State &google)
{
    bench_state state{google, benchmark};
    benchmark.run(&state);
    if (google.thread_index() == 0)
        google.counters["peak_bytes"] = static_cast<double>(process_peak_rss());
}

void bench_set_arg(int index, size_t value)
{
    args_instead[index] = {true, value};
}

/* The names, and a value for each. */
static void name_args(benchmark::internal::Benchmark *registered, const bench_case &benchmark,
                      const char *const *arg_names)
{
    std::vector<std::string> names;
    std::vector<int64_t> values;
    for (int i = 0; i < BENCH_ARGS && arg_names[i]; i++) {
        names.push_back(arg_names[i]);
        values.push_back(static_cast<int64_t>(arg_of(benchmark, i)));
    }
    if (!names.empty())
        registered->ArgNames(names)->Args(values);
}

void bench_register(const bench_case *benchmark, const char *const *arg_names)
{
    auto *registered = benchmark::RegisterBenchmark(
        benchmark->name, [benchmark](benchmark::State &google) { run_case(*benchmark, google); });
    name_args(registered, *benchmark, arg_names);
    if (benchmark->kind != BENCH_TIME)
        registered->Iterations(1);
    if (benchmark->threads > 1)
        registered->Threads(benchmark->threads)->UseRealTime();
    else
        registered->MeasureProcessCPUTime();
    if (benchmark->kind == BENCH_PROGRAM)
        registered->UseRealTime();
    else if (benchmark->kind == BENCH_STEP)
        registered->UseManualTime();
}

int bench_run(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    size_t matched = benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return matched > 0 ? 0 : 1;
}
