#include "service.h"

#include "conf.h"
#include "fatal.h"
#include "lock.h"
#include "os.h"
#include "pack.h"
#include "pages.h"
#include "probes.h"
#include "span_pages.h"
#include "store.h"

#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    STAGING_PAGES = 64,
    REFILL_PAGES = 16, /* at a time: a fault may be waiting */
    QUEUE = 4096,      /* more than threads that are likely to wait at a time */
    BULK_QUEUE = 1024,
    FLOOD_MS = 50, /* so many faults in so short a time are a flood */
    FLOOD_FAULTS = 64,
    FLOOD_CHUNK = 4, /* and so many of one chunk a reason to expect the rest */
    HEAT_MAX = 10,
    GRACE_TICKS = 15000 / PAGES_TICK_MS, /* how long what came back stays at least */
};

struct uffd service_uffd = {.fd = -1, .pagemap = -1};
struct service_counters service_counters;
struct histogram service_stalls;

static struct {
    struct lock lock;
    /* Pages to put together in. Those from `next` to `ready` have memory, all zeros; moves take it away. */
    char *staging;
    uint32_t next, ready;
    char *scratch; /* SERVICE_RUN pages: where staging is used up */
    /* Faults that were read while something else was under way. */
    struct uffd_event queue[QUEUE];
    uint32_t queued;
    uint32_t leaving, leaving_pages; /* pages on their way out of the shadow */
    bool pushing;
    uint32_t last_thread;
    bool rung[BELL_PAGES];
    uint64_t woken_at; /* nanoseconds: when the last answer was given */
    uint64_t quiet_at; /* nanoseconds: when it was last known that nothing had come */
    uint64_t flood_start;
    uint32_t flood_faults;
    uint32_t bulk[BULK_QUEUE], bulk_first, bulk_end; /* chunks */
    uint32_t bulk_page;
    bool bulk_all;
    uint32_t bulk_cursor; /* chunk */
} service = {.lock = LOCK_INITIALIZER(LOCK_SERVICE)};

_Static_assert(GRACE_TICKS << HEAT_MAX <= PAGES_TICKS_MOST, "");

static const char zeros[SERVICE_RUN * PAGE_BYTES] __attribute__((aligned(4096)));

bool service_init(void)
{
    if (service.staging == NULL)
        service.staging = os_map((STAGING_PAGES + SERVICE_RUN) * PAGE_BYTES, PAGE_BYTES);
    if (service.staging == NULL)
        return false;
    os_advise_no_huge(service.staging, (STAGING_PAGES + SERVICE_RUN) * PAGE_BYTES);
    service.scratch = service.staging + STAGING_PAGES * PAGE_BYTES;
    return true;
}

void service_reset(void)
{
    store_relaxed(&service.lock.state, 0);
    os_purge(service.staging,
             STAGING_PAGES * PAGE_BYTES); /* shared with the parent now: could not be moved */
    service.next = service.ready = 0;
    service.queued = 0;
    memset(service.rung, 0, sizeof(service.rung));
    service.bulk_first = service.bulk_end = 0;
    service.bulk_all = false;
    service.leaving_pages = 0;
    service.pushing = false;
    os_purge(family_doorbell, BELL_PAGES * PAGE_BYTES);
}

void service_pass(void)
{
    lock_take(&service.lock);
    lock_give(&service.lock);
}

static bool frozen(void)
{
    return atomic_load(&family_frozen) != 0;
}

/* The page is here again. One that was touched waits twice as long as the last time before it may go again. */
static void note_return(uint32_t page, bool touched)
{
    struct page *p = page_info(page);
    if (touched && p->heat < HEAT_MAX)
        p->heat++;
    p->not_before = tick_after(os_now_ms(), touched ? GRACE_TICKS << p->heat : GRACE_TICKS);
}

/* ---- bringing back ---- */

