#include "run.h"

#include "border.h"
#include "decay.h"
#include "fatal.h"
#include "layout.h"
#include "lock.h"

#include <string.h>

/*
 * The states of a page's descriptor. A run is described at its first page; a free run of several pages has a TAIL
 * at its last, by which its right neighbour finds it. All changes are made with the lock held.
 *
 *   NONE     inside a run, or beyond the frontier
 *   LIVE     first page of a block the program holds; from FREE by allocation; to FREE by free()
 *   FREE     first page of a free run, which is in the list of its size and, if dirty, in the list by age
 *   TAIL     last page of a free run
 *   PURGING  first page of a free run whose memory is being given back, in no list; from and to FREE by the
 *            purging thread, which holds the maintain lock, so that no fork sees this state
 */
#define RUN_STATES(X) X(NONE) X(LIVE) X(FREE) X(TAIL) X(PURGING)

enum run_state {
#define X(name) RUN_##name,
    RUN_STATES(X)
#undef X
};

/* Page numbers serve as links; page 0 is never used, so that 0 means none. */
struct run {
    _Atomic uint32_t pages; /* of LIVE, FREE, TAIL, PURGING */
    _Atomic uint8_t state;
    _Atomic uint8_t border;        /* LIVE: 1 if the last page is closed and not the program's */
    uint32_t dirty_pages;          /* FREE: as many of its dirty bits are set */
    uint32_t size_prev, size_next; /* FREE: list of its size */
    uint32_t age_prev, age_next;   /* FREE with dirty_pages > 0: list by age */
} __attribute__((aligned(32)));

_Static_assert(sizeof(struct run) == RUN_INFO_BYTES, "the arena's layout relies on it");

/* Lists by size: exact up to EXACT pages, then STEPS a doubling. */
enum { EXACT = 64, STEP_BITS = 3, STEPS = 1 << STEP_BITS, DOUBLINGS = 21, LISTS = EXACT + DOUBLINGS * STEPS };
enum { LIST_WORDS = (LISTS + 63) / 64, FIT_TRIES = 16 };

static struct {
    struct lock lock;
    _Atomic uint32_t frontier; /* first page never used. Synchronization: written with the lock held */
    uint32_t oldest, newest;
    size_t dirty_pages;
    size_t live_runs, live_pages, borders;
    uint32_t lists[LISTS];
    uint64_t nonempty[LIST_WORDS];
} zone CACHE_ALIGNED = {.lock = LOCK_INITIALIZER(LOCK_RUN), .frontier = 1};

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_TYPE(run),
    LAYOUT_FIELD(run, pages),
    LAYOUT_FIELD(run, state),
};

static const struct layout_entry states[] LAYOUT_SHAPES = {
#define X(name) LAYOUT_CONSTANT(RUN_##name),
    RUN_STATES(X)
#undef X
};

static const struct layout_entry run_places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(zone.frontier)};

static struct run *info(uint32_t page)
{
    return (struct run *)arena_start(REGION_RUN_INFO) + page;
}

static char *address(uint32_t page)
{
    return arena_start(REGION_RUNS) + (size_t)page * PAGE_BYTES;
}

static uint32_t page_of(const void *p)
{
    return (uint32_t)(((uintptr_t)p - (uintptr_t)arena_start(REGION_RUNS)) >> PAGE_BITS);
}

static enum run_state state_of(uint32_t page)
{
    return (enum run_state)atomic_load_explicit(&info(page)->state, memory_order_acquire);
}

static void set_state(uint32_t page, enum run_state state, uint32_t pages)
{
    store_relaxed(&info(page)->pages, pages);
    atomic_store_explicit(&info(page)->state, (uint8_t)state, memory_order_release);
}

static uint32_t pages_at(uint32_t page)
{
    return load_relaxed(&info(page)->pages);
}

/* Pages that are the program's. */
static uint32_t usable_pages(uint32_t page)
{
    return pages_at(page) - load_relaxed(&info(page)->border);
}

/* ---- dirty bits: a clear bit promises a page of zeros; a set one is a page that a program may have written ---- */

static uint64_t *dirty_words(void)
{
    return (uint64_t *)arena_start(REGION_RUN_DIRTY);
}

/* The bits of word `w` that belong to pages [page, end). */
static uint64_t word_mask(size_t w, uint32_t page, uint32_t end)
{
    uint64_t mask = ~(uint64_t)0;
    if (w == page / 64)
        mask <<= page % 64;
    if (w == end / 64)
        mask &= ((uint64_t)1 << end % 64) - 1;
    return mask;
}

