#include "verify.h"

#include "fatal.h"
#include "mark.h"
#include "object.h"
#include "roots.h"
#include "weak.h"

struct check {
    sinter_gc_heap *heap;
    const void *object; /* NULL: a root */
    const char *when;
    bool marked;
};

static _Noreturn void wrong(const struct check *c, void *const *reference, const char *what)
{
    const sinter_gc_heap *heap = c->heap;
    uint32_t block = block_of(heap, *reference);
    fatal("%s: %s %p refers to %p, %s (block %u in state %u, window %u)", c->when,
          c->object != NULL ? sinter_gc_type_name(heap, sinter_gc_type_of(c->object)) : "a root at",
          c->object != NULL ? c->object : (const void *)reference, *reference, what, block,
          heap->blocks[block].state, heap->blocks[block].home);
}

static void check_reference(void **reference, void *context)
{
    const struct check *c = context;
    void *target = *reference;
    if (!is_reference(c->heap, target))
        return;
    const struct block *b = &c->heap->blocks[block_of(c->heap, target)];
    if (b->state != BLOCK_CLOSED && b->state != BLOCK_OPEN && b->state != BLOCK_LARGE)
        wrong(c, reference, "where no object is");
    if (window_of(c->heap, target) != b->home)
        wrong(c, reference, "from which it has moved");
    if (b->state == BLOCK_LARGE && target != block_home(c->heap, block_of(c->heap, target)))
        wrong(c, reference, "in the midst of an object");
    uint32_t type = sinter_gc_type_of(target) & ~(uint32_t)LEAF_BIT;
    if (type == 0 || type >= load_relaxed(&c->heap->type_count))
        wrong(c, reference, "which has no type");
    if (b->state == BLOCK_CLOSED && !b->fresh &&
        !starts_at(&c->heap->maps[block_of(c->heap, target)], granule_of(c->heap, target)))
        wrong(c, reference, "where no object begins");
    if (c->marked && !mark_is_marked(c->heap, target))
        wrong(c, reference, "which is not marked");
}

static void check_object(struct check *c, void *object)
{
    c->object = object;
    object_visit(c->heap, object, check_reference, c);
}

static void check_block(struct check *c, uint32_t block)
{
    struct block *b = &c->heap->blocks[block];
    char *address = block_home(c->heap, block), *object;
    unsigned granule = 0;
    bool fresh = b->fresh;
    if (b->leaf)
        return;
    if (b->state == BLOCK_LARGE && (!c->marked || load_relaxed(&b->marked)))
        check_object(c, address);
    if (b->state != BLOCK_CLOSED)
        return;
    b->fresh = fresh && !c->marked;
    while ((object = next_object(c->heap, block, address, &granule)) != NULL)
        check_object(c, object);
    b->fresh = fresh;
}

static void check_all(struct check *c)
{
    roots_visit(c->heap, check_reference, c);
    weak_visit_queue(c->heap, check_reference, c);
    for (uint32_t block = 0; block < c->heap->frontier; block++)
        check_block(c, block);
}

/* Before the sweep: what points at the start of a fresh block's object is told by the mark only. */
void verify_marked(sinter_gc_heap *heap)
{
    struct check c = {.heap = heap, .when = "after marking", .marked = true};
    check_all(&c);
}

void verify_all(sinter_gc_heap *heap)
{
    struct check c = {.heap = heap, .when = "after moving"};
    check_all(&c);
}
