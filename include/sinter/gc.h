/*
 * libsinter-gc.so: a garbage-collected heap for language runtimes whose objects move, without barriers.
 *
 * Glossary
 *   object     a piece of the heap with a type, aligned to 16 bytes. Its first 8 bytes are Sinter's (*header*), the rest the
 *              embedder's. All of it is zero when it is new.
 *   reference  a plain C pointer to an object's first byte. It may lie in an object, as its type says, or in a root. What is
 *              no multiple of 16, or lies outside the heap, is left alone: small integers with tag bits may stand in for
 *              references.
 *   mutator    a thread of the embedder that is attached to a heap.
 *   safepoint  where a mutator may be stopped: any call below that takes a mutator and does not say otherwise. Objects may
 *              move there. A reference that is used after one has to lie in a root, or be read from an object again.
 *
 * A thread that waits at a safepoint of one heap is at a safepoint of every heap that it is attached to.
 *
 * Functions that fail return NULL, 0 or -1 as their kind of result is, and set errno. One thread may be attached to several
 * heaps. Nothing here may be called from a signal handler.
 */
#ifndef SINTER_GC_H
#define SINTER_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct sinter_gc_heap sinter_gc_heap;

/* ---- heaps ---- */

/* How large the heap may grow before the next collection begins. */
enum sinter_gc_growth {
    SINTER_GC_GROW_FACTOR, /* `factor` per cent of what was live after the last one */
    SINTER_GC_GROW_FIXED,  /* `fixed` bytes */
    SINTER_GC_GROW_TIME /* as large as keeps the time spent collecting near `gc_share` per cent, within maximum and soft limit */
};

/*
 * Who brings an object that is on the move to the thread that touches it.
 *
 * OWN: the thread itself, in a handler of SIGBUS, without waiting for another one to be given a CPU. What it takes: each thread has SIGBUS
 * unblocked while it is attached (sinter_gc_attach() sees to that); a handler of the program's for SIGBUS passes on what is not
 * its own to the one that was there before it; and buffers in the heap are pinned before they are given to a system call, which fails
 * with EFAULT for what is on the move, whichever thread makes it.
 */
enum sinter_gc_faults {
    SINTER_GC_FAULTS_SERVICE, /* a thread of the heap's, while it waits */
    SINTER_GC_FAULTS_OWN
};

struct sinter_gc_config {
    size_t maximum;    /* bytes the heap may hold; 0: half of the machine's memory */
    size_t soft_limit; /* bytes above which the heap grows no more than it must; 0: none */
    size_t minimum;    /* bytes below which no collection begins by itself */
    enum sinter_gc_growth growth;
    unsigned factor;     /* per cent, more than 100 */
    size_t fixed;        /* bytes */
    unsigned gc_share;   /* per cent */
    unsigned workers;    /* threads that collect; 0: one a CPU, at most 8 */
    unsigned whole;      /* per cent of a block that have to be live for it to move as it is */
    unsigned release_ms; /* how long memory that is not used stays before it goes back to the system */
    unsigned stress;     /* collect at every so many allocations, in every way in turn; 0: no */
    bool verify;         /* check every reference in each phase; poison what objects have left */
    bool compact;        /* false: objects never move */
    bool concurrent;     /* false: threads stay stopped while objects move */
    bool generational;   /* false: no collection is a minor one */
    enum sinter_gc_faults faults;
};

/* The defaults. */
void sinter_gc_config_init(struct sinter_gc_config *config);

/*
 * Sets what `text` says, "key:value,key:value", the keys named as the members above; sizes may end in k, m or g, `growth` is
 * factor, fixed or time, `faults` is service or own, booleans are on and off. Returns 0; or -1 with errno EINVAL and, if `error` is not NULL, the first
 * thing in `text` that is wrong there. Nothing is changed then.
 */
int sinter_gc_config_parse(struct sinter_gc_config *config, const char *text, const char **error);

/*
 * A new heap. NULL `config`: the defaults; the environment variable SINTER_GC_CONF, in the form of sinter_gc_config_parse(),
 * has the last word. NULL with errno EINVAL (a value out of its range) or ENOMEM.
 */
sinter_gc_heap *sinter_gc_create(const struct sinter_gc_config *config);

/* Ends it. No thread may be attached. Its finalizers do not run. */
void sinter_gc_destroy(sinter_gc_heap *heap);

/* ---- types ---- */

