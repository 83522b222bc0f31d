#include "canary.h"

#include "conf.h"
#include "fill.h"
#include "guard_report.h"
#include "misuse.h"
#include "os.h"

#include <errno.h>
#include <string.h>

enum { PAD_SHIFT = 48 };

bool canary_is_on = true;

static uint64_t secret;
static uint8_t pad_byte;

void canary_init(void)
{
    canary_is_on = conf_get(CONF_canary);
    if (!canary_is_on)
        return;
    secret = os_random();
    pad_byte = (uint8_t)(0x80 | secret >> 40);
}

static char *trailer_of(const void *slot, size_t slot_size)
{
    return (char *)(uintptr_t)slot + slot_size - CANARY_BYTES;
}

/* Its lowest byte, the first in memory, is not 0. */
static uint64_t trailer_for(const void *slot, uint64_t pad)
{
    uint64_t z = ((uint64_t)(uintptr_t)slot + pad) ^ secret;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return pad << PAD_SHIFT | (z & (((uint64_t)1 << PAD_SHIFT) - 1)) | 0x80;
}

void canary_set(void *slot, size_t slot_size, size_t size)
{
    char *trailer = trailer_of(slot, slot_size), *end = (char *)slot + size;
    uint64_t word = trailer_for(slot, (uint64_t)(trailer - end));
    memset(end, pad_byte, (size_t)(trailer - end));
    memcpy(trailer, &word, sizeof(word));
}

/* What a slot holds behind its block. */
struct tail {
    size_t size;      /* of the block */
    bool known;       /* or it is not: more than the first half of the trailer is gone */
    uintptr_t damage; /* address of the first byte that somebody has written, 0: there is none */
};

static struct tail look(const void *slot, size_t slot_size)
{
    const char *trailer = trailer_of(slot, slot_size);
    uint64_t word, pad, wrong;
    memcpy(&word, trailer, sizeof(word));
    pad = word >> PAD_SHIFT;
    wrong = word ^ trailer_for(slot, pad);
    if (unlikely(pad >= slot_size - CANARY_BYTES || wrong >> 32 != 0))
        return (struct tail){.damage = (uintptr_t)trailer};
    uintptr_t damage = fill_damage(trailer - pad, trailer, pad_byte);
    if (unlikely(damage == 0 && wrong != 0))
        damage = (uintptr_t)trailer + (size_t)__builtin_ctzll(wrong) / 8;
    return (struct tail){.size = slot_size - CANARY_BYTES - pad, .known = true, .damage = damage};
}

/* What reports show of a block. */
static struct guard_slot description(void *slot, size_t size)
{
    return (struct guard_slot){.state = GUARD_LIVE, .start = (uintptr_t)slot, .size = size};
}

static COLD void tell_damage(void *slot, const struct tail *t, const char *call)
{
    struct guard_slot block = description(slot, t->size);
    struct guard_event here;
    guard_event_now(&here);
    guard_report_damage(&block, t->damage, &here, call);
}

static COLD void tell_size(void *slot, size_t has, size_t size, const char *call)
{
    struct guard_slot block = description(slot, has);
    struct guard_event here;
    guard_event_now(&here);
    guard_report_size(&block, size, &here, call);
}

size_t canary_check(void *slot, size_t slot_size, const char *call)
{
    int saved = errno;
    struct tail t = look(slot, slot_size);
    if (likely(t.damage == 0))
        return t.size;
    if (t.known) {
        tell_damage(slot, &t, call);
    } else {
        misuse_trailer(call, slot, slot_size);
        t.size = slot_size - CANARY_BYTES;
    }
    canary_set(slot, slot_size, t.size);
    errno = saved;
    return t.size;
}

void canary_check_size(void *slot, size_t slot_size, size_t size, const char *call)
{
    int saved = errno;
    struct tail t = look(slot, slot_size);
    if (unlikely(t.known && t.size != max_size(size, 1)))
        tell_size(slot, t.size, size, call);
    errno = saved;
}
