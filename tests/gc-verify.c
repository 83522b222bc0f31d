/*
 * Threads that change a graph of objects while it is collected and moved. Every reference is stored with the number of the object
 * that it must lead to, every buffer is filled by its number: whatever is lost, moved wrongly or cleared too soon is seen.
 *
 * gc-verify [-t threads] [-d seconds] [-s seed] [-f]   (-f: also fork)
 */
#include "sinter/gc.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 512, CHILDREN = 3, PINS = 16, SHARED = 64, HANG_SECONDS = 300 };

struct buffer {
    uint64_t header;
    size_t count;
    uint64_t number;
    unsigned char bytes[];
};

struct node {
    uint64_t header;
    uint64_t number;
    struct node *children[CHILDREN];
    struct buffer *data;
    uint64_t numbers[CHILDREN];
    uint32_t hash;
};

/* An array of references, and behind each the number it must have. */
struct table {
    uint64_t header;
    size_t count;
    uint64_t number;
    struct {
        struct node *node;
        uint64_t number;
    } entries[];
};

static sinter_gc_heap *heap;
static sinter_gc_type node_type, buffer_type, table_type;
static _Atomic uint64_t numbers = 1, operations, queued, finalized;
static _Atomic bool stop;
static uint64_t seed;

/* What threads hand to each other. */
static struct {
    pthread_mutex_t lock;
    sinter_gc_handle *handle;
    uint64_t number;
} shared[SHARED];

struct worker {
    sinter_gc_mutator *mutator;
    uint64_t random;
    struct node *slots[SLOTS];
    struct table *table;
    void *weak[SLOTS];
    uint64_t weak_number[SLOTS];
    void *ephemeron[SLOTS];
    struct buffer *pinned[PINS];
    const void *pinned_at[PINS];
};

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "gc-verify: FAILED: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " (seed %llu)\n", (unsigned long long)seed);
    abort();
}

static uint64_t draw(struct worker *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 11) % below;
}

static unsigned char pattern(uint64_t number, size_t at)
{
    return (unsigned char)(number * 31 + at * 7);
}

/* ---- making ---- */

static struct buffer *new_buffer(struct worker *w, size_t size)
{
    struct buffer *b = sinter_gc_alloc_array(w->mutator, buffer_type, size);
    if (b == NULL)
        fail("no memory for a buffer of %zu bytes: errno %d", size, errno);
    b->number = atomic_fetch_add(&numbers, 1);
    for (size_t i = 0; i < size; i++) {
        if (b->bytes[i] != 0)
            fail("new memory is not zero");
        b->bytes[i] = pattern(b->number, i);
    }
    return b;
}

static struct node *new_node(struct worker *w)
{
    struct buffer *data = NULL;
    SINTER_GC_ROOTS(w->mutator, data);
    uint64_t kind = draw(w, 1000);
    if (kind < 300)
        data = new_buffer(w, draw(w, kind < 2 ? 200000 : kind < 20 ? 6000 : 200));
    struct node *n = sinter_gc_alloc(w->mutator, node_type, sizeof(*n));
    if (n == NULL)
        fail("no memory for a node: errno %d", errno);
    n->number = atomic_fetch_add(&numbers, 1);
    n->data = data;
    return n;
}

/* ---- checking ---- */

static void check_buffer(const struct buffer *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->bytes[i] != pattern(b->number, i))
            fail("byte %zu of buffer %llu at %p is wrong", i, (unsigned long long)b->number, (const void *)b);
    }
}

static void check_node(struct worker *w, const struct node *n, uint64_t number)
{
    if (n->number != number || sinter_gc_type_of(n) != node_type)
        fail("the node at %p has number %llu instead of %llu", (const void *)n, (unsigned long long)n->number,
             (unsigned long long)number);
    if (n->hash != 0 && n->hash != sinter_gc_hash(w->mutator, (void *)n))
        fail("the hash of node %llu has changed", (unsigned long long)number);
    if (n->data != NULL)
        check_buffer(n->data);
}

static void check_from(struct worker *w, const struct node *n, int depth)
{
    while (n != NULL && depth-- > 0) {
        unsigned i = (unsigned)draw(w, CHILDREN);
        if (n->children[i] != NULL)
            check_node(w, n->children[i], n->numbers[i]);
        n = n->children[i];
    }
}