static void dirty_fill(uint32_t page, uint32_t pages, bool dirty)
{
    uint32_t end = page + pages;
    for (size_t w = page / 64; w * 64 < end; w++) {
        uint64_t mask = word_mask(w, page, end), *word = &dirty_words()[w];
        __atomic_store_n(word, dirty ? *word | mask : *word & ~mask, __ATOMIC_RELAXED);
    }
}

static uint32_t dirty_count(uint32_t page, uint32_t pages)
{
    uint32_t end = page + pages, count = 0;
    for (size_t w = page / 64; w * 64 < end; w++)
        count += (uint32_t)__builtin_popcountll(dirty_words()[w] & word_mask(w, page, end));
    return count;
}

static bool page_is_dirty(uint32_t page)
{
    return __atomic_load_n(&dirty_words()[page / 64], __ATOMIC_RELAXED) >> page % 64 & 1;
}

static void dirty_add(size_t pages)
{
    zone.dirty_pages += pages;
    atomic_fetch_add(&decay_dirty_pages, pages);
}

static void dirty_sub(size_t pages)
{
    zone.dirty_pages -= pages;
    sub_relaxed(&decay_dirty_pages, pages);
}

/* ---- free runs; all with the lock held ---- */

static unsigned list_of(uint32_t pages)
{
    if (pages < EXACT)
        return pages;
    unsigned log = 31 - (unsigned)__builtin_clz(pages);
    return EXACT + (log - 6) * STEPS + ((pages >> (log - STEP_BITS)) & (STEPS - 1));
}

static void size_link_locked(uint32_t page, uint32_t pages)
{
    unsigned list = list_of(pages);
    struct run *r = info(page);
    r->size_prev = 0;
    r->size_next = zone.lists[list];
    if (r->size_next != 0)
        info(r->size_next)->size_prev = page;
    zone.lists[list] = page;
    zone.nonempty[list / 64] |= (uint64_t)1 << list % 64;
}

static void size_unlink_locked(uint32_t page)
{
    struct run *r = info(page);
    unsigned list = list_of(pages_at(page));
    uint32_t *from = r->size_prev != 0 ? &info(r->size_prev)->size_next : &zone.lists[list];
    uint32_t *back = r->size_next != 0 ? &info(r->size_next)->size_prev : NULL;
    always_assert(state_of(page) == RUN_FREE && *from == page && (back == NULL || *back == page));
    *from = r->size_next;
    if (back != NULL)
        *back = r->size_prev;
    if (zone.lists[list] == 0)
        zone.nonempty[list / 64] &= ~((uint64_t)1 << list % 64);
}

/* Links the run behind `after` in the list by age; 0: as the oldest. */
static void age_link_locked(uint32_t page, uint32_t after)
{
    struct run *r = info(page);
    r->age_prev = after;
    r->age_next = after != 0 ? info(after)->age_next : zone.oldest;
    *(after != 0 ? &info(after)->age_next : &zone.oldest) = page;
    *(r->age_next != 0 ? &info(r->age_next)->age_prev : &zone.newest) = page;
}

static void age_unlink_locked(uint32_t page)
{
    struct run *r = info(page);
    if (r->dirty_pages == 0)
        return;
    uint32_t *from = r->age_prev != 0 ? &info(r->age_prev)->age_next : &zone.oldest;
    uint32_t *back = r->age_next != 0 ? &info(r->age_next)->age_prev : &zone.newest;
    always_assert(*from == page && *back == page);
    *from = r->age_next;
    *back = r->age_prev;
}

/* Makes [page, page + pages), `dirty` of them dirty, a free run without looking at its neighbours. */
static void free_link_locked(uint32_t page, uint32_t pages, uint32_t dirty, uint32_t age_after)
{
    set_state(page, RUN_FREE, pages);
    if (pages > 1)
        set_state(page + pages - 1, RUN_TAIL, pages);
    size_link_locked(page, pages);
    info(page)->dirty_pages = dirty;
    if (dirty > 0)
        age_link_locked(page, age_after);
}

