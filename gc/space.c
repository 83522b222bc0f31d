#include "space.h"

#include "cycle.h"
#include "os.h"
#include "poison.h"
#include "vector.h"

#include <errno.h>
#include <sys/mman.h>

enum {
    SLACK = 4,          /* a window's blocks over those that may be used: room for gathering, and for runs */
    KEEP_SHARE = 4,     /* of what may be allocated until the next cycle stays as stock */
    RELEASE_MOST = 512, /* blocks given back, or moved, at a time */
};

/* ---- address space ---- */

static void *reserve(size_t size, size_t align)
{
    char *at = os_reserve(NULL, size + align);
    if (at == NULL)
        return NULL;
    char *start = (char *)align_up((uintptr_t)at, align);
    if (start > at)
        os_unmap(at, (size_t)(start - at));
    os_unmap(start + size, (size_t)(at + align - start));
    if (os_commit(start, size) == 0)
        return start;
    os_unmap(start, size);
    return NULL;
}

int space_create(sinter_gc_heap *heap)
{
    size_t blocks = 1;
    heap->most = (uint32_t)(heap->config.maximum >> BLOCK_BITS);
    while (blocks < (size_t)heap->most * SLACK)
        blocks *= 2;
    heap->limit = (uint32_t)blocks;
    heap->window_bytes = blocks << BLOCK_BITS;
    heap->base = reserve(WINDOWS * heap->window_bytes, CHUNK_BYTES);
    heap->blocks = reserve(align_up(blocks * sizeof(struct block), PAGE_BYTES), PAGE_BYTES);
    heap->maps = reserve(blocks * sizeof(struct maps), PAGE_BYTES);
    heap->types = reserve(align_up(TYPES_MAX * sizeof(struct type), PAGE_BYTES), PAGE_BYTES);
    heap->quick_types = reserve(TYPES_MAX * sizeof(struct quick_type), PAGE_BYTES);
    if (heap->quick_types == NULL || heap->base == NULL || heap->blocks == NULL || heap->maps == NULL ||
        heap->types == NULL) {
        space_destroy(heap);
        return ENOMEM;
    }
    /* Huge pages would be split as soon as one block moves. */
    os_advise_no_huge(heap->base, WINDOWS * heap->window_bytes);
    return 0;
}

void space_destroy(sinter_gc_heap *heap)
{
    size_t blocks = heap->limit;
    if (heap->base != NULL)
        os_unmap(heap->base, WINDOWS * heap->window_bytes);
    if (heap->blocks != NULL)
        os_unmap(heap->blocks, align_up(blocks * sizeof(struct block), PAGE_BYTES));
    if (heap->maps != NULL)
        os_unmap(heap->maps, blocks * sizeof(struct maps));
    if (heap->types != NULL)
        os_unmap(heap->types, align_up(TYPES_MAX * sizeof(struct type), PAGE_BYTES));
    if (heap->quick_types != NULL)
        os_unmap(heap->quick_types, TYPES_MAX * sizeof(struct quick_type));
    for (unsigned window = 0; window < WINDOWS; window++)
        vector_free(&heap->stocks[window]);
    vector_free(&heap->left);
}

/* ---- finding free blocks; the space lock is held ---- */

/* Where mutators' blocks are while a cycle moves others: not where an empty block is registered. */
static unsigned window_for_mutators(const sinter_gc_heap *heap)
{
    return heap->phase == PHASE_IDLE ? heap->to : 1u - heap->to;
}

static bool is_stock(const sinter_gc_heap *heap, uint32_t block, unsigned window)
{
    const struct block *b = &heap->blocks[block];
    return b->state == BLOCK_FREE && b->stock && b->home == window;
}

/* The most recently freed block that has pages there. */
static uint32_t pop_stock(sinter_gc_heap *heap, unsigned window)
{
    struct vector *stock = &heap->stocks[window];
    while (stock->count > 0) {
        uint32_t block = ((uint32_t *)stock->items)[--stock->count];
        if (is_stock(heap, block, window)) {
            heap->blocks[block].stock = false;
            heap->stock--;
            return block;
        }
    }
    return NO_BLOCK;
}

