#include "service.h"

#include "bulk.h"
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

enum {
    /* So many faults so soon after one another are a flood: the program does little but wait for pages. */
    FLOOD_NS = 12000000,
    FLOOD_FAULTS = 64,
    HEAT_MAX = 10,
    GRACE_TICKS = 15000 / PAGES_TICK_MS, /* how long what came back stays at least */
};

struct uffd service_uffd = {.fd = -1, .pagemap = -1};
static void serve(struct faults *faults, char *address, uint32_t thread, uint64_t since);
struct faults service_faults = {.uffd = &service_uffd, .serve = serve, .child = family_add};
struct service_counters service_counters;
struct histogram service_stalls;

static struct {
    struct lock lock;
    uint32_t leaving, leaving_pages; /* pages on their way out of the shadow */
    bool pushing;
    uint32_t last_thread;
    bool rung[BELL_PAGES];
    uint64_t woken_at; /* nanoseconds: when the last answer was given */
    uint64_t flood_start;
    uint32_t flood_faults;
    bool flood;
} service = {.lock = LOCK_INITIALIZER(LOCK_SERVICE)};

_Static_assert(GRACE_TICKS << HEAT_MAX <= PAGES_TICKS_MOST, "");

static const char zeros[SERVICE_RUN * PAGE_BYTES] __attribute__((aligned(4096)));

/* Where pages are put together. */
static char scratch[SERVICE_RUN * PAGE_BYTES] __attribute__((aligned(4096)));

void service_reset(void)
{
    store_relaxed(&service.lock.state, 0);
    service_faults.queued = 0;
    memset(service.rung, 0, sizeof(service.rung));
    bulk_forget();
    service.leaving_pages = 0;
    service.pushing = false;
}

void service_pass(void)
{
    lock_take(&service.lock);
    lock_give(&service.lock);
}

/* The page is here again. One that was touched waits twice as long as the last time before it may go again. */
static void note_return(uint32_t page, bool touched)
{
    struct page *p = page_info(page);
    uint64_t now = service_faults.quiet_at / 1000000; /* near enough */
    if (touched && p->heat < HEAT_MAX)
        p->heat++;
    p->not_before = tick_after(now, touched ? GRACE_TICKS << p->heat : GRACE_TICKS);
}

/* ---- bringing back ---- */

