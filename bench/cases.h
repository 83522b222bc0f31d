/* The functions behind the benchmarks, one file per group; cases.c has the table of how they are run. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "gbench.h"

void run_nothing(struct bench_state *state);

/* batch.c */
void run_pair(struct bench_state *state);
void run_batch(struct bench_state *state);
void run_batch_shuffled(struct bench_state *state);
void run_batch_mixed(struct bench_state *state);
void run_batch_aligned(struct bench_state *state);

/* churn.c */
void run_churn(struct bench_state *state);
void run_tree(struct bench_state *state);
void run_document(struct bench_state *state);

/* growth.c */
void run_vector(struct bench_state *state);
void run_strings(struct bench_state *state);

/* large.c */
void run_large(struct bench_state *state);
void run_large_live(struct bench_state *state);
void run_calloc(struct bench_state *state);

/* handover.c */
void run_larson(struct bench_state *state);
void run_producer_consumer(struct bench_state *state);
void run_start_stop(struct bench_state *state);

/* sharing.c */
void run_sharing_active(struct bench_state *state);
void run_sharing_passive(struct bench_state *state);

/* fragmentation.c */
void run_phases(struct bench_state *state);
void run_survivors(struct bench_state *state);

#endif
