/*
 * Lists whose nodes refer to nodes of other lists, on several threads: nodes are pushed and popped, lists spliced and dropped,
 * all at random. Each thread has lists of its own and knows, outside the heap, how long they are and what their sum is.
 */
#include <string.h>

#include "threads.h"

enum { LISTS = 256, NODE_BYTES = 48, WALK_ONE_IN = 4096 };

struct node {
    HEAP_HEADER
    struct node *next, *other;
    uint64_t number, mirrored; /* the number's complement */
};

/* What a thread knows of its lists. */
struct notes {
    size_t length[LISTS];
    uint64_t sum[LISTS];
};

struct worker {
    const struct options *options;
    struct node *heads[LISTS];
    struct notes notes;
    struct rng rng;
};

static heap_kind node_kind;

static bool is_intact(const struct node *node)
{
    return node->mirrored == ~node->number;
}

/* What `other` refers to refers to nothing in its turn: else chains of what was popped would live on. */
static void push(mutator *m, struct worker *w, size_t list)
{
    size_t from = rng_below(&w->rng, LISTS);
    struct node *node = heap_new(m, node_kind, sizeof *node);
    node->number = rng_next(&w->rng);
    node->mirrored = ~node->number;
    node->next = w->heads[list];
    node->other = w->heads[from];
    if (node->other != NULL)
        node->other->other = NULL;
    w->heads[list] = node;
    w->notes.length[list]++;
    w->notes.sum[list] += node->number;
}

static void pop(struct worker *w, size_t list)
{
    struct node *node = w->heads[list];
    if (node == NULL)
        return;
    check(is_intact(node) && (node->other == NULL || is_intact(node->other)), "a node is damaged");
    w->heads[list] = node->next;
    node->next = node->other = NULL;
    w->notes.length[list]--;
    w->notes.sum[list] -= node->number;
}

static void forget(struct worker *w, size_t list)
{
    w->heads[list] = NULL;
    w->notes.length[list] = 0;
    w->notes.sum[list] = 0;
}

/* Takes it apart, so that a node that is still referred to does not keep the others. */
static void drop(struct worker *w, size_t list)
{
    struct node *next;
    for (struct node *node = w->heads[list]; node != NULL; node = next) {
        next = node->next;
        node->next = node->other = NULL;
    }
    forget(w, list);
}

/* Puts the list `from` behind the first node of `list`, in front of the second. */
static void splice(struct worker *w, size_t list, size_t from)
{
    struct node *head = w->heads[list], *last = w->heads[from];
    if (list == from || head == NULL || last == NULL)
        return;
    while (last->next != NULL)
        last = last->next;
    last->next = head->next;
    head->next = w->heads[from];
    w->notes.length[list] += w->notes.length[from];
    w->notes.sum[list] += w->notes.sum[from];
    forget(w, from);
}

static void walk(struct worker *w, size_t list)
{
    size_t length = 0;
    uint64_t sum = 0;
    for (const struct node *node = w->heads[list]; node != NULL; node = node->next) {
        length++;
        sum += node->number;
    }
    check(length == w->notes.length[list] && sum == w->notes.sum[list], "a list has changed");
}

static void walk_all(struct worker *w)
{
    for (size_t list = 0; list < LISTS; list++)
        walk(w, list);
}

/* Pushes a little more often than it pops while there is room, and less often when there is not. */
static void step(mutator *m, struct worker *w, size_t usual, size_t number)
{
    size_t list = rng_below(&w->rng, LISTS), draw = rng_below(&w->rng, 1024);
    bool is_short = w->notes.length[list] < usual;
    if (draw < (is_short ? 576u : 448u))
        push(m, w, list);
    else
        pop(w, list);
    if (number % WALK_ONE_IN != 0)
        return;
    walk(w, list);
    if (number % (WALK_ONE_IN * 16) == 0)
        splice(w, list, rng_below(&w->rng, LISTS));
    else if (number % (WALK_ONE_IN * 8) == 0)
        drop(w, list);
}

/* The lists of one thread, of `usual` nodes each. */
static void churn(mutator *m, struct worker *w, size_t usual)
{
    for (size_t list = 0; list < LISTS; list++) {
        while (w->notes.length[list] < usual)
            push(m, w, list);
    }
    for (size_t number = 1; number <= w->options->work * usual * LISTS; number++)
        step(m, w, usual, number);
}

static uint64_t nodes(const struct worker *w)
{
    uint64_t count = 0;
    for (size_t list = 0; list < LISTS; list++)
        count += w->notes.length[list];
    return count;
}

static void work(mutator *m, struct part *part)
{
    static struct worker workers[THREADS_MOST];
    struct worker *w = &workers[part->number];
    w->options = part->options;
    w->rng = part->rng;
    HEAP_ROOT_ARRAY(m, w->heads, LISTS);
    churn(m, w, part->bytes / LISTS / NODE_BYTES);
    walk_all(w);
    part_settle(m, nodes(w) * NODE_BYTES);
    walk_all(w);
    memset(w->heads, 0, sizeof w->heads);
}

static void run(const struct options *options, struct report *report)
{
    heap_open(options->factor, options->size * 1024 * 1024);
    mutator *m = heap_attach();
    node_kind = heap_kind_new(&(struct heap_layout){
        .name = "node",
        .size = sizeof(struct node),
        .references = HEAP_REFERENCE(struct node, next) | HEAP_REFERENCE(struct node, other),
    });
    parts_run(options, report, m, work);
    heap_detach(m);
}

static void run_where_collected(const struct options *options, struct report *report)
{
    check(!HEAP_BY_HAND, "nobody knows when a node of this graph can be freed");
    run(options, report);
}

const struct workload workload_lists = {
    "lists", run_where_collected, 64, 20,
    "size: MiB of all threads' lists; work: pushes and pops for each node that there is at first"};
