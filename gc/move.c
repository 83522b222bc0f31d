#include "move.h"

#include "crew.h"
#include "fatal.h"
#include "os.h"
#include "plan.h"
#include "space.h"
#include "vector.h"

#include <string.h>

enum {
    ROW = 16, /* blocks that a worker moves at a time: a thread that touches one waits for all */
    ROW_PAGES = ROW * BLOCK_PAGES,
    HOLES = 2, /* in a row, that are passed over rather than left out */
    PATIENCE = 64,
};

struct moving {
    sinter_gc_heap *heap;
    _Atomic size_t first_cursor; /* in heap->first */
    _Atomic uint32_t cursor;     /* block */
    uint32_t frontier;
    struct staging staging[WORKERS_MAX];
};

/* ---- references ---- */

INLINE void rewrite(void **reference, void *context)
{
    void *object = plan_new_address(context, *reference);
    if (object != *reference) /* what was never touched stays so */
        *reference = object;
}

void move_root(void **reference, void *context)
{
    sinter_gc_heap *heap = context;
    void *object = plan_new_address(heap, *reference);
    if (object == *reference)
        return;
    *reference = object;
    uint32_t block = block_of(heap, object);
    vector_push(&heap->first, &block, sizeof(block)); /* else it comes in its turn */
}

static void rewrite_objects(sinter_gc_heap *heap, uint32_t block, char *address)
{
    unsigned granule = 0;
    for (char *object; (object = next_object(heap, block, address, &granule)) != NULL;)
        object_visit(heap, object, rewrite, heap);
}

void move_rewrite_staying(sinter_gc_heap *heap)
{
    for (size_t i = 0; i < heap->staying.count; i++) {
        uint32_t block = ((uint32_t *)heap->staying.items)[i];
        if (heap->blocks[block].state == BLOCK_CLOSED)
            rewrite_objects(heap, block, block_home(heap, block));
        else
            object_visit_large(heap, block_home(heap, block), rewrite, heap);
    }
}

/* ---- moving pages ---- */

/* The kernel did not take this page, which is pinned perhaps: its contents go. */
static void move_otherwise(sinter_gc_heap *heap, char *to, char *from, uint8_t result)
{
    if (result == UFFD_OCCUPIED)
        fatal("internal error: there is a page at %p, where one is to come from %p", to, from);
    for (int tries = 0; result != UFFD_DONE && result != UFFD_OCCUPIED; tries++) {
        if (tries == PATIENCE)
            fatal("a page of the heap cannot be moved from %p to %p", from, to);
        uffd_copy(&heap->uffd, to, from, 1, UFFD_DONTWAKE, &result);
    }
    os_purge(from, PAGE_BYTES);
}

/* At most a row. Nobody is woken: see done(). */
static void move_pages(sinter_gc_heap *heap, char *to, char *from, size_t pages)
{
    uint8_t result[ROW_PAGES];
    if (uffd_move(&heap->uffd, to, from, pages, UFFD_DONTWAKE | UFFD_ALLOW_HOLES, result) == pages)
        return;
    for (size_t i = 0; i < pages; i++) {
        if (result[i] != UFFD_DONE)
            move_otherwise(heap, to + i * PAGE_BYTES, from + i * PAGE_BYTES, result[i]);
    }
}

/* The end of what is moved by one call: a call costs as much as passing over a few holes. */
static size_t end_of_call(const uint8_t *present, size_t page, size_t pages)
{
    size_t end = page;
    for (; page < pages && page - end <= HOLES; page++)
        end = present[page] ? page + 1 : end;
    return end;
}

static void move_present(sinter_gc_heap *heap, char *to, char *from, size_t pages, const uint8_t *present)
{
    for (size_t page = 0, end; page < pages; page = end) {
        end = present[page] ? end_of_call(present, page, pages) : page + 1;
        if (present[page])
            move_pages(heap, to + page * PAGE_BYTES, from + page * PAGE_BYTES, end - page);
    }
}

/* ---- whole blocks ---- */

bool move_claim(sinter_gc_heap *heap, uint32_t block)
{
    uint8_t pending = JOB_PENDING;
    return atomic_compare_exchange_strong(&heap->blocks[block].job, &pending, JOB_CLAIMED);
}

/* Whoever waits for these blocks is woken; in an own heap nobody sleeps. */
static void done(sinter_gc_heap *heap, uint32_t first, uint32_t blocks)
{
    uint64_t now = heap->own_served ? 0 : os_now_ns(); /* the service asks */
    for (uint32_t block = first; block < first + blocks; block++) {
        heap->blocks[block].done_at = now;
        atomic_store(&heap->blocks[block].job, JOB_DONE);
    }
    if (heap->moving_served && !heap->own_served)
        uffd_wake(&heap->uffd, block_at(heap, first, heap->to), (size_t)blocks * BLOCK_BYTES);
}