static void check_all(struct worker *w)
{
    for (int i = 0; i < SLOTS; i++) {
        if (w->slots[i] == NULL)
            continue;
        check_node(w, w->slots[i], w->slots[i]->number);
        check_from(w, w->slots[i], 20);
    }
    for (size_t i = 0; w->table != NULL && i < w->table->count; i++) {
        if (w->table->entries[i].node != NULL)
            check_node(w, w->table->entries[i].node, w->table->entries[i].number);
    }
    for (int i = 0; i < PINS; i++) {
        if (w->pinned[i] == NULL)
            continue;
        if (w->pinned[i] != w->pinned_at[i])
            fail("a pinned object has moved from %p to %p", w->pinned_at[i], (void *)w->pinned[i]);
        check_buffer(w->pinned[i]);
    }
}

/* ---- operations ---- */

static void link_nodes(struct worker *w)
{
    struct node *from = w->slots[draw(w, SLOTS)], *to = w->slots[draw(w, SLOTS)];
    unsigned i = (unsigned)draw(w, CHILDREN);
    if (from == NULL || to == NULL)
        return;
    from->children[i] = to;
    from->numbers[i] = to->number;
}

static void replace(struct worker *w)
{
    uint64_t i = draw(w, SLOTS);
    struct node *n = new_node(w);
    if (w->slots[i] != NULL && draw(w, 3) > 0) {
        n->children[0] = w->slots[i]->children[draw(w, CHILDREN)];
        n->numbers[0] = n->children[0] != NULL ? n->children[0]->number : 0;
    }
    w->slots[i] = n;
    if (draw(w, 8) == 0)
        n->hash = sinter_gc_hash(w->mutator, n);
    if (draw(w, 50) == 0 && sinter_gc_finalizer_add(w->mutator, n, (void *)(uintptr_t)n->number) == 0)
        atomic_fetch_add(&queued, 1);
}

static void use_table(struct worker *w)
{
    if (w->table == NULL || draw(w, 5000) == 0) {
        struct table *t = sinter_gc_alloc_array(w->mutator, table_type, draw(w, 30000));
        if (t == NULL)
            fail("no memory for a table: errno %d", errno);
        w->table = t;
    }
    struct node *n = w->slots[draw(w, SLOTS)];
    if (w->table->count == 0)
        return;
    uint64_t at = draw(w, 4) == 0 ? draw(w, w->table->count) : draw(w, w->table->count) % 64; /* sparse */
    w->table->entries[at].node = n;
    w->table->entries[at].number = n != NULL ? n->number : 0;
}

static void use_weak(struct worker *w)
{
    uint64_t i = draw(w, SLOTS);
    const struct node *target = w->weak[i] != NULL ? sinter_gc_weak_get(w->weak[i]) : NULL;
    if (target != NULL)
        check_node(w, target, w->weak_number[i]);
    if (w->weak[i] != NULL && w->slots[i] != NULL && w->slots[i]->number == w->weak_number[i] &&
        target != w->slots[i])
        fail("a weak reference to a live object is %p instead of %p", (const void *)target,
             (void *)w->slots[i]);
    if (w->slots[i] == NULL || draw(w, 4) != 0)
        return;
    w->weak[i] = NULL; /* its number is not the other's */
    uint64_t number = w->slots[i]->number;
    void *made = sinter_gc_weak_new(w->mutator, w->slots[i]);
    w->weak_number[i] = number;
    w->weak[i] = made;
}

static void use_ephemeron(struct worker *w)
{
    uint64_t i = draw(w, SLOTS);
    void *e = w->ephemeron[i];
    if (e != NULL) {
        const struct node *key = sinter_gc_ephemeron_key(e), *value = sinter_gc_ephemeron_value(e);
        if ((key == NULL) != (value == NULL))
            fail("half an ephemeron");
        if (key != NULL && (value->numbers[0] != key->number || sinter_gc_type_of(value) != node_type))
            fail("an ephemeron's value is not that of its key");
    }
    if (w->slots[i] == NULL || draw(w, 4) != 0)
        return;
    struct node *value = NULL;
    SINTER_GC_ROOTS(w->mutator, value);
    value = new_node(w);
    value->numbers[0] = w->slots[i]->number; /* only the number: a reference would keep the key */
    w->ephemeron[i] = sinter_gc_ephemeron_new(w->mutator, w->slots[i], value);
}