/* A type; never 0. */
typedef uint32_t sinter_gc_type;

/* Is called with the address of each reference in an object. */
typedef void (*sinter_gc_edge)(void **reference, void *context);

/*
 * What objects of a type look like: a fixed part of `size` bytes, header included, and behind it a tail of elements. Members
 * that are 0 or NULL mean "none". The two callbacks may read the object they are given and nothing else in the heap, and
 * are called by several threads at once. They run in threads without the program's descriptors.
 */
struct sinter_gc_layout {
    const char *name; /* copied */
    size_t size;
    uint64_t references; /* bit n: the 8 bytes from 8 * n on are a reference. Bit 0, the header, is not */
    size_t element_size; /* of the tail's elements */
    uint64_t element_references; /* bit n: so are the 8 bytes from 8 * n on of each element */
    size_t count_offset;         /* where the fixed part has the number of elements, a size_t */
    bool pointer_free;           /* there are no references; such objects are kept apart and never read */
    void (*visit)(void *object, sinter_gc_edge edge,
                  void *context);          /* in place of the two maps of references */
    size_t (*size_of)(const void *object); /* in place of the size and tail; header included */
};

/* 0 with errno EINVAL (the parts contradict each other) or ENOMEM. `layout` may be forgotten afterwards. */
sinter_gc_type sinter_gc_type_new(sinter_gc_heap *heap, const struct sinter_gc_layout *layout);

const char *sinter_gc_type_name(const sinter_gc_heap *heap, sinter_gc_type type);

/* The type of an object. No safepoint. */
static inline sinter_gc_type sinter_gc_type_of(const void *object)
{
    return *(const uint32_t *)object & 0xffffffu;
}

/* ---- mutators ---- */

/* Objects to which this much room is left may be taken at `next`; see sinter_gc_alloc(). */
struct sinter_gc_bump {
    char *next, *limit;
};

struct sinter_gc_frame;

/* The part of a mutator that the functions in this header, or code that a compiler emits in their place, work on. */
typedef struct sinter_gc_mutator {
    struct sinter_gc_bump bump[2];  /* [1]: objects without references */
    struct sinter_gc_frame *frames; /* the innermost */
    uint32_t stop; /* not 0: go to a safepoint. Set by other threads: read it with a relaxed atomic load */
} sinter_gc_mutator;

/* Attaches the calling thread. NULL with errno ENOMEM. Waits for a collection that is under way. */
sinter_gc_mutator *sinter_gc_attach(sinter_gc_heap *heap);

/* Detaches it; its frames must have ended. */
void sinter_gc_detach(sinter_gc_mutator *mutator);

sinter_gc_heap *sinter_gc_heap_of(const sinter_gc_mutator *mutator);

void sinter_gc_safepoint_slow(sinter_gc_mutator *mutator);

/* To be called where a thread computes for long without any other call of the kind. */
static inline void sinter_gc_safepoint(sinter_gc_mutator *mutator)
{
    if (__builtin_expect(__atomic_load_n(&mutator->stop, __ATOMIC_RELAXED) != 0, 0))
        sinter_gc_safepoint_slow(mutator);
}

/*
 * Between these two the thread may block, or compute, as long as it likes: it counts as stopped, and must not touch the heap
 * or its roots. Leaving is a safepoint, and waits while others have to stand still. They nest. errno is kept.
 */
void sinter_gc_block(sinter_gc_mutator *mutator);
void sinter_gc_unblock(sinter_gc_mutator *mutator);

/* Calls back from code that runs in a thread that may not be attached: attaches it for the duration if it is not. */
int sinter_gc_with_mutator(sinter_gc_heap *heap, void (*function)(sinter_gc_mutator *mutator, void *data),
                           void *data);

/* ---- allocation ---- */

#define SINTER_GC_GRANULE 16u

void *sinter_gc_alloc_slow(sinter_gc_mutator *mutator, sinter_gc_type type, size_t size);

/*
 * A new object of `size` bytes, header included (for types with a tail, or with a callback that tells it: as that will say once
 * the embedder has written it, which has to be before the next safepoint). NULL with errno ENOMEM when the heap is full and
 * the handler for that (see sinter_gc_events) found no room either.
 *
 * What a compiler has to emit: with n = size rounded up to 16 and b = bump[pointer_free], whose value is bit 23 of the type:
 * if n <= b.limit - b.next, the object is b.next, b.next += n, and its first 8 bytes become `type`. Else call
 * sinter_gc_alloc_slow().
 */
