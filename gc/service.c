#include "service.h"

#include "crew.h"
#include "fatal.h"
#include "faults.h"
#include "move.h"
#include "os.h"
#include "own.h"
#include "space.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAITS = 64 };

/* Of a thread, for a block that somebody else brings. */
struct wait {
    uint32_t block;
    uint64_t since;
};

struct service {
    struct faults faults;
    sinter_gc_heap *heap;
    pthread_t thread;
    pthread_mutex_t lock; /* held while faults are read and answered */
    int bell;             /* eventfd: quit */
    _Atomic int rung;     /* futex: what `bell` is in an own heap, where nothing is to be read */
    struct request *_Atomic requests;
    _Atomic bool quit;
    char *start; /* of what is served in this cycle */
    size_t size;
    struct staging staging;
    struct wait waits[WAITS];
    size_t waiting;
    struct histogram stalls;
    _Atomic uint64_t count, cpu_ns;
};

static const char *state_name(enum block_state state)
{
    static const char *const names[] = {
#define X(name) #name,
        BLOCK_STATES(X)
#undef X
    };
    return names[state];
}

void service_check_reference(const sinter_gc_heap *heap, const char *address)
{
    const struct block *b = &heap->blocks[block_of(heap, address)];
    bool holds = b->state == BLOCK_CLOSED || b->state == BLOCK_LARGE || b->state == BLOCK_TAIL;
    if (!holds || b->home != window_of(heap, address))
        fatal("a stale reference: %p is where no object is any more (its block is %s)", address,
              state_name((enum block_state)b->state));
}

/* Nothing is to come: it is here already, or nothing was ever written there; or somebody has an old reference. */
static void answer_rest(struct service *s, char *address)
{
    uint8_t result;
    service_check_reference(s->heap, address);
    uffd_zero(&s->heap->uffd, address, 1, &result);
}

/* A stall ends when the block is there; that the thread is woken then, and has to find a CPU, is not counted. */
static void count_waits(struct service *s)
{
    for (size_t i = s->waiting; i-- > 0;) {
        const struct block *b = &s->heap->blocks[s->waits[i].block];
        if (atomic_load(&b->job) == JOB_CLAIMED)
            continue;
        histogram_add(&s->stalls, b->done_at - s->waits[i].since);
        s->waits[i] = s->waits[--s->waiting];
    }
}

static void serve(struct faults *faults, char *address, uint32_t thread, uint64_t since)
{
    struct service *s = (struct service *)faults;
    (void)thread;
    uint32_t block = move_wanted(s->heap, &s->staging, address);
    if (block != NO_BLOCK && s->waiting < WAITS)
        s->waits[s->waiting++] = (struct wait){block, since};
    else
        histogram_add(&s->stalls, os_now_ns() - since);
    if (block == NO_BLOCK)
        answer_rest(s, address);
    count_waits(s);
    add_relaxed(&s->count, 1);
}

_Static_assert(offsetof(struct service, faults) == 0, "for serve()");

static bool drain(struct service *s, uint64_t since)
{
    pthread_mutex_lock(&s->lock);
    bool any = faults_drain(&s->faults, since);
    pthread_mutex_unlock(&s->lock);
    return any;
}

static void *run(void *argument)
{
    struct service *s = argument;
    crew_enlist();
    struct pollfd fds[] = {{.fd = s->heap->uffd.fd, .events = POLLIN}, {.fd = s->bell, .events = POLLIN}};
    while (!atomic_load(&s->quit)) {
        uint64_t now = os_now_ns();
        if (faults_are_expected(&s->faults, now))
            os_yield();
        else
            poll(fds, ARRAY_LEN(fds), -1);
        if (drain(s, os_now_ns()))
            store_relaxed(&s->cpu_ns, os_thread_cpu_ns());
    }
    return NULL;
}

/* ---- own faults ---- */

static void ring(struct service *s)
{
    atomic_fetch_add(&s->rung, 1);
    os_futex_wake(&s->rung, 1);
}

void service_ask(sinter_gc_heap *heap, struct request *request)
{
    struct service *s = heap->service;
    request->next = load_relaxed(&s->requests);
    while (!atomic_compare_exchange_weak(&s->requests, &request->next, request))
        ;
    ring(s);
    while (atomic_load(&request->answered) == 0)
        os_futex_wait(&request->answered, 0, -1);
}