/* Takes a free run out of all lists. Returns the run before it in the list by age. */
static uint32_t free_unlink_locked(uint32_t page)
{
    struct run *r = info(page);
    uint32_t pages = pages_at(page), age_before = r->dirty_pages > 0 ? r->age_prev : zone.newest;
    size_unlink_locked(page);
    age_unlink_locked(page);
    set_state(page + pages - 1, RUN_NONE, 0);
    set_state(page, RUN_NONE, 0);
    return age_before;
}

/* Makes the pages, `dirty` of them dirty, free and the newest, together with free neighbours. */
static void free_merge_locked(uint32_t page, uint32_t pages, uint32_t dirty)
{
    uint32_t end = page + pages;
    if (end < zone.frontier && state_of(end) == RUN_FREE) {
        uint32_t more = pages_at(end);
        dirty += info(end)->dirty_pages;
        free_unlink_locked(end);
        pages += more;
    }
    enum run_state before = page > 1 ? state_of(page - 1) : RUN_NONE;
    if (before == RUN_TAIL || (before == RUN_FREE && pages_at(page - 1) == 1)) {
        uint32_t more = pages_at(page - 1);
        page -= more;
        dirty += info(page)->dirty_pages;
        free_unlink_locked(page);
        pages += more;
    }
    free_link_locked(page, pages, dirty, zone.newest);
}

/* The first list from `list` on that holds a run; LISTS if none does. */
static unsigned next_nonempty_locked(unsigned list)
{
    for (unsigned w = list / 64; w < LIST_WORDS; w++) {
        uint64_t have = zone.nonempty[w];
        if (w == list / 64)
            have &= ~(uint64_t)0 << list % 64;
        if (have != 0)
            return w * 64 + (unsigned)__builtin_ctzll(have);
    }
    return LISTS;
}

/* A free run of at least `pages`, the best of the first few of its list, otherwise of a larger list. 0: none. */
static uint32_t find_fit_locked(uint32_t pages)
{
    unsigned list = list_of(pages);
    uint32_t best = 0, tries = 0;
    for (uint32_t page = zone.lists[list]; page != 0 && tries < FIT_TRIES;
         page = info(page)->size_next, tries++) {
        if (pages_at(page) >= pages && (best == 0 || pages_at(page) < pages_at(best)))
            best = page;
    }
    if (best != 0)
        return best;
    list = next_nonempty_locked(list + 1);
    return list < LISTS ? zone.lists[list] : 0;
}

/* Pages of the free run that ends at the frontier. */
static uint32_t last_free_pages_locked(void)
{
    uint32_t last = zone.frontier - 1;
    if (last == 0)
        return 0;
    enum run_state state = state_of(last);
    return state == RUN_TAIL || state == RUN_FREE ? pages_at(last) : 0;
}

/* Moves the frontier so that a free run of at least `pages` ends there. */
static bool extend_locked(uint32_t pages)
{
    uint32_t have = last_free_pages_locked();
    uint32_t more = pages > have ? pages - have : 0;
    size_t end = (size_t)zone.frontier + more;
    if (!arena_grow(REGION_RUN_INFO, (end + 1) * RUN_INFO_BYTES) ||
        !arena_grow(REGION_RUN_DIRTY, end / 8 + 8) || !arena_grow(REGION_RUNS, end * PAGE_BYTES))
        return false;
    /* Take all that was committed, as far as the tables reach. */
    size_t limit = min_size(arena_committed(REGION_RUNS) / PAGE_BYTES,
                            arena_committed(REGION_RUN_INFO) / RUN_INFO_BYTES - 1);
    limit = min_size(limit, arena_committed(REGION_RUN_DIRTY) * 8 - 64);
    uint32_t from = zone.frontier;
    zone.frontier = (uint32_t)max_size(limit, end);
    if (zone.frontier > from)
        free_merge_locked(from, zone.frontier - from, 0);
    if (from == 1 && border_large) /* page 0, which is nobody's */
        border_close(address(0), PAGE_BYTES);
    return true;
}

/* As dirty_count for a part of `all` pages of which `all_dirty` are dirty, without counting where that is plain. */
static uint32_t dirty_count_of(uint32_t page, uint32_t pages, uint32_t all_dirty, uint32_t all)
{
    if (all_dirty == 0 || all_dirty == all)
        return all_dirty == 0 ? 0 : pages;
    return dirty_count(page, pages);
}

