#include "passes.h"

#include "bulk.h"
#include "conf.h"
#include "evacuate.h"
#include "family.h"
#include "idle_poll.h"
#include "os.h"
#include "pages.h"
#include "policy.h"
#include "service.h"
#include "span_pool.h"

enum {
    STEP_NS = 200000,  /* a step of packing; faults are answered in between */
    STEP_SPANS = 8,    /* and its pieces */
    STEP_PACK = 64,    /* pages */
    BUSY_SHARE = 4,    /* so much less CPU time where the program is busy itself */
    BUSY_PERCENT = 30, /* of a CPU */
    FROZEN_MS = 2,     /* until the next look */
};

static struct {
    _Atomic uint64_t cpu_ns;
    /* The pass over all chunks that is under way. */
    bool in_pass, force;
    bool called;          /* for a call: it began after that */
    bool wanted, serves;  /* asked for here; it began after that */
    uint32_t cursor;      /* span */
    uint32_t pack_cursor; /* chunk */
    uint64_t pass_began;  /* ms */
    uint64_t forced_at;   /* ms: the end of the last one by force */
    size_t moved;
    bool busy; /* the program uses CPU time */
    uint64_t cpu_seen, own_cpu_seen, seen_at;
} passes;

static bool compact_asked(void)
{
    return passes.wanted || service_bell_rung(BELL_COMPACT);
}

bool passes_called(void)
{
    return compact_asked() && !passes.force;
}

void passes_forget(void)
{
    passes.in_pass = passes.force = passes.wanted = false;
}

void passes_want(void)
{
    passes.wanted = true;
}

bool passes_are_wanted(void)
{
    return passes.wanted;
}

uint64_t passes_cpu_ns(void)
{
    return load_relaxed(&passes.cpu_ns) + idle_poll_cpu_ns();
}

/* Registers spans that were not in use the last time, and no more of those that never were than the last chunk has. */
static void extend(void)
{
    uint32_t pages = span_pool_frontier() * SPAN_PAGES, part = CHUNK_PAGES - 1;
    uint32_t limit = (pages + part) & ~part, old = pages_limit;
    if (limit <= old || !pages_cover(limit) || arena_hold_spans(limit * PAGE_BYTES) < limit * PAGE_BYTES)
        return;
    if (uffd_register(&service_uffd, page_address(old), (limit - old) * PAGE_BYTES) == 0)
        pages_limit = limit;
}

static void start_pass(bool force)
{
    extend();
    if (force)
        bulk_cancel();
    passes.called = service_bell_rung(BELL_COMPACT);
    passes.serves = passes.wanted;
    passes.in_pass = true;
    passes.force = force;
    passes.cursor = passes.pack_cursor = 0;
    passes.pass_began = os_now_ms();
    passes.moved = 0;
}

/* What is aside from an earlier pass is packed first: its probation is the chunk's. */
static bool takes_part(struct chunk *c, uint64_t now)
{
    bool earlier = c->shadow && (int32_t)(c->aside_since - (uint32_t)passes.pass_began) < 0;
    return passes.force || (!earlier && !c->bulk && !tick_ahead(&c->refused_until, now));
}

/* Some spans of the pass, or its end. */
static void pass_step(uint64_t now)
{
    uint32_t span = passes.cursor;
    if (span < pages_limit / SPAN_PAGES) {
        passes.cursor += STEP_SPANS;
        if (takes_part(chunk_info(span / CHUNK_SPANS), now))
            passes.moved += evacuate_spans(span, STEP_SPANS, passes.force, conf_compact_stress());
        return;
    }
    passes.in_pass = false;
    if (!passes.force)
        policy_pass_done(now, passes.moved);
}

static bool on_probation(const struct chunk *c, uint64_t now)
{
    return !passes.force &&
           (uint32_t)((uint32_t)now - c->aside_since) < (uint32_t)conf_get(CONF_compact_probation);
}

