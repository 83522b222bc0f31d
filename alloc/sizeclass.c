#include "sizeclass.h"

struct sizeclass sizeclass_table[BIN_COUNT];
uint8_t sizeclass_lookup[SMALL_MAX / LOOKUP_UNIT];

static void add(unsigned bin, uint32_t size)
{
    sizeclass_table[bin] = (struct sizeclass){
        .size = size,
        .magic = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size),
        .slots = (uint16_t)(SPAN_BYTES / size),
    };
}

void sizeclass_init(void)
{
    static const uint16_t upper[] = {9344, 10880, 13056, 16384, 21760, SMALL_MAX};
    unsigned bin = 1;
    for (uint32_t size = 16; size <= DIRECT_MAX; size += 16)
        add(bin++, size);
    for (uint32_t base = DIRECT_MAX; base < 8192; base *= 2) {
        for (uint32_t step = 1; step <= 8; step++)
            add(bin++, base + base / 8 * step);
    }
    for (size_t i = 0; i < ARRAY_LEN(upper); i++)
        add(bin++, upper[i]);
    always_assert(bin == BIN_COUNT);

    bin = 1;
    for (size_t i = 0; i < ARRAY_LEN(sizeclass_lookup); i++) {
        while (sizeclass_table[bin].size < (i + 1) * LOOKUP_UNIT)
            bin++;
        sizeclass_lookup[i] = (uint8_t)bin;
    }
}

unsigned sizeclass_bin_aligned(size_t size, size_t align)
{
    size = max_size(size, 1);
    if (size > SMALL_MAX || align > SMALL_MAX)
        return 0;
    for (unsigned bin = sizeclass_bin(size); bin < BIN_COUNT; bin++) {
        if ((sizeclass_table[bin].size & (align - 1)) == 0)
            return bin;
    }
    return 0;
}