static bool is_empty(const sinter_gc_heap *heap, uint32_t block)
{
    return heap->blocks[block].state == BLOCK_FREE && !heap->blocks[block].stock;
}

/* The lowest block that is at neither address. */
static uint32_t pop_empty(sinter_gc_heap *heap)
{
    while (heap->cursor < heap->frontier && !is_empty(heap, heap->cursor))
        heap->cursor++;
    if (heap->cursor == heap->limit)
        return NO_BLOCK;
    if (heap->cursor == heap->frontier)
        heap->frontier++;
    return heap->cursor++;
}

static void push_stock(sinter_gc_heap *heap, uint32_t block)
{
    struct block *b = &heap->blocks[block];
    b->state = BLOCK_FREE;
    heap->freed_low = (uint32_t)min_size(heap->freed_low, block);
    b->stock = vector_push(&heap->stocks[b->home], &block, sizeof(block));
    if (b->stock) {
        heap->stock++;
        return;
    }
    os_purge(block_home(heap, block), BLOCK_BYTES); /* nowhere to note it */
    heap->cursor = (uint32_t)min_size(heap->cursor, block);
}

static void set_up(sinter_gc_heap *heap, uint32_t block, enum block_state state, unsigned home, bool leaf)
{
    struct block *b = &heap->blocks[block];
    poison_clear(heap, block, home);
    b->state = (uint8_t)state;
    b->home = (uint8_t)home;
    b->leaf = leaf;
    b->stock = b->pinned = false;
    store_relaxed(&b->rescan, false);
    store_relaxed(&b->calls, false);
    b->fresh = true;
    b->plan = PLAN_STAY;
    b->used = 0;
    b->length = 1;
    store_relaxed(&b->marked, false);
    heap->in_use++;
    heap->taken++;
}

static bool may_take(sinter_gc_heap *heap, uint32_t blocks)
{
    if (heap->in_use + blocks > heap->most)
        return false;
    if (sub_relaxed(&heap->budget, (int64_t)blocks) < (int64_t)blocks)
        cycle_want(heap);
    return true;
}

/* ---- giving blocks out ---- */

uint32_t space_take(sinter_gc_heap *heap, bool leaf)
{
    pthread_mutex_lock(&heap->space_lock);
    uint32_t block = NO_BLOCK;
    bool dirty = false;
    if (may_take(heap, 1)) {
        unsigned window = window_for_mutators(heap);
        block = pop_stock(heap, window);
        dirty = block != NO_BLOCK;
        if (!dirty)
            block = pop_empty(heap);
        if (block != NO_BLOCK)
            set_up(heap, block, BLOCK_OPEN, window, leaf);
    }
    pthread_mutex_unlock(&heap->space_lock);
    /* All of it is there afterwards: who gathers its objects may not touch a hole, see own.h. */
    if (dirty || (block != NO_BLOCK && !os_populate(block_home(heap, block), BLOCK_BYTES)))
        memset(block_home(heap, block), 0, BLOCK_BYTES);
    return block;
}

/* Blocks that have become FREE may have made runs that start somewhat before them. */
static void lower_hints(sinter_gc_heap *heap)
{
    for (unsigned k = 0; k < RUN_CLASSES; k++) {
        uint32_t before = (uint32_t)min_size(((size_t)1 << k) - 1, heap->freed_low);
        heap->run_hint[k] = (uint32_t)min_size(heap->run_hint[k], heap->freed_low - before);
    }
    heap->freed_low = UINT32_MAX;
}

/* The first of so many blocks in a row that are FREE; they may have pages. */
static uint32_t find_run(sinter_gc_heap *heap, uint32_t blocks)
{
    unsigned class = 31u - (unsigned)__builtin_clz(blocks);
    uint32_t run = 0;
    bool hinted = false;
    if (heap->freed_low != UINT32_MAX)
        lower_hints(heap);
    for (uint32_t block = heap->run_hint[class]; block < heap->limit; block++) {
        bool free = block >= heap->frontier || heap->blocks[block].state == BLOCK_FREE;
        run = free ? run + 1 : 0;
        if (!hinted && run >> class != 0) {
            heap->run_hint[class] = block + 1 - run;
            hinted = true;
        }
        if (run == blocks)
            return block + 1 - blocks;
    }
    if (!hinted)
        heap->run_hint[class] = heap->limit;
    return NO_BLOCK;
}