/* Packs, shrinks or verifies the next chunk that needs it. False if there is none on this round. */
static bool chunk_step(uint64_t now)
{
    while (passes.pack_cursor < pages_chunks()) {
        uint32_t chunk = passes.pack_cursor++;
        struct chunk *c = chunk_info(chunk);
        if (c->unverified && c->aside + c->packed > 0)
            service_verify(chunk);
        if (c->shadow && !on_probation(c, now)) {
            enum evacuate_result result = evacuate_pack(chunk, STEP_PACK);
            if (result == EVACUATE_NO_MEMORY)
                policy_pass_done(now, 0);
            else if (result == EVACUATE_INTERRUPTED)
                passes.pack_cursor = chunk;
        } else if (c->changed) {
            evacuate_shrink(chunk);
        } else {
            continue;
        }
        return true;
    }
    passes.pack_cursor = 0;
    return false;
}

/* Everything that was asked for is done. */
static void forced_done(uint64_t now)
{
    passes.force = false;
    passes.forced_at = now;
    if (passes.called)
        service_bell_answer(BELL_COMPACT);
    if (passes.serves)
        passes.wanted = false;
}

/* A piece of work; false if there is nothing more to do at present. */
static bool piece(uint64_t now)
{
    if (passes.in_pass) {
        pass_step(now);
        return true;
    }
    if (chunk_step(now))
        return true;
    if (evacuate_clean_store())
        return true;
    if (passes.force) {
        forced_done(now);
        return false;
    }
    return false;
}

/* Does the program use more than a part of a CPU beside what this here does? */
static void look_at_load(void)
{
    uint64_t now = os_now_ns(), all = os_process_cpu_ns(), own = os_thread_cpu_ns() + idle_poll_cpu_ns();
    uint64_t used = all - passes.cpu_seen - (own - passes.own_cpu_seen), time = now - passes.seen_at;
    passes.busy = used > time / 100 * BUSY_PERCENT;
    passes.cpu_seen = all;
    passes.own_cpu_seen = own;
    passes.seen_at = now;
}

/* Milliseconds until the next pass of compact:stress. */
static int64_t until_stress(uint64_t now)
{
    int64_t past = (int64_t)(now - passes.forced_at), every = conf_get(CONF_compact_every);
    return past < every ? every - past : 0;
}

static void begin(uint64_t now)
{
    bool looked = policy_look(now);
    if (looked)
        look_at_load();
    if (policy_held()) /* sinter_restore() has come in between: what is here stays */
        passes.in_pass = false;
    if (passes.in_pass)
        return;
    if (passes_called()) {
        policy_release();
        start_pass(true);
    } else if (conf_compact_stress() && !passes.force && !policy_held() && until_stress(now) == 0) {
        start_pass(true);
    } else if (looked && policy_start_pass(now)) {
        start_pass(false);
    }
}

/* When the next step is due, after one that took so much CPU time. */
static int64_t pause_after(uint64_t now, bool more, uint64_t cpu_ns)
{
    if (passes.force || compact_asked())
        return 0;
    if (conf_compact_stress())
        return until_stress(now);
    if (more) {
        uint64_t percent = max_size((size_t)conf_get(CONF_compact_cpu) / (passes.busy ? BUSY_SHARE : 1), 1);
        return (int64_t)(cpu_ns * (100 - percent) / percent / 1000000);
    }
    int64_t look = policy_until_look(now), probation = conf_get(CONF_compact_probation) / 4 + 1;
    return load_relaxed(&pages_aside) > 0 && probation < look ? probation : look;
}

int64_t passes_work(uint64_t now)
{
    uint64_t start = os_thread_cpu_ns(), used = 0;
    bool more = true;
    begin(now);
    while (more && !family_is_frozen() && used < STEP_NS) {
        more = piece(now);
        service_breathe();
        used = os_thread_cpu_ns() - start;
    }
    store_relaxed(&passes.cpu_ns, start + used);
    return family_is_frozen() ? FROZEN_MS : pause_after(now, more, used);
}
