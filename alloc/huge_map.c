#include "huge_map.h"

#include "border.h"
#include "os.h"

/* Address space for `size` bytes at a multiple of `align` and a page on either side, without access. */
static char *reserve(size_t size, size_t align)
{
    size_t room = size + 2 * PAGE_BYTES + align;
    if (room < size)
        return NULL;
    char *reserved = os_reserve(NULL, room);
    if (reserved == NULL)
        return NULL;
    char *start = (char *)align_up((uintptr_t)reserved + PAGE_BYTES, align), *end = start + size + PAGE_BYTES;
    if (start - PAGE_BYTES > reserved)
        os_unmap(reserved, (size_t)(start - PAGE_BYTES - reserved));
    if (end < reserved + room)
        os_unmap(end, (size_t)(reserved + room - end));
    return start;
}

void *huge_map(size_t size, size_t align)
{
    if (!border_large)
        return os_map(size, align);
    char *start = reserve(size, align);
    if (start == NULL || os_map_over(start, size) == 0)
        return start;
    huge_unmap(start, size);
    return NULL;
}

void huge_unmap(void *addr, size_t size)
{
    size_t border = border_large ? PAGE_BYTES : 0;
    os_unmap((char *)addr - border, size + 2 * border);
}

static void *shrink(char *start, size_t old_size, size_t new_size)
{
    char *end = start + new_size;
    if (os_decommit(end, PAGE_BYTES) != 0)
        return NULL;
    os_unmap(end + PAGE_BYTES, old_size - new_size);
    return start;
}

/* There are other mappings next to it, its borders if nothing else: it moves to where there is room for these as well. */
static void *grow(char *start, size_t old_size, size_t new_size)
{
    char *to = reserve(new_size, CHUNK_BYTES);
    if (to == NULL)
        return NULL;
    if (os_remap_to(start, old_size, new_size, to) != 0) {
        huge_unmap(to, new_size);
        return NULL;
    }
    os_unmap(start - PAGE_BYTES, PAGE_BYTES);
    os_unmap(start + old_size, PAGE_BYTES);
    return to;
}

void *huge_remap(void *addr, size_t old_size, size_t new_size)
{
    if (!border_large)
        return os_remap(addr, old_size, new_size);
    return new_size < old_size ? shrink(addr, old_size, new_size) : grow(addr, old_size, new_size);
}
