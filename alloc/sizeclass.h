/*
 * Size classes of small blocks.
 *
 * Up to 1024 bytes every multiple of 16 is a class, so that the bin's number is arithmetic and the rounding is
 * at most 15 bytes; above, eight classes a doubling, and then what divides a span well. All sizes are multiples
 * of 16, those above 1024 of 128.
 */
#ifndef SINTER_SIZECLASS_H
#define SINTER_SIZECLASS_H

#include "base.h"

enum {
    DIRECT_MAX = 1024, /* largest size whose bin is size / 16 rounded up */
    SMALL_MAX = 32768, /* largest size that has a bin */
    BIN_COUNT = 95,    /* with bin 0, which holds nothing */
    LOOKUP_UNIT = 128, /* granularity of the table above DIRECT_MAX */
    SLOTS_MAX = SPAN_BYTES / 16,
    SLOT_WORDS = SLOTS_MAX / 64,
};

struct sizeclass {
    uint32_t size;
    /*
     * ceil(2^32 / size). For an offset n < 2^16 into a span, n * magic >> 32 is the slot, and the low 32 bits of
     * n * magic tell whether n is a multiple of the size: they are below 2^16 if it is, and at least magic, which
     * is 2^17 or more, if not (D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct computation", 2019).
     */
    uint32_t magic;
    uint16_t slots; /* in a span */
};

extern HIDDEN struct sizeclass sizeclass_table[BIN_COUNT];
extern HIDDEN uint8_t sizeclass_lookup[SMALL_MAX / LOOKUP_UNIT];

void sizeclass_init(void);

/* Is `p` a multiple of the size of the class with that magic from the start of its span? */
static inline bool sizeclass_is_start(const void *p, uint32_t magic)
{
    return (uint32_t)(uint16_t)(uintptr_t)p * magic < SPAN_BYTES;
}

/* The bin for blocks of `size` bytes, 1 <= size <= SMALL_MAX. */
static inline unsigned sizeclass_bin(size_t size)
{
    if (likely(size <= DIRECT_MAX))
        return (unsigned)((size + 15) >> 4);
    return sizeclass_lookup[(size - 1) / LOOKUP_UNIT];
}

/*
 * The bin for blocks of `size` bytes whose address is a multiple of `align` (a power of two), 0 if none is small.
 * Slots lie at multiples of their size from the start of the span, which is aligned to its own size.
 */
unsigned sizeclass_bin_aligned(size_t size, size_t align);

#endif