static void use_pin(struct worker *w)
{
    uint64_t i = draw(w, PINS);
    if (w->pinned[i] != NULL) {
        sinter_gc_unpin(w->mutator, w->pinned[i]);
        w->pinned[i] = NULL;
        return;
    }
    w->pinned[i] = new_buffer(w, draw(w, 3000));
    w->pinned_at[i] = w->pinned[i];
    if (sinter_gc_pin(w->mutator, w->pinned[i]) != 0)
        fail("cannot pin: errno %d", errno);
}

/* Whole objects change hands: nobody else has one that is handed over. */
static void use_shared(struct worker *w)
{
    uint64_t i = draw(w, SHARED), slot = draw(w, SLOTS);
    struct node *fresh = NULL;
    SINTER_GC_ROOTS(w->mutator, fresh);
    fresh = new_node(w);
    sinter_gc_block(w->mutator);
    pthread_mutex_lock(&shared[i].lock);
    sinter_gc_unblock(w->mutator);
    struct node *taken = sinter_gc_handle_get(w->mutator, shared[i].handle);
    if (taken != NULL) {
        check_node(w, taken, shared[i].number);
        w->slots[slot] = taken;
    }
    shared[i].number = fresh->number;
    sinter_gc_handle_set(w->mutator, shared[i].handle, fresh);
    pthread_mutex_unlock(&shared[i].lock);
}

/* What it refers to may be another thread's, which may be changing it. */
static void take_finalized(struct worker *w)
{
    void *data;
    struct node *n = sinter_gc_finalizer_next(w->mutator, &data);
    if (n == NULL)
        return;
    check_node(w, n, (uintptr_t)data);
    atomic_fetch_add(&finalized, 1);
}

static void operate(struct worker *w)
{
    uint64_t what = draw(w, 1000);
    if (what < 300)
        replace(w);
    else if (what < 600)
        link_nodes(w);
    else if (what < 700)
        use_table(w);
    else if (what < 760)
        use_weak(w);
    else if (what < 800)
        use_ephemeron(w);
    else if (what < 810)
        use_pin(w);
    else if (what < 840)
        use_shared(w);
    else if (what < 850)
        take_finalized(w);
    else if (what < 860)
        w->slots[draw(w, SLOTS)] = NULL;
    else if (what < 998)
        check_from(w, w->slots[draw(w, SLOTS)], 30);
    else
        check_all(w);
    sinter_gc_safepoint(w->mutator);
    atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
}

/* ---- threads and forks ---- */

static void visit_worker(void *data, sinter_gc_edge edge, void *context)
{
    struct worker *w = data;
    for (int i = 0; i < SLOTS; i++) {
        edge((void **)&w->slots[i], context);
        edge(&w->weak[i], context);
        edge(&w->ephemeron[i], context);
    }
    for (int i = 0; i < PINS; i++)
        edge((void **)&w->pinned[i], context);
    edge((void **)&w->table, context);
}

static void *run(void *number)
{
    struct worker *w = calloc(1, sizeof(*w));
    w->random = (seed + (uintptr_t)number) * 0x9e3779b97f4a7c15u | 1;
    w->mutator = sinter_gc_attach(heap);
    sinter_gc_roots_add(heap, visit_worker, w);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        operate(w);
    check_all(w);
    for (int i = 0; i < PINS; i++) {
        if (w->pinned[i] != NULL)
            sinter_gc_unpin(w->mutator, w->pinned[i]);
    }
    sinter_gc_roots_remove(heap, visit_worker, w);
    sinter_gc_detach(w->mutator);
    free(w);
    return NULL;
}

/* In the child the other threads' objects are there as well; this one goes on alone. */
static void live_as_child(struct worker *w)
{
    alarm(HANG_SECONDS);
    check_all(w);
    for (int i = 0; i < 20000; i++)
        operate(w);
    sinter_gc_collect(w->mutator, SINTER_GC_COLLECT_COMPACT);
    check_all(w);
    _exit(0);
}

