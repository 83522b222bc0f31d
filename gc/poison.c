#include "poison.h"

#include "fatal.h"
#include "mark.h"
#include "os.h"
#include "service.h"
#include "vector.h"

struct place {
    uint32_t block, window;
};

static void note(sinter_gc_heap *heap, uint32_t block, unsigned window)
{
    struct place place = {block, window};
    vector_push(&heap->vacated, &place, sizeof(place)); /* else it is not poisoned */
}

void poison_note(sinter_gc_heap *heap)
{
    heap->vacated.count = 0;
    for (uint32_t block = 0; block < heap->planned; block++) {
        const struct block *b = &heap->blocks[block];
        if (b->state == BLOCK_LEFT)
            note(heap, block, b->home);
        else if (b->plan == PLAN_WHOLE)
            note(heap, block, 1u - heap->to);
    }
}

/* Are there no pages of use at this address? */
static bool is_empty(const sinter_gc_heap *heap, const struct place *p)
{
    const struct block *b = &heap->blocks[p->block];
    return b->home != p->window || (b->state == BLOCK_FREE && !b->stock);
}

static void poison(sinter_gc_heap *heap, const struct place *p)
{
    if (uffd_poison(&heap->uffd, block_at(heap, p->block, p->window), BLOCK_PAGES) > 0)
        heap->blocks[p->block].poisoned |= (uint8_t)(1u << p->window);
}

void poison_left(sinter_gc_heap *heap)
{
    size_t size = (size_t)heap->planned * BLOCK_BYTES;
    const struct place *places = heap->vacated.items;
    for (unsigned window = 0; window < WINDOWS; window++) {
        if (uffd_register(&heap->uffd, block_at(heap, 0, window), size) != 0)
            continue;
        for (size_t i = 0; i < heap->vacated.count; i++) {
            if (places[i].window == window && is_empty(heap, &places[i]))
                poison(heap, &places[i]);
        }
        service_unregister(&heap->uffd, block_at(heap, 0, window), size);
    }
    heap->vacated.count = 0;
}

void poison_clear(sinter_gc_heap *heap, uint32_t block, unsigned window)
{
    uint8_t bit = (uint8_t)(1u << window);
    if (!(heap->blocks[block].poisoned & bit))
        return;
    os_purge(block_at(heap, block, window), BLOCK_BYTES);
    heap->blocks[block].poisoned &= (uint8_t)~bit;
}

/* ---- whoever touches one ---- */

static _Noreturn void report(const sinter_gc_heap *heap, const char *address)
{
    const struct block *b = &heap->blocks[block_of(heap, address)];
    unsigned window = window_of(heap, address);
    if (b->home == window || b->state < BLOCK_CLOSED || b->state > BLOCK_TAIL)
        fatal("a stale reference: the object at %p has moved or died, and its block is used for nothing now",
              address);
    char *now = block_home(heap, block_of(heap, address)) + (size_t)address % BLOCK_BYTES;
    const void *object = mark_object_around(heap, now);
    fatal("a stale reference: what was at %p (%s) is at %p now", address,
          object != NULL ? sinter_gc_type_name(heap, sinter_gc_type_of(object)) : "no live object", now);
}

void poison_check(const sinter_gc_heap *heap, const char *address)
{
    if (heap->blocks[block_of(heap, address)].poisoned >> window_of(heap, address) & 1)
        report(heap, address);
}
