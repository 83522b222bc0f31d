#include "meta.h"

#include "arena.h"
#include "layout.h"
#include "lock.h"
#include "os.h"

enum {
    LEAST_BITS = 6,
    MOST_BITS = 20,
    KINDS = MOST_BITS - LEAST_BITS + 1,
    FIRST_PIECE = 64 * 1024,
    PIECE = 1 << MOST_BITS
};

struct free_block {
    struct free_block *next;
};

static struct {
    struct lock lock;
    struct free_block *lists[KINDS];
    char *piece, *piece_end; /* what is left of the last memory from the system */
    size_t region_bytes;     /* of the region, taken so far */
    size_t bytes;            /* all of them */
} meta = {.lock = LOCK_INITIALIZER(LOCK_META)};

static const struct layout_entry places[] LAYOUT_PLACES = {
    LAYOUT_VARIABLE(meta.lists),
    LAYOUT_VARIABLE(meta.bytes),
};
static const struct layout_entry shapes[] LAYOUT_SHAPES = {
    {"META_LEAST_BITS", LEAST_BITS, 0},
    LAYOUT_FIELD(free_block, next),
};

static unsigned kind_of(size_t bytes)
{
    unsigned bits = LEAST_BITS;
    while ((size_t)1 << bits < bytes)
        bits++;
    return bits - LEAST_BITS;
}

/* Cuts what lies between `piece` and `to` into free blocks of their natural alignment. */
static void skip_locked(char *to)
{
    while (meta.piece < to) {
        unsigned bits = (unsigned)__builtin_ctzll((uintptr_t)meta.piece);
        while (meta.piece + ((size_t)1 << bits) > to || bits > MOST_BITS)
            bits--;
        struct free_block *block = (struct free_block *)meta.piece;
        block->next = meta.lists[bits - LEAST_BITS];
        meta.lists[bits - LEAST_BITS] = block;
        meta.piece += (size_t)1 << bits;
    }
}

static void add_piece_locked(char *fresh, size_t bytes)
{
    if (meta.piece_end != fresh) {
        skip_locked(meta.piece_end);
        meta.piece = fresh;
    }
    meta.piece_end = fresh + bytes;
    meta.bytes += bytes;
}

/* The next piece of the region, or one anywhere, large enough for `size` at a multiple of it. */
static bool extend_locked(size_t size)
{
    /* The first piece is small, for the many programs that never need a second. */
    size_t bytes = max_size(size, meta.bytes == 0 ? FIRST_PIECE : PIECE);
    if (arena_grow(REGION_META, meta.region_bytes + bytes)) {
        add_piece_locked(arena_start(REGION_META) + meta.region_bytes, bytes);
        meta.region_bytes += bytes;
        return true;
    }
    char *fresh = os_map(bytes, min_size(bytes, PIECE));
    if (fresh != NULL)
        add_piece_locked(fresh, bytes);
    return fresh != NULL;
}

static void *cut_locked(size_t size)
{
    char *start;
    while (start = (char *)align_up((uintptr_t)meta.piece, size),
           meta.piece == NULL || start + size > meta.piece_end) {
        if (!extend_locked(size))
            return NULL;
    }
    skip_locked(start);
    meta.piece = start + size;
    return start;
}

void *meta_alloc(size_t bytes)
{
    debug_assert(bytes <= META_MAX);
    unsigned kind = kind_of(bytes);
    lock_take(&meta.lock);
    struct free_block *block = meta.lists[kind];
    if (block != NULL)
        meta.lists[kind] = block->next;
    else
        block = cut_locked((size_t)1 << (kind + LEAST_BITS));
    lock_give(&meta.lock);
    return block;
}

void meta_free(void *p, size_t bytes)
{
    struct free_block *block = p;
    unsigned kind = kind_of(bytes);
    lock_take(&meta.lock);
    block->next = meta.lists[kind];
    meta.lists[kind] = block;
    lock_give(&meta.lock);
}

size_t meta_bytes(void)
{
    lock_take(&meta.lock);
    size_t bytes = meta.bytes;
    lock_give(&meta.lock);
    return bytes;
}

void meta_fork_prepare(void)
{
    lock_take(&meta.lock);
}

void meta_fork_parent(void)
{
    lock_give(&meta.lock);
}

void meta_fork_child(void)
{
    lock_reset(&meta.lock);
}