static void fork_once(struct worker *w)
{
    /* No other thread holds one of these when the child is made. */
    sinter_gc_block(w->mutator);
    for (int i = 0; i < SHARED; i++)
        pthread_mutex_lock(&shared[i].lock);
    sinter_gc_unblock(w->mutator);
    pid_t pid = fork();
    for (int i = 0; i < SHARED; i++)
        pthread_mutex_unlock(&shared[i].lock);
    if (pid == 0)
        live_as_child(w);
    int status = 0;
    sinter_gc_block(w->mutator);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail("a child ended with status %x", (unsigned)status);
    sinter_gc_unblock(w->mutator);
}

static void run_main(long seconds, bool forks)
{
    struct worker *w = calloc(1, sizeof(*w));
    w->random = seed | 1;
    w->mutator = sinter_gc_attach(heap);
    sinter_gc_roots_add(heap, visit_worker, w);
    time_t end = time(NULL) + seconds, forked = time(NULL);
    while (time(NULL) < end) {
        alarm(HANG_SECONDS);
        for (int i = 0; i < 1000; i++)
            operate(w);
        if (forks && time(NULL) > forked) {
            fork_once(w);
            forked = time(NULL);
        }
    }
    atomic_store(&stop, true);
    check_all(w);
    sinter_gc_roots_remove(heap, visit_worker, w);
    for (int i = 0; i < PINS; i++) {
        if (w->pinned[i] != NULL)
            sinter_gc_unpin(w->mutator, w->pinned[i]);
    }
    sinter_gc_detach(w->mutator);
    free(w);
}

static void set_up(void)
{
    struct sinter_gc_layout node = {.name = "node",
                                    .size = sizeof(struct node),
                                    .references = 0xf << offsetof(struct node, children) / 8},
                            buffer = {.name = "buffer",
                                      .size = sizeof(struct buffer),
                                      .element_size = 1,
                                      .count_offset = offsetof(struct buffer, count),
                                      .pointer_free = true},
                            table = {.name = "table",
                                     .size = sizeof(struct table),
                                     .element_size = 16,
                                     .element_references = 1,
                                     .count_offset = offsetof(struct table, count)};
    heap = sinter_gc_create(NULL);
    if (heap == NULL)
        fail("no heap: errno %d", errno);
    node_type = sinter_gc_type_new(heap, &node);
    buffer_type = sinter_gc_type_new(heap, &buffer);
    table_type = sinter_gc_type_new(heap, &table);
    if (node_type == 0 || buffer_type == 0 || table_type == 0)
        fail("no types: errno %d", errno);
    sinter_gc_mutator *m = sinter_gc_attach(heap);
    for (int i = 0; i < SHARED; i++) {
        pthread_mutex_init(&shared[i].lock, NULL);
        shared[i].handle = sinter_gc_handle_new(m, NULL);
    }
    sinter_gc_detach(m);
}

int main(int argc, char **argv)
{
    long threads = 4, seconds = 5;
    bool forks = false;
    pthread_t thread[64];
    seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    for (int option; (option = getopt(argc, argv, "t:d:s:f")) != -1;) {
        if (option == 't')
            threads = atol(optarg);
        else if (option == 'd')
            seconds = atol(optarg);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'f')
            forks = true;
        else
            return 2;
    }
    if (threads < 1 || threads > 64)
        return 2;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    set_up();
    for (uintptr_t i = 1; i < (uintptr_t)threads; i++) {
        if (pthread_create(&thread[i], NULL, run, (void *)i) != 0)
            fail("no thread");
    }
    run_main(seconds, forks);
    for (long i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    printf("%llu operations, %llu collections, %llu compactions, %llu MiB moved whole, %llu MiB copied, %llu "
           "faults, "
           "%llu of %llu finalized, 0 errors\n",
           (unsigned long long)operations, (unsigned long long)s.collections,
           (unsigned long long)s.compactions, (unsigned long long)s.moved_whole >> 20,
           (unsigned long long)s.moved_copied >> 20, (unsigned long long)s.faults,
           (unsigned long long)finalized, (unsigned long long)queued);
    sinter_gc_destroy(heap);
    return 0;
}
