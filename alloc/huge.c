#include "huge.h"

#include "arena.h"
#include "decay.h"
#include "huge_map.h"
#include "layout.h"
#include "lock.h"
#include "os.h"

#include <string.h>

/*
 * The states of a table entry; all changes with the lock held.
 *
 *   EMPTY   address 0
 *   LIVE    the program's; from EMPTY or KEPT by allocation
 *   KEPT    freed, its memory still there; becomes LIVE by allocation or is unmapped (EMPTY) by huge_purge()
 */
struct mapping {
    uintptr_t start; /* 0: EMPTY */
    size_t bytes;
    uint64_t kept; /* 0: LIVE; KEPT: the order in which it was freed */
};

enum { FIRST_TABLE = PAGE_BYTES / sizeof(struct mapping), KEPT_MAX = 16 };

/* Open addressing with linear probing; at most half full. */
static struct {
    struct lock lock;
    struct mapping *table;
    size_t size; /* a power of two */
    size_t used;
    size_t kept;
    size_t dirty_pages; /* of KEPT mappings */
    size_t live, live_bytes;
    uint64_t clock;
} huge CACHE_ALIGNED = {.lock = LOCK_INITIALIZER(LOCK_HUGE)};

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_TYPE(mapping),
    LAYOUT_FIELD(mapping, start),
    LAYOUT_FIELD(mapping, bytes),
    LAYOUT_FIELD(mapping, kept),
};
static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(huge.table),
    LAYOUT_VARIABLE(huge.size),
};

static size_t home_of(uintptr_t start)
{
    return (start >> PAGE_BITS) * 0x9e3779b97f4a7c15u >> 20 & (huge.size - 1);
}

/* The entry for `start`, or the empty one where it would go. */
static struct mapping *lookup_locked(uintptr_t start)
{
    size_t i = home_of(start);
    while (huge.table[i].start != 0 && huge.table[i].start != start)
        i = (i + 1) & (huge.size - 1);
    return &huge.table[i];
}

static bool make_room_locked(void)
{
    if ((huge.used + 1) * 2 <= huge.size)
        return true;
    size_t size = huge.size != 0 ? huge.size * 2 : 1;
    while (size < FIRST_TABLE)
        size *= 2;
    struct mapping *old = huge.table,
                   *table = os_map(align_up(size * sizeof(*table), PAGE_BYTES), PAGE_BYTES);
    size_t old_size = huge.size;
    if (table == NULL)
        return false;
    huge.table = table;
    huge.size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].start != 0)
            *lookup_locked(old[i].start) = old[i];
    }
    if (old != NULL)
        os_unmap(old, align_up(old_size * sizeof(*old), PAGE_BYTES));
    return true;
}

static void insert_locked(uintptr_t start, size_t bytes, uint64_t kept)
{
    *lookup_locked(start) = (struct mapping){start, bytes, kept};
    huge.used++;
}

/* Removes the entry and moves those up that were pushed behind it. */
static void remove_locked(struct mapping *m)
{
    size_t hole = (size_t)(m - huge.table), i = hole;
    for (;;) {
        i = (i + 1) & (huge.size - 1);
        if (huge.table[i].start == 0)
            break;
        size_t home = home_of(huge.table[i].start);
        if (((i - home) & (huge.size - 1)) >= ((i - hole) & (huge.size - 1))) {
            huge.table[hole] = huge.table[i];
            hole = i;
        }
    }
    huge.table[hole].start = 0;
    huge.used--;
}

static void dirty_change_locked(size_t plus_bytes, size_t minus_bytes)
{
    huge.dirty_pages += (plus_bytes >> PAGE_BITS) - (minus_bytes >> PAGE_BITS);
    atomic_fetch_add(&decay_dirty_pages, (plus_bytes >> PAGE_BITS) - (minus_bytes >> PAGE_BITS));
}

static void live_add_locked(size_t bytes)
{
    huge.live++;
    huge.live_bytes += bytes;
}

static void live_sub_locked(size_t bytes)
{
    huge.live--;
    huge.live_bytes -= bytes;
}

/* The smallest kept mapping that serves `bytes` without wasting more than a quarter; NULL if there is none. */
static struct mapping *best_kept_locked(size_t bytes, size_t align)
{
    struct mapping *best = NULL;
    for (size_t i = 0; i < huge.size && huge.kept > 0; i++) {
        struct mapping *m = &huge.table[i];
        if (m->start != 0 && m->kept != 0 && m->bytes >= bytes && m->bytes - bytes <= bytes / 4 &&
            (m->start & (align - 1)) == 0 && (best == NULL || m->bytes < best->bytes))
            best = m;
    }
    return best;
}

static void *take_kept(size_t bytes, size_t align)
{
    uintptr_t start = 0;
    lock_take(&huge.lock);
    struct mapping *m = best_kept_locked(bytes, align);
    if (m != NULL) {
        start = m->start;
        m->kept = 0;
        huge.kept--;
        dirty_change_locked(0, m->bytes);
        live_add_locked(m->bytes);
    }
    lock_give(&huge.lock);
    return (void *)start;
}