/* Cuts [want, want + pages) out of a free run and makes it LIVE; the rest stays free, at its age. */
static void carve_locked(uint32_t page, uint32_t want, uint32_t pages)
{
    uint32_t end = page + pages_at(page), want_end = want + pages, dirty = info(page)->dirty_pages;
    uint32_t age_before = free_unlink_locked(page);
    if (want > page) {
        uint32_t dirty_left = dirty_count_of(page, want - page, dirty, end - page);
        free_link_locked(page, want - page, dirty_left, age_before);
        dirty -= dirty_left;
    }
    uint32_t dirty_cut = dirty_count_of(want, pages, dirty, end - want);
    dirty_sub(dirty_cut);
    if (end > want_end)
        free_link_locked(want_end, end - want_end, dirty - dirty_cut, age_before);
    set_state(want, RUN_LIVE, pages);
    zone.live_runs++;
    zone.live_pages += pages;
}

/* ---- closed pages at the end of live runs ---- */

static char *last_page(uint32_t page)
{
    return address(page + pages_at(page) - 1);
}

static void border_set_locked(uint32_t page)
{
    bool closed = border_large && border_close(last_page(page), PAGE_BYTES);
    store_relaxed(&info(page)->border, closed);
    zone.borders += closed;
}

/* False if it cannot be opened. */
static bool border_clear_locked(uint32_t page)
{
    if (load_relaxed(&info(page)->border) == 0)
        return true;
    if (!border_open(last_page(page), PAGE_BYTES))
        return false;
    store_relaxed(&info(page)->border, 0);
    zone.borders--;
    return true;
}

/* The last page cannot be opened: it becomes a run by itself that nobody will free. */
static void border_leave_locked(uint32_t page)
{
    uint32_t last = page + pages_at(page) - 1;
    set_state(page, RUN_LIVE, pages_at(page) - 1);
    store_relaxed(&info(page)->border, 0);
    set_state(last, RUN_LIVE, 1);
    store_relaxed(&info(last)->border, 1);
    zone.live_runs++;
}

struct block_place run_border_find(const void *p)
{
    uint32_t page = page_of(p), first = page;
    while (first > 0 && state_of(first) != RUN_LIVE && page - first < RUN_MAX / PAGE_BYTES + 1)
        first--;
    bool ends_here = first < page && state_of(first) == RUN_LIVE && first + pages_at(first) - 1 == page &&
                     load_relaxed(&info(first)->border) != 0;
    bool nearer_to_next = !ends_here || ((uintptr_t)p & (PAGE_BYTES - 1)) >= PAGE_BYTES / 2;
    if ((ends_here || page == 0) && nearer_to_next && page + 1 < zone.frontier &&
        state_of(page + 1) == RUN_LIVE)
        return (struct block_place){address(page + 1), (size_t)usable_pages(page + 1) * PAGE_BYTES};
    if (ends_here)
        return (struct block_place){address(first), (size_t)usable_pages(first) * PAGE_BYTES};
    return (struct block_place){0};
}

/* ---- the module's functions ---- */

static uint32_t data_pages_for(size_t bytes)
{
    return (uint32_t)((bytes + PAGE_BYTES - 1) >> PAGE_BITS);
}

/* With the one that is to be closed. */
static uint32_t pages_for(size_t bytes)
{
    return data_pages_for(bytes) + border_large;
}

void *run_alloc(size_t bytes, size_t align)
{
    uint32_t pages = pages_for(bytes);
    size_t align_pages = max_size(align >> PAGE_BITS, 1);
    if (pages + align_pages - 1 > UINT32_MAX / 2)
        return NULL;
    uint32_t room = pages + (uint32_t)align_pages - 1;
    void *p = NULL;
    lock_take(&zone.lock);
    uint32_t page = find_fit_locked(room);
    if (page == 0 && extend_locked(room))
        page = find_fit_locked(room);
    if (page != 0) {
        p = (void *)align_up((uintptr_t)address(page), max_size(align, PAGE_BYTES));
        carve_locked(page, page_of(p), pages);
        border_set_locked(page_of(p));
    }
    lock_give(&zone.lock);
    return p;
}

void run_clear(void *p, size_t bytes)
{
    /* The run is the caller's, so its bits stand still, though not the rest of their words. */
    uint32_t page = page_of(p), end = page + data_pages_for(bytes);
    while (page < end) {
        uint32_t to = page;
        while (to < end && page_is_dirty(to))
            to++;
        if (to > page)
            memset(address(page), 0, (size_t)(to - page) * PAGE_BYTES);
        for (page = to; page < end && !page_is_dirty(page); page++)
            ;
    }
}

