/*
 * A semispace with Cheney's algorithm (C. J. Cheney, "A Nonrecursive List Compacting Algorithm", 1970) that can move
 * everything at every so many allocations: SCHEME_HEAP_MOVE=n. What objects have left cannot be touched any more, so
 * that a reference that was not in a root ends the program where it is used.
 */
#include "heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char heap_name[] = "moving";

enum { SPACES = 8, TYPES = 64 }; /* stale references are found for so many collections */

static const uint64_t FORWARDED = (uint64_t)1 << 31; /* in the header; the new address stands behind it */
static const size_t SPACE_BYTES = (size_t)4 << 30;

static sinter_gc_mutator mutator;
sinter_gc_mutator *heap_mutator = &mutator;

static const struct heap_range *ranges[HEAP_RANGES];
static size_t range_count;
static struct sinter_gc_layout layouts[TYPES];
static sinter_gc_type last_type;

static struct {
    char *spaces, *base, *next, *limit;
    unsigned space;
    uint32_t last_hash;
    uint64_t allocations, every, collections, allocated;
} heap;

static _Noreturn void cannot(const char *what)
{
    perror(what);
    exit(70);
}

static void enter_space(unsigned space)
{
    heap.space = space;
    heap.base = heap.next = heap.spaces + space * SPACE_BYTES;
    if (mprotect(heap.base, SPACE_BYTES, PROT_READ | PROT_WRITE) != 0)
        cannot("scheme: mprotect");
}

static void leave_space(char *base)
{
    if (madvise(base, SPACE_BYTES, MADV_DONTNEED) != 0 || mprotect(base, SPACE_BYTES, PROT_NONE) != 0)
        cannot("scheme: cannot give a space back");
}

void heap_open(void)
{
    const char *every = getenv("SCHEME_HEAP_MOVE");
    heap.every = every != NULL ? strtoull(every, NULL, 10) : 0;
    heap.spaces =
        mmap(NULL, SPACES * SPACE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (heap.spaces == MAP_FAILED)
        cannot("scheme: mmap");
    enter_space(0);
    heap.limit = heap.base + ((size_t)64 << 20);
}

void heap_close(void)
{
    munmap(heap.spaces, SPACES * SPACE_BYTES);
}

sinter_gc_type heap_type(const struct sinter_gc_layout *layout)
{
    if (last_type + 1 == TYPES)
        abort();
    layouts[++last_type] = *layout;
    return last_type | (sinter_gc_type)layout->pointer_free << 23;
}

void heap_range_add(const struct heap_range *range)
{
    if (range_count == HEAP_RANGES)
        abort();
    ranges[range_count++] = range;
}

static const struct sinter_gc_layout *layout_of(const void *object)
{
    return &layouts[sinter_gc_type_of(object) & ~((uint32_t)1 << 23)];
}

static size_t count_of(const char *object, const struct sinter_gc_layout *layout)
{
    return layout->element_size == 0 ? 0 : *(const size_t *)(object + layout->count_offset);
}

static size_t round_up(size_t size)
{
    return (size + SINTER_GC_GRANULE - 1) & ~(size_t)(SINTER_GC_GRANULE - 1);
}

static void forward(void **reference)
{
    char *old = *reference;
    if (((uintptr_t)old & 15) != 0 || old == NULL)
        return;
    if (*(uint64_t *)old & FORWARDED) {
        *reference = *(void **)(old + 8);
        return;
    }
    const struct sinter_gc_layout *layout = layout_of(old);
    size_t size = round_up(layout->size + count_of(old, layout) * layout->element_size);
    memcpy(heap.next, old, size);
    *reference = heap.next;
    *(uint64_t *)old |= FORWARDED;
    *(void **)(old + 8) = heap.next;
    heap.next += size;
}

static void forward_words(char *from, uint64_t map)
{
    for (; map != 0; map &= map - 1)
        forward((void **)(from + 8 * (size_t)__builtin_ctzll(map)));
}

static size_t scan(char *object)
{
    const struct sinter_gc_layout *layout = layout_of(object);
    size_t count = count_of(object, layout);
    forward_words(object, layout->references);
    for (size_t i = 0; layout->element_references != 0 && i < count; i++)
        forward_words(object + layout->size + i * layout->element_size, layout->element_references);
    return round_up(layout->size + count * layout->element_size);
}

static void forward_roots(void)
{
    for (size_t i = 0; i < range_count; i++)
        for (void **v = ranges[i]->start; v < ranges[i]->end; v++)
            forward(v);
    for (struct sinter_gc_frame *f = mutator.frames; f != NULL; f = f->previous) {
        for (ptrdiff_t i = 0; i < f->count; i++)
            forward((void **)f->slots[i]);
        for (ptrdiff_t i = 0; i < -f->count; i++)
            forward((void **)f->slots + i);
    }
}

void heap_collect(void)
{
    char *old = heap.base;
    enter_space((heap.space + 1) % SPACES);
    forward_roots();
    for (char *at = heap.base; at < heap.next;)
        at += scan(at);
    leave_space(old);
    heap.collections++;
    size_t live = (size_t)(heap.next - heap.base), room = live > ((size_t)32 << 20) ? live : (size_t)32 << 20;
    heap.limit = heap.next + room;
    if (heap.limit > heap.base + SPACE_BYTES)
        heap.limit = heap.base + SPACE_BYTES;
}

/* Kept in the header's upper half. */
uint32_t heap_hash(void *object)
{
    uint64_t *header = object;
    if (*header >> 32 == 0)
        *header |= (uint64_t)(++heap.last_hash == 0 ? ++heap.last_hash : heap.last_hash) << 32;
    return (uint32_t)(*header >> 32) * 2654435769u;
}

void heap_free_with(void *object, void *memory)
{
    (void)object;
    (void)memory;
}

size_t heap_statistics(struct heap_number *numbers, size_t most)
{
    if (most < 3)
        return 0;
    numbers[0] = (struct heap_number){"collections", heap.collections};
    numbers[1] = (struct heap_number){"allocated", heap.allocated};
    numbers[2] = (struct heap_number){"used", (uint64_t)(heap.next - heap.base)};
    return 3;
}

void heap_block(void) {}

void heap_unblock(void) {}

void *heap_alloc_slow(sinter_gc_type type, size_t size)
{
    size_t rounded = round_up(size);
    if ((heap.every != 0 && ++heap.allocations % heap.every == 0) ||
        rounded > (size_t)(heap.limit - heap.next))
        heap_collect();
    if (rounded > (size_t)(heap.limit - heap.next)) {
        if (rounded > (size_t)(heap.base + SPACE_BYTES - heap.next))
            heap_exhausted(size);
        heap.limit = heap.next + rounded;
    }
    void *object = heap.next;
    heap.next += rounded;
    heap.allocated += rounded;
    *(uint64_t *)object = type;
    return object;
}

void heap_safepoint(void) {}
