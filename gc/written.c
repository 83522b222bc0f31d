#include "written.h"

#include "service.h"

enum { PARTS = 128, PIECE = 1024 /* blocks: page faults of mutators wait while one is unregistered */ };

void written_start(sinter_gc_heap *heap)
{
    uffd_open(&heap->watch, UFFD_WRITES | UFFD_USER_MODE);
}

void written_stop(sinter_gc_heap *heap)
{
    uffd_close(&heap->watch);
}

/* Does it hold references that only a write can have changed? */
static bool is_old(const struct block *b)
{
    return (b->state == BLOCK_CLOSED || b->state == BLOCK_LARGE || b->state == BLOCK_TAIL) && !b->leaf &&
           !b->fresh;
}

/* The next blocks in a row that are old and in one window, from *first on. How many; 0 if there are none any more. */
static uint32_t next_row(const sinter_gc_heap *heap, uint32_t *first)
{
    const struct block *blocks = heap->blocks;
    while (*first < heap->frontier && !is_old(&blocks[*first]))
        ++*first;
    uint32_t end = *first;
    while (end < heap->frontier && is_old(&blocks[end]) && blocks[end].home == blocks[*first].home)
        end++;
    return end - *first;
}

static bool protect_all(sinter_gc_heap *heap)
{
    uint32_t row;
    for (uint32_t first = 0; (row = next_row(heap, &first)) > 0; first += row) {
        if (!uffd_forget_writes(&heap->watch, block_home(heap, first), (size_t)row * BLOCK_BYTES))
            return false;
    }
    return true;
}

void written_ignore(sinter_gc_heap *heap)
{
    if (!heap->watched)
        return;
    for (unsigned window = 0; window < WINDOWS; window++) {
        uint32_t block = 0;
        for (; block < heap->frontier; block += PIECE)
            service_unregister(&heap->watch, block_at(heap, block, window),
                               min_size(PIECE, heap->limit - block) * (size_t)BLOCK_BYTES);
        if (block < heap->limit)
            service_unregister(&heap->watch, block_at(heap, block, window),
                               (size_t)(heap->limit - block) * BLOCK_BYTES);
    }
    heap->watched = false;
}

bool written_watch(sinter_gc_heap *heap)
{
    if (heap->watch.fd < 0)
        return false;
    if (!heap->watched && uffd_register_wp(&heap->watch, heap->base, WINDOWS * heap->window_bytes) != 0)
        return false;
    heap->watched = true;
    if (!protect_all(heap))
        written_ignore(heap);
    return heap->watched;
}

/* ---- what was written ---- */

struct visit {
    sinter_gc_heap *heap;
    void (*block)(void *context, uint32_t block, unsigned pages);
    void *context;
    uint32_t pending; /* the block that `pages` are of */
    unsigned pages;
    size_t total;
};

static void flush(struct visit *v)
{
    if (v->pages != 0)
        v->block(v->context, v->pending, v->pages);
    v->total += (size_t)__builtin_popcount(v->pages);
    v->pages = 0;
}

static void note(struct visit *v, const char *from, const char *end)
{
    for (; from < end; from += PAGE_BYTES) {
        uint32_t block = block_of(v->heap, from);
        if (block != v->pending)
            flush(v);
        v->pending = block;
        v->pages |= 1u << ((size_t)(from - v->heap->base) % BLOCK_BYTES >> PAGE_BITS);
    }
}

/* What the kernel does not tell counts as written. */
static void visit_row(struct visit *v, char *from, char *end)
{
    struct uffd_part parts[PARTS];
    while (from < end) {
        long n = uffd_writes(&v->heap->watch, &from, end, parts, PARTS);
        if (n < 0) {
            note(v, from, end);
            break;
        }
        for (long i = 0; i < n; i++)
            note(v, (const char *)(uintptr_t)parts[i].start, (const char *)(uintptr_t)parts[i].end);
    }
    flush(v);
}

size_t written_visit(sinter_gc_heap *heap, void (*block)(void *context, uint32_t block, unsigned pages),
                     void *context)
{
    struct visit v = {.heap = heap, .block = block, .context = context};
    uint32_t row;
    for (uint32_t first = 0; (row = next_row(heap, &first)) > 0; first += row)
        visit_row(&v, block_home(heap, first), block_home(heap, first) + (size_t)row * BLOCK_BYTES);
    return v.total;
}
