#include "policy.h"

#include "conf.h"
#include "os.h"
#include "pages.h"
#include "service.h"
#include "span_pages.h"
#include "span_pool.h"
#include "store.h"

enum {
    LOOK_SHARE = 100, /* looking may take one part in so many of the time */
    QUIET_LOOKS = 4,  /* times as long between looks while nothing happens */
    REST_FIRST_MS = 4000,
    REST_LONGEST_MS = 300000,
    PRESSURE_MS = 10000,
    CHURN_SHARE = 64,  /* settled: less than one part in so many of what is live changed in a second */
    FEW_RETURNS = 256, /* pages a look that are never too many */
    LOOK_SPANS = 256,  /* between looks for faults */
};

static struct {
    struct span_totals totals;
    uint64_t looked_at, look_ms;
    uint64_t interval; /* between the last two looks */
    bool running;      /* between the two thresholds: on the way down */
    bool quiet;        /* the last look found nothing changed and nothing to do */
    uint64_t rest_until, rest_ms;
    uint64_t pressure_until;
    uint64_t stall_seen, returned_seen;
    _Atomic bool held;
} policy;

static size_t resident_bytes(const struct span_totals *totals)
{
    return (totals->populated + load_relaxed(&pages_aside)) * PAGE_BYTES + store_bytes();
}

static size_t waste_of(const struct span_totals *totals)
{
    size_t resident = resident_bytes(totals);
    return resident > totals->live ? resident - totals->live : 0;
}

static bool exceeds(const struct span_totals *totals, enum conf_option percent, size_t least)
{
    size_t waste = waste_of(totals);
    return waste > least && waste > totals->live / 100 * (size_t)conf_get(percent);
}

static bool under_pressure(uint64_t now)
{
    return now < policy.pressure_until;
}

/* Doubles each time that packing did not do what it should. */
static void rest(uint64_t now)
{
    policy.rest_ms = policy.rest_ms == 0 ? REST_FIRST_MS : min_size(policy.rest_ms * 2, REST_LONGEST_MS);
    policy.rest_until = now + policy.rest_ms;
}

/* Is what the program pays in waiting, or what comes back, more than the options allow? */
static bool too_dear(void)
{
    uint64_t stall = load_relaxed(&service_counters.stall_ns),
             returned = load_relaxed(&service_counters.returned), waited = stall - policy.stall_seen,
             came_back = returned - policy.returned_seen;
    policy.stall_seen = stall;
    policy.returned_seen = returned;
    uint64_t allowed = policy.interval * (uint64_t)conf_get(CONF_compact_stall) * 1000;
    uint64_t may_return =
        pages_away() * (uint64_t)conf_get(CONF_compact_returns) / 1000 * policy.interval / 60000 +
        FEW_RETURNS;
    return waited > allowed || came_back > may_return;
}

static void mark_changed(uint32_t span)
{
    if (load_relaxed(&span_info(span)->away) != 0)
        chunk_info(span / CHUNK_SPANS)->changed = true;
}

static void scan(struct span_totals *totals, bool note)
{
    uint32_t end = span_pool_frontier();
    *totals = (struct span_totals){0};
    for (uint32_t span = 1; span < end; span++) {
        bool busy = span_look(span, totals, note);
        if (note && (busy || span_packable_bin(span) == 0))
            mark_changed(span);
        if (note && span % LOOK_SPANS == 0)
            service_breathe();
    }
}

int64_t policy_until_look(uint64_t now)
{
    uint64_t settle = (uint64_t)conf_get(CONF_compact_settle) * (policy.quiet ? QUIET_LOOKS : 1),
             interval = max_size(settle, policy.look_ms * LOOK_SHARE), next = policy.looked_at + interval;
    return next > now ? (int64_t)(next - now) : 0;
}

bool policy_look(uint64_t now)
{
    if (policy_until_look(now) > 0)
        return false;
    policy.interval = now - policy.looked_at;
    policy.looked_at = now;
    scan(&policy.totals, true);
    policy.look_ms = os_now_ms() - now;
    size_t least = (size_t)conf_get(CONF_compact_least) / (under_pressure(now) ? 8 : 1);
    if (policy.running)
        policy.running = exceeds(&policy.totals, CONF_compact_stop, least / 8);
    else
        policy.running =
            exceeds(&policy.totals, under_pressure(now) ? CONF_compact_stop : CONF_compact_start, least);
    policy.quiet = policy.totals.churn == 0 && !policy.running;
    if (too_dear())
        rest(now);
    else if (now > policy.rest_until + 2 * policy.rest_ms)
        policy.rest_ms = 0;
    return true;
}

bool policy_worth(void)
{
    return policy.running && !load_relaxed(&policy.held);
}

bool policy_start_pass(uint64_t now)
{
    if (!policy_worth())
        return false;
    if (under_pressure(now))
        return true;
    size_t settled = (policy.totals.live / CHURN_SHARE + MiB) * policy.interval / 1000;
    return now >= policy.rest_until && policy.totals.churn <= settled;
}

void policy_pass_done(uint64_t now, size_t moved)
{
    if (moved * PAGE_BYTES < waste_of(&policy.totals) / 16)
        rest(now);
}

bool policy_worth_now(void)
{
    struct span_totals totals;
    scan(&totals, false);
    return exceeds(&totals, CONF_compact_stop, (size_t)conf_get(CONF_compact_least) / 8);
}

void policy_pressure(uint64_t now)
{
    policy.pressure_until = now + PRESSURE_MS;
    policy.rest_until = now;
}

void policy_hold(void)
{
    store_relaxed(&policy.held, true);
}

bool policy_held(void)
{
    return load_relaxed(&policy.held);
}

void policy_release(void)
{
    store_relaxed(&policy.held, false);
}