static inline void *sinter_gc_alloc(sinter_gc_mutator *mutator, sinter_gc_type type, size_t size)
{
    struct sinter_gc_bump *bump = &mutator->bump[type >> 23 & 1];
    size_t rounded = (size + SINTER_GC_GRANULE - 1) & ~(size_t)(SINTER_GC_GRANULE - 1);
    char *object = bump->next;
    if (__builtin_expect(rounded - 1 >= (size_t)(bump->limit - object),
                         0)) /* also 0, and what wraps around */
        return sinter_gc_alloc_slow(mutator, type, size);
    bump->next = object + rounded;
    *(uint64_t *)object = type;
    return object;
}

/* A new object with a tail of `count` elements, which is noted at the layout's count_offset. errno EINVAL: it has none. */
void *sinter_gc_alloc_array(sinter_gc_mutator *mutator, sinter_gc_type type, size_t count);

/* As sinter_gc_alloc(), but the object never moves; until it is unpinned, it is also kept alive. */
void *sinter_gc_alloc_pinned(sinter_gc_mutator *mutator, sinter_gc_type type, size_t size);

/* The size of an object, header included. No safepoint. */
size_t sinter_gc_size_of(const sinter_gc_heap *heap, const void *object);

/* ---- roots ---- */

/*
 * A frame of the shadow stack: the addresses of `count` variables; or, with a negative count, one address, that of an array of
 * -count references.
 */
struct sinter_gc_frame {
    struct sinter_gc_frame *previous;
    sinter_gc_mutator *mutator;
    ptrdiff_t count;
    void *const *slots;
};

static inline struct sinter_gc_frame sinter_gc_frame_push_(struct sinter_gc_frame *frame,
                                                           sinter_gc_mutator *mutator, ptrdiff_t count,
                                                           void *const *slots)
{
    struct sinter_gc_frame made = {mutator->frames, mutator, count, slots};
    __asm__(
        ""
        : "+r"(
            frame)); /* that it is linked from the mutator only while it lives is more than a compiler sees */
    mutator->frames = frame;
    return made;
}

static inline void sinter_gc_frame_pop_(struct sinter_gc_frame *frame)
{
    frame->mutator->frames = frame->previous;
}

#define SINTER_GC_PASTE_(a, b)                                        SINTER_GC_PASTE2_(a, b)
#define SINTER_GC_PASTE2_(a, b)                                       a##b
#define SINTER_GC_COUNT_(...)                                         SINTER_GC_COUNT2_(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define SINTER_GC_COUNT2_(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define SINTER_GC_ADDR1_(a)                                           (void *)&(a)
#define SINTER_GC_ADDR2_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR1_(__VA_ARGS__)
#define SINTER_GC_ADDR3_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR2_(__VA_ARGS__)
#define SINTER_GC_ADDR4_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR3_(__VA_ARGS__)
#define SINTER_GC_ADDR5_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR4_(__VA_ARGS__)
#define SINTER_GC_ADDR6_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR5_(__VA_ARGS__)
#define SINTER_GC_ADDR7_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR6_(__VA_ARGS__)
#define SINTER_GC_ADDR8_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR7_(__VA_ARGS__)
#define SINTER_GC_ADDR9_(a, ...)                                      (void *)&(a), SINTER_GC_ADDR8_(__VA_ARGS__)
#define SINTER_GC_ADDR10_(a, ...)                                     (void *)&(a), SINTER_GC_ADDR9_(__VA_ARGS__)
#define SINTER_GC_ADDR11_(a, ...)                                     (void *)&(a), SINTER_GC_ADDR10_(__VA_ARGS__)
#define SINTER_GC_ADDR12_(a, ...)                                     (void *)&(a), SINTER_GC_ADDR11_(__VA_ARGS__)

#define SINTER_GC_FRAME_(id, mutator, count, ...)                                                            \
    void *const SINTER_GC_PASTE_(sinter_gc_slots_, id)[] = {__VA_ARGS__};                                    \
    struct sinter_gc_frame SINTER_GC_PASTE_(sinter_gc_frame_, id)                                            \
        __attribute__((cleanup(sinter_gc_frame_pop_))) =                                                     \
            sinter_gc_frame_push_(&SINTER_GC_PASTE_(sinter_gc_frame_, id), (mutator), (count),               \
                                  SINTER_GC_PASTE_(sinter_gc_slots_, id))

