#include "guard_rest.h"

#include "background.h"
#include "conf.h"
#include "guard.h"
#include "heap.h"
#include "lock.h"
#include "os.h"
#include "tcache_table.h"

static struct {
    struct lock lock;
    struct tcache_tls *first;
    _Atomic bool any;
} resting = {.lock = LOCK_INITIALIZER(LOCK_GUARD_REST)};

static bool is_limited(void)
{
    return guard_rate != 1 && conf_get(CONF_guard_cpu) < 100;
}

static bool lasts(void)
{
    return (int64_t)(tcache_tls.rests - os_ticks()) > 0;
}

bool guard_rest_goes_on(void)
{
    enum { SELDOM = 16 }; /* reading the ticks takes as long as a tenth of a large block */
    return (tcache_tls.is_resting && ++tcache_tls.asked % SELDOM != 0) || lasts();
}

static void rest(void)
{
    struct tcache_tls *tls = &tcache_tls;
    lock_take(&resting.lock);
    if (!tls->is_resting) {
        tls->resting = resting.first;
        resting.first = tls;
        tls->is_resting = true;
    }
    tls->direct = DIRECT_MAX;
    tls->small = SMALL_MAX;
    bool first = !atomic_exchange(&resting.any, true);
    lock_give(&resting.lock);
    if (first && !background_run())
        guard_rest_end_all();
}

bool guard_rest_is_due(void)
{
    if (!is_limited() || !lasts())
        return false;
    if (conf_get(CONF_background) && tcache_own() != NULL && guard_counts())
        rest();
    return true;
}

void guard_rest_after(uint64_t begun)
{
    uint64_t now = os_ticks();
    if (is_limited()) /* the block's end will take about as long as its beginning has */
        tcache_tls.rests = now + 2 * (now - begun) * 100 / (uint64_t)conf_get(CONF_guard_cpu);
}

bool guard_rest_any(void)
{
    return atomic_load(&resting.any);
}

/* Never waits for the lock: a thread that forks holds it, and may be waiting for a page. */
void guard_rest_end_all(void)
{
    if (!lock_try(&resting.lock))
        return;
    for (struct tcache_tls *t = resting.first, *next; t != NULL; t = next) {
        next = t->resting;
        __atomic_store_n(&t->small, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&t->direct, 0, __ATOMIC_RELAXED);
        atomic_store(&t->is_resting, false); /* the thread may end from here on */
    }
    resting.first = NULL;
    atomic_store(&resting.any, false);
    lock_give(&resting.lock);
}

void guard_rest_thread_ends(void)
{
    if (!atomic_load(&tcache_tls.is_resting))
        return;
    lock_take(&resting.lock);
    for (struct tcache_tls **t = &resting.first; *t != NULL; t = &(*t)->resting) {
        if (*t == &tcache_tls) {
            *t = tcache_tls.resting;
            break;
        }
    }
    lock_give(&resting.lock);
}

void guard_rest_fork_prepare(void)
{
    lock_take(&resting.lock);
}

void guard_rest_fork_parent(void)
{
    lock_give(&resting.lock);
}

/* The others of the list are no threads here. */
void guard_rest_fork_child(void)
{
    resting.first = NULL;
    atomic_store(&resting.any, false);
    tcache_tls.is_resting = false;
    if (guard_rate != 0)
        tcache_tls.direct = tcache_tls.small = 0;
    lock_reset(&resting.lock);
}