static void take_run_at(sinter_gc_heap *heap, uint32_t first, uint32_t blocks, bool leaf)
{
    for (uint32_t i = 0; i < blocks; i++) {
        struct block *b = &heap->blocks[first + i];
        if (first + i < heap->frontier && b->stock) {
            os_purge(block_home(heap, first + i), BLOCK_BYTES);
            heap->stock--;
        }
        /* In the window that the rest is in after the cycle: they are never copied. The service answers touches meanwhile. */
        set_up(heap, first + i, i == 0 ? BLOCK_LARGE : BLOCK_TAIL, heap->to, leaf);
        b->length = i == 0 ? blocks : i;
        store_relaxed(&b->marked, true);
    }
    heap->frontier = (uint32_t)max_size(heap->frontier, first + blocks);
}

uint32_t space_take_run(sinter_gc_heap *heap, uint32_t blocks, bool leaf)
{
    pthread_mutex_lock(&heap->space_lock);
    uint32_t first = may_take(heap, blocks) ? find_run(heap, blocks) : (uint32_t)NO_BLOCK;
    if (first != NO_BLOCK)
        take_run_at(heap, first, blocks, leaf);
    pthread_mutex_unlock(&heap->space_lock);
    return first;
}

uint32_t space_take_destination(sinter_gc_heap *heap, bool leaf)
{
    pthread_mutex_lock(&heap->space_lock);
    uint32_t block = pop_empty(heap);
    if (block != NO_BLOCK)
        set_up(heap, block, BLOCK_CLOSED, heap->to, leaf);
    pthread_mutex_unlock(&heap->space_lock);
    return block;
}

/* ---- taking blocks back ---- */

void space_free(sinter_gc_heap *heap, uint32_t block)
{
    pthread_mutex_lock(&heap->space_lock);
    heap->in_use--;
    push_stock(heap, block);
    pthread_mutex_unlock(&heap->space_lock);
}

void space_leave(sinter_gc_heap *heap, uint32_t block)
{
    struct block *b = &heap->blocks[block];
    pthread_mutex_lock(&heap->space_lock);
    b->state = BLOCK_LEFT;
    b->stock = true;
    heap->in_use--;
    /* Not where holes are served: they would be waited for here. What cannot be noted is not used before the cycle's end. */
    if (b->home != heap->to)
        vector_push_within(&heap->left, &block, sizeof(block));
    pthread_mutex_unlock(&heap->space_lock);
}

void space_expect_left(sinter_gc_heap *heap, uint32_t blocks)
{
    pthread_mutex_lock(&heap->space_lock);
    vector_reserve(&heap->left, blocks, sizeof(uint32_t));
    pthread_mutex_unlock(&heap->space_lock);
}

uint32_t space_take_pages(sinter_gc_heap *heap)
{
    uint32_t block = NO_BLOCK;
    pthread_mutex_lock(&heap->space_lock);
    if (heap->left.count > 0) {
        block = ((uint32_t *)heap->left.items)[--heap->left.count];
        heap->blocks[block].stock = false;
    }
    pthread_mutex_unlock(&heap->space_lock);
    return block;
}

static void emptied_locked(sinter_gc_heap *heap, uint32_t block)
{
    heap->blocks[block].state = BLOCK_FREE;
    heap->blocks[block].stock = false;
    heap->freed_low = (uint32_t)min_size(heap->freed_low, block);
    heap->cursor = (uint32_t)min_size(heap->cursor, block);
}

void space_settle(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->space_lock);
    heap->left.count = 0;
    for (uint32_t block = 0; block < heap->frontier; block++) {
        struct block *b = &heap->blocks[block];
        b->plan = PLAN_STAY;
        store_relaxed(&b->job, JOB_NONE);
        if (b->state == BLOCK_LEFT && b->stock)
            push_stock(heap, block);
        else if (b->state == BLOCK_LEFT)
            emptied_locked(heap, block);
    }
    pthread_mutex_unlock(&heap->space_lock);
}

