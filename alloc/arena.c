#include "arena.h"

#include "conf.h"
#include "layout.h"
#include "lock.h"
#include "os.h"

#define ZONE_MIN (4 * GiB)

enum {
    META_STEP = 64 * 1024,
    ZONE_STEP_MAX = 64 * 1024 * 1024,
    ZONE_STEP_SHIFT = 3, /* a zone grows by an eighth */
};

struct region {
    _Atomic size_t committed; /* Synchronization: written with the lock held */
    size_t limit;
    bool zone;
};

/* Zones: a bit for each chunk for which huge pages were asked. */
static _Atomic uint64_t huge_chunks[REGION_RUNS + 1][ZONE_MAX / CHUNK_BYTES / 64];

static struct {
    struct lock lock;
    bool reserved;
    size_t held_spans;                   /* bytes of the span zone that have to stay */
    enum os_huge_pages huge_pages;       /* what the system offers */
    _Atomic bool plain[REGION_RUNS + 1]; /* zones that are to have none */
    struct region regions[REGION_COUNT];
} arena = {.lock = LOCK_INITIALIZER(LOCK_ARENA)};

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_TYPE(region),
    LAYOUT_FIELD(region, committed),
    LAYOUT_FIELD(region, limit),
};
static const struct layout_entry places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(arena.regions)};

uintptr_t arena_base CACHE_ALIGNED;
char *arena_starts[REGION_COUNT];
size_t arena_span_limit;

/* Does the region hold what the program writes, or what has to be near it? */
static bool holds_blocks(int region)
{
    return region == REGION_MAP || region == REGION_SPANS || region == REGION_RUNS ||
           region == REGION_STORE || region == REGION_SHADOW || region == REGION_GUARD;
}

/* Lays out either kind of regions from `start` (NULL: only measures) for zones of `zone` bytes; returns the total size. */
static size_t lay_out(bool blocks, char *start, size_t zone)
{
    const size_t sizes[REGION_COUNT] = {
        [REGION_MAP] = MAP_BYTES,
        [REGION_SPANS] = zone,
        [REGION_RUNS] = zone,
        [REGION_SPAN_INFO] = zone / SPAN_BYTES * SPAN_INFO_BYTES,
        [REGION_SPAN_BITS] = zone / SPAN_BYTES * SPAN_BITS_BYTES,
        [REGION_SPAN_MORE] = zone / SPAN_BYTES * SPAN_MORE_BYTES,
        [REGION_SPAN_HELD] = zone / SPAN_BYTES * SPAN_HELD_BYTES,
        [REGION_RUN_INFO] = zone / PAGE_BYTES * RUN_INFO_BYTES,
        [REGION_RUN_DIRTY] = zone / PAGE_BYTES / 8,
        [REGION_PAGE_INFO] = zone / PAGE_BYTES * PAGE_INFO_BYTES,
        [REGION_CHUNK_INFO] = zone / CHUNK_BYTES * CHUNK_INFO_BYTES,
        [REGION_STORE] = zone / 16,
        [REGION_SHADOW] = zone,
        [REGION_GUARD] = zone / GUARD_PART,
        [REGION_GUARD_INFO] = zone / GUARD_PART / (2 * PAGE_BYTES) * GUARD_INFO_BYTES,
        [REGION_META] = zone / 16,
    };
    size_t offset = blocks ? 0 : CHUNK_BYTES;
    for (int i = 0; i < REGION_COUNT; i++) {
        if (holds_blocks(i) != blocks)
            continue;
        if (start != NULL) {
            arena_starts[i] = start + offset;
            arena.regions[i] =
                (struct region){.limit = sizes[i], .zone = i == REGION_SPANS || i == REGION_RUNS};
        }
        offset += align_up(sizes[i], CHUNK_BYTES) + CHUNK_BYTES; /* a gap that catches overruns */
        if (i == REGION_MAP)
            offset = MAP_BYTES;
    }
    return offset;
}

/*
 * An address with room for the arena that nobody else is likely to want: between what V8 (below 64 TiB) and other
 * allocators hint at and where Linux puts executables (85 TiB) and, from the top down, mappings.
 */
static char *distant_address(void)
{
    size_t lowest = (size_t)66 << 40, range = (size_t)16 << 40;
    return (char *)(lowest + align_down(os_random() % range, CHUNK_BYTES));
}

