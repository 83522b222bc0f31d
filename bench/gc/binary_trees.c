/*
 * binary-trees of the Computer Language Benchmarks Game: many short-lived trees of all depths beside one that lives long.
 * The nodes of each are counted.
 */
#include "program.h"
#include "tree.h"

enum { LEAST_DEPTH = 4 };

static void count_and_drop(struct tree *tree, unsigned depth)
{
    check(tree_count(tree) == tree_nodes(depth), "a tree has lost nodes");
    tree_drop(tree);
}

static void run(const struct options *options, struct report *report)
{
    unsigned most = (unsigned)options->size;
    size_t live = tree_nodes(most) * TREE_BYTES;
    heap_open(options->factor, live);
    mutator *m = heap_attach();
    heap_kind kind = tree_kind();
    count_and_drop(tree_make(m, kind, most + 1), most + 1);
    {
        struct tree *lasting = tree_make(m, kind, most);
        HEAP_ROOTS(m, lasting);
        for (unsigned depth = LEAST_DEPTH; depth <= most; depth += 2) {
            size_t trees = options->work << (most - depth + LEAST_DEPTH);
            for (size_t i = 0; i < trees; i++)
                count_and_drop(tree_make(m, kind, depth), depth);
        }
        check(tree_count(lasting) == tree_nodes(most), "the tree that lasts has lost nodes");
        report_settled(report, m, live);
    }
    heap_detach(m);
}

const struct workload workload_binary_trees = {
    "binary-trees", run, 18, 1, "size: depth of the tree that lasts; work: times as many trees as usual"};
