/* Binary trees, which several workloads are made of. */
#ifndef BENCH_GC_TREE_H
#define BENCH_GC_TREE_H

#include "heap.h"

struct tree {
    HEAP_HEADER
    struct tree *left, *right;
};

/* What a node takes in any of the heaps: a header, or libgc's byte at the end, and rounding. */
enum { TREE_BYTES = 32 };

static inline heap_kind tree_kind(void)
{
    return heap_kind_new(&(struct heap_layout){
        .name = "tree",
        .size = sizeof(struct tree),
        .references = HEAP_REFERENCE(struct tree, left) | HEAP_REFERENCE(struct tree, right),
    });
}

static inline size_t tree_nodes(unsigned depth)
{
    return ((size_t)2 << depth) - 1;
}

/* From the leaves up. */
static inline struct tree *tree_make(mutator *m, heap_kind kind, unsigned depth)
{
    if (depth == 0) {
        struct tree *leaf = heap_new(m, kind, sizeof *leaf);
        leaf->left = leaf->right = NULL;
        return leaf;
    }
    struct tree *left = tree_make(m, kind, depth - 1), *right = NULL;
    HEAP_ROOTS(m, left, right);
    right = tree_make(m, kind, depth - 1);
    struct tree *tree = heap_new(m, kind, sizeof *tree);
    tree->left = left;
    tree->right = right;
    return tree;
}

/* How many nodes it has. */
static inline size_t tree_count(const struct tree *tree)
{
    return tree == NULL ? 0 : 1 + tree_count(tree->left) + tree_count(tree->right);
}

static inline void tree_drop(struct tree *tree)
{
    if (!HEAP_BY_HAND || tree == NULL)
        return;
    tree_drop(tree->left);
    tree_drop(tree->right);
    heap_drop(tree);
}

#endif
