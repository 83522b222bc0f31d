/*
 * Children whose memory is still served from here.
 *
 * With UFFD_FEATURE_EVENT_FORK a fork's child has the same pages away as its parent, and its faults come to the parent's
 * mover, through a descriptor of their own. What the child must find on these pages is what the parent had there at the fork.
 * The mover has that as long as what is written down does not change: everything is frozen while there are any, records stay,
 * and pages only ever come back. A page that was aside is copied to each such child before that (*pushed*).
 *
 *   fork()      prepare handler: takes the maintain lock, which ends packing, and sets FROZEN_FORK. From the first registered
 *               mapping that the kernel copies until the mover has read the fork's event, no page can come back at all (the
 *               kernel answers EAGAIN). Reading the event adds the child here.
 *   the child   touches heap memory before any handler of ours runs, and finds it. Its handler starts a mover of its own,
 *               which opens a descriptor. Then it touches the *doorbell*, page BELL_TAKE_OVER: the mover here answers and
 *               closes the child's descriptor. Only then can the child's mover register the child's memory. The handler's
 *               thread, the only one of the child, touches no page meanwhile, and has all signals blocked.
 *               A child that cannot have a descriptor of its own touches BELL_GIVE_ALL and gets all pages instead.
 *   the parent  waits, in its handler, for that, but not for ever. A child that is not heard of for the time of a grace is
 *               given all pages, and both answers: it may take over whenever it comes to that.
 *
 * A child made otherwise (clone(2) without CLONE_VM, _Fork(3)) runs no handlers. After a grace in which most of them
 * call execve(2) or exit, it is given all pages.
 */
#ifndef SINTER_FAMILY_H
#define SINTER_FAMILY_H

#include "base.h"
#include "uffd.h"

enum { FROZEN_FORK = 1, FROZEN_CHILDREN = 2 };

/* Not 0: nothing that is written down about pages may change. */
extern HIDDEN _Atomic int family_frozen;

static inline bool family_is_frozen(void)
{
    return atomic_load(&family_frozen) != 0;
}

/* Pages of the doorbell, a mapping of its own that is registered: a touch is a call of the mover. */
enum bell {
    /* Rung in the mover's own process: pack everything, bring everything back (for good, or for a fork), see to children. */
    BELL_COMPACT,
    BELL_RESTORE,
    BELL_FORK,
    BELL_LEAVE, /* bring everything back and never pack again */
    BELL_EXIT,
    /* Rung in a child. */
    BELL_TAKE_OVER,
    BELL_GIVE_ALL,
    BELL_PAGES
};

extern HIDDEN char *family_doorbell;

/* A thread of this process calls: set before it touches the page, cleared with the answer. */
extern HIDDEN _Atomic bool family_calls[BELL_PAGES];

static inline char *family_bell(enum bell bell)
{
    return family_doorbell + bell * PAGE_BYTES;
}

/* What a page of the doorbell says when the mover has answered. */
enum { BELL_ANSWER = 0x53494e54 };

/* What a child is served from. */
struct family_source {
    /* Puts together what the page had at the fork; `page` is zeroed. */
    void (*contents)(char *address, char *page);
    /* The next page that is away, from *address on (NULL: from the first). False if there is none. */
    bool (*next_away)(char **address);
    /* See struct uffd. */
    void (*pump)(void);
};

void family_init(const struct family_source *source);

/* A child has been born. */
void family_add(int fd);

/* Reads the children's events of forks, which must not wait; see struct uffd. */
void family_pump(void);

bool family_has_children(void);

/* The children's descriptors, for poll(2). At most `most`; returns how many. */
size_t family_descriptors(int *fds, size_t most);

/* Before pages come back to the parent: `contents` are those of `pages` pages from `address` on. */
void family_push(char *address, const char *contents, size_t pages);

/* Serves the children's faults. Returns whether there was one. */
bool family_serve(void);

/* Gives a child whose grace is over (at_once: any child) some of what it lacks. Returns whether there was one. */
bool family_give_some(uint64_t now_ms, bool at_once);

/* On any thread: how many there are. */
int family_count(void);

/* The parent's handler: waits until the children of fork(3) have taken over, at most so long. */
void family_wait(int64_t most_ms);

/* In a child: it has no children yet. */
void family_reset(void);

#endif
