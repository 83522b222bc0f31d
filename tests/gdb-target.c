/*
 * What tests/gdb.sh looks at with gdb: a heap of which everything is known, in variables that gdb reads. Each case ends by
 * calling stop_here(), where gdb has a breakpoint.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sinter/malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __clang__ /* it clones no functions */
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

/* ---- what is known ---- */

enum { BLOCKS = 1000, BLOCK_BYTES = 776, SPARSE = 40000, SPARSE_BYTES = 200, KEPT = 10 };

char *blocks[BLOCKS]; /* of ten, the first three are freed */
char *small, *large, *huge, *guarded, *guarded_freed, *sparse[SPARSE];
char variable;
struct sinter_stats stats = {.size = sizeof stats};
volatile int stops;

NOINLINE static void stop_here(void)
{
    stops++;
}

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "gdb-target: %s\n", what);
    exit(1);
}

static int call(const char *name)
{
    int (*function)(void) = (int (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, name);
    require(function != NULL, "the library is not preloaded");
    return function();
}

static void read_stats(void)
{
    int (*get)(struct sinter_stats *) =
        (int (*)(struct sinter_stats *))(uintptr_t)dlsym(RTLD_DEFAULT, "sinter_stats_get");
    require(get != NULL && get(&stats) == 0, "no statistics");
}

/* ---- the cases ---- */

static void make_blocks(void)
{
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(BLOCK_BYTES);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 10 < 3)
            free(blocks[i]);
    }
    small = malloc(100);
    large = malloc(100000);
    huge = malloc((size_t)200 << 20);
    require(small && large && huge, "no memory");
}

static void objects(void)
{
    make_blocks();
    read_stats();
    stop_here();
}

NOINLINE static char *allocate_here(size_t size)
{
    char *p = malloc(size);
    require(p != NULL, "no memory");
    return p;
}

NOINLINE static void free_there(char *p)
{
    free(p);
    stops += 0;
}

static void guards(void)
{
    guarded = allocate_here(64);
    guarded_freed = allocate_here(1000);
    free_there(guarded_freed);
    read_stats();
    stop_here();
}

static void make_sparse(void)
{
    for (int i = 0; i < SPARSE; i++) {
        sparse[i] = malloc(SPARSE_BYTES);
        memset(sparse[i], i % 255 + 1, SPARSE_BYTES);
    }
    for (int i = 0; i < SPARSE; i++) {
        if (i % KEPT != 0) {
            free(sparse[i]);
            sparse[i] = NULL;
        }
    }
}

static void check_sparse(void)
{
    for (int i = 0; i < SPARSE; i += KEPT) {
        for (int k = 0; k < SPARSE_BYTES; k++)
            require(sparse[i][k] == (char)(i % 255 + 1), "a byte is wrong");
    }
}

/* Packed: stopped outside the allocator, then inside it; then everything is read by the program itself. */
static void packed(void)
{
    make_sparse();
    if (call("sinter_compact") != 0)
        exit(77);
    read_stats();
    stop_here();
    require(call("sinter_compact") == 0, "no packing any more");
    stop_here();
    free(malloc((size_t)100 << 20)); /* the zone of runs grows, with a lock held */
    check_sparse();
    stop_here();
}

/* The same, and dies of it. */
static void crash(void)
{
    make_sparse();
    if (call("sinter_compact") != 0)
        exit(77);
    abort();
}

/* ---- leaks: how many blocks of which size are lost, and the ways in which others are held ---- */

struct node {
    struct node *next;
    char *inside; /* into another block */
};

enum { LOST = 37, LOST_BYTES = 520, LOST_RUNS = 5, LOST_RUN_BYTES = 100000 };
struct node *held_by_variable;
__thread char *held_by_thread_variable;
char **held_by_mapping;
uintptr_t held[16]; /* addresses of blocks that are held in some way, complemented */
int helds;

static char *hold(char *p)
{
    require(p != NULL, "no memory");
    held[helds++] = ~(uintptr_t)p;
    return p;
}

NOINLINE static void lose(void)
{
    for (int i = 0; i < LOST; i++)
        memset(allocate_here(LOST_BYTES), 'x', LOST_BYTES);
    for (int i = 0; i < LOST_RUNS; i++)
        allocate_here(LOST_RUN_BYTES);
    allocate_here((size_t)150 << 20);
    struct node *a = (struct node *)allocate_here(1040), *b = (struct node *)allocate_here(1040);
    *a = (struct node){b, NULL};
    *b = (struct node){a, NULL};
}

/* Nothing of what the last calls had on the stack stays. */
NOINLINE static void wipe_stack(void)
{
    char *stack = alloca(256 * 1024);
    memset(stack, 0, 256 * 1024);
    __asm__ volatile("" : : "r"(stack) : "memory");
}

static pthread_barrier_t ready;

static void *sleeper(void *unused)
{
    (void)unused;
    char *volatile on_stack = hold(malloc(BLOCK_BYTES));
    held_by_thread_variable = hold(malloc(BLOCK_BYTES));
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return on_stack;
}

static void hold_in_blocks(void)
{
    held_by_variable = (struct node *)hold(malloc(sizeof(struct node)));
    struct node *second = (struct node *)hold(malloc(5000));
    struct node *in_run = (struct node *)hold(malloc(300000));
    *held_by_variable = (struct node){second, hold(malloc(BLOCK_BYTES)) + 700};
    *second = (struct node){in_run, NULL};
    struct node *in_mapping = (struct node *)hold(malloc((size_t)160 << 20));
    *in_run = (struct node){in_mapping, NULL};
    *in_mapping = (struct node){NULL, hold(malloc(BLOCK_BYTES))};
    held_by_mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(held_by_mapping != MAP_FAILED, "no mapping");
    held_by_mapping[7] = hold(malloc(BLOCK_BYTES));
}

static void leaks(void)
{
    pthread_t thread;
    pthread_barrier_init(&ready, NULL, 2);
    require(pthread_create(&thread, NULL, sleeper, NULL) == 0, "no thread");
    pthread_barrier_wait(&ready);
    hold_in_blocks();
    make_sparse();
    /* Of a chain through pages that are packed soon, each block is held by the one before it only. */
    for (int i = 0; i + KEPT < SPARSE; i += KEPT) {
        memcpy(sparse[i], &sparse[i + KEPT], sizeof(char *));
        if (i > 0)
            sparse[i] = NULL;
    }
    sparse[SPARSE - KEPT] = NULL;
    lose();
    wipe_stack();
    stop_here();
    if (call("sinter_compact") != 0)
        exit(77);
    wipe_stack();
    stop_here();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"objects", objects}, {"guards", guards}, {"packed", packed}, {"crash", crash}, {"leaks", leaks}};
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 99;
}
