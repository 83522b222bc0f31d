#include "span_pool.h"

#include "border.h"
#include "decay.h"
#include "layout.h"
#include "lock.h"
#include "quarantine.h"
#include "span_table.h"

static struct {
    struct lock lock;
    uint32_t frontier;       /* first span never used */
    uint32_t newest, oldest; /* ends of the DIRTY list */
    uint32_t clean;
    size_t dirty_spans;
} pool CACHE_ALIGNED = {.lock = LOCK_INITIALIZER(LOCK_SPAN_POOL), .frontier = 1};

static const struct layout_entry places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(pool.frontier)};

static void dirty_unlink(uint32_t span)
{
    struct span *s = span_info(span);
    uint32_t *from = s->prev != 0 ? &span_info(s->prev)->next : &pool.newest;
    uint32_t *back = s->next != 0 ? &span_info(s->next)->prev : &pool.oldest;
    always_assert(s->state == SPAN_DIRTY && *from == span && *back == span);
    *from = s->next;
    *back = s->prev;
    pool.dirty_spans--;
    sub_relaxed(&decay_dirty_pages, SPAN_PAGES);
}

static void dirty_push(uint32_t span)
{
    struct span *s = span_info(span);
    s->state = SPAN_DIRTY;
    s->prev = 0;
    s->next = pool.newest;
    *(pool.newest != 0 ? &span_info(pool.newest)->prev : &pool.oldest) = span;
    pool.newest = span;
    pool.dirty_spans++;
    atomic_fetch_add(&decay_dirty_pages, SPAN_PAGES);
}

static uint32_t frontier_take(void)
{
    size_t end = (size_t)pool.frontier + 1;
    if (quarantine_is_on() && !arena_grow(REGION_SPAN_HELD, end * SPAN_HELD_BYTES))
        return 0;
    if (!arena_grow(REGION_SPAN_INFO, end * SPAN_INFO_BYTES) ||
        !arena_grow(REGION_SPAN_BITS, end * SPAN_BITS_BYTES) ||
        !arena_grow(REGION_SPAN_MORE, end * SPAN_MORE_BYTES) ||
        !arena_grow(REGION_MAP, end * sizeof(uint16_t)) || !arena_grow(REGION_SPANS, end * SPAN_BYTES))
        return 0;
    __atomic_store_n(&arena_span_limit, arena_committed(REGION_MAP) / sizeof(uint16_t), __ATOMIC_RELAXED);
    return pool.frontier++;
}

uint32_t span_pool_take(void)
{
    lock_take(&pool.lock);
    uint32_t span = pool.newest;
    if (span != 0) {
        dirty_unlink(span);
    } else if ((span = pool.clean) != 0) {
        pool.clean = span_info(span)->next;
        span_info(span)->populated = 0;
    } else {
        span = frontier_take();
    }
    lock_give(&pool.lock);
    return span;
}

void span_pool_give(uint32_t span)
{
    lock_take(&pool.lock);
    dirty_push(span);
    lock_give(&pool.lock);
}

/* Takes spans from `frontier` on out of the list of those without memory. */
static void clean_drop_from(uint32_t frontier)
{
    for (uint32_t *link = &pool.clean; *link != 0;) {
        if (*link >= frontier)
            *link = span_info(*link)->next;
        else
            link = &span_info(*link)->next;
    }
}

void span_pool_retract(void)
{
    lock_take(&pool.lock);
    uint32_t frontier = pool.frontier;
    for (; frontier > 1; frontier--) {
        uint32_t last = frontier - 1;
        if (span_info(last)->state == SPAN_DIRTY)
            dirty_unlink(last);
        else if (span_info(last)->state != SPAN_CLEAN)
            break;
    }
    clean_drop_from(frontier);
    for (uint32_t span = frontier; span < pool.frontier; span++) {
        span_info(span)->state = SPAN_UNUSED;
        if (span_info(span)->closed != 0 && border_open(span_address(span), SPAN_BYTES))
            span_info(span)->closed = 0;
        span_info(span)->populated = 0;
    }
    pool.frontier = frontier;
    arena_shrink(REGION_SPANS, (size_t)frontier * SPAN_BYTES);
    lock_give(&pool.lock);
}

uint32_t span_pool_frontier(void)
{
    lock_take(&pool.lock);
    uint32_t frontier = pool.frontier;
    lock_give(&pool.lock);
    return frontier;
}

enum { PURGE_BATCH = 64 };

static size_t purge_detach(uint32_t *batch, size_t most)
{
    size_t n = 0;
    lock_take(&pool.lock);
    for (; n < most && pool.oldest != 0; n++) {
        batch[n] = pool.oldest;
        dirty_unlink(batch[n]);
        span_info(batch[n])->state = SPAN_PURGING;
    }
    lock_give(&pool.lock);
    return n;
}

static void purge_attach(const uint32_t *batch, size_t n)
{
    lock_take(&pool.lock);
    for (size_t i = n; i-- > 0;) {
        struct span *s = span_info(batch[i]);
        s->state = SPAN_CLEAN;
        s->next = pool.clean;
        pool.clean = batch[i];
    }
    lock_give(&pool.lock);
}

static void sort(uint32_t *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t v = a[i];
        size_t j = i;
        for (; j > 0 && a[j - 1] > v; j--)
            a[j] = a[j - 1];
        a[j] = v;
    }
}

size_t span_purge(size_t most)
{
    uint32_t batch[PURGE_BATCH];
    size_t done = 0;
    while (done < most) {
        size_t spans = (most - done - 1) / SPAN_PAGES + 1;
        size_t n = purge_detach(batch, min_size(spans, PURGE_BATCH));
        if (n == 0)
            break;
        sort(batch, n);
        for (size_t i = 0, j; i < n; i = j) {
            for (j = i + 1; j < n && batch[j] == batch[j - 1] + 1; j++)
                ;
            arena_purge(REGION_SPANS, span_address(batch[i]), (j - i) * SPAN_BYTES);
        }
        purge_attach(batch, n);
        done += n * SPAN_PAGES;
    }
    return done;
}

bool span_pool_has_dirty(void)
{
    return read_racy(pool.dirty_spans) != 0;
}

size_t span_dirty_pages(void)
{
    lock_take(&pool.lock);
    size_t pages = pool.dirty_spans * SPAN_PAGES;
    lock_give(&pool.lock);
    return pages;
}

size_t span_pool_check(void)
{
    size_t dirty = 0, in_use = 0;
    lock_take(&pool.lock);
    for (uint32_t span = pool.newest; span != 0; span = span_info(span)->next, dirty++)
        always_assert(span_info(span)->state == SPAN_DIRTY && load_relaxed(arena_map_entry(span)) == 0);
    always_assert(dirty == pool.dirty_spans);
    for (uint32_t span = 1; span < pool.frontier; span++)
        in_use += span_info(span)->state == SPAN_IN_USE;
    lock_give(&pool.lock);
    return in_use;
}

void span_pool_fork_prepare(void)
{
    lock_take(&pool.lock);
}

void span_pool_fork_parent(void)
{
    lock_give(&pool.lock);
}

void span_pool_fork_child(void)
{
    lock_reset(&pool.lock);
}
