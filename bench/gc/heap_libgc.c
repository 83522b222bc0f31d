/*
 * The factor, with libgc: it collects once 2 / divisor of what is live (with references in it; an eighth of that without)
 * was allocated and the heap has no more room. So divisor 4 is a factor of 150 per cent, 2 is 200, 1 is 300. Beyond that the
 * heap is made as large as wanted from the start, which it then fills before it collects.
 */
#include "heap.h"

#include <stdio.h>

#include "stops.h"

enum { DIVISOR_REACHES = 300 };

static __thread bool registered_here;

/* Called with libgc's lock held. */
static void on_event(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD)
        stop_began();
    else if (event == GC_EVENT_POST_START_WORLD)
        stop_ended();
}

void heap_open(unsigned factor, size_t live)
{
    GC_INIT();
    GC_allow_register_threads();
    stops_watch();
    GC_set_on_collection_event(on_event);
    unsigned over = factor > 101 ? factor - 100 : 1;
    GC_set_free_space_divisor(over < 200 ? 200 / over : 1);
    if (factor <= DIVISOR_REACHES)
        return;
    size_t wanted = live / 100 * factor, present = GC_get_heap_size();
    if (wanted > present && !GC_expand_hp(wanted - present))
        heap_full(wanted);
}

static mutator *some_mutator(void)
{
    static char mutator_of_all;
    return (mutator *)&mutator_of_all;
}

mutator *heap_attach(void)
{
    struct GC_stack_base base;
    if (!GC_thread_is_registered()) {
        GC_get_stack_base(&base);
        GC_register_my_thread(&base);
        registered_here = true;
    }
    return some_mutator();
}

void heap_detach(mutator *m)
{
    (void)m;
    if (registered_here)
        GC_unregister_my_thread();
    registered_here = false;
}

void heap_block(mutator *m)
{
    (void)m;
}

void heap_unblock(mutator *m)
{
    (void)m;
}

void heap_collect(mutator *m)
{
    (void)m;
    GC_gcollect();
}

void heap_release(mutator *m)
{
    (void)m;
    GC_gcollect_and_unmap();
}

void heap_report(struct report *report)
{
    report_number(report, "collections", GC_get_gc_no());
}

_Noreturn void heap_full(size_t wanted)
{
    fprintf(stderr, "no memory for %zu bytes\n", wanted);
    exit(1);
}

heap_kind heap_kind_new(const struct heap_layout *layout)
{
    (void)layout;
    return 1;
}
