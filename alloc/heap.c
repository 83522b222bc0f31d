#include "heap.h"

#include "background.h"
#include "canary.h"
#include "conf.h"
#include "fatal.h"
#include "guard.h"
#include "huge.h"
#include "init.h"
#include "misuse.h"
#include "quarantine.h"
#include "run.h"
#include "span.h"

#include <errno.h>
#include <string.h>

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* A run, or a mapping where a run is too small or the zone exhausted. */
static void *try_large(size_t size, size_t align, bool zero)
{
    if (size <= RUN_MAX && align <= RUN_MAX) {
        void *p = run_alloc(size, align);
        if (p != NULL && zero)
            run_clear(p, size);
        if (p != NULL)
            return p;
    }
    bool zeroed;
    void *p = huge_alloc(size, align, &zeroed);
    if (p != NULL && zero && !zeroed)
        memset(p, 0, size);
    return p;
}

/* Can what is free in the zones and in kept mappings be as much as `size`? Programs do ask for absurd amounts. */
static bool reclaim_may_help(size_t size)
{
    return size <=
           arena_committed(REGION_SPANS) + arena_committed(REGION_RUNS) + huge_dirty_pages() * PAGE_BYTES;
}

/* A block beyond the size classes. */
static void *alloc_large(size_t size, size_t align, bool zero)
{
    if (unlikely(size > PTRDIFF_MAX))
        return out_of_memory();
    heap_init();
    if (unlikely(guard_thread_begins()))
        return zero ? heap_calloc(1, size) : heap_memalign(align, size);
    void *p = try_large(size, align, zero);
    if (unlikely(p == NULL) && reclaim_may_help(size)) {
        background_reclaim();
        p = try_large(size, align, zero);
    }
    return likely(p != NULL) ? p : out_of_memory();
}

static void *alloc_from_bin(unsigned bin)
{
    void *p = heap_pop(heap_bin(bin * sizeof(struct tcache_bin), 0));
    return likely(p != NULL) ? p : tcache_alloc(bin);
}

/* No span is to be had: the other zone may hold what is free. */
static COLD void *alloc_short(unsigned bin, size_t size, size_t align)
{
    background_reclaim();
    void *p = alloc_from_bin(bin);
    return p != NULL ? p : alloc_large(size, align, false);
}

static size_t slot_size_of(const void *p)
{
    return sizeclass_table[span_find(p).bin].size;
}

/* `size` is not 0. */
static COLD void *alloc_with_canary(size_t size, size_t align)
{
    unsigned bin = size <= SMALL_MAX ? sizeclass_bin_aligned(size + CANARY_BYTES, align) : 0;
    if (bin == 0)
        return alloc_large(size, align, false);
    void *p = alloc_from_bin(bin);
    if (unlikely(p == NULL))
        p = alloc_short(bin, size, align);
    if (likely(p != NULL && span_zone_contains(p)))
        canary_set(p, slot_size_of(p), size);
    return p;
}

void *heap_malloc_empty(size_t size)
{
    heap_init();
    if (unlikely(guard_thread_begins()))
        return heap_malloc(size);
    unsigned bin = sizeclass_bin(size);
    if (unlikely(canary_is_on)) {
        tcache_undo_pop(bin);
        return alloc_with_canary(size, 1);
    }
    void *p = tcache_alloc(bin);
    return likely(p != NULL) ? p : alloc_short(bin, size, 1);
}

static inline void *malloc_small(size_t size)
{
    void *p = heap_pop(heap_bin(sizeclass_bin(size) * sizeof(struct tcache_bin), 0));
    return likely(p != NULL) ? p : heap_malloc_empty(size);
}

/* What heap_malloc() does in a thread that does not count, of whatever size but 0. */
static inline void *malloc_unguarded(size_t size)
{
    if (likely(size <= DIRECT_MAX)) {
        void *p = heap_pop(heap_bin((size - 1) | 15, 1));
        return likely(p != NULL) ? p : heap_malloc_empty(size);
    }
    return size <= SMALL_MAX ? malloc_small(size) : alloc_large(size, 1, false);
}

static COLD void *malloc_nothing(void)
{
    return heap_malloc(1);
}

static COLD void *malloc_guarded(size_t size)
{
    void *p = guard_alloc(size, 1);
    return p != NULL ? p : malloc_unguarded(size);
}

void *heap_malloc_beyond(size_t size)
{
    if (size > tcache_tls.small) /* or the thread counts; if not, it is never its turn */
        return guard_is_turn() ? malloc_guarded(size) : malloc_unguarded(size);
    if (unlikely(size == 0))
        return malloc_nothing();
    if (size <= DIRECT_MAX)
        __builtin_unreachable(); /* heap_malloc() has done it */
    return malloc_small(size);
}

/* How far free looks for the same pointer when it is on its slow path anyway. */
enum { LOOK_BACK = 64 };

static void free_small(void *p, const char *call)
{
    struct span_location at = span_find(p);
    if (unlikely(at.bin == 0 || at.offset != 0 || at.free || tcache_holds(at.bin, p, LOOK_BACK))) {
        misuse_bad_pointer(call, p);
        return;
    }
    if (unlikely(canary_is_on))
        canary_check(p, sizeclass_table[at.bin].size, call);
    if (quarantine_is_on()) {
        if (unlikely(!quarantine_free(at.bin, p, call)))
            misuse_bad_pointer(call, p);
        background_poke();
        return;
    }
    if (conf_get(CONF_zero_on_free))
        memset(p, 0, sizeclass_table[at.bin].size);
    tcache_free(at.bin, p, call);
}

