/* A heap that stays about as large while its objects come and go, and structures built and dropped whole. */
#include "cases.h"
#include "workload.h"

enum { REPLACEMENTS = 1000, BRANCHES = 8 };

/* args: objects alive per thread, size limit. A random one is freed and replaced by one of random size. */
void run_churn(struct bench_state *state)
{
    size_t count = bench_arg(state, 0);
    size_t limit = bench_arg(state, 1);
    struct rng rng = rng_seed((uint64_t)bench_thread(state));
    struct sizes sizes;
    sizes_fill(&sizes, &rng, limit / 64, limit);
    void **objects = calloc(count, sizeof *objects);
    for (size_t i = 0; i < count; i++)
        objects[i] = make(sizes_next(&sizes));
    while (bench_next(state)) {
        for (int i = 0; i < REPLACEMENTS; i++) {
            void **object = &objects[rng_below(&rng, count)];
            free(*object);
            *object = make(sizes_next(&sizes));
        }
    }
    for (size_t i = 0; i < count; i++)
        free(objects[i]);
    free(objects);
    bench_items(state, REPLACEMENTS);
}

struct node {
    struct node *left, *right;
    size_t value;
};

static struct node *tree_build(size_t depth)
{
    struct node *node = malloc(sizeof *node);
    node->value = depth;
    node->left = depth > 1 ? tree_build(depth - 1) : NULL;
    node->right = depth > 1 ? tree_build(depth - 1) : NULL;
    return node;
}

static void tree_drop(struct node *node)
{
    if (!node)
        return;
    tree_drop(node->left);
    tree_drop(node->right);
    free(node);
}

/* args: depth. A binary tree of equal nodes, built and dropped depth first. */
void run_tree(struct bench_state *state)
{
    size_t depth = bench_arg(state, 0);
    while (bench_next(state))
        tree_drop(tree_build(depth));
    bench_items(state, ((size_t)1 << depth) - 1);
}

/* Like a parsed document: each element has a text and an array of children, and random sizes. */
struct element {
    char *text;
    struct element **children;
    size_t child_count;
};

static struct element *document_build(size_t depth, struct sizes *texts)
{
    struct element *element = malloc(sizeof *element);
    element->text = make(sizes_next(texts));
    element->child_count = depth > 1 ? BRANCHES : 0;
    element->children = malloc(element->child_count * sizeof *element->children);
    for (size_t i = 0; i < element->child_count; i++)
        element->children[i] = document_build(depth - 1, texts);
    return element;
}

static size_t document_drop(struct element *element)
{
    size_t objects = 3;
    for (size_t i = 0; i < element->child_count; i++)
        objects += document_drop(element->children[i]);
    free(element->children);
    free(element->text);
    free(element);
    return objects;
}

/* args: depth */
void run_document(struct bench_state *state)
{
    size_t depth = bench_arg(state, 0);
    size_t objects = 0;
    struct rng rng = rng_seed(4);
    struct sizes texts;
    sizes_fill(&texts, &rng, 8, 512);
    while (bench_next(state))
        objects = document_drop(document_build(depth, &texts));
    bench_items(state, objects);
}
