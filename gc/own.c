#include "own.h"

#include "fatal.h"
#include "move.h"
#include "os.h"
#include "service.h"
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SPARE = 8, NONE = -1 };

struct own {
    struct uffd uffd;
    struct stat file; /* which one the descriptor is of: each has an inode of its own */
    char *pages;      /* SPARE blocks, to put blocks' new contents together in */
    _Atomic bool taken[SPARE];
    /* A page whose touches fail though it is there, with the cycle's number in its low bits, and how often in a row they did. */
    _Atomic uintptr_t again_at;
    _Atomic uint32_t again;
    _Atomic uint64_t count, alone;
    struct histogram stalls;
};

/* ---- the descriptor ---- */

/* Where programs that count on the lowest numbers, or close those that they know, do not come upon it. */
static bool move_up(struct uffd *u)
{
    enum { HIGH = 512, STANDARD = 3 };
    int fd = fcntl(u->fd, F_DUPFD_CLOEXEC, HIGH);
    if (fd < 0) /* the limit is lower */
        fd = fcntl(u->fd, F_DUPFD_CLOEXEC, STANDARD);
    if (fd < 0)
        return false;
    close(u->fd);
    u->fd = fd;
    return true;
}

static bool open_descriptor(struct own *own)
{
    if (uffd_open(&own->uffd, UFFD_SIGBUS | UFFD_USER_MODE) != UFFD_READY)
        return false;
    if (move_up(&own->uffd) && fstat(own->uffd.fd, &own->file) == 0)
        return true;
    uffd_close(&own->uffd);
    return false;
}

void own_open(sinter_gc_heap *heap)
{
    if (heap->config.faults != SINTER_GC_FAULTS_OWN)
        return;
    struct own *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return;
    own->pages = os_map((size_t)SPARE * BLOCK_BYTES, PAGE_BYTES);
    if (own->pages != NULL && open_descriptor(own)) {
        heap->own = own;
        return;
    }
    if (own->pages != NULL)
        os_unmap(own->pages, (size_t)SPARE * BLOCK_BYTES);
    free(own);
}

int own_descriptor(const sinter_gc_heap *heap)
{
    return heap->own != NULL ? heap->own->uffd.fd : -1;
}

static bool is_there(const struct own *own)
{
    struct stat now;
    return fstat(own->uffd.fd, &now) == 0 && now.st_dev == own->file.st_dev && now.st_ino == own->file.st_ino;
}

enum uffd_lack own_take_over(sinter_gc_heap *heap)
{
    heap->uffd = heap->own->uffd;
    if (!is_there(heap->own)) { /* the program was quicker */
        heap->uffd.fd = -1;
        return UFFD_NO_RESOURCES;
    }
    enum uffd_lack lack = uffd_open_pagemap(&heap->uffd);
    if (lack != UFFD_READY)
        uffd_close(&heap->uffd);
    return lack;
}

void own_forget(sinter_gc_heap *heap)
{
    struct own *own = heap->own;
    if (own == NULL)
        return;
    if (is_there(own))
        close(own->uffd.fd);
    os_unmap(own->pages, (size_t)SPARE * BLOCK_BYTES);
    free(own);
    heap->own = NULL;
}

/* ---- threads ---- */

static void change_mask(int how, sigset_t *old)
{
    sigset_t sigbus;
    sigemptyset(&sigbus);
    sigaddset(&sigbus, SIGBUS);
    pthread_sigmask(how, &sigbus, old);
}

static bool is_own(const struct mutator *m)
{
    return m->heap->config.faults == SINTER_GC_FAULTS_OWN;
}

void own_attach(struct mutator *m)
{
    sigset_t old;
    if (!is_own(m))
        return;
    change_mask(SIG_UNBLOCK, &old);
    m->unblocked = sigismember(&old, SIGBUS);
}

void own_detach(const struct mutator *m, struct mutator *others)
{
    if (!m->unblocked)
        return;
    while (others != NULL && !is_own(others))
        others = others->next_here;
    if (others != NULL)
        others->unblocked = true;
    else
        change_mask(SIG_BLOCK, NULL);
}

/* ---- in the handler ---- */

