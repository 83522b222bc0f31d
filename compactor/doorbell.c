#include "doorbell.h"

#include "lock.h"
#include "os.h"

static struct lock locks[BELL_PAGES];

/* The page must be absent before the touch, which mlockall(2) may have changed. */
void doorbell_ring(enum bell bell)
{
    char *page = family_bell(bell);
    atomic_store(&family_calls[bell], true);
    while (atomic_load(&family_calls[bell])) {
        os_unlock_pages(page, PAGE_BYTES);
        os_purge(page, PAGE_BYTES);
        *(volatile char *)page;
    }
    os_purge(page, PAGE_BYTES);
}

void doorbell_call(enum bell bell)
{
    locks[bell].rank = LOCK_BELL;
    lock_take(&locks[bell]);
    doorbell_ring(bell);
    lock_give(&locks[bell]);
}

void doorbell_forget(void)
{
    for (int bell = 0; bell < BELL_PAGES; bell++) {
        store_relaxed(&locks[bell].state, 0);
        store_relaxed(&family_calls[bell], false);
    }
}