/* Makes the next blocks in a row that have pages there BUSY, from *from on. How many; sets *from to the first of them. */
static uint32_t take_row(sinter_gc_heap *heap, unsigned window, uint32_t most, uint32_t *from)
{
    uint32_t n = 0;
    pthread_mutex_lock(&heap->space_lock);
    while (*from < heap->frontier && !is_stock(heap, *from, window))
        ++*from;
    while (n < most && *from + n < heap->frontier && is_stock(heap, *from + n, window))
        heap->blocks[*from + n++].state = BLOCK_BUSY;
    heap->stock -= n;
    pthread_mutex_unlock(&heap->space_lock);
    return n;
}

/* Pages of maps whose blocks are all FREE: nobody reads them before they are written anew. */
static void release_maps(sinter_gc_heap *heap)
{
    enum { MAPS = PAGE_BYTES / sizeof(struct maps) };
    pthread_mutex_lock(&heap->space_lock);
    for (uint32_t first = 0; first < heap->frontier; first += MAPS) {
        uint32_t n = 0;
        while (n < MAPS && first + n < heap->limit && heap->blocks[first + n].state == BLOCK_FREE)
            n++;
        if (n == MAPS)
            os_purge(&heap->maps[first], PAGE_BYTES);
    }
    pthread_mutex_unlock(&heap->space_lock);
}

uint32_t space_surplus(sinter_gc_heap *heap)
{
    pthread_mutex_lock(&heap->space_lock);
    int64_t budget = load_relaxed(&heap->budget);
    uint32_t keep = budget > 0 ? (uint32_t)(budget / KEEP_SHARE) : 0;
    uint32_t surplus = heap->stock > keep ? heap->stock - keep : 0;
    pthread_mutex_unlock(&heap->space_lock);
    return surplus;
}

void space_release(sinter_gc_heap *heap, uint32_t blocks)
{
    size_t bytes = 0;
    for (unsigned window = 0; window < WINDOWS; window++) {
        uint32_t row;
        for (uint32_t from = 0; blocks > 0; from += row, blocks -= row) {
            row = take_row(heap, window, (uint32_t)min_size(blocks, RELEASE_MOST), &from);
            if (row == 0)
                break;
            os_purge(block_at(heap, from, window), (size_t)row * BLOCK_BYTES);
            pthread_mutex_lock(&heap->space_lock);
            for (uint32_t i = 0; i < row; i++)
                emptied_locked(heap, from + i);
            pthread_mutex_unlock(&heap->space_lock);
            bytes += (size_t)row * BLOCK_BYTES;
        }
    }
    if (bytes > 0)
        release_maps(heap);
    add_relaxed(&heap->released, bytes);
}

/* A block of a row that was to move. If it did not as a whole, what is there of it is given up: nobody needs what it holds. */
static void settle_row_block(sinter_gc_heap *heap, uint32_t block, unsigned window, const uint8_t *result)
{
    bool whole = true;
    for (int page = 0; page < BLOCK_PAGES; page++)
        whole &= result[page] == UFFD_DONE;
    heap->blocks[block].home = (uint8_t)window;
    if (whole) {
        push_stock(heap, block);
        return;
    }
    for (unsigned side = 0; side < WINDOWS; side++)
        os_purge(block_at(heap, block, side), BLOCK_BYTES);
    emptied_locked(heap, block);
}

static void bring_row(sinter_gc_heap *heap, uint32_t from, uint32_t row, unsigned window)
{
    enum { PAGES = RELEASE_MOST * BLOCK_PAGES };
    static _Thread_local uint8_t result[PAGES];
    for (uint32_t block = from; block < from + row; block++)
        poison_clear(heap, block, window);
    uffd_move(&heap->uffd, block_at(heap, from, window), block_at(heap, from, 1 - window),
              (size_t)row * BLOCK_PAGES, 0, result);
    pthread_mutex_lock(&heap->space_lock);
    for (uint32_t i = 0; i < row; i++)
        settle_row_block(heap, from + i, window, result + i * BLOCK_PAGES);
    pthread_mutex_unlock(&heap->space_lock);
}

void space_bring_stock(sinter_gc_heap *heap, unsigned window)
{
    uint32_t row;
    for (uint32_t from = 0; (row = take_row(heap, 1 - window, RELEASE_MOST, &from)) > 0; from += row)
        bring_row(heap, from, row, window);
}