/* The page is present, and what is written down shall say so; what was kept of it is dropped. */
static void settle_present(uint32_t page, uint32_t touched)
{
    struct page *p = page_info(page);
    if (frozen()) {
        page_chunk(page)->unverified = true;
        return;
    }
    if (p->state == PAGE_PACKED && p->record != PACK_NOTHING)
        store_free(p->record);
    p->record = PACK_NOTHING;
    page_become(page, PAGE_RESIDENT);
    span_pages_back(page_span(page), (uint16_t)(1u << page % SPAN_PAGES));
    note_return(page, page == touched);
    add_relaxed(&service_counters.returned, 1);
}

static bool present(const char *address)
{
    uint8_t is;
    return uffd_present(&service_uffd, address, 1, &is) && is;
}

enum { PATIENCE = 64 }; /* tries where the kernel refuses without a reason that is known */

/*
 * The move out of the shadow did not take this page. False if it cannot come back, which nobody waits for: its address is
 * not mapped (in the child of a fork that MADV_DONTFORK has kept it from).
 */
static bool bring_aside_otherwise(uint32_t page, enum uffd_result why)
{
    uint8_t result = (uint8_t)why;
    if (why == UFFD_HOLE && !present(page_shadow(page))) {
        /* It came back while all was frozen; or, after that, was given back to the system and is touched anew. */
        always_assert(page_chunk(page)->unverified || present(page_address(page)));
        uffd_zero(&service_uffd, page_address(page), 1, &result);
        return true;
    }
    for (int tries = 0; result != UFFD_DONE && result != UFFD_OCCUPIED && tries < PATIENCE; tries++) {
        if (tries % 2 == 0)
            uffd_copy(&service_uffd, page_address(page), page_shadow(page), 1, &result);
        else
            uffd_move(&service_uffd, page_address(page), page_shadow(page), 1, 0, &result);
    }
    if (!present(page_address(page)))
        return false;
    if (present(page_shadow(page)))
        os_purge(page_shadow(page), PAGE_BYTES);
    return true;
}

/*
 * Moves pages in. The wake-up is apart: the thread that is woken often runs at once in place of this one, and then the time
 * that it takes until it is this one's turn again would count as the other's waiting.
 */
static void move_in(uint32_t first, void *from, uint32_t n, uint8_t *result)
{
    uffd_move(&service_uffd, page_address(first), from, n, UFFD_DONTWAKE, result);
    service.woken_at = os_now_ns();
    uffd_wake(&service_uffd, page_address(first), n * PAGE_BYTES);
}

/* To the children that there are now: what is still at its shadow, from where it is about to go. */
static void push(uint32_t first, uint32_t n)
{
    for (uint32_t page = first; page < first + n && family_has_children(); page++) {
        if (present(page_shadow(page)))
            family_push(page_address(page), page_shadow(page), 1);
    }
}

static void bring_aside(uint32_t first, uint32_t n, uint32_t touched)
{
    uint8_t result[SERVICE_RUN];
    service.leaving = first;
    service.leaving_pages = n; /* also to those that are born meanwhile: see pump() */
    push(first, n);
    move_in(first, page_shadow(first), n, result);
    for (uint32_t i = 0; i < n; i++) {
        if (result[i] == UFFD_DONE || bring_aside_otherwise(first + i, (enum uffd_result)result[i]))
            settle_present(first + i, touched);
    }
    service.leaving_pages = 0;
}

/* `n` zeroed pages to put pages together in; *moveable: their memory may be moved away. */
static char *stage(uint32_t n, bool *moveable)
{
    if (service.next + n > STAGING_PAGES)
        service.next = service.ready = 0;
    *moveable = service.next + n <= service.ready;
    if (*moveable) {
        char *at = service.staging + service.next * PAGE_BYTES;
        service.next += n;
        return at;
    }
    memset(service.scratch, 0, n * PAGE_BYTES);
    return service.scratch;
}

/* False if the page's address is not mapped, which nobody waits for. */
static bool copy_in(uint32_t page, const char *contents)
{
    uint8_t result = UFFD_REFUSED;
    for (int tries = 0; result != UFFD_DONE && result != UFFD_OCCUPIED && tries < PATIENCE; tries++)
        uffd_copy(&service_uffd, page_address(page), contents, 1, &result);
    return result == UFFD_DONE || result == UFFD_OCCUPIED || present(page_address(page));
}

