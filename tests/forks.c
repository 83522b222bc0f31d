/*
 * forks [SECONDS]: threads allocate, check and free, one trims all the time, and meanwhile the process forks: each
 * child does the same with a thread of its own, and some have children in turn. Preloaded.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 2000, THREADS = 3, CHILD_STEPS = 20000, CHILD_SECONDS = 60 };

static _Atomic int stop;

struct rng {
    uint64_t state;
};

static uint32_t next(struct rng *rng)
{
    rng->state = rng->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng->state >> 32);
}

static size_t next_size(struct rng *rng)
{
    uint32_t kind = next(rng) % 64;
    return 1 + next(rng) % (kind == 0 ? 300000 : kind < 8 ? 3000 : 200);
}

static void die(const char *what)
{
    dprintf(STDERR_FILENO, "forks: process %d: %s\n", (int)getpid(), what);
    abort();
}

struct block {
    unsigned char *bytes;
    size_t size;
};

static void fill_block(struct block *block, unsigned char mark, size_t size)
{
    block->size = size;
    block->bytes = malloc(size);
    if (!block->bytes)
        die("out of memory");
    memset(block->bytes, mark, size);
}

static void drop_block(struct block *block, unsigned char mark)
{
    for (size_t i = 0; i < block->size; i += 61) {
        if (block->bytes[i] != mark)
            die("a block has changed");
    }
    free(block->bytes);
    block->bytes = NULL;
}

/* Fills and drops random blocks, `steps` times or (0) until `stop`. */
static void churn(uint64_t seed, int steps)
{
    struct rng rng = {seed};
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    for (int step = 0; steps ? step < steps : !stop; step++) {
        size_t i = next(&rng) % BLOCKS;
        if (blocks[i].bytes)
            drop_block(&blocks[i], (unsigned char)(seed + i));
        else
            fill_block(&blocks[i], (unsigned char)(seed + i), next_size(&rng));
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].bytes)
            drop_block(&blocks[i], (unsigned char)(seed + i));
    }
    free(blocks);
}

static void *churn_until_stop(void *seed)
{
    churn((uintptr_t)seed, 0);
    return NULL;
}

static void *churn_some(void *seed)
{
    churn((uintptr_t)seed, CHILD_STEPS / 10);
    return NULL;
}

static void *trim_until_stop(void *unused)
{
    static const struct timespec pause = {.tv_nsec = 300000};
    while (!stop) {
        malloc_trim(0);
        nanosleep(&pause, NULL);
    }
    return unused;
}

static void fork_and_wait(uint64_t seed, int generations)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork failed");
    if (pid == 0) {
        pthread_t thread;
        alarm(CHILD_SECONDS); /* a hang is a failure */
        churn(seed, CHILD_STEPS);
        if (pthread_create(&thread, NULL, churn_some, (void *)(uintptr_t)seed) != 0)
            die("no thread in a child");
        malloc_trim(0);
        pthread_join(thread, NULL);
        if (generations > 1)
            fork_and_wait(seed + 1, generations - 1);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("a child failed");
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS + 1];
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn_until_stop, (void *)(i + 1));
    pthread_create(&threads[THREADS], NULL, trim_until_stop, NULL);
    int forks = 0;
    for (; time(NULL) < end; forks++)
        fork_and_wait((uint64_t)forks, forks % 4 == 0 ? 3 : 1);
    stop = 1;
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%d forks\n", forks);
    return 0;
}
