#include "guard.h"

#include "background.h"
#include "conf.h"
#include "fatal.h"
#include "fill.h"
#include "guard_pages.h"
#include "guard_report.h"
#include "guard_rest.h"
#include "guard_signal.h"
#include "guard_uffd.h"
#include "layout.h"
#include "lock.h"
#include "os.h"
#include "tcache_table.h"

#include <errno.h>
#include <string.h>

enum {
    LEAST_BITS = 1, /* log2 of the pages of a slot */
    MOST_BITS = CHUNK_BITS - PAGE_BITS,
    SLOTS =
        1 << (MOST_BITS - LEAST_BITS), /* of a chunk of the smallest ones; every chunk has as many entries */
    LEAST_ALIGN = 16,
    PROTECTED_MOST =
        8 * 1024, /* live blocks, two mappings each: the program needs some of its 65 530 as well */
};

/* log2 of the pages of each chunk's slots. Synchronization: written with the lock held, before a slot of it is handed out. */
static _Atomic uint8_t chunk_bits[ZONE_MAX / GUARD_PART / CHUNK_BYTES];

/* Slots of one size. */
struct kind {
    uint32_t free; /* number + 1 */
    uint32_t fresh, fresh_end;
};

static struct {
    struct lock lock;
    struct kind kinds[MOST_BITS + 1];
    uint32_t oldest, newest; /* of the quarantine: number + 1 */
    size_t quarantined;      /* bytes of its slots */
    size_t chunks;
    _Atomic size_t live, live_bytes;
    _Atomic uint64_t guarded, unclosed;
} guard = {.lock = LOCK_INITIALIZER(LOCK_GUARD)};

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_CONSTANT(GUARD_INFO_BYTES),
    LAYOUT_CONSTANT(GUARD_FRAMES),
    LAYOUT_TYPE(guard_slot),
    LAYOUT_FIELD(guard_slot, state),
    LAYOUT_FIELD(guard_slot, start),
    LAYOUT_FIELD(guard_slot, size),
    LAYOUT_FIELD(guard_slot, allocated),
    LAYOUT_FIELD(guard_slot, freed),
    LAYOUT_TYPE(guard_event),
    LAYOUT_FIELD(guard_event, ns),
    LAYOUT_FIELD(guard_event, thread),
    LAYOUT_FIELD(guard_event, stack.count),
    LAYOUT_FIELD(guard_event, stack.frames),
};

static const struct layout_entry states[] LAYOUT_SHAPES = {
#define X(name) LAYOUT_CONSTANT(GUARD_##name),
    GUARD_STATES(X)
#undef X
};

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(chunk_bits),
    LAYOUT_VARIABLE(guard.chunks),
    LAYOUT_VARIABLE(guard.quarantined),
};

uint32_t guard_rate;

/* ---- slots and their numbers ---- */

static struct guard_slot *slot_of(uint32_t number)
{
    return (struct guard_slot *)(arena_start(REGION_GUARD_INFO) + (size_t)number * GUARD_INFO_BYTES);
}

static uint32_t number_of(const struct guard_slot *slot)
{
    return (uint32_t)(((uintptr_t)slot - (uintptr_t)arena_start(REGION_GUARD_INFO)) / GUARD_INFO_BYTES);
}

static size_t bytes_of(uint32_t number)
{
    return PAGE_BYTES << load_relaxed(&chunk_bits[number / SLOTS]);
}

/* Where its guard page is. */
static char *base_of(uint32_t number)
{
    return arena_start(REGION_GUARD) + (size_t)(number / SLOTS) * CHUNK_BYTES +
           number % SLOTS * bytes_of(number);
}

struct guard_slot *guard_slot_at(uintptr_t address)
{
    size_t offset = address - (uintptr_t)arena_start(REGION_GUARD), chunk = offset / CHUNK_BYTES;
    if (offset >= arena_committed(REGION_GUARD) || load_relaxed(&chunk_bits[chunk]) == 0)
        return NULL;
    size_t index = offset % CHUNK_BYTES >> (PAGE_BITS + load_relaxed(&chunk_bits[chunk]));
    return slot_of((uint32_t)(chunk * SLOTS + index));
}

static enum guard_state state_of(const struct guard_slot *slot)
{
    return (enum guard_state)atomic_load(&slot->state);
}

/* ---- taking and giving back, the lock held ---- */