static void bring_packed(uint32_t first, uint32_t n, uint32_t touched)
{
    uint8_t result[SERVICE_RUN];
    bool moveable, left = false;
    char *contents = stage(n, &moveable);
    for (uint32_t i = 0; i < n; i++)
        pack_unpack(page_info(first + i)->record, contents + i * PAGE_BYTES);
    if (moveable)
        move_in(first, contents, n, result);
    else
        uffd_copy(&service_uffd, page_address(first), contents, n, result);
    for (uint32_t i = 0; i < n; i++) {
        bool here = result[i] == UFFD_DONE || result[i] == UFFD_OCCUPIED;
        left |= moveable && result[i] != UFFD_DONE;
        if (here || copy_in(first + i, contents + i * PAGE_BYTES))
            settle_present(first + i, touched);
    }
    if (left) /* not clean any more */
        os_purge(contents, n * PAGE_BYTES);
}

static void bring(uint32_t first, uint32_t n, enum page_state state, uint32_t touched)
{
    PROBE_RETURN(page_address(first), n, state);
    if (state == PAGE_ASIDE)
        bring_aside(first, n, touched);
    else
        bring_packed(first, n, touched);
}

void service_bring_back(uint32_t first, uint32_t n)
{
    for (uint32_t page = first, end = first + n; page < end;) {
        uint8_t state = page_info(page)->state;
        uint32_t to = page + 1;
        while (to < end && page_info(to)->state == state)
            to++;
        if (state != PAGE_RESIDENT)
            bring(page, to - page, (enum page_state)state, UINT32_MAX);
        page = to;
    }
}

/* ---- faults ---- */

/* The pages around `page` in the same state, in an aligned group. */
static void around(uint32_t page, uint32_t *first, uint32_t *end)
{
    uint32_t group = 1u << conf_get(CONF_compact_around), lo = page - page % group, hi = lo + group;
    uint8_t state = page_info(page)->state;
    *first = page;
    *end = page + 1;
    while (*first > lo && page_info(*first - 1)->state == state)
        --*first;
    while (*end < hi && page_info(*end)->state == state)
        ++*end;
}

/* Nothing is kept of the page: it was never used, or not since it was given back. Its used neighbours come with it. */
static void serve_fresh(uint32_t page)
{
    uint8_t result[SERVICE_RUN];
    uint32_t end = page + 1, span_end = (page_span(page) + 1) * SPAN_PAGES;
    uint16_t populated = read_racy(span_info(page_span(page))->populated);
    while (end < span_end && populated >> end % SPAN_PAGES & 1 && page_info(end)->state == PAGE_RESIDENT)
        end++;
    uffd_copy(&service_uffd, page_address(page), zeros, end - page, result);
    add_relaxed(&service_counters.fresh, 1);
}

static void queue_bulk(uint32_t chunk)
{
    if (chunk_info(chunk)->bulk || service.bulk_end - service.bulk_first == BULK_QUEUE)
        return;
    chunk_info(chunk)->bulk = true;
    service.bulk[service.bulk_end++ % BULK_QUEUE] = chunk;
}

static void note_flood(uint32_t page, uint64_t now)
{
    if (now > service.flood_start + FLOOD_MS * 1000000ull) {
        service.flood_start = now;
        service.flood_faults = 0;
    }
    bool flood = ++service.flood_faults > FLOOD_FAULTS;
    if (++page_chunk(page)->faults >= FLOOD_CHUNK && flood && !frozen())
        queue_bulk(page / CHUNK_PAGES);
}

static void serve_away(uint32_t page, uint64_t since)
{
    uint32_t first, end;
    around(page, &first, &end);
    service.woken_at = 0;
    bring(first, end - first, (enum page_state)page_info(page)->state, page);
    uint64_t now = os_now_ns(), stall = (service.woken_at != 0 ? service.woken_at : now) - since;
    histogram_add(&service_stalls, stall);
    add_relaxed(&service_counters.faults, 1);
    add_relaxed(&service_counters.stall_ns, stall);
    PROBE_FAULT(page_address(page), stall);
    note_flood(page, now);
}