static void answer(struct service *s, struct request *request)
{
    if (request->address == NULL)
        move_rest(s->heap, request->block, request->from);
    else if (move_wanted(s->heap, &s->staging, request->address) == NO_BLOCK)
        answer_rest(s, request->address);
    atomic_store(&request->answered, 1); /* it may be gone from now on; a wake too many does no harm */
    os_futex_wake(&request->answered, 1);
}

static void answer_all(struct service *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct request *r = atomic_exchange(&s->requests, NULL), *next; r != NULL; r = next) {
        next = r->next;
        answer(s, r);
    }
    pthread_mutex_unlock(&s->lock);
    store_relaxed(&s->cpu_ns, os_thread_cpu_ns());
}

static void *run_own(void *argument)
{
    struct service *s = argument;
    crew_enlist();
    while (!atomic_load(&s->quit)) {
        int rung = atomic_load(&s->rung);
        answer_all(s);
        if (!atomic_load(&s->quit))
            os_futex_wait(&s->rung, rung, -1);
    }
    return NULL;
}

/* ---- the thread ---- */

/* Where no callback takes it for a descriptor of the program's: what is written to it would keep the service awake. */
static int new_bell(void)
{
    enum { HIGH = 512 };
    int low = eventfd(0, EFD_CLOEXEC), high = fcntl(low, F_DUPFD_CLOEXEC, HIGH);
    if (high < 0)
        return low;
    close(low);
    return high;
}

static enum uffd_lack open_descriptor(sinter_gc_heap *heap)
{
    heap->own_served = heap->own != NULL && own_take_over(heap) == UFFD_READY;
    return heap->own_served ? UFFD_READY : uffd_open(&heap->uffd, UFFD_USER_MODE);
}

void service_start(sinter_gc_heap *heap)
{
    struct service *s = heap->service = calloc(1, sizeof(*s));
    heap->lack = s != NULL ? open_descriptor(heap) : UFFD_NO_RESOURCES;
    if (heap->lack != UFFD_READY)
        return;
    s->faults.uffd = &heap->uffd;
    s->faults.serve = serve;
    s->heap = heap;
    s->bell = new_bell();
    pthread_mutex_init(&s->lock, NULL);
    if (s->bell < 0 || pthread_create(&s->thread, NULL, heap->own_served ? run_own : run, s) != 0) {
        uffd_close(&heap->uffd);
        heap->own_served = false;
        heap->lack = UFFD_NO_RESOURCES;
    }
}

void service_stop(sinter_gc_heap *heap)
{
    struct service *s = heap->service;
    uint64_t one = 1;
    if (heap->lack == UFFD_READY) {
        atomic_store(&s->quit, true);
        ring(s);
        if (write(s->bell, &one, sizeof(one)) == sizeof(one))
            pthread_join(s->thread, NULL);
        uffd_close(&heap->uffd);
        close(s->bell);
        staging_free(&s->staging);
    }
    free(s);
}

bool service_begin(sinter_gc_heap *heap, unsigned window)
{
    struct service *s = heap->service;
    s->start = block_at(heap, 0, window);
    s->size = min_size((size_t)heap->frontier * 2 * BLOCK_BYTES, heap->window_bytes);
    return uffd_register(&heap->uffd, s->start, s->size) == 0;
}

void service_unregister(const struct uffd *uffd, char *start, size_t size)
{
    while (uffd_unregister(uffd, start, size) != 0)
        os_yield();
}

void service_end(sinter_gc_heap *heap)
{
    struct service *s = heap->service;
    service_unregister(&heap->uffd, s->start, s->size);
    pthread_mutex_lock(&s->lock);
    count_waits(s);
    pthread_mutex_unlock(&s->lock);
}

uint64_t service_faults(const sinter_gc_heap *heap)
{
    return heap->service != NULL ? load_relaxed(&heap->service->count) : 0;
}

const struct histogram *service_stalls(const sinter_gc_heap *heap)
{
    return &heap->service->stalls;
}

uint64_t service_cpu_ns(const sinter_gc_heap *heap)
{
    return heap->service != NULL ? load_relaxed(&heap->service->cpu_ns) : 0;
}
