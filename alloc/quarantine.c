#include "quarantine.h"

#include "fill.h"
#include "lock.h"
#include "meta.h"
#include "misuse.h"
#include "span.h"
#include "span_table.h"

#include <string.h>

enum {
    SEGMENT_SLOTS = 511,
    FILLED = 0xfb, /* no address that a program could use has this in all its bytes */
    BATCH = 32,    /* slots that leave at a time */
};

struct segment {
    struct segment *next;
    void *slots[SEGMENT_SLOTS];
};

/* From slots[first] of the oldest segment to slots[end - 1] of the newest. */
static struct {
    struct lock lock;
    struct segment *oldest, *newest; /* NULL: the queue is empty */
    uint32_t first, end;
    size_t bytes;
} queue CACHE_ALIGNED = {.lock = LOCK_INITIALIZER(LOCK_QUARANTINE)};

/* ---- the queue; all with its lock held ---- */

static bool append_segment_locked(void)
{
    struct segment *s = meta_alloc(sizeof(*s));
    if (s == NULL)
        return false;
    s->next = NULL;
    if (queue.newest != NULL)
        queue.newest->next = s;
    else
        queue.oldest = s;
    if (queue.newest == NULL)
        queue.first = 0;
    queue.newest = s;
    queue.end = 0;
    return true;
}

static bool append_locked(void *slot, size_t size)
{
    if ((queue.newest == NULL || queue.end == SEGMENT_SLOTS) && !append_segment_locked())
        return false;
    queue.newest->slots[queue.end++] = slot;
    queue.bytes += size;
    return true;
}

static void drop_oldest_segment_locked(void)
{
    struct segment *s = queue.oldest;
    queue.oldest = s->next;
    queue.first = 0;
    if (queue.oldest == NULL)
        queue.newest = NULL;
    meta_free(s, sizeof(*s));
}

/* The queue is not empty. */
static void *pop_locked(void)
{
    void *slot = queue.oldest->slots[queue.first++];
    queue.bytes -= sizeclass_table[span_find(slot).bin].size;
    if (queue.first == (queue.oldest == queue.newest ? queue.end : SEGMENT_SLOTS))
        drop_oldest_segment_locked();
    return slot;
}

/* ---- a slot comes and goes ---- */

static _Atomic uint64_t *held_word(const void *slot, const struct span_location *at)
{
    return span_held_word((uint32_t)(((uintptr_t)slot - arena_base) >> SPAN_BITS), at->slot / 64);
}

/* False if the slot is not live. */
static bool hold(unsigned bin, void *slot)
{
    lock_take(&queue.lock);
    struct span_location at = span_find(slot);
    bool live = at.bin == bin && at.offset == 0 && !at.free;
    if (live)
        add_relaxed(held_word(slot, &at), (uint64_t)1 << at.slot % 64);
    lock_give(&queue.lock);
    return live;
}

static void let_go_locked(void *slot, const char *call)
{
    struct span_location at = span_find(slot);
    sub_relaxed(held_word(slot, &at), (uint64_t)1 << at.slot % 64);
    span_give(at.bin, &slot, 1, call);
}

static uint8_t fill_byte(void)
{
    return conf_get(CONF_zero_on_free) ? 0 : FILLED;
}

static void check_filled(const void *slot, const char *call)
{
    unsigned bin = span_find(slot).bin;
    size_t size = sizeclass_table[bin].size;
    uintptr_t damage = fill_damage(slot, (const char *)slot + size, fill_byte());
    if (unlikely(damage != 0))
        misuse_write_after_free(call, slot, bin, damage - (uintptr_t)slot);
}

/* The oldest ones leave until the others have `most` bytes. */
static void shorten(size_t most, const char *call)
{
    void *leaving[BATCH];
    size_t n;
    do {
        n = 0;
        lock_take(&queue.lock);
        while (n < BATCH && queue.bytes > most)
            leaving[n++] = pop_locked();
        lock_give(&queue.lock);
        for (size_t i = 0; i < n; i++)
            check_filled(leaving[i], call);
        lock_take(&queue.lock);
        for (size_t i = 0; i < n; i++)
            let_go_locked(leaving[i], call);
        lock_give(&queue.lock);
    } while (n == BATCH);
}

bool quarantine_free(unsigned bin, void *slot, const char *call)
{
    size_t size = sizeclass_table[bin].size;
    if (!hold(bin, slot))
        return false;
    memset(slot, fill_byte(), size);
    lock_take(&queue.lock);
    bool room = append_locked(slot, size);
    if (!room)
        let_go_locked(slot, call);
    lock_give(&queue.lock);
    shorten((size_t)conf_get(CONF_quarantine), call);
    return true;
}

void quarantine_empty(void)
{
    if (quarantine_is_on())
        shorten(0, "free");
}

size_t quarantine_bytes(void)
{
    lock_take(&queue.lock);
    size_t bytes = queue.bytes;
    lock_give(&queue.lock);
    return bytes;
}

/* ---- fork: what another thread was about to give back stays held in the child ---- */

void quarantine_fork_prepare(void)
{
    lock_take(&queue.lock);
}

void quarantine_fork_parent(void)
{
    lock_give(&queue.lock);
}

void quarantine_fork_child(void)
{
    lock_reset(&queue.lock);
}