static bool starts_live(const void *p)
{
    return ((uintptr_t)p & (PAGE_BYTES - 1)) == 0 && page_of(p) < zone.frontier &&
           state_of(page_of(p)) == RUN_LIVE;
}

size_t run_bytes(const void *p)
{
    return starts_live(p) ? (size_t)usable_pages(page_of(p)) * PAGE_BYTES : 0;
}

struct run_location run_find(const void *p)
{
    struct run_location found = {RUN_KIND_NONE, NULL, 0};
    lock_take(&zone.lock);
    uint32_t page = page_of(p);
    if (page < zone.frontier) {
        uint32_t first = page;
        while (first > 0 && (state_of(first) == RUN_NONE || (state_of(first) == RUN_TAIL)))
            first--;
        if (first > 0 && page - first < pages_at(first)) {
            found.kind = state_of(first) == RUN_LIVE ? RUN_KIND_LIVE : RUN_KIND_FREE;
            found.start = address(first);
            found.bytes =
                (size_t)(found.kind == RUN_KIND_LIVE ? usable_pages(first) : pages_at(first)) * PAGE_BYTES;
        }
    }
    lock_give(&zone.lock);
    return found;
}

bool run_free(void *p)
{
    lock_take(&zone.lock);
    bool live = starts_live(p);
    if (live) {
        uint32_t page = page_of(p), pages;
        if (unlikely(!border_clear_locked(page)))
            border_leave_locked(page);
        pages = pages_at(page);
        set_state(page, RUN_NONE, 0);
        zone.live_runs--;
        zone.live_pages -= pages;
        dirty_fill(page, pages, true);
        dirty_add(pages);
        free_merge_locked(page, pages, pages);
    }
    lock_give(&zone.lock);
    return live;
}

static void shrink_locked(uint32_t page, uint32_t pages)
{
    uint32_t cut = pages_at(page) - pages;
    set_state(page, RUN_LIVE, pages);
    zone.live_pages -= cut;
    dirty_fill(page + pages, cut, true);
    dirty_add(cut);
    free_merge_locked(page + pages, cut, cut);
}

static bool grow_locked(uint32_t page, uint32_t pages)
{
    uint32_t have = pages_at(page), next = page + have, more = pages - have;
    bool free_next = next < zone.frontier && state_of(next) == RUN_FREE;
    uint32_t room = free_next ? pages_at(next) : 0;
    if (room < more) {
        if (next + room != zone.frontier || !extend_locked(more))
            return false;
    }
    carve_locked(next, next, more);
    zone.live_runs--; /* two became one */
    set_state(next, RUN_NONE, 0);
    set_state(page, RUN_LIVE, pages);
    return true;
}

bool run_resize(void *p, size_t bytes)
{
    uint32_t page = page_of(p), pages = pages_for(bytes);
    bool ok = true;
    lock_take(&zone.lock);
    uint32_t have = pages_at(page);
    if (pages != have && !border_clear_locked(page))
        ok = false;
    else if (pages < have)
        shrink_locked(page, pages);
    else if (pages > have)
        ok = grow_locked(page, pages);
    if (border_large && load_relaxed(&info(page)->border) == 0)
        border_set_locked(page);
    lock_give(&zone.lock);
    return ok;
}

void run_retract(void)
{
    lock_take(&zone.lock);
    uint32_t pages = last_free_pages_locked(), page = zone.frontier - pages;
    /* Dirty pages in the chunk that stays would count as zeros when the zone grows again. */
    if (pages > 0 && info(page)->dirty_pages == 0) {
        free_unlink_locked(page);
        zone.frontier = page;
    }
    /* Under the lock: nobody may extend the zone between the two. */
    arena_shrink(REGION_RUNS, (size_t)zone.frontier * PAGE_BYTES);
    lock_give(&zone.lock);
}

/* Detaches the oldest dirty run. 0 if there is none. */
static uint32_t purge_detach(uint32_t *pages)
{
    lock_take(&zone.lock);
    uint32_t page = zone.oldest;
    if (page != 0) {
        *pages = pages_at(page);
        dirty_sub(info(page)->dirty_pages);
        free_unlink_locked(page);
        set_state(page, RUN_PURGING, *pages);
    }
    lock_give(&zone.lock);
    return page;
}