/*
 * Makes up to 12 initialised local variables roots until the end of the enclosing block:
 *
 *     struct pair *head = NULL, *rest = list;
 *     SINTER_GC_ROOTS(mutator, head, rest);
 */
#define SINTER_GC_ROOTS(mutator, ...)                                                                        \
    SINTER_GC_FRAME_(                                                                                        \
        __COUNTER__, mutator, SINTER_GC_COUNT_(__VA_ARGS__),                                                 \
        SINTER_GC_PASTE_(SINTER_GC_PASTE_(SINTER_GC_ADDR, SINTER_GC_COUNT_(__VA_ARGS__)), _)(__VA_ARGS__))

/* Makes the `count` references from `array` on roots until the end of the enclosing block. */
#define SINTER_GC_ROOT_ARRAY(mutator, array, count)                                                          \
    SINTER_GC_FRAME_(__COUNTER__, mutator, -(ptrdiff_t)(count), (void *)(array))

/* A reference held by something outside the heap. NULL with errno ENOMEM. No safepoints. */
typedef struct sinter_gc_handle sinter_gc_handle;

sinter_gc_handle *sinter_gc_handle_new(sinter_gc_mutator *mutator, void *object);
void *sinter_gc_handle_get(sinter_gc_mutator *mutator, const sinter_gc_handle *handle);
void sinter_gc_handle_set(sinter_gc_mutator *mutator, sinter_gc_handle *handle, void *object);
void sinter_gc_handle_free(sinter_gc_mutator *mutator, sinter_gc_handle *handle);

/* Variables that are roots until they are removed. -1 with errno ENOMEM, or ENOENT. */
int sinter_gc_root_add(sinter_gc_heap *heap, void **variable);
int sinter_gc_root_remove(sinter_gc_heap *heap, void **variable);

/*
 * `roots` is called while all mutators stand still and has to call `edge` with the address of each reference that it knows
 * of: several times a collection. It may not call anything else here.
 */
typedef void (*sinter_gc_roots)(void *data, sinter_gc_edge edge, void *context);
int sinter_gc_roots_add(sinter_gc_heap *heap, sinter_gc_roots roots, void *data);
int sinter_gc_roots_remove(sinter_gc_heap *heap, sinter_gc_roots roots, void *data);

/* Memory in which any word may be a reference, also into the midst of an object: what it points at stays where it is. */
int sinter_gc_ambiguous_add(sinter_gc_heap *heap, const void *start, size_t size);
int sinter_gc_ambiguous_remove(sinter_gc_heap *heap, const void *start);

/* The same for the stack and the registers of this mutator. */
void sinter_gc_scan_stack(sinter_gc_mutator *mutator, bool on);

/* ---- what belongs to objects ---- */

/*
 * Between these two an object stays where it is, and alive. They count. For buffers that the kernel works on while no thread
 * waits for it, such as io_uring's. Where sinter_gc_stats says that userfaultfd serves user mode only (`served`), and with
 * system calls that block, it is needed for any buffer in the heap.
 */
int sinter_gc_pin(sinter_gc_mutator *mutator, void *object);
void sinter_gc_unpin(sinter_gc_mutator *mutator, void *object);

/* A number that stays with the object, never 0. */
uint32_t sinter_gc_hash(sinter_gc_mutator *mutator, void *object);

/*
 * Objects that hold a reference that does not keep its target alive; it is NULL once that has died. An object with a
 * finalizer has died when it is put into the queue. Their types are Sinter's; treat them as any other reference.
 */
void *sinter_gc_weak_new(sinter_gc_mutator *mutator, void *target);
void *sinter_gc_weak_get(const void *weak);

/* A key, held weakly, and a value that lives as long as the key and the ephemeron do. Both are NULL once the key has died. */
void *sinter_gc_ephemeron_new(sinter_gc_mutator *mutator, void *key, void *value);
void *sinter_gc_ephemeron_key(const void *ephemeron);
void *sinter_gc_ephemeron_value(const void *ephemeron);
void sinter_gc_ephemeron_set_value(void *ephemeron, void *value);

/*
 * When nothing else refers to the object any more it is put into a queue, once, and kept alive until it has been taken from
 * there; whoever takes it may do with it what they like, also keep it. Objects that refer to one another come in the order
 * in which they were added. -1 with errno ENOMEM.
 */
