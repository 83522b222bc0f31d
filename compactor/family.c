#include "family.h"

#include "os.h"
#include "uffd.h"

#include <string.h>

enum { CHILDREN_MAX = 64, GRACE_MS = 1000, GIVE_A_STEP = 32 };

struct child {
    struct uffd uffd;
    uint64_t born; /* milliseconds */
    bool expected; /* by a thread in its parent handler */
    bool all;      /* gets everything */
    char *given;   /* what lies below has been given */
};

_Atomic int family_frozen;
char *family_doorbell;
_Atomic bool family_calls[BELL_PAGES];

static struct child children[CHILDREN_MAX];
static _Atomic int count, expected;
static const struct family_source *source;

void family_init(const struct family_source *from)
{
    source = from;
}

static void leave(struct child *child)
{
    uffd_close(&child->uffd);
    if (child->expected && atomic_fetch_sub(&expected, 1) == 1)
        os_futex_wake(&expected, INT32_MAX);
    *child = children[load_relaxed(&count) - 1];
    if (atomic_fetch_sub(&count, 1) == 1)
        atomic_fetch_and(&family_frozen, ~FROZEN_CHILDREN);
}

bool family_has_children(void)
{
    return load_relaxed(&count) > 0;
}

int family_count(void)
{
    return atomic_load(&count);
}

size_t family_descriptors(int *fds, size_t most)
{
    size_t n = min_size((size_t)load_relaxed(&count), most);
    for (size_t i = 0; i < n; i++)
        fds[i] = children[i].uffd.fd;
    return n;
}

void family_push(char *address, const char *contents, size_t pages)
{
    enum { BATCH = 64 };
    uint8_t result[BATCH];
    for (int i = 0; i < load_relaxed(&count); i++) {
        for (size_t done = 0; done < pages; done += BATCH)
            uffd_copy(&children[i].uffd, address + done * PAGE_BYTES, contents + done * PAGE_BYTES,
                      min_size(pages - done, BATCH), 0, result);
    }
}

static bool send(struct child *child, char *address, const char *contents)
{
    uint8_t result;
    uffd_copy(&child->uffd, address, contents, 1, 0, &result);
    return result != UFFD_GONE;
}

/* Answers at the doorbell. */
static void answer(struct child *child, enum bell bell)
{
    static int words[PAGE_BYTES / sizeof(int)] __attribute__((aligned(4096)));
    words[0] = BELL_ANSWER;
    send(child, family_bell(bell), (const char *)words);
}

/* False if the child has gone. */
static bool send_away(struct child *child, char *address)
{
    static char page[PAGE_BYTES] __attribute__((aligned(4096)));
    memset(page, 0, sizeof(page));
    source->contents(address, page);
    return send(child, address, page);
}

/* Both may end the child's time here; it is not to be used afterwards. */
static void at_doorbell(struct child *child, enum bell bell)
{
    if (bell == BELL_GIVE_ALL) {
        child->all = true;
        child->given = NULL;
        return;
    }
    answer(child, bell);
    if (bell == BELL_TAKE_OVER)
        leave(child);
}

static void serve_fault(struct child *child, char *address)
{
    size_t bell = (size_t)(address - family_doorbell) / PAGE_BYTES;
    if (bell < BELL_PAGES)
        at_doorbell(child, (enum bell)bell);
    else if (!send_away(child, address))
        leave(child);
}

/* Returns false if there was nothing. */
static bool serve_one(struct child *child)
{
    struct uffd_event event = uffd_read(&child->uffd);
    switch (event.kind) {
    case UFFD_EVENT_NONE:
        return false;
    case UFFD_EVENT_FAULT:
        serve_fault(child, event.addr);
        return true;
    case UFFD_EVENT_CHILD:
        family_add(event.child_fd);
        return true;
    default:
        return true;
    }
}

bool family_serve(void)
{
    bool any = false;
    for (int i = load_relaxed(&count) - 1; i >= 0; i--) {
        if (i < load_relaxed(&count))
            any |= serve_one(&children[i]);
    }
    return any;
}

/* Gives the child some more pages. False if that was the end of its time here. */
static bool give(struct child *child)
{
    bool more = true, here = true;
    for (int i = 0; i < GIVE_A_STEP && more && here; i++) {
        more = source->next_away(&child->given);
        here = !more || send_away(child, child->given);
        child->given += PAGE_BYTES;
    }
    if (more && here)
        return true;
    if (here) { /* it may come to its doorbell later than this: both say then that it may go on */
        answer(child, BELL_GIVE_ALL);
        answer(child, BELL_TAKE_OVER);
    }
    leave(child);
    return false;
}

void family_add(int fd)
{
    while (load_relaxed(&count) == CHILDREN_MAX)
        give(&children[0]);
    children[load_relaxed(&count)] = (struct child){
        .uffd = {.fd = fd, .pagemap = -1, .pump = source->pump},
        .born = os_now_ms(),
        .expected = (atomic_load(&family_frozen) & FROZEN_FORK) != 0,
    };
    if (children[load_relaxed(&count)].expected)
        atomic_fetch_add(&expected, 1);
    atomic_fetch_or(&family_frozen, FROZEN_CHILDREN);
    atomic_fetch_add(&count, 1);
}

void family_pump(void)
{
    for (int i = 0; i < load_relaxed(&count); i++) {
        struct uffd_event event = uffd_read(&children[i].uffd);
        if (event.kind == UFFD_EVENT_CHILD)
            family_add(event.child_fd);
        else if (event.kind == UFFD_EVENT_FAULT)
            uffd_wake(&children[i].uffd, event.addr, PAGE_BYTES); /* comes again */
    }
}

bool family_give_some(uint64_t now_ms, bool at_once)
{
    for (int i = 0; i < load_relaxed(&count); i++) {
        struct child *child = &children[i];
        if (at_once || now_ms >= child->born + GRACE_MS)
            child->all = true;
        if (child->all) {
            give(child);
            return true;
        }
    }
    return false;
}

void family_wait(int64_t most_ms)
{
    uint64_t end = os_now_ms() + (uint64_t)most_ms;
    for (uint64_t now = os_now_ms(); now < end; now = os_now_ms()) {
        int present = atomic_load(&expected);
        if (present <= 0)
            return;
        os_futex_wait(&expected, present, (int64_t)(end - now));
    }
}

void family_reset(void)
{
    atomic_store(&count, 0);
    atomic_store(&expected, 0);
    atomic_store(&family_frozen, 0);
}
