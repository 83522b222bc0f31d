#include "pack.h"

#include "pages.h"
#include "span_pages.h"
#include "store.h"

#include <string.h>

enum { BITS_MAX = PAGE_BYTES / 16 / 8 + 1 };

/* The slots of one page, one after the other. */
struct walk {
    unsigned bin, page; /* of the span */
    uint32_t slot, end, index;
    uint32_t from, to; /* of the present slot, on the page */
};

static struct walk walk_page(unsigned bin, uint32_t page)
{
    struct walk w = {.bin = bin, .page = page % SPAN_PAGES};
    span_page_slots(bin, w.page, &w.slot, &w.end);
    w.index = UINT32_MAX;
    w.slot--;
    return w;
}

static bool walk_next(struct walk *w)
{
    if (++w->slot >= w->end)
        return false;
    w->index++;
    span_slot_part(w->bin, w->page, w->slot, &w->from, &w->to);
    return true;
}

static size_t bits_bytes(unsigned bin, uint32_t page)
{
    uint32_t first, end;
    span_page_slots(bin, page % SPAN_PAGES, &first, &end);
    return (end - first + 7) / 8;
}

static bool bit_get(const unsigned char *bits, uint32_t index)
{
    return bits[index / 8] >> (index % 8) & 1;
}

/* Sets the bits of the slots to keep, those that are not free and, if `old` is given, are set there. Returns their bytes. */
static size_t choose(unsigned bin, uint32_t page, const unsigned char *old, unsigned char *bits)
{
    size_t bytes = 0;
    struct walk w = walk_page(bin, page);
    while (walk_next(&w)) {
        if (span_slot_free(page_span(page), w.slot) || (old != NULL && !bit_get(old, w.index)))
            continue;
        bits[w.index / 8] |= (unsigned char)(1u << w.index % 8);
        bytes += w.to - w.from;
    }
    return bytes;
}

uint32_t pack_page(uint32_t page, const char *from)
{
    unsigned char bits[BITS_MAX] = {0};
    unsigned bin = span_packable_bin(page_span(page));
    size_t header, live = bin != 0 ? choose(bin, page, NULL, bits) : 0;
    if (live == 0)
        return PACK_NOTHING;
    header = bits_bytes(bin, page);
    uint32_t record = store_append(page, bin, header + live);
    if (record == 0)
        return PACK_FAILED;
    unsigned char *to = store_record(record)->contents;
    memcpy(to, bits, header);
    to += header;
    struct walk w = walk_page(bin, page);
    while (walk_next(&w)) {
        if (!bit_get(bits, w.index))
            continue;
        memcpy(to, from + w.from, w.to - w.from);
        to += w.to - w.from;
    }
    return record;
}

void pack_unpack(uint32_t record, char *to)
{
    if (record == PACK_NOTHING)
        return;
    const struct store_record *r = store_record(record);
    const unsigned char *bits = r->contents, *from = bits + bits_bytes(r->bin, r->page);
    struct walk w = walk_page(r->bin, r->page);
    while (walk_next(&w)) {
        if (!bit_get(bits, w.index))
            continue;
        memcpy(to + w.from, from, w.to - w.from);
        from += w.to - w.from;
    }
}

/* Copies from one record to another of the same page with fewer slots. */
static void copy_slots(const struct store_record *old, struct store_record *r)
{
    size_t header = bits_bytes(r->bin, r->page);
    const unsigned char *from = old->contents + header;
    unsigned char *to = r->contents + header;
    struct walk w = walk_page(r->bin, r->page);
    while (walk_next(&w)) {
        if (!bit_get(old->contents, w.index))
            continue;
        if (bit_get(r->contents, w.index)) {
            memcpy(to, from, w.to - w.from);
            to += w.to - w.from;
        }
        from += w.to - w.from;
    }
}

uint32_t pack_shrink(uint32_t page, uint32_t record)
{
    const struct store_record *r = store_record(record);
    unsigned char bits[BITS_MAX] = {0};
    /* A span that is used for another bin now has nothing of this record's. */
    bool same = span_packable_bin(page_span(page)) == r->bin;
    size_t header = bits_bytes(r->bin, page), live = same ? choose(r->bin, page, r->contents, bits) : 0;
    if (live != 0 && header + live > r->bytes / 8u * 7)
        return record;
    uint32_t smaller = PACK_NOTHING;
    if (live != 0) {
        smaller = store_append(page, r->bin, header + live);
        if (smaller == 0)
            return record;
        memcpy(store_record(smaller)->contents, bits, header);
        copy_slots(r, store_record(smaller));
    }
    store_free(record);
    return smaller;
}