/* Somebody calls; or mlockall(2) populates the doorbell like everything else. */
static void serve_bell(enum bell bell)
{
    uint8_t result;
    if (load_relaxed(&family_calls[bell]))
        service.rung[bell] = true;
    else
        uffd_zero(&service_uffd, family_bell(bell), 1, &result);
}

static void serve(char *address, uint64_t since)
{
    size_t bell = (size_t)(address - family_doorbell) / PAGE_BYTES;
    size_t page = (size_t)(address - arena_start(REGION_SPANS)) / PAGE_BYTES;
    uint8_t result;
    if (bell < BELL_PAGES)
        serve_bell((enum bell)bell);
    else if (page < pages_limit && page_info((uint32_t)page)->state != PAGE_RESIDENT)
        serve_away((uint32_t)page, since);
    else if (page < pages_limit)
        serve_fresh((uint32_t)page);
    else /* of a shadow: mlockall(2) populates whatever is mapped */
        uffd_zero(&service_uffd, address, 1, &result);
}

bool service_bell_rung(enum bell bell)
{
    return service.rung[bell];
}

void service_bell_answer(enum bell bell)
{
    uint8_t result;
    service.rung[bell] = false;
    store_relaxed(&family_calls[bell], false);
    uffd_zero(&service_uffd, family_bell(bell), 1, &result);
}

/* Reads what has come, without answering it. */
static void read_events(void)
{
    while (service.queued < QUEUE) {
        struct uffd_event event = uffd_read(&service_uffd);
        if (event.kind == UFFD_EVENT_NONE)
            return;
        if (event.kind == UFFD_EVENT_CHILD)
            family_add(event.child_fd);
        else if (event.kind == UFFD_EVENT_FAULT)
            service.queue[service.queued++] = event;
    }
}

/*
 * See struct uffd. A child that is born while pages are on their way back has them away, and the move goes on when its
 * birth has been read: they are pushed to it before that.
 */
static void pump(void)
{
    int before = family_count();
    family_pump();
    read_events();
    if (family_count() > before && !service.pushing) {
        service.pushing = true;
        push(service.leaving, service.leaving_pages);
        service.pushing = false;
    }
    while (service.queued == QUEUE) { /* the event of a fork may be behind these faults, which come again */
        while (service.queued > QUEUE / 2)
            uffd_wake(&service_uffd, service.queue[--service.queued].addr, PAGE_BYTES);
        read_events();
    }
    os_yield();
}

bool service_drain(uint64_t since)
{
    bool any = false;
    lock_take(&service.lock);
    for (;;) {
        read_events();
        service.quiet_at = os_now_ns(); /* what comes from now on has not waited longer */
        if (service.queued == 0)
            break;
        any = true;
        while (service.queued > 0) {
            struct uffd_event *fault = &service.queue[--service.queued];
            service.last_thread = fault->thread;
            serve(fault->addr, since);
        }
        since = service.quiet_at;
    }
    while (family_has_children() && family_serve())
        any = true;
    lock_give(&service.lock);
    return any;
}

uint32_t service_last_thread(void)
{
    return service.last_thread;
}

void service_breathe(void)
{
    if (service_uffd.fd >= 0)
        service_drain(service.quiet_at);
}

/* ---- what children are served from ---- */

static void contents_for_child(char *address, char *page)
{
    size_t number = (size_t)(address - arena_start(REGION_SPANS)) / PAGE_BYTES;
    if (number >= pages_limit)
        return;
    const struct page *p = page_info((uint32_t)number);
    if (p->state == PAGE_PACKED)
        pack_unpack(p->record, page);
    else if (p->state == PAGE_ASIDE && present(page_shadow((uint32_t)number)))
        memcpy(page, page_shadow((uint32_t)number), PAGE_BYTES);
}

