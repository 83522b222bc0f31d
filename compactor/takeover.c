#include "takeover.h"

#include "background.h"
#include "doorbell.h"
#include "family.h"
#include "fatal.h"
#include "idle_poll.h"
#include "mover.h"
#include "os.h"
#include "pages.h"
#include "passes.h"
#include "service.h"

enum {
    PARENT_WAIT_MS = 5000, /* for a child to take over */
    REGISTER_MS = 60000,   /* for the parent's mover to let go of the child's memory */
};

void takeover_prepare(void)
{
    if (!mover_is_here())
        return;
    if (!mover.reports_forks) {
        doorbell_ring(BELL_FORK);
    } else if (!uffd_may_read_forks()) {
        doorbell_ring(BELL_LEAVE);
        mover_wait_while(ACTIVE);
        return;
    }
    doorbell_prepare();
    atomic_fetch_or(&family_frozen, FROZEN_FORK);
    service_pass();
}

void takeover_parent(void)
{
    /* The kernel lets this thread go when the fork's event has been read: now it has been noted as well. */
    if (mover_is_here())
        service_pass();
    atomic_fetch_and(&family_frozen, ~FROZEN_FORK);
}

void takeover_parent_wait(void)
{
    if (mover_is_here())
        family_wait(PARENT_WAIT_MS);
}

/* Rings in the child; the parent's mover answers. */
static void ring_parent(enum bell bell)
{
    if (*(volatile int *)family_bell(bell) != BELL_ANSWER)
        fatal("the parent process died before its child had taken over pages that were packed at the fork");
}

/* The parent's mover closes the old descriptor just now; and there is no way back. */
static void register_again(void *address, size_t size)
{
    uint64_t end = os_now_ms() + REGISTER_MS;
    long ret;
    while ((ret = uffd_register(&service_uffd, address, size)) != 0) {
        if (os_now_ms() > end)
            fatal("a child process cannot register its packed pages (error %ld)", -ret);
        os_yield();
    }
}

static void register_inherited(void)
{
    register_again(family_doorbell, BELL_PAGES * PAGE_BYTES);
    if (pages_limit > 0)
        register_again(page_address(0), pages_limit * PAGE_BYTES);
    for (uint32_t chunk = 0; chunk < pages_chunks(); chunk++) {
        if (chunk_info(chunk)->shadow)
            register_again(page_shadow(chunk * CHUNK_PAGES), CHUNK_BYTES);
    }
}

/* On the new mover, in the child. */
int64_t takeover_step(void)
{
    if (mover_state() == INHERITED) {
        mover.lack = mover_open();
        mover.process = os_process_id();
        mover_become(mover.lack == UFFD_READY ? READY : REFUSED);
    }
    if (mover_wait_while(mover.lack == UFFD_READY ? READY : REFUSED) == LEFT) {
        register_inherited();
        mover_become(ACTIVE);
    }
    return 0;
}

static void take_over(void)
{
    for (uint32_t chunk = 0; chunk < pages_chunks(); chunk++) {
        chunk_info(chunk)->unverified = true;
        chunk_info(chunk)->bulk = false;
    }
    atomic_store(&mover.state, INHERITED);
    if (background_run() && mover_wait_while(INHERITED) == READY) {
        ring_parent(BELL_TAKE_OVER);
        mover_become(LEFT);
        if (mover_wait_while(LEFT) != ACTIVE)
            fatal("the thread that was to bring a child process's packed pages back has died");
    } else {
        if (mover.lack == UFFD_READY)
            mover.lack = UFFD_NO_RESOURCES; /* no thread */
        ring_parent(BELL_GIVE_ALL);
        mover_start_over(UNAVAILABLE);
    }
}

void takeover_child(void)
{
    enum mover_state inherited = mover_state();
    bool parents = (atomic_load(&family_frozen) & FROZEN_FORK) != 0;
    family_reset();
    idle_poll_forget();
    mover.pressure = -1;
    mover.restoring = mover.recall = false;
    store_relaxed(&mover.resting, false); /* the parent's may have been */
    passes_forget();
    doorbell_forget();
    if (inherited != ACTIVE)
        return;
    if (!parents) { /* the forking process was made without fork(3) and has no mover; some ancestor's serves it */
        mover.lack = UFFD_NO_RESOURCES;
        mover_become(UNAVAILABLE);
        return;
    }
    uint64_t old = os_block_signals(~(uint64_t)0);
    service_reset();
    service_uffd.fd = -1;
    if (mover.reports_forks)
        take_over();
    else
        mover_start_over(IDLE);
    os_block_signals(old);
}