int sinter_gc_finalizer_add(sinter_gc_mutator *mutator, void *object, void *data);

/* The next of the queue and its `data`; NULL if there is none. */
void *sinter_gc_finalizer_next(sinter_gc_mutator *mutator, void **data);

/* ---- collecting ---- */

enum sinter_gc_collect {
    SINTER_GC_COLLECT_MINOR, /* what is garbage of that which was allocated since the last one, if that can be told; else all */
    SINTER_GC_COLLECT,         /* all garbage; objects move if that wins much */
    SINTER_GC_COLLECT_COMPACT, /* everything that can be compacted is; waits until all is in its place */
    SINTER_GC_COLLECT_RELEASE  /* the same, and what is free goes back to the system */
};

/* Collects now. */
void sinter_gc_collect(sinter_gc_mutator *mutator, enum sinter_gc_collect how);

/*
 * What happens, for those who want to know. Members may be NULL. Called by the collecting thread, whose descriptors are not the
 * program's: what it writes to 0, 1 or 2 is lost.
 */
struct sinter_gc_events {
    void *data;
    void (*stopped)(void *data); /* all mutators stand still */
    void (*marked)(void *data, size_t live);
    void (*flipped)(void *data);    /* roots are rewritten; mutators go on */
    void (*finished)(void *data);   /* all objects are where they belong */
    void (*finalizers)(void *data); /* there are some in the queue */
    /*
     * In the mutator that wants memory: `size` bytes cannot be had. True: it has made room, try once more. The
     * mutator stands at a safepoint.
     */
    bool (*out_of_memory)(void *data, sinter_gc_mutator *mutator, size_t size);
};

/* NULL: none any more. */
void sinter_gc_listen(sinter_gc_heap *heap, const struct sinter_gc_events *events);

/* ---- looking ---- */

enum { SINTER_GC_SERVED_NOT, SINTER_GC_SERVED_USER, SINTER_GC_SERVED_ALL };

/* Durations are in nanoseconds, sizes in bytes. `pause` is all time that a mutator could not go on, faults included. */
struct sinter_gc_stats {
    uint64_t size; /* of this struct, in the library that filled it */
    uint64_t
        served; /* SINTER_GC_SERVED_*: whose touches of objects on the move wait; NOT: threads stay stopped */
    uint64_t used;      /* in blocks that hold objects */
    uint64_t live;      /* found alive by the last collection, or taken to be by a minor one */
    uint64_t stock;     /* free, with memory behind it */
    uint64_t allocated; /* since the heap began, in whole blocks */
    uint64_t collections, compactions;
    uint64_t moved_whole, moved_copied,
        moved_pinned;  /* bytes that moved with their pages, were copied, had to stay */
    uint64_t released; /* given back to the system */
    uint64_t faults;   /* touches of objects on the move */
    uint64_t pauses, pause_p50, pause_p99, pause_p999, pause_max;
    uint64_t flip_p50, flip_p99, flip_max;
    /* Of those touches: from when the service saw that somebody waits until the object is there. The waking of either is not in it. */
    uint64_t stall_p50, stall_p99, stall_p999, stall_max;
    uint64_t mark_time, plan_time, flip_time, move_time; /* of all collections */
    uint64_t cpu;                                        /* of the collecting threads */
    uint64_t threads;                                    /* attached */
    uint64_t minor;                                      /* of the collections */
    uint64_t faults_mode; /* SINTER_GC_FAULTS_*: in force, once the heap is there */
    uint64_t faults_own;  /* of `faults`: answered by the thread that had them alone */
};

/* Fills at most `size` bytes. */
void sinter_gc_stats_get(sinter_gc_heap *heap, struct sinter_gc_stats *stats, size_t size);

/* The same as text, or as a line of JSON, to a descriptor. 0, or -1 with the errno of write(2). */
int sinter_gc_stats_text(sinter_gc_heap *heap, int fd);
int sinter_gc_stats_json(sinter_gc_heap *heap, int fd);

/* Calls `visit` with every object, garbage that was not collected yet included, while all mutators stand still. */
void sinter_gc_walk(sinter_gc_mutator *mutator,
                    void (*visit)(void *data, void *object, sinter_gc_type type, size_t size), void *data);

/* Writes all live objects, their types and what refers to what, for sinter-gc-heap(1). 0, or -1 with errno. */
int sinter_gc_dump(sinter_gc_mutator *mutator, int fd);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