/* One more chunk, closed. */
static bool grow_locked(unsigned bits)
{
    size_t chunk = guard.chunks, from = chunk * CHUNK_BYTES;
    char *start = arena_start(REGION_GUARD);
    if (!arena_grow(REGION_GUARD_INFO, (chunk + 1) * SLOTS * GUARD_INFO_BYTES) ||
        !arena_grow(REGION_GUARD, from + CHUNK_BYTES) || !guard_pages_extend(start, from, from + CHUNK_BYTES))
        return false;
    guard.chunks++;
    store_relaxed(&chunk_bits[chunk], (uint8_t)bits);
    guard.kinds[bits].fresh = (uint32_t)chunk * SLOTS;
    guard.kinds[bits].fresh_end = (uint32_t)(chunk * SLOTS + (SLOTS >> (bits - LEAST_BITS)));
    return true;
}

static struct guard_slot *take_locked(unsigned bits)
{
    struct kind *kind = &guard.kinds[bits];
    struct guard_slot *slot;
    if (kind->free != 0) {
        slot = slot_of(kind->free - 1);
        kind->free = slot->next;
    } else if (kind->fresh < kind->fresh_end || grow_locked(bits)) {
        slot = slot_of(kind->fresh++);
    } else {
        return NULL;
    }
    atomic_store(&slot->state, GUARD_OPENING);
    return slot;
}

static void give_locked(struct guard_slot *slot)
{
    uint32_t number = number_of(slot);
    struct kind *kind = &guard.kinds[load_relaxed(&chunk_bits[number / SLOTS])];
    atomic_store(&slot->state, GUARD_UNUSED);
    slot->next = kind->free;
    kind->free = number + 1;
}

static void quarantine_locked(struct guard_slot *slot)
{
    uint32_t number = number_of(slot);
    atomic_store(&slot->state, GUARD_QUARANTINED);
    slot->next = 0;
    if (guard.newest != 0)
        slot_of(guard.newest - 1)->next = number + 1;
    else
        guard.oldest = number + 1;
    guard.newest = number + 1;
    guard.quarantined += bytes_of(number);
}

static void shorten_quarantine_locked(void)
{
    while (guard.quarantined > (size_t)conf_get(CONF_guard_quarantine)) {
        struct guard_slot *oldest = slot_of(guard.oldest - 1);
        guard.quarantined -= bytes_of(guard.oldest - 1);
        guard.oldest = oldest->next;
        if (guard.oldest == 0)
            guard.newest = 0;
        give_locked(oldest);
    }
}

static void give_back(struct guard_slot *slot)
{
    lock_take(&guard.lock);
    give_locked(slot);
    lock_give(&guard.lock);
}

/* ---- the object in its slot ---- */

void guard_event_now(struct guard_event *event)
{
    event->ns = os_now_ns();
    event->thread = (uint32_t)os_thread_id();
    guard_stack_take(&event->stack);
}

static char *first_page(const struct guard_slot *slot)
{
    return (char *)align_down(slot->start, PAGE_BYTES);
}

static char *last_page_end(const struct guard_slot *slot)
{
    return (char *)align_up(slot->start + slot->size, PAGE_BYTES);
}

static bool place_at_start(void)
{
    static _Atomic uint32_t turn;
    int64_t place = conf_get(CONF_guard_place);
    return place == GUARD_ALTERNATE ? add_relaxed(&turn, 1) % 2 != 0 : place == GUARD_START;
}

static void place(struct guard_slot *slot, size_t size, size_t align)
{
    uint32_t number = number_of(slot);
    uintptr_t data = (uintptr_t)base_of(number) + PAGE_BYTES,
              end = (uintptr_t)base_of(number) + bytes_of(number);
    slot->start = place_at_start() ? align_up(data, align) : align_down(end - size, align);
    slot->size = size;
}

static void fill_canary(const struct guard_slot *slot)
{
    char *end = (char *)slot->start + slot->size;
    memset(first_page(slot), GUARD_CANARY, slot->start - (uintptr_t)first_page(slot));
    memset(end, GUARD_CANARY, (size_t)(last_page_end(slot) - end));
}

/* Log2 of the pages that an object may need with its guard page; beyond MOST_BITS if no slot is large enough. */
static unsigned bits_for(size_t size, size_t align)
{
    size_t pages = (align_up(size, PAGE_BYTES) + (align > PAGE_BYTES ? align : 0)) / PAGE_BYTES + 1;
    unsigned bits = LEAST_BITS;
    while ((size_t)1 << bits < pages)
        bits++;
    return bits;
}

static bool may_be_one_more(void)
{
    return guard_pages_way() != GUARD_MPROTECT || load_relaxed(&guard.live) < PROTECTED_MOST;
}