static void lay_out_far(void)
{
    size_t blocks_size = lay_out(true, NULL, ZONE_MAX), tables_size = lay_out(false, NULL, ZONE_MAX);
    char *blocks = distant_address(), *tables;
    do
        tables = distant_address();
    while (tables < blocks + blocks_size && blocks < tables + tables_size);
    lay_out(true, blocks, ZONE_MAX);
    lay_out(false, tables, ZONE_MAX);
}

/* Where those addresses do not exist (39-bit address spaces, valgrind): an arena of any size that can be had. */
static bool reserve(void)
{
    for (size_t zone = ZONE_MAX; zone >= ZONE_MIN; zone /= 2) {
        size_t blocks_size = lay_out(true, NULL, zone), tables_size = lay_out(false, NULL, zone);
        char *blocks = os_reserve(NULL, blocks_size + CHUNK_BYTES);
        char *tables = blocks != NULL ? os_reserve(NULL, tables_size + CHUNK_BYTES) : NULL;
        if (tables != NULL) {
            lay_out(true, (char *)align_up((uintptr_t)blocks, CHUNK_BYTES), zone);
            lay_out(false, (char *)align_up((uintptr_t)tables, CHUNK_BYTES), zone);
            arena.reserved = true;
            return true;
        }
        if (blocks != NULL)
            os_unmap(blocks, blocks_size + CHUNK_BYTES);
    }
    return false;
}

/* Takes the first addresses of both kinds. */
static bool take_addresses(void)
{
    return arena_grow(REGION_MAP, META_STEP) && arena_grow(REGION_META, META_STEP);
}

bool arena_init(void)
{
    arena.huge_pages = os_huge_pages();
    lay_out_far();
    if (!take_addresses() && !(reserve() && take_addresses()))
        return false;
    arena_base = (uintptr_t)arena_start(REGION_SPANS);
    return true;
}

size_t arena_committed(enum arena_region region)
{
    return load_relaxed(&arena.regions[region].committed);
}

static char *start_of(const struct region *r)
{
    return arena_starts[r - arena.regions];
}

/* Gives back what is reserved but not committed, for a process that has come under a limit. */
static void release_reservation(void)
{
    for (int i = 0; i < REGION_COUNT; i++) {
        struct region *r = &arena.regions[i];
        if (r->committed < r->limit)
            os_unmap(start_of(r) + r->committed, r->limit - r->committed);
    }
    arena.reserved = false;
}

static bool commit(struct region *r, size_t upto)
{
    char *from = start_of(r) + r->committed;
    size_t size = upto - r->committed;
    if ((arena.reserved ? os_commit(from, size) : os_map_at(from, size)) < 0)
        return false;
    r->committed = upto;
    return true;
}

bool arena_may_use_huge_pages(void)
{
    return arena.huge_pages != OS_HUGE_NEVER && conf_get(CONF_thp) != THP_NEVER;
}

static bool wants_huge(enum arena_region zone, size_t offset)
{
    return arena_may_use_huge_pages() && !load_relaxed(&arena.plain[zone]) &&
           (conf_get(CONF_thp) == THP_ALWAYS || offset >= (size_t)conf_get(CONF_thp_start));
}

/* For the chunks from `from` to `to`, offsets into a zone. */
static void advise_huge(struct region *r, size_t from, size_t to)
{
    _Atomic uint64_t *chunks = huge_chunks[r - arena.regions];
    for (size_t chunk = from / CHUNK_BYTES; chunk < to / CHUNK_BYTES; chunk++)
        atomic_fetch_or(&chunks[chunk / 64], (uint64_t)1 << chunk % 64);
    os_advise_huge(start_of(r) + from, to - from);
}

static bool grow_zone(struct region *r, size_t bytes)
{
    size_t from = r->committed;
    size_t ahead = align_up(from >> ZONE_STEP_SHIFT, CHUNK_BYTES);
    size_t step = max_size(bytes - from, min_size(ahead, ZONE_STEP_MAX));
    size_t upto = min_size(align_up(from + step, CHUNK_BYTES), r->limit);
    if (!commit(r, upto) && !commit(r, align_up(bytes, CHUNK_BYTES)))
        return false;
    enum arena_region zone = (enum arena_region)(r - arena.regions);
    if (wants_huge(zone, from))
        advise_huge(r, from, r->committed);
    else if (arena.huge_pages == OS_HUGE_ALWAYS || load_relaxed(&arena.plain[zone]))
        os_advise_no_huge(start_of(r) + from, r->committed - from);
    return true;
}

