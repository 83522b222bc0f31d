#include "store.h"

#include "arena.h"
#include "layout.h"
#include "os.h"

#include <string.h>

enum {
    SEGMENT_BYTES = 64 * 1024,
    UNIT = 8, /* records start at multiples of it, and their numbers count it */
    SEGMENTS_MAX = 512 * 1024,
    LOOKS = 1024, /* segments that one search looks at */
};

static const uint32_t DEAD = UINT32_MAX; /* store_record.page */

/* At the start of each segment in use. Bytes include the headers of records, not this. */
struct segment {
    uint32_t used, live;
};

static struct {
    uint32_t open;     /* number of the segment that is appended to */
    uint32_t frontier; /* segments below have been used */
    uint32_t cursor;   /* of the search for one to clean */
    bool any;
    _Atomic size_t segments, dead; /* in use; bytes in them that are of no use any more */
    uint64_t idle[SEGMENTS_MAX / 64];
} store;

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    {"STORE_SEGMENT_BYTES", SEGMENT_BYTES, 0},
    {"STORE_UNIT", UNIT, 0},
    LAYOUT_FIELD(store_record, page),
    LAYOUT_FIELD(store_record, bytes),
    LAYOUT_FIELD(store_record, bin),
    {"store_record.contents", offsetof(struct store_record, contents), 0},
};
static const struct layout_entry places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(store.segments)};

static struct segment *segment_at(uint32_t segment)
{
    return (struct segment *)(arena_start(REGION_STORE) + (size_t)segment * SEGMENT_BYTES);
}

static size_t record_room(size_t bytes)
{
    return align_up(sizeof(struct store_record) + bytes, UNIT);
}

static bool is_idle(uint32_t segment)
{
    return store.idle[segment / 64] >> (segment % 64) & 1;
}

static uint32_t take_idle(void)
{
    for (uint32_t w = 0; w <= store.frontier / 64 && w < ARRAY_LEN(store.idle); w++) {
        if (store.idle[w] != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(store.idle[w]);
            store.idle[w] &= store.idle[w] - 1;
            return w * 64 + bit;
        }
    }
    return UINT32_MAX;
}

static bool open_segment(void)
{
    uint32_t segment = take_idle();
    if (segment == UINT32_MAX) {
        if (store.frontier >= SEGMENTS_MAX ||
            !arena_grow(REGION_STORE, ((size_t)store.frontier + 1) * SEGMENT_BYTES))
            return false;
        segment = store.frontier++;
    }
    *segment_at(segment) = (struct segment){0};
    store.open = segment;
    store.any = true;
    add_relaxed(&store.segments, 1);
    return true;
}

/* The segment's memory goes back. What it had not been filled with counts as dead since it was closed. */
static void release(uint32_t segment)
{
    sub_relaxed(&store.dead, SEGMENT_BYTES - sizeof(struct segment));
    sub_relaxed(&store.segments, 1);
    os_purge(segment_at(segment), SEGMENT_BYTES);
    store.idle[segment / 64] |= (uint64_t)1 << segment % 64;
}

/* Nothing more is appended to the open segment. */
static void close_segment(void)
{
    struct segment *s = segment_at(store.open);
    store.any = false;
    add_relaxed(&store.dead, SEGMENT_BYTES - sizeof(*s) - s->used);
    if (s->live == 0)
        release(store.open);
}

uint32_t store_append(uint32_t page, unsigned bin, size_t bytes)
{
    size_t room = record_room(bytes);
    if (store.any && sizeof(struct segment) + segment_at(store.open)->used + room > SEGMENT_BYTES)
        close_segment();
    if (!store.any && !open_segment())
        return 0;
    struct segment *s = segment_at(store.open);
    struct store_record *r = (struct store_record *)((char *)(s + 1) + s->used);
    *r = (struct store_record){.page = page, .bytes = (uint16_t)bytes, .bin = (uint8_t)bin};
    s->used += (uint32_t)room;
    s->live += (uint32_t)room;
    return (uint32_t)((size_t)((char *)r - arena_start(REGION_STORE)) / UNIT);
}