static bool next_away(char **address)
{
    uint32_t page = *address == NULL ? 0 : (uint32_t)((size_t)(*address - page_address(0)) / PAGE_BYTES);
    for (; page < pages_limit; page++) {
        if (page % CHUNK_PAGES == 0 && page_chunk(page)->aside + page_chunk(page)->packed == 0) {
            page += CHUNK_PAGES - 1;
        } else if (page_info(page)->state != PAGE_RESIDENT) {
            *address = page_address(page);
            return true;
        }
    }
    return false;
}

static const struct family_source source_of_children = {contents_for_child, next_away, pump};

/* ---- in bulk ---- */

void service_cancel_bulk(void)
{
    for (; service.bulk_first != service.bulk_end; service.bulk_first++)
        chunk_info(service.bulk[service.bulk_first % BULK_QUEUE])->bulk = false;
    service.bulk_page = 0;
}

void service_want_all(void)
{
    service.bulk_all = true;
    service.bulk_cursor = 0;
}

static bool next_bulk_chunk(uint32_t *chunk)
{
    if (service.bulk_first != service.bulk_end) {
        *chunk = service.bulk[service.bulk_first % BULK_QUEUE];
        return true;
    }
    while (service.bulk_all && service.bulk_cursor < pages_chunks()) {
        uint32_t next = service.bulk_cursor++;
        if (chunk_info(next)->aside + chunk_info(next)->packed > 0) {
            queue_bulk(next);
            *chunk = next;
            return true;
        }
    }
    service.bulk_all = false;
    return false;
}

bool service_bulk(void)
{
    uint32_t chunk;
    if (frozen() || !next_bulk_chunk(&chunk))
        return false;
    lock_take(&service.lock);
    if (!frozen()) {
        service_bring_back(chunk * CHUNK_PAGES + service.bulk_page, SERVICE_RUN);
        service.bulk_page += SERVICE_RUN;
        if (service.bulk_page >= CHUNK_PAGES) {
            service.bulk_page = 0;
            service.bulk_first++;
            chunk_info(chunk)->bulk = false;
        }
    }
    lock_give(&service.lock);
    return true;
}

/* ---- between faults ---- */

bool service_refill(void)
{
    if (service.next == service.ready)
        service.next = service.ready = 0;
    if (service.ready == STAGING_PAGES)
        return false;
    size_t n = min_size(STAGING_PAGES - service.ready, REFILL_PAGES);
    if (os_syscall(SYS_madvise, (long)(service.staging + service.ready * PAGE_BYTES), (long)(n * PAGE_BYTES),
                   MADV_POPULATE_WRITE, 0, 0, 0) != 0)
        return false;
    service.ready += (uint32_t)n;
    return service.ready < STAGING_PAGES;
}

bool service_verify(uint32_t chunk)
{
    uint8_t here[CHUNK_PAGES], aside[CHUNK_PAGES] = {0};
    struct chunk *c = chunk_info(chunk);
    uint32_t first = chunk * CHUNK_PAGES;
    if (c->aside + c->packed > 0 && !uffd_present(&service_uffd, page_address(first), CHUNK_PAGES, here))
        return false;
    if (c->aside > 0 && !uffd_present(&service_uffd, page_shadow(first), CHUNK_PAGES, aside))
        return false;
    for (uint32_t i = 0; i < CHUNK_PAGES && c->aside + c->packed > 0; i++) {
        uint8_t state = page_info(first + i)->state;
        /* What has come back and was given back to the system since is at neither place. */
        bool came_back = here[i] || (state == PAGE_ASIDE && !aside[i]);
        if (state == PAGE_RESIDENT || !came_back)
            continue;
        if (state == PAGE_ASIDE && aside[i])
            os_purge(page_shadow(first + i), PAGE_BYTES);
        settle_present(first + i, UINT32_MAX);
    }
    c->unverified = false;
    return true;
}

void service_start_family(void)
{
    service_uffd.pump = pump;
    family_init(&source_of_children);
}
