/* Whether an allocator puts objects of different threads into one cache line, after Hoard's benchmarks. */
#include "cases.h"
#include "workload.h"

enum { THREADS_MAX = 4, OBJECT_BYTES = 8, ROUNDS = 10, WRITES = 100 };

/* Objects made, written often and freed by this thread. */
static void allocate_and_write(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *object = malloc(OBJECT_BYTES);
        for (int j = 0; j < WRITES; j++)
            touch(object);
        free(object);
    }
}

/* Active: the allocator itself hands parts of one line to several threads. */
void run_sharing_active(struct bench_state *state)
{
    while (bench_next(state))
        allocate_and_write();
    bench_items(state, ROUNDS);
}

/* Passive: one thread's objects are neighbours; others free them and get the places that they had. */
void run_sharing_passive(struct bench_state *state)
{
    static void *objects[THREADS_MAX];
    if (bench_thread(state) == 0) {
        for (int i = 0; i < bench_threads(state); i++)
            objects[i] = make(OBJECT_BYTES);
    }
    bool given = true;
    while (bench_next(state)) {
        if (given)
            free(objects[bench_thread(state)]);
        given = false;
        allocate_and_write();
    }
    bench_items(state, ROUNDS);
}