static void free_large(void *p, const char *call)
{
    size_t bytes = conf_get(CONF_zero_on_free) ? heap_usable_size(p, call) : 1;
    if (unlikely(bytes == 0)) /* and it has been reported */
        return;
    if (conf_get(CONF_zero_on_free))
        memset(p, 0, bytes);
    if (unlikely(!(run_zone_contains(p) ? run_free(p) : huge_free(p))))
        misuse_bad_pointer(call, p);
    background_poke();
}

void heap_free_slow(void *p, const char *call)
{
    if (p == NULL)
        return;
    if (span_zone_contains(p)) {
        free_small(p, call);
        return;
    }
    if (guard_contains(p)) {
        guard_free(p, call);
        return;
    }
    free_large(p, call);
}

/* Is the pointer a small block that the program may free? */
static bool is_small_block(const void *p)
{
    if (!span_zone_contains(p))
        return false;
    struct span_location at = span_find(p);
    return at.bin != 0 && at.offset == 0 && !at.free;
}

void heap_free_sized_slow(void *p, size_t size, const char *call)
{
    if (guard_contains(p)) {
        guard_free_sized(p, size, call);
        return;
    }
    if (unlikely(canary_is_on) && is_small_block(p))
        canary_check_size(p, slot_size_of(p), size, call);
    heap_free_slow(p, call);
}

size_t heap_usable_size(const void *p, const char *call)
{
    if (span_zone_contains(p)) {
        struct span_location at = span_find(p);
        if (unlikely(at.bin == 0 || at.offset != 0 || at.free || tcache_holds_last(at.bin, p))) {
            misuse_bad_pointer(call, p);
            return 0;
        }
        size_t slot_size = sizeclass_table[at.bin].size;
        return unlikely(canary_is_on) ? canary_check((void *)(uintptr_t)p, slot_size, call) : slot_size;
    }
    if (guard_contains(p))
        return guard_usable_size(p, call);
    size_t bytes = run_zone_contains(p) ? run_bytes(p) : huge_bytes(p);
    if (unlikely(bytes == 0))
        misuse_bad_pointer(call, p);
    return bytes;
}

/* Zeroed, what the fast path does not take. */
static void *calloc_beyond(size_t bytes)
{
    void *p = guard_take(bytes, 1);
    if (p != NULL || bytes > SMALL_MAX)
        return p != NULL ? p : alloc_large(bytes, 1, true);
    p = malloc_small(bytes);
    return likely(p != NULL) ? memset(p, 0, bytes) : NULL;
}

void *heap_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    if (bytes > tcache_tls.small)
        return calloc_beyond(bytes);
    void *p = heap_malloc(bytes);
    return likely(p != NULL) ? memset(p, 0, bytes) : NULL;
}

static void *move_block(void *p, size_t old_size, size_t size, const char *call)
{
    void *moved = heap_malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, min_size(old_size, size));
    heap_free(p, call);
    return moved;
}

/* Can the block stay in its slot? It does while it uses at least half of it. */
static bool fits_slot(size_t slot_size, size_t size)
{
    return size <= slot_size && size >= slot_size / 2;
}

static bool resize_small(void *p, size_t usable_size, size_t size)
{
    if (likely(!canary_is_on))
        return fits_slot(usable_size, size);
    size_t slot_size = slot_size_of(p);
    bool fits = fits_slot(slot_size, size + CANARY_BYTES);
    if (fits)
        canary_set(p, slot_size, size);
    return fits;
}

void *heap_realloc(void *p, size_t size, const char *call)
{
    if (p == NULL)
        return heap_malloc(size);
    size_t old_size = heap_usable_size(p, call);
    if (unlikely(old_size == 0)) /* it has been reported, and the program goes on */
        return heap_malloc(size);
    if (size == 0) {
        heap_free(p, call);
        return NULL;
    }
    if (unlikely(size > PTRDIFF_MAX))
        return out_of_memory();
    if (span_zone_contains(p))
        return resize_small(p, old_size, size) ? p : move_block(p, old_size, size, call);
    if (guard_contains(p))
        return move_block(p, old_size, size, call);
    if (run_zone_contains(p)) {
        if (size > SMALL_MAX && size <= RUN_MAX && run_resize(p, size)) {
            background_poke();
            return p;
        }
        return move_block(p, old_size, size, call);
    }
    if (size <= RUN_MAX / 2)
        return move_block(p, old_size, size, call);
    void *moved = huge_resize(p, size);
    return moved != NULL ? moved : out_of_memory();
}

static void *memalign_beyond(size_t align, size_t size)
{
    if (unlikely(size > PTRDIFF_MAX))
        return out_of_memory();
    heap_init();
    unsigned bin = sizeclass_bin_aligned(size, align);
    if (bin == 0)
        return alloc_large(max_size(size, 1), align, false);
    void *p = alloc_from_bin(bin);
    return likely(p != NULL) ? p : alloc_short(bin, max_size(size, 1), align);
}

/* Up to DIRECT_MAX every multiple of the alignment is a size class, and its slots lie at multiples of it. */
static bool is_direct(size_t align, size_t size)
{
    return likely(size - 1 < DIRECT_MAX && align_up(size, align) <= DIRECT_MAX);
}

static void *memalign_counted(size_t align, size_t size)
{
    void *p = guard_take(size, align);
    if (p != NULL)
        return p;
    heap_init();
    if (unlikely(canary_is_on))
        return unlikely(size > PTRDIFF_MAX) ? out_of_memory() : alloc_with_canary(max_size(size, 1), align);
    return is_direct(align, size) ? malloc_small(align_up(size, align)) : memalign_beyond(align, size);
}

void *heap_memalign(size_t align, size_t size)
{
    if (align <= 16)
        return heap_malloc(size);
    if (unlikely(guard_counts() || canary_is_on))
        return memalign_counted(align, size);
    return is_direct(align, size) ? heap_malloc(align_up(size, align)) : memalign_beyond(align, size);
}