struct store_record *store_record(uint32_t number)
{
    return (struct store_record *)(arena_start(REGION_STORE) + (size_t)number * UNIT);
}

void store_free(uint32_t number)
{
    struct store_record *r = store_record(number);
    uint32_t segment = (uint32_t)((size_t)number * UNIT / SEGMENT_BYTES),
             room = (uint32_t)record_room(r->bytes);
    struct segment *s = segment_at(segment);
    always_assert(r->page != DEAD && s->live >= room);
    r->page = DEAD;
    s->live -= room;
    add_relaxed(&store.dead, room);
    if (s->live == 0 && !(store.any && segment == store.open))
        release(segment);
}

static bool worth_cleaning(uint32_t segment)
{
    return !is_idle(segment) && !(store.any && segment == store.open) &&
           segment_at(segment)->live < SEGMENT_BYTES / 8 * 7;
}

static uint32_t find_to_clean(void)
{
    for (uint32_t looks = 0; looks < LOOKS && looks < store.frontier; looks++) {
        store.cursor = store.cursor + 1 < store.frontier ? store.cursor + 1 : 0;
        if (worth_cleaning(store.cursor))
            return store.cursor;
    }
    return UINT32_MAX;
}

bool store_clean(void (*moved)(uint32_t page, uint32_t number))
{
    /* An eighth of garbage is what cleaning more often than it is worth would cost. */
    size_t all = load_relaxed(&store.segments) * SEGMENT_BYTES;
    if (load_relaxed(&store.dead) < all / 16 + 2 * SEGMENT_BYTES)
        return false;
    uint32_t segment = find_to_clean();
    if (segment == UINT32_MAX)
        return false;
    struct segment *s = segment_at(segment);
    for (uint32_t at = 0; s->live > 0;) { /* after its last record the segment is zeros */
        struct store_record *r = (struct store_record *)((char *)(s + 1) + at);
        uint32_t room = (uint32_t)record_room(r->bytes), page = r->page;
        at += room;
        if (page == DEAD)
            continue;
        uint32_t number = store_append(page, r->bin, r->bytes);
        if (number == 0)
            return false; /* no memory: what has been moved is moved */
        memcpy(store_record(number)->contents, r->contents, r->bytes);
        moved(page, number);
        store_free((uint32_t)((size_t)((char *)r - arena_start(REGION_STORE)) / UNIT));
    }
    return true;
}

void store_forget(void)
{
    for (uint32_t segment = 0; segment < store.frontier; segment++) {
        if (!is_idle(segment))
            os_purge(segment_at(segment), SEGMENT_BYTES);
        store.idle[segment / 64] |= (uint64_t)1 << segment % 64;
    }
    store.any = false;
    store_relaxed(&store.segments, 0);
    store_relaxed(&store.dead, 0);
}

size_t store_bytes(void)
{
    return load_relaxed(&store.segments) * SEGMENT_BYTES;
}

void store_check(void)
{
    size_t segments = 0, dead = 0;
    for (uint32_t segment = 0; segment < store.frontier; segment++) {
        if (is_idle(segment))
            continue;
        const struct segment *s = segment_at(segment);
        bool open = store.any && segment == store.open;
        size_t live = 0;
        for (uint32_t at = 0; at < s->used;) {
            const struct store_record *r = (const struct store_record *)((const char *)(s + 1) + at);
            at += (uint32_t)record_room(r->bytes);
            live += r->page != DEAD ? record_room(r->bytes) : 0;
        }
        always_assert(live == s->live);
        dead += (open ? s->used : SEGMENT_BYTES - sizeof(struct segment)) - live;
        segments++;
    }
    always_assert(segments == load_relaxed(&store.segments) && dead == load_relaxed(&store.dead));
}
