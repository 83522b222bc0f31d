/* Says whose touches of objects on the move wait here: "not", "user" or "all". */
#include <sinter/gc.h>
#include <stdio.h>

struct node {
    uint64_t header;
    struct node *next;
};

int main(void)
{
    static const char *const words[] = {
        [SINTER_GC_SERVED_NOT] = "not", [SINTER_GC_SERVED_USER] = "user", [SINTER_GC_SERVED_ALL] = "all"};
    struct sinter_gc_layout layout = {.name = "node", .size = sizeof(struct node), .references = 1 << 1};
    struct sinter_gc_stats stats;
    sinter_gc_heap *heap = sinter_gc_create(NULL);
    sinter_gc_mutator *m = heap != NULL ? sinter_gc_attach(heap) : NULL;
    if (m == NULL)
        return perror("no heap"), 1;
    sinter_gc_type type = sinter_gc_type_new(heap, &layout);
    struct node *list = NULL;
    {
        SINTER_GC_ROOTS(m, list);
        for (int i = 0; i < 1000; i++) {
            struct node *node = sinter_gc_alloc(m, type, sizeof *node);
            if (node == NULL)
                return perror("no object"), 1;
            node->next = list;
            list = node;
        }
        sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
    }
    sinter_gc_stats_get(heap, &stats, sizeof stats);
    puts(words[stats.served]);
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    return 0;
}
