#include "pages.h"

#include "layout.h"

#include <string.h>

uint32_t pages_limit;
_Atomic size_t pages_aside, pages_packed;

static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_TYPE(page),        LAYOUT_FIELD(page, record), LAYOUT_FIELD(page, state),
    LAYOUT_FIELD(page, heat), LAYOUT_TYPE(chunk),         LAYOUT_FIELD(chunk, shadow),
};

static const struct layout_entry states[] LAYOUT_SHAPES = {
#define X(name) LAYOUT_CONSTANT(PAGE_##name),
    PAGE_STATES(X)
#undef X
};

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(pages_limit),
    LAYOUT_VARIABLE(pages_aside),
    LAYOUT_VARIABLE(pages_packed),
};

bool pages_cover(uint32_t limit)
{
    return arena_grow(REGION_PAGE_INFO, (size_t)limit * PAGE_INFO_BYTES) &&
           arena_grow(REGION_CHUNK_INFO, (size_t)(limit / CHUNK_PAGES) * CHUNK_INFO_BYTES);
}

static void count(struct chunk *c, uint8_t state, int by)
{
    if (state == PAGE_ASIDE) {
        c->aside = (uint16_t)(c->aside + by);
        add_relaxed(&pages_aside, (size_t)by);
    } else if (state == PAGE_PACKED) {
        c->packed = (uint16_t)(c->packed + by);
        add_relaxed(&pages_packed, (size_t)by);
    }
}

void page_become(uint32_t page, enum page_state state)
{
    struct page *p = page_info(page);
    count(page_chunk(page), p->state, -1);
    count(page_chunk(page), (uint8_t)state, 1);
    p->state = (uint8_t)state;
}

void pages_forget(void)
{
    memset(page_info(0), 0, (size_t)pages_limit * PAGE_INFO_BYTES);
    for (uint32_t chunk = 0; chunk < pages_chunks(); chunk++) {
        if (chunk_info(chunk)->shadow)
            chunk_shadow_unmap(chunk);
        *chunk_info(chunk) = (struct chunk){0};
    }
    store_relaxed(&pages_aside, 0);
    store_relaxed(&pages_packed, 0);
}

bool chunk_shadow_map(uint32_t chunk)
{
    struct chunk *c = chunk_info(chunk);
    if (!c->shadow)
        c->shadow = arena_shadow_map((size_t)chunk * CHUNK_BYTES, CHUNK_BYTES);
    return c->shadow;
}

void chunk_shadow_unmap(uint32_t chunk)
{
    arena_shadow_unmap((size_t)chunk * CHUNK_BYTES, CHUNK_BYTES);
    chunk_info(chunk)->shadow = false;
}