void *huge_alloc(size_t bytes, size_t align, bool *zeroed)
{
    if (bytes > PTRDIFF_MAX - CHUNK_BYTES)
        return NULL;
    bytes = align_up(bytes, PAGE_BYTES);
    align = max_size(align, CHUNK_BYTES);
    *zeroed = false;
    void *p = take_kept(bytes, align);
    if (p != NULL)
        return p;
    *zeroed = true;
    p = huge_map(bytes, align);
    if (p == NULL && huge_purge(SIZE_MAX) > 0)
        p = huge_map(bytes, align);
    if (p == NULL)
        return NULL;
    if (arena_may_use_huge_pages())
        os_advise_huge(p, bytes);
    lock_take(&huge.lock);
    bool room = make_room_locked();
    if (room) {
        insert_locked((uintptr_t)p, bytes, 0);
        live_add_locked(bytes);
    }
    lock_give(&huge.lock);
    if (room)
        return p;
    huge_unmap(p, bytes);
    return NULL;
}

static struct mapping *live_locked(const void *p)
{
    if (huge.size == 0 || p == NULL)
        return NULL;
    struct mapping *m = lookup_locked((uintptr_t)p);
    return m->start != 0 && m->kept == 0 ? m : NULL;
}

size_t huge_bytes(const void *p)
{
    lock_take(&huge.lock);
    const struct mapping *m = live_locked(p);
    size_t bytes = m != NULL ? m->bytes : 0;
    lock_give(&huge.lock);
    return bytes;
}

struct huge_location huge_find(const void *p)
{
    struct huge_location found = {0};
    lock_take(&huge.lock);
    for (size_t i = 0; i < huge.size; i++) {
        const struct mapping *m = &huge.table[i];
        if (m->start != 0 && (uintptr_t)p - m->start < m->bytes)
            found = (struct huge_location){(void *)m->start, m->bytes, m->kept == 0};
    }
    lock_give(&huge.lock);
    return found;
}

struct block_place huge_border_find(const void *p)
{
    enum { TRIES = 1000 };
    struct block_place found = {0};
    int tries = 0;
    while (!lock_try(&huge.lock)) {
        if (++tries == TRIES)
            return found;
        os_yield();
    }
    for (size_t i = 0; i < huge.size; i++) {
        const struct mapping *m = &huge.table[i];
        uintptr_t before = (uintptr_t)p - (m->start - PAGE_BYTES),
                  behind = (uintptr_t)p - (m->start + m->bytes);
        if (m->start != 0 && m->kept == 0 && (before < PAGE_BYTES || behind < PAGE_BYTES))
            found = (struct block_place){(void *)m->start, m->bytes};
    }
    lock_give(&huge.lock);
    return found;
}

bool huge_free(void *p)
{
    bool crowded = false;
    lock_take(&huge.lock);
    struct mapping *m = live_locked(p);
    if (m != NULL) {
        m->kept = ++huge.clock;
        crowded = ++huge.kept > KEPT_MAX;
        live_sub_locked(m->bytes);
        dirty_change_locked(m->bytes, 0);
    }
    lock_give(&huge.lock);
    if (crowded)
        huge_purge(1);
    return m != NULL;
}

/* Takes a live mapping out of the table, so that it is the caller's alone. Its bytes, 0 if there is none. */
static size_t detach(void *p)
{
    size_t bytes = 0;
    lock_take(&huge.lock);
    struct mapping *m = live_locked(p);
    if (m != NULL) {
        bytes = m->bytes;
        live_sub_locked(bytes);
        remove_locked(m);
    }
    lock_give(&huge.lock);
    return bytes;
}

void *huge_resize(void *p, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - CHUNK_BYTES)
        return NULL;
    bytes = align_up(bytes, PAGE_BYTES);
    size_t old_bytes = detach(p);
    always_assert(old_bytes != 0);
    void *moved = bytes == old_bytes ? p : huge_remap(p, old_bytes, bytes);
    lock_take(&huge.lock);
    /* There is room: the entry that was taken out leaves its place unless others came in between. */
    bool room = make_room_locked();
    always_assert(room || huge.used + 1 < huge.size);
    insert_locked((uintptr_t)(moved != NULL ? moved : p), moved != NULL ? bytes : old_bytes, 0);
    live_add_locked(moved != NULL ? bytes : old_bytes);
    lock_give(&huge.lock);
    return moved;
}

/* Takes the oldest kept mapping out of the table. */
static struct mapping detach_oldest_kept(void)
{
    struct mapping *oldest = NULL, found = {0};
    lock_take(&huge.lock);
    for (size_t i = 0; i < huge.size && huge.kept > 0; i++) {
        struct mapping *m = &huge.table[i];
        if (m->start != 0 && m->kept != 0 && (oldest == NULL || m->kept < oldest->kept))
            oldest = m;
    }
    if (oldest != NULL) {
        found = *oldest;
        remove_locked(oldest);
        huge.kept--;
        dirty_change_locked(0, found.bytes);
    }
    lock_give(&huge.lock);
    return found;
}

size_t huge_purge(size_t most)
{
    size_t done = 0;
    while (done < most) {
        struct mapping m = detach_oldest_kept();
        if (m.start == 0)
            break;
        huge_unmap((void *)m.start, m.bytes);
        done += m.bytes >> PAGE_BITS;
    }
    return done;
}

size_t huge_dirty_pages(void)
{
    lock_take(&huge.lock);
    size_t pages = huge.dirty_pages;
    lock_give(&huge.lock);
    return pages;
}

void huge_stats(struct huge_stats *stats)
{
    lock_take(&huge.lock);
    *stats = (struct huge_stats){huge.live, huge.live_bytes};
    lock_give(&huge.lock);
}

void huge_fork_prepare(void)
{
    lock_take(&huge.lock);
}

void huge_fork_parent(void)
{
    lock_give(&huge.lock);
}

void huge_fork_child(void)
{
    lock_reset(&huge.lock);
}