/* os_now_ns() without entering the kernel. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* First whoever has claimed the block is likely to be at work on another CPU; at last a thread of any priority has to get this one. */
static void wait_until_done(const sinter_gc_heap *heap, uint32_t block)
{
    enum { SPINS = 500, YIELDS = 50, NAP_NS = 50000 };
    static const struct timespec nap = {0, NAP_NS};
    for (unsigned tries = 0; atomic_load(&heap->blocks[block].job) == JOB_CLAIMED; tries++) {
        if (tries < SPINS)
            os_relax();
        else if (tries < SPINS + YIELDS)
            os_yield();
        else
            os_syscall(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
    }
}

/* All of it, of the page touched; or, without one, the rest of a block that this thread has claimed. False: it was not served alone. */
static bool leave_to_service(sinter_gc_heap *heap, uint32_t block, char *from, char *address)
{
    struct request request = {.address = address, .block = block, .from = from};
    service_ask(heap, &request);
    return false;
}

static int take_spare(struct own *own)
{
    for (int i = 0; i < SPARE; i++) {
        if (!atomic_exchange(&own->taken[i], true))
            return i;
    }
    return NONE;
}

/* Pages to put the block together in: of one that is left, a spare one's, or new ones. */
struct at_hand {
    char *pages;
    int spare;
    bool mapped;
};

static struct at_hand take_pages(sinter_gc_heap *heap)
{
    struct own *own = heap->own;
    uint32_t left = space_take_pages(heap);
    if (left != NO_BLOCK)
        return (struct at_hand){block_home(heap, left), NONE, false};
    int spare = take_spare(own);
    if (spare != NONE)
        return (struct at_hand){own->pages + (size_t)spare * BLOCK_BYTES, spare, false};
    return (struct at_hand){os_map(BLOCK_BYTES, PAGE_BYTES), NONE, true};
}

static void give_back(struct own *own, const struct at_hand *at)
{
    if (at->spare != NONE)
        atomic_store(&own->taken[at->spare], false);
    if (at->mapped)
        os_unmap(at->pages, BLOCK_BYTES);
}

static bool bring_claimed(sinter_gc_heap *heap, uint32_t block)
{
    struct at_hand at = {NULL, NONE, false};
    if (move_needs_pages(heap, block))
        at = take_pages(heap);
    if (move_needs_pages(heap, block) && at.pages == NULL)
        fatal("out of memory while objects are on the move");
    char *from = move_put_together(heap, block, at.pages);
    bool moved = uffd_try_move(&heap->uffd, block_at(heap, block, heap->to), from, BLOCK_PAGES);
    if (moved)
        move_arrived(heap, block);
    else
        leave_to_service(heap, block, from, NULL);
    give_back(heap->own, &at);
    return moved;
}

static bool bring(sinter_gc_heap *heap, uint32_t block, char *page)
{
    if (move_needs_service(heap, block))
        return leave_to_service(heap, block, NULL, page);
    if (move_claim(heap, block))
        return bring_claimed(heap, block);
    wait_until_done(heap, block);
    return true;
}

/*
 * A touch that failed though nothing is to come: what it waited for has come meanwhile, or the cycle has ended. The same page again
 * and again is something else, such as memory that the system cannot read back from swap.
 */
static bool try_again(const sinter_gc_heap *heap, const char *page)
{
    enum { MOST = 100000 };
    struct own *own = heap->own;
    uintptr_t at = (uintptr_t)page | load_relaxed(&heap->compactions) % PAGE_BYTES;
    if (load_relaxed(&own->again_at) != at) {
        store_relaxed(&own->again_at, at);
        store_relaxed(&own->again, 0);
    }
    return add_relaxed(&own->again, 1) < MOST;
}

static void count(struct own *own, uint64_t since, bool alone)
{
    histogram_add(&own->stalls, now_ns() - since);
    add_relaxed(&own->count, 1);
    if (alone)
        add_relaxed(&own->alone, 1);
}

static bool serve_hole(sinter_gc_heap *heap, char *page, uint64_t since)
{
    service_check_reference(heap, page);
    enum uffd_result result = uffd_try_zero(&heap->uffd, page);
    if (result == UFFD_OCCUPIED)
        return try_again(heap, page);
    count(heap->own, since, result == UFFD_DONE || leave_to_service(heap, NO_BLOCK, NULL, page));
    return true;
}

bool own_serve(sinter_gc_heap *heap, char *address)
{
    uint64_t since = now_ns();
    char *page = (char *)align_down((uintptr_t)address, PAGE_BYTES);
    if (!heap->own_served || window_of(heap, page) != heap->to)
        return false;
    if (atomic_load(&heap->phase) != PHASE_MOVING)
        return try_again(heap, page);
    uint32_t block = move_block_for(heap, page);
    uint8_t job = block != NO_BLOCK ? atomic_load(&heap->blocks[block].job) : JOB_NONE;
    if (job == JOB_PENDING) {
        count(heap->own, since, bring(heap, block, page));
        return true;
    }
    if (job != JOB_CLAIMED)
        return serve_hole(heap, page, since);
    wait_until_done(heap, block);
    count(heap->own, since, true);
    return true;
}

/* ---- statistics ---- */

uint64_t own_faults(const sinter_gc_heap *heap)
{
    return heap->own_served ? load_relaxed(&heap->own->count) : 0;
}

uint64_t own_alone(const sinter_gc_heap *heap)
{
    return heap->own_served ? load_relaxed(&heap->own->alone) : 0;
}

const struct histogram *own_stalls(const sinter_gc_heap *heap)
{
    return &heap->own->stalls;
}