/* Which pages of these blocks are there; all, where the kernel cannot tell: it passes over the holes itself then. */
static void look_for_pages(sinter_gc_heap *heap, uint32_t first, uint32_t blocks, uint8_t *present)
{
    size_t pages = (size_t)blocks * BLOCK_PAGES;
    bool large = false;
    for (uint32_t block = first; block < first + blocks; block++)
        large |= heap->blocks[block].state != BLOCK_CLOSED;
    if (!large || !uffd_present(&heap->uffd, block_at(heap, first, 1u - heap->to), pages, present))
        memset(present, 1, pages);
}

/* The part of a large object that lies in this block. What was never touched is left so. */
static void rewrite_part(sinter_gc_heap *heap, uint32_t block, char *address, const uint8_t *present)
{
    const struct block *b = &heap->blocks[block];
    char *object = address - (size_t)(block - first_of_run(heap, block)) * BLOCK_BYTES;
    for (size_t page = 0; page < BLOCK_PAGES; page++) {
        char *from = address + page * PAGE_BYTES;
        if (present[page])
            object_visit_part(b->layout, b->count, object, from, from + PAGE_BYTES, rewrite, heap);
    }
}

/* Blocks [first, first + n), at most a row; `rewritten`: their references are what they will be. */
static void move_row(sinter_gc_heap *heap, uint32_t first, uint32_t n, bool rewritten)
{
    uint8_t present[ROW_PAGES];
    char *from = block_at(heap, first, 1u - heap->to);
    look_for_pages(heap, first, n, present);
    for (uint32_t i = 0; i < n && !rewritten; i++) {
        if (heap->blocks[first + i].state == BLOCK_CLOSED)
            rewrite_objects(heap, first + i, from + (size_t)i * BLOCK_BYTES);
        else
            rewrite_part(heap, first + i, from + (size_t)i * BLOCK_BYTES, present + (size_t)i * BLOCK_PAGES);
    }
    move_present(heap, block_at(heap, first, heap->to), from, (size_t)n * BLOCK_PAGES, present);
    for (uint32_t block = first; block < first + n; block++)
        heap->blocks[block].home = heap->to;
}

/* All blocks of an object that only a callback can look into. */
static uint32_t move_together(sinter_gc_heap *heap, uint32_t first)
{
    const struct block *b = &heap->blocks[first];
    b->layout->visit(block_at(heap, first, 1u - heap->to), rewrite, heap);
    for (uint32_t i = 0; i < b->length; i += ROW)
        move_row(heap, first + i, (uint32_t)min_size(ROW, b->length - i), true);
    return b->length;
}

/* Blocks [first, first + n), at most a row, which the caller has claimed. */
static void move_whole(sinter_gc_heap *heap, uint32_t first, uint32_t n)
{
    const struct block *b = &heap->blocks[first];
    if (b->state == BLOCK_LARGE && b->together)
        n = move_together(heap, first);
    else
        move_row(heap, first, n, false);
    done(heap, first, n);
    add_relaxed(&heap->whole, (uint64_t)n * BLOCK_BYTES);
}

/* ---- gathering ---- */

static char *staging_pages(sinter_gc_heap *heap, struct staging *staging)
{
    uint32_t block = space_take_pages(heap);
    if (block != NO_BLOCK)
        return block_home(heap, block);
    if (staging->own == NULL)
        staging->own = os_map(BLOCK_BYTES, PAGE_BYTES);
    if (staging->own == NULL)
        fatal("out of memory while objects are on the move");
    return staging->own;
}

void staging_free(struct staging *staging)
{
    if (staging->own != NULL)
        os_unmap(staging->own, BLOCK_BYTES);
}

/* Copies a source's live objects from its `skip`th live granule on behind what is there already. How much is there then. */
static unsigned copy_objects(sinter_gc_heap *heap, uint32_t source, unsigned skip, char *to, unsigned used,
                             unsigned most)
{
    const struct block *b = &heap->blocks[source];
    char *address = block_home(heap, source), *object;
    unsigned granule = 0;
    while (used < most && (object = next_object(heap, source, address, &granule)) != NULL) {
        unsigned at = granule_of(heap, object);
        if (skip > 0 && live_before(b, &heap->maps[source], at) < skip)
            continue;
        memcpy(to + used * GRANULE_BYTES, object, (granule - at) * GRANULE_BYTES);
        if (!b->leaf)
            object_visit(heap, to + used * GRANULE_BYTES, rewrite, heap);
        used += granule - at;
    }
    return used;
}

static void fill(sinter_gc_heap *heap, uint32_t block, char *to)
{
    const struct block *d = &heap->blocks[block];
    unsigned used = 0, skip = d->skip;
    for (uint32_t source = d->source; used < d->used; source = heap->blocks[source].next, skip = 0)
        used = copy_objects(heap, source, skip, to, used, d->used);
    add_relaxed(&heap->copied, d->used * GRANULE_BYTES);
}

/* Sources that have nothing left for other destinations. */
static void leave_sources(sinter_gc_heap *heap, uint32_t block)
{
    unsigned used = 0;
    const struct block *d = &heap->blocks[block];
    unsigned skip = d->skip, most = d->used;
    for (uint32_t source = d->source; used < most;) {
        struct block *s = &heap->blocks[source];
        uint32_t next = s->next;
        used += (unsigned)s->live - skip;
        skip = 0;
        if (atomic_fetch_sub(&s->destinations, 1) == 1)
            space_leave(heap, source);
        source = next;
    }
}

