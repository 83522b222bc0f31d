/* Objects that end their life in another thread than the one that made them. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "cases.h"
#include "workload.h"

enum {
    LARSON_OBJECTS = 1000,
    LARSON_LIMIT = 1024,
    BATCH = 256,
    DEPTH = 16,
    PAIRS_MAX = 2,
    CHILD_OBJECTS = 64
};

/* What threads of the Larson case hand on: replaced objects stay in it, whoever replaces them. */
struct basket {
    void *objects[LARSON_OBJECTS];
};

static struct basket *basket_new(struct sizes *sizes)
{
    struct basket *basket = malloc(sizeof *basket);
    for (int i = 0; i < LARSON_OBJECTS; i++)
        basket->objects[i] = make(sizes_next(sizes));
    return basket;
}

static void basket_free(struct basket *basket)
{
    for (int i = 0; basket && i < LARSON_OBJECTS; i++)
        free(basket->objects[i]);
    free(basket);
}

/*
 * After Larson and Krishnan: like a server whose connections are served by one thread after the other. Each
 * thread replaces random objects of the basket it holds, then swaps it for the one left by another thread.
 */
void run_larson(struct bench_state *state)
{
    static _Atomic(struct basket *) left_basket;
    struct rng rng = rng_seed((uint64_t)bench_thread(state));
    struct sizes sizes;
    sizes_fill(&sizes, &rng, 8, LARSON_LIMIT);
    struct basket *basket = basket_new(&sizes);
    if (bench_thread(state) == 0)
        atomic_store(&left_basket, basket_new(&sizes));
    while (bench_next(state)) {
        for (int i = 0; i < LARSON_OBJECTS; i++) {
            void **object = &basket->objects[rng_below(&rng, LARSON_OBJECTS)];
            free(*object);
            *object = make(sizes_next(&sizes));
        }
        basket = atomic_exchange(&left_basket, basket);
    }
    basket_free(basket);
    if (bench_thread(state) == 0)
        basket_free(atomic_exchange(&left_basket, NULL));
    bench_items(state, LARSON_OBJECTS);
}

/* A bounded queue of batches between one producer and one consumer; the counters only grow. */
struct channel {
    _Alignas(128) atomic_uint sent;
    _Alignas(128) atomic_uint received;
    _Alignas(128) void *batches[DEPTH][BATCH];
};

static void await_change(atomic_uint *counter, unsigned unwanted)
{
    for (unsigned spins = 0; atomic_load_explicit(counter, memory_order_acquire) == unwanted; spins++) {
        if (spins > 100)
            sched_yield();
    }
}

static void produce(struct channel *channel, struct sizes *sizes)
{
    unsigned sent = atomic_load_explicit(&channel->sent, memory_order_relaxed);
    await_change(&channel->received, sent - DEPTH);
    void **batch = channel->batches[sent % DEPTH];
    for (int i = 0; i < BATCH; i++)
        batch[i] = make(sizes_next(sizes));
    atomic_store_explicit(&channel->sent, sent + 1, memory_order_release);
}

static void consume(struct channel *channel)
{
    unsigned received = atomic_load_explicit(&channel->received, memory_order_relaxed);
    await_change(&channel->sent, received);
    void **batch = channel->batches[received % DEPTH];
    for (int i = 0; i < BATCH; i++)
        free(batch[i]);
    atomic_store_explicit(&channel->received, received + 1, memory_order_release);
}

/* args: smallest size, size limit. Half of the threads only allocate, half only free. */
void run_producer_consumer(struct bench_state *state)
{
    static struct channel channels[PAIRS_MAX];
    struct channel *channel = &channels[bench_thread(state) / 2];
    bool producer = bench_thread(state) % 2 == 0;
    struct rng rng = rng_seed((uint64_t)bench_thread(state));
    struct sizes sizes;
    sizes_fill(&sizes, &rng, bench_arg(state, 0), bench_arg(state, 1));
    while (bench_next(state)) {
        if (producer)
            produce(channel, &sizes);
        else
            consume(channel);
    }
    bench_items(state, BATCH);
}

struct child {
    pthread_t thread;
    struct sizes sizes;
    void *objects[CHILD_OBJECTS];
};

static void *child_main(void *argument)
{
    struct child *child = argument;
    for (int i = 0; i < CHILD_OBJECTS; i++)
        child->objects[i] = make(sizes_next(&child->sizes));
    for (int i = 0; i < CHILD_OBJECTS; i += 2)
        free(child->objects[i]);
    return NULL;
}

/* args: threads at a time. Each allocates, frees half of it and ends; what it leaves is freed after it. */
void run_start_stop(struct bench_state *state)
{
    static struct child children[4];
    size_t count = bench_arg(state, 0);
    struct rng rng = rng_seed(7);
    for (size_t i = 0; i < count; i++)
        sizes_fill(&children[i].sizes, &rng, 8, 1024);
    while (bench_next(state)) {
        for (size_t i = 0; i < count; i++) {
            if (pthread_create(&children[i].thread, NULL, child_main, &children[i]) != 0)
                abort();
        }
        for (size_t i = 0; i < count; i++) {
            pthread_join(children[i].thread, NULL);
            for (int j = 1; j < CHILD_OBJECTS; j += 2)
                free(children[i].objects[j]);
        }
    }
    bench_items(state, count);
}
