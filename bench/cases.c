/* Which benchmarks there are. A new one is a function, declared in cases.h, and a row here. */
#include "cases.h"
#include "main.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

void run_nothing(struct bench_state *state)
{
    while (bench_next(state))
        ;
}

static const struct bench_case cases[] = {
    {"nothing", run_nothing, 1, {0}, .kind = BENCH_BASELINE},

    {"pair/8", run_pair, 1, {8}, .kind = BENCH_TIME},
    {"pair/64", run_pair, 1, {64}, .kind = BENCH_TIME},
    {"pair/1K", run_pair, 1, {KIB}, .kind = BENCH_TIME},
    {"pair/16K", run_pair, 1, {16 * KIB}, .kind = BENCH_TIME},
    {"pair/128K", run_pair, 1, {128 * KIB}, .kind = BENCH_TIME},
    {"pair/1M", run_pair, 1, {MIB}, .kind = BENCH_TIME},
    {"pair/64/threads:2", run_pair, 2, {64}, .kind = BENCH_TIME},
    {"pair/64/threads:4", run_pair, 4, {64}, .kind = BENCH_TIME},

    {"batch/100x8", run_batch, 1, {100, 8}, .kind = BENCH_TIME},
    {"batch/100x64", run_batch, 1, {100, 64}, .kind = BENCH_TIME},
    {"batch/100x512", run_batch, 1, {100, 512}, .kind = BENCH_TIME},
    {"batch/100x8K", run_batch, 1, {100, 8 * KIB}, .kind = BENCH_TIME},
    {"batch/100x64K", run_batch, 1, {100, 64 * KIB}, .kind = BENCH_TIME},
    {"batch/100x1M", run_batch, 1, {100, MIB}, .kind = BENCH_TIME},
    {"batch/5000x8", run_batch, 1, {5000, 8}, .kind = BENCH_TIME},
    {"batch/5000x64", run_batch, 1, {5000, 64}, .kind = BENCH_TIME},
    {"batch/5000x512", run_batch, 1, {5000, 512}, .kind = BENCH_TIME},
    {"batch/5000x4K", run_batch, 1, {5000, 4 * KIB}, .kind = BENCH_TIME},
    {"batch/5000x32K", run_batch, 1, {5000, 32 * KIB}, .kind = BENCH_TIME},
    {"batch/5000x64/threads:2", run_batch, 2, {5000, 64}, .kind = BENCH_TIME},
    {"batch/5000x64/threads:4", run_batch, 4, {5000, 64}, .kind = BENCH_TIME},
    {"batch-shuffled/5000x64", run_batch_shuffled, 1, {5000, 64}, .kind = BENCH_TIME},
    {"batch-mixed/100", run_batch_mixed, 1, {100, 8 * KIB}, .kind = BENCH_TIME},
    {"batch-mixed/5000", run_batch_mixed, 1, {5000, 8 * KIB}, .kind = BENCH_TIME},
    {"aligned/64", run_batch_aligned, 1, {100, 64}, .kind = BENCH_TIME},
    {"aligned/4K", run_batch_aligned, 1, {100, 4 * KIB}, .kind = BENCH_TIME},

    {"churn/10000-to-1K", run_churn, 1, {10000, KIB}, .kind = BENCH_TIME},
    {"churn/200000-to-512", run_churn, 1, {200000, 512}, .kind = BENCH_TIME},
    {"churn/1000-to-64K", run_churn, 1, {1000, 64 * KIB}, .kind = BENCH_TIME},
    {"churn/10000-to-1K/threads:2", run_churn, 2, {10000, KIB}, .kind = BENCH_TIME},
    {"churn/10000-to-1K/threads:4", run_churn, 4, {10000, KIB}, .kind = BENCH_TIME},
    {"tree/binary", run_tree, 1, {16}, .kind = BENCH_TIME},
    {"tree/document", run_document, 1, {5}, .kind = BENCH_TIME},

    {"realloc/vector-64M", run_vector, 1, {64 * MIB, 0}, .kind = BENCH_TIME},
    {"realloc/vector-4M-by-16K", run_vector, 1, {4 * MIB, 16 * KIB}, .kind = BENCH_TIME},
    {"realloc/strings", run_strings, 1, {2 * KIB}, .kind = BENCH_TIME},

    {"calloc/64K", run_calloc, 1, {64 * KIB}, .kind = BENCH_TIME},
    {"calloc/1M", run_calloc, 1, {MIB}, .kind = BENCH_TIME},
    {"calloc/16M", run_calloc, 1, {16 * MIB}, .kind = BENCH_TIME},
    {"large/1M-to-64M", run_large, 1, {MIB, 64 * MIB}, .kind = BENCH_TIME},
    {"large/1M-to-64M-live", run_large_live, 1, {MIB, 64 * MIB}, .kind = BENCH_TIME},

    {"larson/threads:2", run_larson, 2, {0}, .kind = BENCH_TIME},
    {"larson/threads:4", run_larson, 4, {0}, .kind = BENCH_TIME},
    {"producer-consumer/64/threads:2", run_producer_consumer, 2, {64, 128}, .kind = BENCH_TIME},
    {"producer-consumer/16-to-1K/threads:2", run_producer_consumer, 2, {16, KIB}, .kind = BENCH_TIME},
    {"producer-consumer/16-to-1K/threads:4", run_producer_consumer, 4, {16, KIB}, .kind = BENCH_TIME},
    {"start-stop/1", run_start_stop, 1, {1}, .kind = BENCH_TIME},
    {"start-stop/4", run_start_stop, 1, {4}, .kind = BENCH_TIME},
    {"sharing/active/threads:2", run_sharing_active, 2, {0}, .kind = BENCH_TIME},
    {"sharing/passive/threads:2", run_sharing_passive, 2, {0}, .kind = BENCH_TIME},

    {"fragmentation/phases", run_phases, 1, {0}, .kind = BENCH_MEMORY},
    {"fragmentation/survivors", run_survivors, 1, {0}, .kind = BENCH_MEMORY},
};

const char *const arg_names[] = {NULL};

const struct bench_case *case_at(size_t index)
{
    return index < sizeof cases / sizeof *cases ? &cases[index] : NULL;
}
