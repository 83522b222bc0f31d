#include "threads.h"

#include <pthread.h>

static struct {
    struct report *report;
    void (*work)(mutator *m, struct part *part);
    pthread_barrier_t barrier;
    _Atomic uint64_t live;
} all;

static void *run_part(void *part)
{
    mutator *m = heap_attach();
    all.work(m, part);
    heap_detach(m);
    count_checks(all.report);
    return NULL;
}

/* Of all threads and the one that waits for them. */
static void meet(mutator *m)
{
    heap_block(m);
    pthread_barrier_wait(&all.barrier);
    heap_unblock(m);
}

void part_settle(mutator *m, uint64_t live)
{
    atomic_fetch_add(&all.live, live);
    meet(m);
    meet(m);
}

void parts_run(const struct options *options, struct report *report, mutator *m,
               void (*work)(mutator *m, struct part *part))
{
    static pthread_t threads[THREADS_MOST];
    static struct part parts[THREADS_MOST];
    check(options->threads <= THREADS_MOST, "there are at most 64 threads");
    all.report = report;
    all.work = work;
    pthread_barrier_init(&all.barrier, NULL, options->threads + 1);
    for (unsigned i = 0; i < options->threads; i++) {
        parts[i] = (struct part){
            .options = options,
            .number = i,
            .bytes = options->size * 1024 * 1024 / options->threads,
            .rng = rng_seed(options->seed + i),
        };
        check(pthread_create(&threads[i], NULL, run_part, &parts[i]) == 0, "no thread");
    }
    meet(m);
    report_settled(report, m, all.live);
    meet(m);
    heap_block(m);
    for (unsigned i = 0; i < options->threads; i++)
        pthread_join(threads[i], NULL);
    heap_unblock(m);
}