bool arena_grow(enum arena_region region, size_t bytes)
{
    struct region *r = &arena.regions[region];
    bool ok = true;
    lock_take(&arena.lock);
    if (bytes > r->limit) {
        ok = false;
    } else if (bytes > r->committed) {
        if (arena.reserved && os_address_space_limited())
            release_reservation();
        ok = r->zone ? grow_zone(r, bytes) : commit(r, min_size(align_up(bytes, META_STEP), r->limit));
    }
    lock_give(&arena.lock);
    return ok;
}

void arena_shrink(enum arena_region zone, size_t bytes)
{
    struct region *r = &arena.regions[zone];
    lock_take(&arena.lock);
    size_t upto = align_up(zone == REGION_SPANS ? max_size(bytes, arena.held_spans) : bytes, CHUNK_BYTES);
    if (upto < r->committed) {
        if (!arena.reserved)
            os_unmap(start_of(r) + upto, r->committed - upto);
        if (!arena.reserved || os_decommit(start_of(r) + upto, r->committed - upto) == 0)
            r->committed = upto;
    }
    lock_give(&arena.lock);
}

size_t arena_hold_spans(size_t bytes)
{
    lock_take(&arena.lock);
    size_t committed = arena.regions[REGION_SPANS].committed;
    arena.held_spans = min_size(bytes, committed);
    lock_give(&arena.lock);
    return committed;
}

bool arena_shadow_map(size_t offset, size_t size)
{
    char *at = arena_start(REGION_SHADOW) + offset;
    if (!arena.reserved && os_reserve_at(at, size) < 0)
        return false;
    os_unlock_pages(at, size); /* before there is access, so that nothing is populated */
    if (os_commit(at, size) == 0) {
        os_advise_no_huge(at, size);
        return true;
    }
    arena_shadow_unmap(offset, size);
    return false;
}

void arena_shadow_unmap(size_t offset, size_t size)
{
    char *at = arena_start(REGION_SHADOW) + offset;
    if (!arena.reserved)
        os_unmap(at, size);
    else
        os_decommit(at, size);
}

/*
 * Each chunk that differs from its neighbours costs two mappings of the process's vm.max_map_count (65 530). When that
 * comes to some thousands, no part of the zone is to be huge pages any more, which makes it one mapping again.
 */
enum { CHUNKS_GIVEN_UP_MAX = 4096 };

static void give_up_huge(enum arena_region zone, size_t chunk)
{
    static _Atomic size_t given_up[REGION_RUNS + 1];
    uint64_t bit = (uint64_t)1 << chunk % 64;
    _Atomic uint64_t *word = &huge_chunks[zone][chunk / 64];
    if ((load_relaxed(word) & bit) == 0 || (atomic_fetch_and(word, ~bit) & bit) == 0)
        return;
    size_t count = add_relaxed(&given_up[zone], 1) + 1;
    if (count < CHUNKS_GIVEN_UP_MAX)
        os_advise_no_huge(arena_start(zone) + chunk * CHUNK_BYTES, CHUNK_BYTES);
    else if (count == CHUNKS_GIVEN_UP_MAX) {
        store_relaxed(&arena.plain[zone], true);
        os_advise_no_huge(arena_start(zone), arena_committed(zone));
    }
}

bool arena_purge(enum arena_region zone, void *addr, size_t size)
{
    size_t from = (size_t)((char *)addr - arena_start(zone)), to = from + size;
    for (size_t chunk = from / CHUNK_BYTES; chunk * CHUNK_BYTES < to; chunk++) {
        bool whole = chunk * CHUNK_BYTES >= from && (chunk + 1) * CHUNK_BYTES <= to;
        if (!whole)
            give_up_huge(zone, chunk);
    }
    return os_purge(addr, size);
}

size_t arena_metadata_bytes(void)
{
    size_t bytes = 0;
    for (int i = 0; i < REGION_COUNT; i++) {
        bool table =
            i == REGION_MAP || (!holds_blocks(i) && i != REGION_META); /* which meta_bytes() counts */
        bytes += table ? arena.regions[i].committed : 0;
    }
    return bytes;
}

void arena_fork_prepare(void)
{
    lock_take(&arena.lock);
}

void arena_fork_parent(void)
{
    lock_give(&arena.lock);
}

void arena_fork_child(void)
{
    lock_reset(&arena.lock);
}