static void gathered(sinter_gc_heap *heap, uint32_t block)
{
    leave_sources(heap, block);
    done(heap, block, 1); /* the last: the cycle may end now */
}

static void gather(sinter_gc_heap *heap, struct staging *staging, uint32_t block)
{
    char *to = block_at(heap, block, heap->to);
    if (heap->moving_served) {
        char *pages = staging_pages(heap, staging);
        fill(heap, block, pages);
        move_pages(heap, to, pages, BLOCK_PAGES);
    } else {
        fill(heap, block, to);
    }
    gathered(heap, block);
}

/* ---- the work ---- */

static bool may_join(const struct block *b)
{
    return b->plan == PLAN_WHOLE && !(b->state == BLOCK_LARGE && b->together);
}

/* Block `block` and, if they move whole as well, those behind it. How many are dealt with. */
static uint32_t bring(sinter_gc_heap *heap, struct staging *staging, uint32_t block, uint32_t most)
{
    if (load_relaxed(&heap->blocks[block].job) != JOB_PENDING || !move_claim(heap, block))
        return 1;
    if (heap->blocks[block].plan != PLAN_WHOLE) {
        gather(heap, staging, block);
        return 1;
    }
    uint32_t n = 1;
    while (n < most && may_join(&heap->blocks[block + n]) && move_claim(heap, block + n))
        n++;
    move_whole(heap, block, n);
    return n;
}

static void work(unsigned number, void *context)
{
    struct moving *moving = context;
    sinter_gc_heap *heap = moving->heap;
    struct staging *staging = &moving->staging[number];
    for (size_t i; (i = atomic_fetch_add(&moving->first_cursor, 1)) < heap->first.count;)
        bring(heap, staging, ((uint32_t *)heap->first.items)[i], 1);
    for (uint32_t block; (block = atomic_fetch_add(&moving->cursor, ROW)) < moving->frontier;) {
        uint32_t end = (uint32_t)min_size(block + ROW, moving->frontier);
        while (block < end)
            block += bring(heap, staging, block, end - block);
    }
}

/* Those that the service has claimed. */
static void wait_for_others(const struct moving *moving)
{
    for (uint32_t block = 0; block < moving->frontier; block++) {
        while (atomic_load(&moving->heap->blocks[block].job) == JOB_CLAIMED)
            os_yield();
    }
}

void move_all(sinter_gc_heap *heap, unsigned workers)
{
    struct moving moving = {.heap = heap, .frontier = heap->planned};
    crew_run(heap->crew, workers, work, &moving);
    wait_for_others(&moving);
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        staging_free(&moving.staging[i]);
    heap->first.count = 0;
}

/* ---- for those who wait ---- */

uint32_t move_block_for(const sinter_gc_heap *heap, const char *address)
{
    uint32_t block = block_of(heap, address);
    if (block >= heap->planned)
        return NO_BLOCK;
    bool together = heap->blocks[block].plan == PLAN_WHOLE && heap->blocks[block].together;
    return together ? first_of_run(heap, block) : block;
}

uint32_t move_wanted(sinter_gc_heap *heap, struct staging *staging, const char *address)
{
    uint32_t block = move_block_for(heap, address);
    uint8_t job = block != NO_BLOCK ? atomic_load(&heap->blocks[block].job) : JOB_NONE;
    if (job == JOB_PENDING)
        bring(heap, staging, block, 1);
    return job == JOB_PENDING || job == JOB_CLAIMED ? block : (uint32_t)NO_BLOCK;
}

/* ---- for those who bring one block themselves ---- */

bool move_needs_pages(const sinter_gc_heap *heap, uint32_t block)
{
    return heap->blocks[block].plan != PLAN_WHOLE;
}

bool move_needs_service(const sinter_gc_heap *heap, uint32_t block)
{
    const struct block *b = &heap->blocks[block];
    return load_relaxed(&b->calls) || (b->plan == PLAN_WHOLE && b->state == BLOCK_LARGE && b->together);
}

char *move_put_together(sinter_gc_heap *heap, uint32_t block, char *pages)
{
    static const uint8_t present[] = {1, 1, 1, 1};
    _Static_assert(sizeof(present) == BLOCK_PAGES, "");
    char *from = block_at(heap, block, 1u - heap->to);
    if (move_needs_pages(heap, block)) {
        fill(heap, block, pages);
        return pages;
    }
    if (heap->blocks[block].state == BLOCK_CLOSED)
        rewrite_objects(heap, block, from);
    else
        rewrite_part(heap, block, from, present);
    return from;
}

void move_arrived(sinter_gc_heap *heap, uint32_t block)
{
    if (move_needs_pages(heap, block)) {
        gathered(heap, block);
        return;
    }
    heap->blocks[block].home = heap->to;
    add_relaxed(&heap->whole, BLOCK_BYTES);
    done(heap, block, 1);
}

void move_rest(sinter_gc_heap *heap, uint32_t block, char *from)
{
    move_pages(heap, block_at(heap, block, heap->to), from, BLOCK_PAGES);
    move_arrived(heap, block);
}
