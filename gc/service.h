/*
 * Answering the touches of objects that are on the move: a thread that waits for them.
 */
#ifndef SINTER_GC_SERVICE_H
#define SINTER_GC_SERVICE_H

#include "heap.h"

/*
 * Opens the descriptor, in the collector's own descriptor table, or takes over that of own faults, and starts the thread. Sets
 * heap->lack and heap->own_served.
 */
void service_start(sinter_gc_heap *heap);
void service_stop(sinter_gc_heap *heap);

/*
 * Touches of empty blocks of this window, from the first to twice as many as there are now, come here from now on. False if the
 * kernel refuses.
 */
bool service_begin(sinter_gc_heap *heap, unsigned window);

/* They no longer do, and none is being answered. */
void service_end(sinter_gc_heap *heap);

/* As uffd_unregister(), and does not fail: what is left registered would be waited for. */
void service_unregister(const struct uffd *uffd, char *start, size_t size);

/*
 * In an own heap, the part of a fault that the thread which has it cannot do itself. It lives on that thread's stack, which waits until
 * it is answered.
 */
struct request {
    struct request *next;
    char *
        address; /* the page touched; NULL: the block was claimed by the thread, and put together at `from` */
    uint32_t block; /* whose page it is, or NO_BLOCK */
    char *from;
    _Atomic int answered; /* futex */
};

void service_ask(sinter_gc_heap *heap, struct request *request);

/* Dies unless there is an object, or was when the cycle began, where this page of the to-window is. */
void service_check_reference(const sinter_gc_heap *heap, const char *address);

/* Of those that threads did not serve themselves. */
uint64_t service_faults(const sinter_gc_heap *heap);
const struct histogram *service_stalls(const sinter_gc_heap *heap);
uint64_t service_cpu_ns(const sinter_gc_heap *heap);

#endif
