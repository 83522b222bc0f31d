#include "bulk.h"

#include "pages.h"
#include "service.h"

enum {
    GROUPS = 16,
    CHUNKS = 1024,
    STEP = 8, /* pages, 20 microseconds: a fault that comes meanwhile waits for them */
};
_Static_assert((int)STEP <= (int)SERVICE_RUN, "what is brought back at a time");

struct range {
    uint32_t page, end;
};

static struct {
    struct range groups[GROUPS]; /* a stack whose bottom falls out; those that are done are empty */
    uint32_t top;
    uint32_t chunks[CHUNKS], first, last; /* a queue */
    uint32_t page;                        /* of the first chunk: where to go on */
    bool all;
    uint32_t cursor; /* chunk */
} bulk;

void bulk_want_pages(uint32_t first, uint32_t end)
{
    bulk.top = (bulk.top + 1) % GROUPS;
    bulk.groups[bulk.top] = (struct range){first, end};
}

void bulk_want_chunk(uint32_t chunk)
{
    if (chunk_info(chunk)->bulk || bulk.last - bulk.first == CHUNKS)
        return;
    chunk_info(chunk)->bulk = true;
    bulk.chunks[bulk.last++ % CHUNKS] = chunk;
}

void bulk_want_all(void)
{
    bulk.all = true;
    bulk.cursor = 0;
}

void bulk_forget(void)
{
    for (uint32_t i = 0; i < GROUPS; i++)
        bulk.groups[i] = (struct range){0, 0};
    bulk.first = bulk.last = bulk.page = 0;
    bulk.all = false;
}

void bulk_cancel(void)
{
    for (; bulk.first != bulk.last; bulk.first++)
        chunk_info(bulk.chunks[bulk.first % CHUNKS])->bulk = false;
    bulk_forget();
}

static bool bring_some(struct range *range)
{
    uint32_t n = (uint32_t)min_size(range->end - range->page, STEP);
    if (!service_try_bring_back(range->page, n))
        return false;
    range->page += n;
    return true;
}

/* False if there are none any more. */
static bool next_chunk(uint32_t *chunk)
{
    while (bulk.first == bulk.last && bulk.all && bulk.cursor < pages_chunks()) {
        const struct chunk *c = chunk_info(bulk.cursor);
        if (c->aside + c->packed > 0)
            bulk_want_chunk(bulk.cursor);
        bulk.cursor++;
    }
    bulk.all = bulk.all && bulk.first != bulk.last;
    *chunk = bulk.chunks[bulk.first % CHUNKS];
    return bulk.first != bulk.last;
}

static bool chunk_step(void)
{
    uint32_t chunk;
    if (!next_chunk(&chunk))
        return false;
    struct range rest = {chunk * CHUNK_PAGES + bulk.page, (chunk + 1) * CHUNK_PAGES};
    if (!bring_some(&rest))
        return false;
    bulk.page = rest.page % CHUNK_PAGES;
    if (bulk.page == 0) {
        bulk.first++;
        chunk_info(chunk)->bulk = false;
    }
    return true;
}

bool bulk_step(void)
{
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct range *group = &bulk.groups[(bulk.top + GROUPS - i) % GROUPS];
        if (group->page < group->end)
            return bring_some(group);
    }
    return chunk_step();
}