static void purge_attach(uint32_t page, uint32_t pages, bool clean)
{
    lock_take(&zone.lock);
    uint32_t dirty = 0;
    set_state(page, RUN_NONE, 0);
    /* What the kernel would not take back (locked memory) keeps its bits, but not its place in the list by age. */
    if (clean)
        dirty_fill(page, pages, false);
    else
        dirty_add(dirty = dirty_count(page, pages));
    free_merge_locked(page, pages, dirty);
    lock_give(&zone.lock);
}

/* Gives the dirty stretches of a detached run back. Returns their pages; *clean tells whether the kernel did it. */
static size_t purge_stretches(uint32_t page, uint32_t pages, bool *clean)
{
    uint32_t end = page + pages;
    size_t done = 0;
    *clean = true;
    while (page < end) {
        uint32_t to = page;
        while (to < end && page_is_dirty(to))
            to++;
        if (to > page)
            *clean &= arena_purge(REGION_RUNS, address(page), (size_t)(to - page) * PAGE_BYTES);
        done += to - page;
        for (page = to; page < end && !page_is_dirty(page); page++)
            ;
    }
    return done;
}

size_t run_purge(size_t most)
{
    size_t done = 0;
    while (done < most) {
        uint32_t pages = 0;
        bool clean;
        uint32_t page = purge_detach(&pages);
        if (page == 0)
            break;
        size_t purged = purge_stretches(page, pages, &clean);
        purge_attach(page, pages, clean);
        if (!clean)
            break;
        done += purged;
    }
    return done;
}

size_t run_dirty_pages(void)
{
    lock_take(&zone.lock);
    size_t pages = zone.dirty_pages;
    lock_give(&zone.lock);
    return pages;
}

void run_stats(struct run_stats *stats)
{
    lock_take(&zone.lock);
    *stats =
        (struct run_stats){zone.live_runs, (zone.live_pages - zone.borders) * PAGE_BYTES, zone.dirty_pages};
    lock_give(&zone.lock);
}

/* The run that the page, below the frontier, is in. */
static uint32_t start_of_run_locked(uint32_t page)
{
    while (page > 1 && (state_of(page) == RUN_NONE || state_of(page) == RUN_TAIL))
        page--;
    return page;
}

static struct map_page map_page_of(enum run_state state, uint32_t page)
{
    if (state == RUN_LIVE)
        return (struct map_page){MAP_LARGE, UINT8_MAX};
    return (struct map_page){page_is_dirty(page) ? MAP_DIRTY : MAP_RETURNED, 0};
}

void run_map(size_t first, size_t count, struct map_page *pages)
{
    lock_take(&zone.lock);
    size_t end = min_size(first + count, zone.frontier), at = max_size(first, 1);
    for (uint32_t run = at < end ? start_of_run_locked((uint32_t)at) : 0; at < end; run = (uint32_t)at) {
        size_t run_end = min_size((size_t)run + max_size(pages_at(run), 1), end);
        for (; at < run_end; at++)
            pages[at - first] = map_page_of(state_of(run), (uint32_t)at);
    }
    lock_give(&zone.lock);
    for (size_t i = 0; i < count; i++) {
        if (first + i == 0 || first + i >= end)
            pages[i] = (struct map_page){MAP_UNUSED, 0};
    }
}

void run_check(void)
{
    lock_take(&zone.lock);
    size_t live = 0, dirty = 0;
    bool free_before = false;
    for (uint32_t page = 1; page < zone.frontier;) {
        enum run_state state = state_of(page);
        uint32_t pages = pages_at(page);
        always_assert(pages > 0 && page + pages <= zone.frontier);
        always_assert(state == RUN_LIVE || state == RUN_FREE || state == RUN_PURGING);
        always_assert(!(free_before && state == RUN_FREE));
        if (state == RUN_LIVE)
            live += pages;
        if (state == RUN_FREE) {
            size_t count = dirty_count(page, pages);
            dirty += count;
            always_assert(info(page)->dirty_pages == count);
            always_assert(pages == 1 ||
                          (state_of(page + pages - 1) == RUN_TAIL && pages_at(page + pages - 1) == pages));
        }
        free_before = state == RUN_FREE;
        page += pages;
    }
    always_assert(live == zone.live_pages && dirty == zone.dirty_pages);
    lock_give(&zone.lock);
}

void run_fork_prepare(void)
{
    lock_take(&zone.lock);
}

void run_fork_parent(void)
{
    lock_give(&zone.lock);
}

void run_fork_child(void)
{
    lock_reset(&zone.lock);
}
