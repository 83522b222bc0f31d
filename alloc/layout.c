#include "layout.h"

#include "decay.h"
#include "guard.h"
#include "sizeclass.h"
#include "span_table.h"
#include "tcache_table.h"

extern HIDDEN const struct layout_entry __start_sinter_shapes[], __stop_sinter_shapes[],
    __start_sinter_places[], __stop_sinter_places[];

/* Of the linker: where the library's variables end. */
extern HIDDEN char _end[];

SINTER_EXPORT const struct layout sinter_layout = {
    .magic = "sinter",
    .version = LAYOUT_VERSION,
    .entry_bytes = sizeof(struct layout_entry),
    .shapes = __start_sinter_shapes,
    .shapes_end = __stop_sinter_shapes,
    .places = __start_sinter_places,
    .places_end = __stop_sinter_places,
};

/* What several modules share; the rest is in the modules. */
static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    LAYOUT_CONSTANT(PAGE_BYTES),
    LAYOUT_CONSTANT(SPAN_BYTES),
    LAYOUT_CONSTANT(CHUNK_BYTES),
    LAYOUT_CONSTANT(BIN_COUNT),
    LAYOUT_CONSTANT(SPAN_BITS_BYTES),
    LAYOUT_CONSTANT(SPAN_MORE_BYTES),
    LAYOUT_CONSTANT(SPAN_HELD_BYTES),
    LAYOUT_CONSTANT(REGION_SPANS),
    LAYOUT_CONSTANT(REGION_RUNS),
    LAYOUT_CONSTANT(REGION_SPAN_INFO),
    LAYOUT_CONSTANT(REGION_SPAN_BITS),
    LAYOUT_CONSTANT(REGION_SPAN_MORE),
    LAYOUT_CONSTANT(REGION_SPAN_HELD),
    LAYOUT_CONSTANT(REGION_RUN_INFO),
    LAYOUT_CONSTANT(REGION_PAGE_INFO),
    LAYOUT_CONSTANT(REGION_CHUNK_INFO),
    LAYOUT_CONSTANT(REGION_STORE),
    LAYOUT_CONSTANT(REGION_SHADOW),
    LAYOUT_CONSTANT(REGION_GUARD),
    LAYOUT_CONSTANT(REGION_GUARD_INFO),
    LAYOUT_CONSTANT(REGION_COUNT),
    LAYOUT_TYPE(sizeclass),
    LAYOUT_FIELD(sizeclass, size),
    LAYOUT_FIELD(sizeclass, slots),
    LAYOUT_TYPE(span),
    LAYOUT_FIELD(span, free_slots),
    LAYOUT_FIELD(span, state),
    LAYOUT_FIELD(span, bin),
    LAYOUT_FIELD(span, populated),
    LAYOUT_FIELD(span, away),
    LAYOUT_TYPE(tcache),
    LAYOUT_FIELD(tcache, bins),
    LAYOUT_FIELD(tcache, stacks),
    LAYOUT_FIELD(tcache, next),
    LAYOUT_TYPE(tcache_bin),
    LAYOUT_FIELD(tcache_bin, top),
    LAYOUT_TYPE(stack),
    LAYOUT_FIELD(stack, slots),
    LAYOUT_FIELD(stack, bits),
};

static const struct layout_entry span_states[] LAYOUT_SHAPES = {
#define X(name) LAYOUT_CONSTANT(SPAN_##name),
    SPAN_STATES(X)
#undef X
};

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(arena_base),
    LAYOUT_VARIABLE(arena_starts),
    LAYOUT_VARIABLE(sizeclass_table),
    LAYOUT_VARIABLE(decay_dirty_pages),
    LAYOUT_VARIABLE(guard_rate),
    LAYOUT_VARIABLE(tcache_registry.first),
    LAYOUT_VARIABLE(tcache_registry.orphans),
    LAYOUT_VARIABLE(tcache_registry.threads),
    LAYOUT_FUNCTION(_end),
};
