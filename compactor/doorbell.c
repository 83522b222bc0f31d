#include "doorbell.h"

#include "layout.h"
#include "lock.h"
#include "os.h"

static struct lock locks[BELL_PAGES];

static const struct layout_entry places[] LAYOUT_PLACES = {LAYOUT_VARIABLE(locks[BELL_RESTORE].state)};

/* Makes the page absent, whatever mlockall(2) has done. */
static void clear(enum bell bell)
{
    os_unlock_pages(family_bell(bell), PAGE_BYTES);
    os_purge(family_bell(bell), PAGE_BYTES);
}

void doorbell_ring(enum bell bell)
{
    atomic_store(&family_calls[bell], true);
    while (atomic_load(&family_calls[bell])) {
        clear(bell);
        *(volatile char *)family_bell(bell);
    }
    clear(bell);
}

void doorbell_call(enum bell bell)
{
    locks[bell].rank = LOCK_BELL;
    lock_take(&locks[bell]);
    doorbell_ring(bell);
    lock_give(&locks[bell]);
}

void doorbell_prepare(void)
{
    clear(BELL_TAKE_OVER);
    clear(BELL_GIVE_ALL);
}

void doorbell_forget(void)
{
    for (int bell = 0; bell < BELL_PAGES; bell++) {
        store_relaxed(&locks[bell].state, 0);
        store_relaxed(&family_calls[bell], false);
    }
}
