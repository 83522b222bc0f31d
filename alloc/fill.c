#include "fill.h"

#include <string.h>

uintptr_t fill_damage(const char *from, const char *to, uint8_t byte)
{
    const uint64_t whole = byte * 0x0101010101010101u;
    for (uint64_t word; to - from >= (ptrdiff_t)sizeof(word); from += sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        if (word != whole)
            break;
    }
    while (from < to && *(const uint8_t *)from == byte)
        from++;
    return from < to ? (uintptr_t)from : 0;
}