static void *alloc(size_t size, size_t align)
{
    unsigned bits = bits_for(size, align);
    if (bits > MOST_BITS || !may_be_one_more())
        return NULL;
    lock_take(&guard.lock);
    struct guard_slot *slot = take_locked(bits);
    lock_give(&guard.lock);
    if (slot == NULL)
        return NULL;
    place(slot, size, align);
    if (!guard_pages_open(first_page(slot), (size_t)(last_page_end(slot) - first_page(slot)))) {
        slot->start = 0;
        give_back(slot);
        return NULL;
    }
    fill_canary(slot);
    guard_event_now(&slot->allocated);
    add_relaxed(&guard.live, 1);
    add_relaxed(&guard.live_bytes, size);
    add_relaxed(&guard.guarded, 1);
    atomic_store(&slot->state, GUARD_LIVE);
    return (void *)slot->start;
}

/* For x in (0, 1]. */
static double natural_log(double x)
{
    int exponent = 0;
    for (; x < 0.5; x *= 2)
        exponent--;
    double z = (x - 1) / (x + 1), square = z * z; /* the series of 2 artanh z, |z| <= 1/3 */
    return exponent * 0.6931471805599453 + 2 * z * (1 + square * (1.0 / 3 + square * (0.2 + square / 7)));
}

/* How many allocations it is to the thread's next guarded one: geometric, so that no pattern of the program's can evade it. */
static uint64_t draw(void)
{
    if (guard_rate == 1)
        return 1;
    double u = (double)((background_random() >> 11) + 1) * 0x1p-53;
    return 1 + (uint64_t)(-natural_log(u) * (guard_rate - 0.5));
}

static void *alloc_timed(size_t size, size_t align)
{
    int saved = errno;
    uint64_t begun = os_ticks();
    tcache_tls.countdown = 0; /* not for what the unwinder allocates */
    void *p = alloc(max_size(size, 1), max_size(align, LEAST_ALIGN));
    guard_rest_after(begun);
    errno = saved;
    return p;
}

void *guard_alloc(size_t size, size_t align)
{
    bool may = size <= GUARD_MAX && align <= GUARD_MAX && !guard_rest_is_due();
    void *p = may ? alloc_timed(size, align) : NULL;
    tcache_tls.countdown = draw();
    return p;
}

/* ---- free ---- */

static void check_canary(const struct guard_slot *slot, const char *call)
{
    const char *start = (const char *)slot->start, *end = start + slot->size;
    uintptr_t before = fill_damage(first_page(slot), start, GUARD_CANARY),
              behind = fill_damage(end, last_page_end(slot), GUARD_CANARY);
    if (unlikely(behind != 0 || before != 0))
        guard_report_damage(slot, behind != 0 ? behind : before, &slot->freed, call);
}

static void close_slot(struct guard_slot *slot)
{
    char *first = first_page(slot);
    if (!guard_pages_close(first, (size_t)(last_page_end(slot) - first)))
        add_relaxed(&guard.unclosed, 1);
    lock_take(&guard.lock);
    quarantine_locked(slot);
    shorten_quarantine_locked();
    lock_give(&guard.lock);
}

void guard_free(void *p, const char *call)
{
    int saved = errno;
    struct guard_event here;
    guard_event_now(&here);
    struct guard_slot *slot = guard_slot_at((uintptr_t)p);
    lock_take(&guard.lock);
    bool live = slot != NULL && state_of(slot) == GUARD_LIVE && slot->start == (uintptr_t)p;
    if (likely(live)) {
        slot->freed = here;
        atomic_store(&slot->state, GUARD_CLOSING);
    }
    lock_give(&guard.lock);
    if (likely(live)) {
        sub_relaxed(&guard.live, 1);
        sub_relaxed(&guard.live_bytes, slot->size);
        check_canary(slot, call);
        close_slot(slot);
    } else {
        guard_report_bad_pointer((uintptr_t)p, &here, call);
    }
    errno = saved;
}

void guard_free_sized(void *p, size_t size, const char *call)
{
    const struct guard_slot *slot = guard_slot_at((uintptr_t)p);
    if (slot != NULL && state_of(slot) == GUARD_LIVE && slot->start == (uintptr_t)p &&
        slot->size != max_size(size, 1)) {
        struct guard_event here;
        guard_event_now(&here);
        guard_report_size(slot, size, &here, call);
    }
    guard_free(p, call);
}

size_t guard_usable_size(const void *p, const char *call)
{
    const struct guard_slot *slot = guard_slot_at((uintptr_t)p);
    if (likely(slot != NULL && state_of(slot) == GUARD_LIVE && slot->start == (uintptr_t)p))
        return slot->size;
    struct guard_event here;
    guard_event_now(&here);
    guard_report_bad_pointer((uintptr_t)p, &here, call);
    return 0;
}

/* ---- whose address is it? ---- */

