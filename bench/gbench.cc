/* The shim behind gbench.h; the only C++ here. */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include "process.h"

struct bench_state {
    benchmark::State &google;
    const bench_case &benchmark;
};

bool bench_next(bench_state *state)
{
    return state->google.KeepRunning();
}

size_t bench_arg(const bench_state *state, int index)
{
    return state->benchmark.args[index];
}

int bench_thread(const bench_state *state)
{
    return state->google.thread_index();
}

int bench_threads(const bench_state *state)
{
    return state->google.threads();
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

void bench_register(const bench_case *benchmark)
{
    auto *registered = benchmark::RegisterBenchmark(
        benchmark->name, [benchmark](benchmark::State &google) { run_case(*benchmark, google); });
    if (benchmark->kind != BENCH_TIME)
        registered->Iterations(1);
    if (benchmark->threads > 1)
        registered->Threads(benchmark->threads)->UseRealTime();
    else
        registered->MeasureProcessCPUTime();
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
