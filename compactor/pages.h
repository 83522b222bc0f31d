/*
 * Where each page of the span zone is.
 *
 * Glossary
 *   away      not at its address in the span zone, so that a touch faults: aside or packed.
 *   shadow    the address, at a constant distance, where a page is while it is aside.
 *   store     where the live slots of packed pages are; see store.h.
 *   record    what the store has of one page.
 *   mover     the background thread, once it has a userfaultfd: the only one that moves pages and the only one that
 *             reads or writes anything in this table.
 *   frozen    forks are under way: pages may come back, but nothing that is written down changes; see family.h.
 */
#ifndef SINTER_PAGES_H
#define SINTER_PAGES_H

#include "arena.h"
#include "base.h"
#include "span_table.h"

/*
 * The states of a page and the transitions, all made by the mover:
 *
 *   RESIDENT  at its address, or nowhere if nothing has been there since it was given back.
 *             -> ASIDE     moved to its shadow (atomic for every other thread). Its span is in use by a packable bin,
 *                          the maintain lock is held, nothing is frozen.
 *   ASIDE     at its shadow: untouched since, or it would be back. All threads' stores to it are there.
 *             -> RESIDENT  a touch, or a neighbour's: moved back, uncopied.
 *             -> PACKED    at the end of the probation: the slots that are not free *now*, after the move, are copied to a
 *                          record, the page is dropped. A slot that is taken later has no data yet; one whose data were
 *                          on the page was taken before the move, and the move orders the two.
 *             -> RESIDENT  no slot is in use: dropped, and its next touch finds zeros.
 *   PACKED    only a record is left.
 *             -> RESIDENT  a touch, or a neighbour's: put together from its record and copied in.
 *             -> RESIDENT  its last slot was freed: record and all dropped.
 *             -> PACKED    a smaller record, when slots were freed.
 *
 * A free, or a malloc that takes one of its slots, changes no state: they work on the span's bitmap.
 *
 * *Presence has the last word*: a page that is present at its address is RESIDENT, whatever is written down. That is so
 * after a fork, in the parent (pages came back while it was frozen) and in the child (pages that the parent's mover has
 * sent it). A chunk for which it may be so is *unverified*, and before anything is done with what is written down about
 * it, what is present is looked up.
 */
#define PAGE_STATES(X) X(RESIDENT) X(ASIDE) X(PACKED)

enum page_state {
#define X(name) PAGE_##name,
    PAGE_STATES(X)
#undef X
};

struct page {
    uint32_t record; /* PACKED: in the store */
    uint8_t state;
    uint8_t heat;        /* how often it has come back lately */
    uint16_t not_before; /* when it may be moved out again, in units of PAGES_TICK_MS */
};

struct chunk {
    uint16_t aside, packed; /* pages in these states */
    bool unverified;        /* see above */
    bool shadow;            /* the chunk's shadow is mapped */
    bool changed;           /* slots were freed on spans with pages that are away */
    bool bulk;              /* everything is to come back */
    uint32_t aside_since;   /* in milliseconds, as far as they fit */
    uint16_t refused_until; /* the kernel refused to move its pages: in units of PAGES_TICK_MS */
};

_Static_assert(sizeof(struct page) == PAGE_INFO_BYTES, "the arena's layout relies on it");
_Static_assert(sizeof(struct chunk) == CHUNK_INFO_BYTES, "the arena's layout relies on it");

enum { CHUNK_PAGES = CHUNK_BYTES / PAGE_BYTES, CHUNK_SPANS = CHUNK_BYTES / SPAN_BYTES, PAGES_TICK_MS = 4096 };

/* Pages below this one have an entry, and are registered. A multiple of CHUNK_PAGES. */
extern HIDDEN uint32_t pages_limit;

/* How many are in these states. */
extern HIDDEN _Atomic size_t pages_aside, pages_packed;

static inline struct page *page_info(uint32_t page)
{
    return (struct page *)arena_start(REGION_PAGE_INFO) + page;
}

static inline struct chunk *chunk_info(uint32_t chunk)
{
    return (struct chunk *)arena_start(REGION_CHUNK_INFO) + chunk;
}

static inline struct chunk *page_chunk(uint32_t page)
{
    return chunk_info(page / CHUNK_PAGES);
}

static inline char *page_address(uint32_t page)
{
    return arena_start(REGION_SPANS) + (size_t)page * PAGE_BYTES;
}

static inline char *page_shadow(uint32_t page)
{
    return arena_start(REGION_SHADOW) + (size_t)page * PAGE_BYTES;
}

static inline uint32_t page_span(uint32_t page)
{
    return page / SPAN_PAGES;
}

static inline uint32_t pages_chunks(void)
{
    return pages_limit / CHUNK_PAGES;
}

static inline size_t pages_away(void)
{
    return load_relaxed(&pages_aside) + load_relaxed(&pages_packed);
}

/*
 * Times at which something may be tried again, in units of PAGES_TICK_MS, so short that they come around: 0 is at once, and
 * none lies further ahead than PAGES_TICKS_MOST.
 */
enum { PAGES_TICKS_MOST = 4096 };

static inline uint16_t tick_after(uint64_t now_ms, uint32_t ticks)
{
    uint16_t at = (uint16_t)(now_ms / PAGES_TICK_MS + ticks);
    return at != 0 ? at : 1;
}

/* Is it still to come? */
static inline bool tick_ahead(uint16_t *at, uint64_t now_ms)
{
    uint16_t left = (uint16_t)(*at - now_ms / PAGES_TICK_MS);
    bool ahead = *at != 0 && left != 0 && left <= PAGES_TICKS_MOST;
    if (!ahead)
        *at = 0;
    return ahead;
}

/* Makes room for the entries of all pages below `limit`. False if memory is exhausted. */
bool pages_cover(uint32_t limit);

/* Changes the state, and the counts. */
void page_become(uint32_t page, enum page_state state);

/* Forgets everything: all pages are RESIDENT. */
void pages_forget(void);

/* The chunk's shadow, mapped (false: no address space, or none that can be had) and unmapped. */
bool chunk_shadow_map(uint32_t chunk);
void chunk_shadow_unmap(uint32_t chunk);

#endif