/* A page behind the region is no slot's guard page yet, and has no memory. */
bool guard_covers(uintptr_t address)
{
    return guard_rate != 0 &&
           address - (uintptr_t)arena_start(REGION_GUARD) < arena_committed(REGION_GUARD) + PAGE_BYTES;
}

bool guard_let(uintptr_t address)
{
    char *page = (char *)align_down(address, PAGE_BYTES);
    return guard_contains(page) && guard_pages_open(page, PAGE_BYTES);
}

static size_t distance(const struct guard_slot *slot, uintptr_t address)
{
    return address < slot->start ? slot->start - address
                                 : address - min_size(address, slot->start + slot->size);
}

static bool has_block(const struct guard_slot *slot)
{
    return slot != NULL && slot->start != 0;
}

static struct guard_slot *nearer(struct guard_slot *a, struct guard_slot *b, uintptr_t address)
{
    if (!has_block(a) || !has_block(b))
        return has_block(a) ? a : has_block(b) ? b : NULL;
    bool a_lives = state_of(a) == GUARD_LIVE, b_lives = state_of(b) == GUARD_LIVE;
    if (a_lives != b_lives)
        return a_lives ? a : b;
    return distance(a, address) <= distance(b, address) ? a : b;
}

static bool on_pages_of(const struct guard_slot *slot, uintptr_t address)
{
    return has_block(slot) && address >= (uintptr_t)first_page(slot) &&
           address < (uintptr_t)last_page_end(slot);
}

static bool is_closed(uintptr_t address)
{
    const struct guard_slot *slot = guard_slot_at(address);
    return slot == NULL || state_of(slot) != GUARD_LIVE || !on_pages_of(slot, address);
}

uintptr_t guard_closed_in(uintptr_t start, size_t size)
{
    uintptr_t region = (uintptr_t)arena_start(REGION_GUARD), end = start + min_size(size, ~start);
    for (uintptr_t at = start > region ? start : region; at < end && guard_covers(at);
         at = align_down(at, PAGE_BYTES) + PAGE_BYTES) {
        if (is_closed(at))
            return at;
    }
    return 0;
}

/* What the address cannot be told to belong to goes to the nearest of the slot's block and its two neighbours'. */
struct guard_slot *guard_blame(uintptr_t address)
{
    struct guard_slot *slot = guard_slot_at(address);
    if (slot == NULL) /* just behind the last one, or in a chunk that has none yet */
        return nearer(guard_slot_at(address - PAGE_BYTES), NULL, address);
    if (on_pages_of(slot, address))
        return slot;
    uintptr_t base = (uintptr_t)base_of(number_of(slot));
    struct guard_slot *before = guard_slot_at(base - 1),
                      *behind = guard_slot_at(base + bytes_of(number_of(slot)));
    return nearer(nearer(slot, before, address), behind, address);
}

/* ---- start, statistics, fork ---- */

bool guard_thread_begins(void)
{
    if (likely(guard_rate == 0) || guard_counts() || guard_rest_goes_on())
        return false;
    tcache_tls.direct = tcache_tls.small = 0;
    tcache_tls.countdown = draw();
    return tcache_own() == NULL; /* else the fast path has left it in the middle of an operation */
}

void guard_init(void)
{
    uint32_t rate = (uint32_t)conf_get(CONF_guard);
    if (rate == 0)
        return;
    char *start = arena_start(REGION_GUARD);
    if (!arena_grow(REGION_GUARD, CHUNK_BYTES) ||
        !guard_pages_init((enum guard_way)conf_get(CONF_guard_way), start, CHUNK_BYTES)) {
        warning("guard mode is off: this system has no memory for it, or no guard pages");
        return;
    }
    guard_report_init();
    guard_signal_init();
    guard_rate = rate;
    guard_thread_begins();
}

void guard_stats(struct guard_stats *stats)
{
    lock_take(&guard.lock);
    size_t quarantined = guard.quarantined;
    lock_give(&guard.lock);
    *stats = (struct guard_stats){
        .live = load_relaxed(&guard.live),
        .live_bytes = load_relaxed(&guard.live_bytes),
        .quarantined_bytes = quarantined,
        .guarded = load_relaxed(&guard.guarded),
        .unclosed = load_relaxed(&guard.unclosed),
    };
}

void guard_fork_prepare(void)
{
    guard_rest_fork_prepare();
    lock_take(&guard.lock);
    guard_uffd_fork_prepare();
}

void guard_fork_parent(void)
{
    guard_uffd_fork_parent();
    lock_give(&guard.lock);
    guard_rest_fork_parent();
}

void guard_fork_child(void)
{
    guard_uffd_fork_child();
    guard_signal_fork_child();
    guard_report_fork_child();
    lock_reset(&guard.lock);
    guard_rest_fork_child();
}
