/*
 * GCBench, after Ellis, Kovac and Boehm: one tree that stretches the heap, a tree and an array that live long, and trees of
 * each depth that do not, made from the leaves up and from the root down.
 */
#include "program.h"

enum { LEAST_DEPTH = 4, STRETCH = 2, ARRAY_PER_NODE = 4, NODE_BYTES = 32 };

struct node {
    HEAP_HEADER
    struct node *left, *right;
    int i, j;
};

struct array {
    HEAP_HEADER
    size_t count;
    double items[];
};

static heap_kind node_kind, array_kind;

static void make_kinds(void)
{
    node_kind = heap_kind_new(&(struct heap_layout){
        .name = "node",
        .size = sizeof(struct node),
        .references = HEAP_REFERENCE(struct node, left) | HEAP_REFERENCE(struct node, right),
    });
    array_kind = heap_kind_new(&(struct heap_layout){
        .name = "array",
        .size = sizeof(struct array),
        .element_size = sizeof(double),
        .count_offset = offsetof(struct array, count),
        .leaf = true,
    });
}

static size_t nodes(unsigned depth)
{
    return ((size_t)2 << depth) - 1;
}

static struct node *node_new(mutator *m)
{
    struct node *node = heap_new(m, node_kind, sizeof *node);
    node->left = node->right = NULL;
    node->i = node->j = 0;
    return node;
}

static struct node *from_leaves(mutator *m, unsigned depth)
{
    if (depth == 0)
        return node_new(m);
    struct node *left = from_leaves(m, depth - 1), *right = NULL;
    HEAP_ROOTS(m, left, right);
    right = from_leaves(m, depth - 1);
    struct node *node = node_new(m);
    node->left = left;
    node->right = right;
    return node;
}

static void from_root(mutator *m, unsigned depth, struct node *node)
{
    if (depth == 0)
        return;
    HEAP_ROOTS(m, node);
    struct node *child = node_new(m);
    node->left = child;
    child = node_new(m);
    node->right = child;
    from_root(m, depth - 1, node->left);
    from_root(m, depth - 1, node->right);
}

static size_t count(const struct node *node)
{
    return node == NULL ? 0 : 1 + count(node->left) + count(node->right);
}

static void drop(struct node *node)
{
    if (!HEAP_BY_HAND || node == NULL)
        return;
    drop(node->left);
    drop(node->right);
    heap_drop(node);
}

static void short_lived(mutator *m, unsigned depth, size_t trees)
{
    struct node *tree = NULL;
    HEAP_ROOTS(m, tree);
    for (size_t i = 0; i < trees; i++) {
        tree = node_new(m);
        from_root(m, depth, tree);
        if (i == 0)
            check(count(tree) == nodes(depth), "a tree made from its root has lost nodes");
        drop(tree);
    }
    for (size_t i = 0; i < trees; i++) {
        tree = from_leaves(m, depth);
        if (i == 0)
            check(count(tree) == nodes(depth), "a tree made from its leaves has lost nodes");
        drop(tree);
    }
}

static struct array *make_array(mutator *m, size_t size)
{
    struct array *array = heap_leaf(m, array_kind, sizeof *array + size * sizeof *array->items);
    array->count = size;
    for (size_t i = 0; i < size; i++)
        array->items[i] = 1.0 / (double)(i + 1);
    return array;
}

static void check_array(const struct array *array)
{
    bool right = true;
    for (size_t i = 0; i < array->count; i++)
        right = right && array->items[i] == 1.0 / (double)(i + 1);
    check(right, "the array has changed");
}

static void run(const struct options *options, struct report *report)
{
    unsigned depth = (unsigned)options->size, stretch = depth + STRETCH;
    size_t items = nodes(depth) * ARRAY_PER_NODE;
    size_t live = nodes(depth) * NODE_BYTES + items * sizeof(double);
    heap_open(options->factor, live);
    mutator *m = heap_attach();
    make_kinds();
    drop(from_leaves(m, stretch));
    {
        struct node *lasting = node_new(m);
        struct array *array = NULL;
        HEAP_ROOTS(m, lasting, array);
        from_root(m, depth, lasting);
        array = make_array(m, items);
        for (unsigned d = LEAST_DEPTH; d <= depth; d += 2)
            short_lived(m, d, 2 * options->work * nodes(stretch) / nodes(d));
        check(count(lasting) == nodes(depth), "the tree that lasts has lost nodes");
        check_array(array);
        report_settled(report, m, live);
    }
    heap_detach(m);
}

const struct workload workload_gcbench = {
    "gcbench", run, 18, 1, "size: depth of the tree that lasts; work: times as many trees as usual"};
