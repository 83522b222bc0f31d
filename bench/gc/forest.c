/*
 * GCBench with holes: a forest that lives long, of which random parts are dropped and grown again, so that the heap is full of
 * gaps between objects that stay.
 */
#include "../workload.h"
#include "program.h"
#include "tree.h"

enum { DEPTH = 10, GROUND_TREES = 64, GROUNDS_MOST = 1024 };

/* Trees are held by objects of the heap; the roots are few. */
struct ground {
    HEAP_HEADER
    size_t count;
    struct tree *trees[];
};

static heap_kind kind_of_trees, kind_of_ground;

static void make_kinds(void)
{
    kind_of_trees = tree_kind();
    kind_of_ground = HEAP_TABLE_KIND(ground);
}

static struct ground *plant(mutator *m)
{
    struct ground *ground = heap_zeroed(m, kind_of_ground, sizeof *ground + GROUND_TREES * sizeof(void *));
    HEAP_ROOTS(m, ground);
    ground->count = GROUND_TREES;
    for (size_t i = 0; i < GROUND_TREES; i++) {
        struct tree *tree = tree_make(m, kind_of_trees, DEPTH);
        ground->trees[i] = tree;
    }
    return ground;
}

/* Drops a random part of a tree, small ones being more likely, and makes it anew. */
static void prune(mutator *m, struct ground *ground, struct rng *rng)
{
    struct tree *tree = ground->trees[rng_below(rng, GROUND_TREES)];
    unsigned depth = DEPTH, level = 1 + (unsigned)rng_below(rng, DEPTH);
    for (; depth > level; depth--)
        tree = rng_next(rng) >> 63 ? tree->left : tree->right;
    struct tree **place = rng_next(rng) >> 63 ? &tree->left : &tree->right;
    tree_drop(*place);
    *place = NULL;
    bool left = place == &tree->left;
    HEAP_ROOTS(m, tree);
    struct tree *grown = tree_make(m, kind_of_trees, depth - 1);
    if (left)
        tree->left = grown;
    else
        tree->right = grown;
}

static void check_forest(struct ground *const *grounds, size_t count)
{
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < GROUND_TREES; i++)
            check(tree_count(grounds[g]->trees[i]) == tree_nodes(DEPTH), "a tree has lost nodes");
    }
}

static void run(const struct options *options, struct report *report)
{
    static struct ground *grounds[GROUNDS_MOST];
    size_t per_ground = GROUND_TREES * tree_nodes(DEPTH) * TREE_BYTES;
    size_t count = (options->size * 1024 * 1024 + per_ground - 1) / per_ground;
    if (count > GROUNDS_MOST)
        count = GROUNDS_MOST;
    heap_open(options->factor, count * per_ground);
    mutator *m = heap_attach();
    make_kinds();
    struct rng rng = rng_seed(options->seed);
    {
        HEAP_ROOT_ARRAY(m, grounds, GROUNDS_MOST);
        for (size_t g = 0; g < count; g++)
            grounds[g] = plant(m);
        for (size_t step = 0; step < options->work * count * GROUND_TREES; step++)
            prune(m, grounds[rng_below(&rng, count)], &rng);
        check_forest(grounds, count);
        report_settled(report, m, count * per_ground);
    }
    heap_detach(m);
}

const struct workload workload_forest = {"forest", run, 128, 40,
                                         "size: MiB; work: parts of each tree that are replaced, on average"};
