#include "guard_pages.h"

#include "guard_uffd.h"
#include "os.h"

static enum guard_way way;

const char *guard_way_text(enum guard_way which)
{
    static const char *const texts[] = {"auto", "poison", "madvise", "mprotect"};
    return texts[which];
}

enum guard_way guard_pages_way(void)
{
    return way;
}

/*
 * Pages have to be absent to be poisoned. One that a thread touches in between, by the very mistake that is looked for, is
 * dropped again.
 */
static bool poison(char *addr, size_t size)
{
    enum { TRIES = 8 };
    for (int tries = 0; size > 0 && tries < TRIES; tries++) {
        if (!os_drop(addr, size))
            return false;
        size_t done = guard_uffd_poison(addr, size >> PAGE_BITS) << PAGE_BITS;
        addr += done;
        size -= done;
    }
    return size == 0;
}

/* The kernel does not do this to locked memory, which the program may have made of all it has: what is freed need not be. */
static bool install(void *addr, size_t size)
{
    if (os_guard_install(addr, size))
        return true;
    os_unlock_pages(addr, size);
    return os_guard_install(addr, size);
}

bool guard_pages_close_by(enum guard_way by, void *addr, size_t size)
{
    if (by == GUARD_POISON)
        return poison(addr, size);
    if (by == GUARD_MADVISE)
        return install(addr, size);
    /* First the access, so that no thread brings a page back; dropping does not need it. */
    bool protected = os_protect(addr, size);
    return os_drop(addr, size) && protected;
}

bool guard_pages_open_by(enum guard_way by, void *addr, size_t size)
{
    if (by == GUARD_POISON)
        return os_drop(addr, size);
    if (by == GUARD_MADVISE)
        return os_guard_remove(addr, size);
    return os_commit(addr, size) == 0;
}

bool guard_pages_close(void *addr, size_t size)
{
    return guard_pages_close_by(way, addr, size);
}

bool guard_pages_open(void *addr, size_t size)
{
    return guard_pages_open_by(way, addr, size);
}

bool guard_pages_extend(void *start, size_t from, size_t size)
{
    os_advise_no_huge((char *)start + from,
                      size - from); /* before they differ, so that they stay one mapping */
    if (way == GUARD_POISON && !guard_uffd_cover(start, size))
        return false;
    return guard_pages_close((char *)start + from, size - from);
}

static bool try_way(enum guard_way which, void *start, size_t size)
{
    way = which;
    return guard_pages_extend(start, 0, size);
}

bool guard_pages_init(enum guard_way wish, void *start, size_t size)
{
    static const enum guard_way cheapest_first[] = {GUARD_MADVISE, GUARD_POISON, GUARD_MPROTECT};
    /* A mapping that never had a page has its page tables, and with them the markers, left out by fork. */
    *(volatile char *)start = 0;
    if (wish != GUARD_AUTO && try_way(wish, start, size))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(cheapest_first); i++) {
        if (cheapest_first[i] != wish && try_way(cheapest_first[i], start, size))
            return true;
    }
    return false;
}
