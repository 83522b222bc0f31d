/*
 * Looking at every object.
 */
#include "alloc.h"
#include "fmt.h"
#include "mark.h"
#include "object.h"
#include "roots.h"
#include "weak.h"
#include "world.h"

#include <errno.h>

/* Calls `visit` with every object; mutators stand still, and nothing moves. */
static void each_object(sinter_gc_heap *heap, void (*visit)(void *object, size_t size, void *context),
                        void *context)
{
    for (uint32_t block = 0; block < heap->frontier; block++) {
        const struct block *b = &heap->blocks[block];
        char *address = block_home(heap, block), *object;
        unsigned granule = 0;
        if (b->state == BLOCK_LARGE)
            visit(address, object_size(heap, address), context);
        while (b->state == BLOCK_CLOSED && (object = next_object(heap, block, address, &granule)) != NULL)
            visit(object, object_size(heap, object), context);
    }
}

struct looking {
    struct mutator *m;
    void (*look)(struct looking *looking);
    void (*visit)(void *data, void *object, sinter_gc_type type, size_t size);
    void *data;
    struct fmt *out;
    int error;
};

/* In a thread that stands still itself. The collector waits meanwhile: it holds no lock that is taken here. */
static void with_world_stopped(void *context)
{
    struct looking *looking = context;
    sinter_gc_heap *heap = looking->m->heap;
    pthread_mutex_lock(&heap->look_lock); /* no cycle begins */
    uint64_t since = world_stop(heap);
    pthread_mutex_lock(&heap->roots_lock);
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next)
        alloc_close(m);
    looking->look(looking);
    pthread_mutex_unlock(&heap->roots_lock);
    world_resume(heap, since);
    pthread_mutex_unlock(&heap->look_lock);
}

static void look(sinter_gc_mutator *mutator, struct looking *looking)
{
    looking->m = (struct mutator *)mutator;
    world_outside(with_world_stopped, looking);
}

/* ---- walk ---- */

static void walk_object(void *object, size_t size, void *context)
{
    const struct looking *l = context;
    l->visit(l->data, object, sinter_gc_type_of(object), size);
}

static void walk_all(struct looking *looking)
{
    each_object(looking->m->heap, walk_object, looking);
}

void sinter_gc_walk(sinter_gc_mutator *mutator,
                    void (*visit)(void *data, void *object, sinter_gc_type type, size_t size), void *data)
{
    struct looking l = {.look = walk_all, .visit = visit, .data = data};
    look(mutator, &l);
}

/* ---- dump: a line each
 *
 *   type NUMBER NAME        before the objects
 *   root ADDRESS
 *   object ADDRESS TYPE SIZE [ADDRESS...]   and what it refers to; weak references are marked by a leading ~
 */

static void dump_root(void **reference, void *context)
{
    const struct looking *l = context;
    if (is_reference(l->m->heap, *reference))
        fmt_print(l->out, "root %p\n", *reference);
}

static void dump_ambiguous(void *value, void *context)
{
    const struct looking *l = context;
    const void *object = mark_object_around(l->m->heap, value);
    if (object != NULL)
        fmt_print(l->out, "root %p\n", object);
}

static void dump_edge(void **reference, void *context)
{
    const struct looking *l = context;
    if (is_reference(l->m->heap, *reference))
        fmt_print(l->out, " %p", *reference);
}

static void dump_weak_edge(void **reference, void *context)
{
    const struct looking *l = context;
    if (is_reference(l->m->heap, *reference))
        fmt_print(l->out, " ~%p", *reference);
}

static void dump_object(void *object, size_t size, void *context)
{
    struct looking *l = context;
    sinter_gc_heap *heap = l->m->heap;
    const struct type *type = type_of(heap, object);
    fmt_print(l->out, "object %p %u %lu", object, sinter_gc_type_of(object) & ~(uint32_t)LEAF_BIT,
              (unsigned long)size);
    object_visit(heap, object, type->special == ORDINARY ? dump_edge : dump_weak_edge, l);
    fmt_print(l->out, "\n");
}

static void dump_all(struct looking *l)
{
    sinter_gc_heap *heap = l->m->heap;
    for (uint32_t type = 1; type < load_relaxed(&heap->type_count); type++)
        fmt_print(l->out, "type %u %s\n", type, heap->types[type].layout.name);
    roots_visit(heap, dump_root, l);
    weak_visit_queue(heap, dump_root, l);
    roots_visit_ambiguous(heap, dump_ambiguous, l);
    each_object(heap, dump_object, l);
}

int sinter_gc_dump(sinter_gc_mutator *mutator, int fd)
{
    char text[8192];
    struct fmt f;
    if (fd < 0) {
        errno = EBADF;
        return -1;
    }
    fmt_to_fd(&f, fd, text, sizeof(text));
    sinter_gc_collect(mutator, SINTER_GC_COLLECT_COMPACT);
    struct looking l = {.look = dump_all, .out = &f};
    look(mutator, &l);
    long error = fmt_flush(&f);
    if (error == 0)
        return 0;
    errno = (int)-error;
    return -1;
}