/* The page is present, and what is written down shall say so; what was kept of it is dropped. */
static void settle_present(uint32_t page, uint32_t touched)
{
    struct page *p = page_info(page);
    if (family_is_frozen()) {
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
    for (int tries = 0; result != UFFD_DONE && result != UFFD_OCCUPIED && tries < PATIENCE; tries++) {
        if (!present(page_shadow(page))) {
            /*
             * It is back: since all was frozen, or just now, by a move that did not say so. If it is not at its address either,
             * it was given back to the system after that and is touched anew. Copying would wait for a page that is nowhere.
             */
            uffd_zero(&service_uffd, page_address(page), 1, &result);
            return true;
        }
        if (tries % 2 == 0)
            uffd_copy(&service_uffd, page_address(page), page_shadow(page), 1, 0, &result);
        else
            uffd_move(&service_uffd, page_address(page), page_shadow(page), 1, 0, &result);
    }
    if (result != UFFD_DONE && result != UFFD_OCCUPIED && !present(page_address(page)))
        return false;
    if (present(page_shadow(page)))
        os_purge(page_shadow(page), PAGE_BYTES);
    return true;
}

/*
 * The wake-up is apart from what brings the pages: the thread that is woken often runs at once in place of this one, and then
 * the time that it takes until it is this one's turn again would count as the other's waiting.
 */
static void wake(uint32_t first, uint32_t n)
{
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
    uffd_move(&service_uffd, page_address(first), page_shadow(first), n, UFFD_DONTWAKE, result);
    wake(first, n);
    for (uint32_t i = 0; i < n; i++) {
        if (result[i] == UFFD_DONE || bring_aside_otherwise(first + i, (enum uffd_result)result[i]))
            settle_present(first + i, touched);
    }
    service.leaving_pages = 0;
}

/* False if the page's address is not mapped, which nobody waits for. */
static bool copy_in(uint32_t page, const char *contents)
{
    uint8_t result = UFFD_REFUSED;
    for (int tries = 0; result != UFFD_DONE && result != UFFD_OCCUPIED && tries < PATIENCE; tries++)
        uffd_copy(&service_uffd, page_address(page), contents, 1, 0, &result);
    return result == UFFD_DONE || result == UFFD_OCCUPIED || present(page_address(page));
}

/*
 * Copies, because moving the scratch pages away would be dearer: each of the threads that run has to forget their translation,
 * for which it is interrupted, and the page that the kernel takes for a copy is as new as the one that scratch would need.
 */
static void bring_packed(uint32_t first, uint32_t n, uint32_t touched)
{
    uint8_t result[SERVICE_RUN];
    memset(scratch, 0, n * PAGE_BYTES);
    for (uint32_t i = 0; i < n; i++)
        pack_unpack(page_info(first + i)->record, scratch + i * PAGE_BYTES);
    uffd_copy(&service_uffd, page_address(first), scratch, n, UFFD_DONTWAKE, result);
    wake(first, n);
    for (uint32_t i = 0; i < n; i++) {
        bool here = result[i] == UFFD_DONE || result[i] == UFFD_OCCUPIED;
        if (here || copy_in(first + i, scratch + i * PAGE_BYTES))
            settle_present(first + i, touched);
    }
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

bool service_try_bring_back(uint32_t first, uint32_t n)
{
    lock_take(&service.lock);
    bool may = !family_is_frozen();
    if (may)
        service_bring_back(first, n);
    lock_give(&service.lock);
    return may;
}

/* ---- faults ---- */

/* The pages around `page` in the same state, in an aligned group. */
static void around(uint32_t page, uint32_t *first, uint32_t *end)
{
    uint32_t group = (uint32_t)(service.flood ? SERVICE_RUN : 1 << conf_get(CONF_compact_around)),
             lo = page - page % group, hi = lo + group;
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
    uffd_copy(&service_uffd, page_address(page), zeros, end - page, 0, result);
    add_relaxed(&service_counters.fresh, 1);
}

static void note_flood(uint32_t page, uint64_t now)
{
    uint64_t since = now - service.flood_start;
    if (since > FLOOD_NS) {
        service.flood = service.flood_faults > FLOOD_FAULTS && since < 2 * FLOOD_NS;
        service.flood_start = now;
        service.flood_faults = 0;
    }
    if (++service.flood_faults > FLOOD_FAULTS)
        service.flood = true;
    if (service.flood && !family_is_frozen())
        bulk_want_chunk(page / CHUNK_PAGES);
}

static void serve_away(uint32_t page, uint64_t since)
{
    enum page_state state = (enum page_state)page_info(page)->state;
    uint32_t first, end;
    around(page, &first, &end);
    service.woken_at = 0;
    if (state == PAGE_PACKED) { /* each costs a copy: the others when nobody waits for them */
        bring(page, 1, state, page);
        bulk_want_pages(first, end);
    } else {
        bring(first, end - first, state, page);
    }
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

static void serve(struct faults *faults, char *address, uint32_t thread, uint64_t since)
{
    (void)faults;
    service.last_thread = thread;
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

/*
 * See struct uffd. A child that is born while pages are on their way back has them away, and the move goes on when its
 * birth has been read: they are pushed to it before that.
 */
static void pump(void)
{
    int before = family_count();
    family_pump();
    faults_read(&service_faults);
    if (family_count() > before && !service.pushing) {
        service.pushing = true;
        push(service.leaving, service.leaving_pages);
        service.pushing = false;
    }
    faults_read_all(&service_faults);
    os_yield();
}

bool service_drain(uint64_t since)
{
    lock_take(&service.lock);
    bool any = faults_drain(&service_faults, since);
    while (family_has_children() && family_serve())
        any = true;
    lock_give(&service.lock);
    return any;
}

uint32_t service_last_thread(void)
{
    return service.last_thread;
}

bool service_is_flooded(void)
{
    return service.flood;
}

void service_breathe(void)
{
    if (service_uffd.fd >= 0 && service_drain(service_faults.quiet_at))
        os_yield();
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
