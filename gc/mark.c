/*
 * Each worker has a stack of references to objects that may not be marked yet, in pieces; a worker that has nothing takes a
 * piece that another has to spare. What comes from the stack passes a short queue, in which its memory is fetched, before it
 * is marked and looked into. If there is no memory for a piece, the object is marked at once and its block noted, to be gone
 * through for marked objects when the stacks are empty.
 */
#include "mark.h"

#include "crew.h"
#include "fatal.h"
#include "keys.h"
#include "object.h"
#include "os.h"
#include "roots.h"
#include "vector.h"
#include "weak.h"
#include "written.h"

enum { PIECE_OBJECTS = 510, AHEAD = 8 };

struct piece {
    struct piece *next;
    size_t count;
    void *objects[PIECE_OBJECTS];
};

struct worker {
    struct piece *top;   /* the one in use; there is always one */
    struct piece *rest;  /* full ones */
    struct piece *spare; /* an empty one, or NULL */
    void *ahead[AHEAD];  /* the queue */
    unsigned ahead_at;
    struct found found;
    bool atomic; /* others mark at the same time */
};

struct mark {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct piece *_Atomic shared; /* for whoever needs one; changed with the lock held */
    unsigned idle, workers;
    _Atomic bool done;
    _Atomic unsigned hungry; /* workers that wait */
    _Atomic bool overflow;
    struct worker worker[WORKERS_MAX];
    sinter_gc_heap *heap;
    struct keys *keys;
};

struct marking {
    struct mark *mark;
    sinter_gc_heap *heap;
    struct worker *w;
    struct keys *keys; /* NULL: none wait */
};

static inline struct marking marking_by(struct mark *mark, unsigned worker)
{
    return (struct marking){mark, mark->heap, &mark->worker[worker], mark->keys};
}

/* ---- the stack ---- */

static struct piece *new_piece(struct worker *w)
{
    struct piece *piece = w->spare != NULL ? w->spare : malloc(sizeof(*piece));
    w->spare = NULL;
    if (piece != NULL)
        piece->count = 0;
    return piece;
}

static void drop_piece(struct worker *w, struct piece *piece)
{
    if (w->spare == NULL)
        w->spare = piece;
    else
        free(piece);
}

static void share(struct mark *mark, struct piece *piece)
{
    pthread_mutex_lock(&mark->lock);
    piece->next = mark->shared;
    mark->shared = piece;
    pthread_cond_signal(&mark->changed);
    pthread_mutex_unlock(&mark->lock);
}

/* The top piece is full. */
static bool push_piece(struct mark *mark, struct worker *w)
{
    struct piece *piece = new_piece(w);
    if (piece == NULL)
        return false;
    if (load_relaxed(&mark->hungry) > 0) {
        share(mark, w->top);
    } else {
        w->top->next = w->rest;
        w->rest = w->top;
    }
    w->top = piece;
    return true;
}

static bool push(struct marking *m, void *object)
{
    struct worker *w = m->w;
    if (unlikely(w->top->count == PIECE_OBJECTS) && !push_piece(m->mark, w))
        return false;
    w->top->objects[w->top->count++] = object;
    return true;
}

static void *pop(struct worker *w)
{
    if (w->top->count == 0) {
        struct piece *piece = w->rest;
        if (piece == NULL)
            return NULL;
        w->rest = piece->next;
        drop_piece(w, w->top);
        w->top = piece;
    }
    return w->top->objects[--w->top->count];
}

/* NULL when stack and queue are empty. */
static void *pop_fetched(struct worker *w)
{
    void *object = NULL;
    for (unsigned i = 0; i < 2 * AHEAD && object == NULL; i++) {
        void **at = &w->ahead[w->ahead_at++ % AHEAD];
        object = *at;
        *at = pop(w);
        if (*at != NULL)
            __builtin_prefetch(*at);
    }
    return object;
}

/* ---- marking one object ---- */

/* Sets bits; returns those that were set before. */
static uint64_t set_bits(_Atomic uint64_t *word, uint64_t bits, bool atomically)
{
    if (atomically)
        return atomic_fetch_or_explicit(word, bits, memory_order_relaxed);
    uint64_t old = load_relaxed(word);
    store_relaxed(word, old | bits);
    return old;
}

static inline uint64_t live_bits(unsigned from, unsigned granules)
{
    return (((uint64_t)1 << granules) - 1) << (WORD_GRANULES + from);
}

/* Those in further words than the first. */
static void set_more_live(struct maps *maps, unsigned word, unsigned granules, bool atomically)
{
    for (; granules > 0; word++) {
        unsigned n = granules < WORD_GRANULES ? granules : WORD_GRANULES;
        set_bits(&maps->words[word], live_bits(0, n), atomically);
        granules -= n;
    }
}

static unsigned size_of_any(sinter_gc_heap *heap, uint32_t block, const void *object)
{
    const struct sinter_gc_layout *layout = &type_of(heap, object)->layout;
    if (layout->visit != NULL || layout->size_of != NULL)
        store_relaxed(&heap->blocks[block].calls, true);
    return (unsigned)object_granules(heap, object);
}

static inline unsigned size_in_granules(sinter_gc_heap *heap, uint32_t block, const void *object)
{
    unsigned granules = quick_type_of(heap, object)->granules;
    return likely(granules != 0) ? granules : size_of_any(heap, block, object);
}

/* False if it was marked before. */
static bool mark_small(struct marking *m, uint32_t block, void *object)
{
    struct maps *maps = &m->heap->maps[block];
    unsigned granule = granule_of(m->heap, object), from = granule % WORD_GRANULES,
             word = granule / WORD_GRANULES;
    unsigned granules = size_in_granules(m->heap, block, object), room = WORD_GRANULES - from;
    unsigned here = granules < room ? granules : room;
    uint64_t start = (uint64_t)1 << from;
    if (set_bits(&maps->words[word], start | live_bits(from, here), m->w->atomic) & start)
        return false;
    set_more_live(maps, word + 1, granules - here, m->w->atomic);
    return true;
}

/* Marks it. Returns whether there is something to look into that nobody has looked into yet. */
static bool mark_object(struct marking *m, void *object)
{
    uint32_t block = block_of(m->heap, object);
    struct block *b = &m->heap->blocks[block];
    bool is_new = b->state == BLOCK_LARGE ? !atomic_exchange_explicit(&b->marked, true, memory_order_relaxed)
                                          : mark_small(m, block, object);
    if (unlikely(m->keys != NULL) && is_new)
        keys_marked(m->keys, object);
    return is_new && !b->leaf;
}

bool mark_is_marked(const sinter_gc_heap *heap, const void *object)
{
    if (!is_reference(heap, object))
        return true;
    uint32_t block = block_of(heap, object);
    if (heap->blocks[block].state == BLOCK_LARGE)
        return load_relaxed(&heap->blocks[block].marked);
    return starts_at(&heap->maps[block], granule_of(heap, object));
}

INLINE void mark_edge(void **reference, void *context)
{
    struct marking *m = context;
    void *object = *reference;
    if (!is_reference(m->heap, object) || mark_is_marked(m->heap, object))
        return;
    if (likely(push(m, object)) || !mark_object(m, object))
        return;
    store_relaxed(&m->heap->blocks[block_of(m->heap, object)].rescan, true);
    atomic_store(&m->mark->overflow, true);
}

/* ---- looking into objects ---- */

/* Without memory to note it, the safe side: it is kept as if it were not weak. */
static void note(struct marking *m, struct vector *found, void *object)
{
    if (!vector_push(found, &object, sizeof(object)))
        object_visit(m->heap, object, mark_edge, m);
}

static void look_into_any(struct marking *m, void *object)
{
    switch (type_of(m->heap, object)->special) {
    case ORDINARY:
        if (m->heap->blocks[block_of(m->heap, object)].state == BLOCK_LARGE)
            object_visit_large(m->heap, object, mark_edge, m);
        else
            object_visit(m->heap, object, mark_edge, m);
        break;
    case WEAK:
        note(m, &m->w->found.weak, object);
        break;
    case EPHEMERON:
        if (mark_is_marked(m->heap, ephemeron_key(object)))
            object_visit(m->heap, object, mark_edge, m);
        else
            note(m, &m->w->found.ephemerons, object);
        break;
    }
}

static inline void look_into(struct marking *m, void *object)
{
    const struct quick_type *type = quick_type_of(m->heap, object);
    if (likely(type->granules != 0))
        visit_map(object, type->references, object, (const char *)UINTPTR_MAX, mark_edge, m);
    else
        look_into_any(m, object);
}

/* Somebody has nothing to do: half of what is on the stack, the older half, which is likely to lead to more. */
static void share_half(struct mark *mark, struct worker *w)
{
    enum { LEAST = 4 };
    size_t half = w->top->count / 2;
    struct piece *piece = half >= LEAST ? new_piece(w) : NULL;
    if (piece == NULL)
        return;
    memcpy(piece->objects, w->top->objects, half * sizeof(void *));
    memmove(w->top->objects, w->top->objects + half, (w->top->count - half) * sizeof(void *));
    piece->count = half;
    w->top->count -= half;
    share(mark, piece);
}

/* Waking a thread that sleeps may take longer than marking what it was woken for. */
static void spin_for_work(const struct mark *mark)
{
    enum { SPINS = 2000 };
    for (int i = 0; i < SPINS && load_relaxed(&mark->shared) == NULL && !load_relaxed(&mark->done); i++)
        os_relax();
}

/* False when all are done. */
static bool wait_for_work(struct mark *mark, struct worker *w)
{
    add_relaxed(&mark->hungry, 1);
    if (mark->workers > 1)
        spin_for_work(mark);
    pthread_mutex_lock(&mark->lock);
    if (++mark->idle == mark->workers && mark->shared == NULL) {
        mark->done = true;
        pthread_cond_broadcast(&mark->changed);
    }
    while (mark->shared == NULL && !mark->done)
        pthread_cond_wait(&mark->changed, &mark->lock);
    struct piece *piece = mark->shared;
    if (piece != NULL) {
        mark->shared = piece->next;
        mark->idle--;
    }
    sub_relaxed(&mark->hungry, 1);
    pthread_mutex_unlock(&mark->lock);
    if (piece == NULL)
        return false;
    drop_piece(w, w->top);
    w->top = piece;
    return true;
}

static inline void mark_and_look_into(struct marking *m, void *object)
{
    if (mark_object(m, object))
        look_into(m, object);
}

/* Waking the others may take longer than what there is to do. False if it is not done after so many objects. */
static bool work_alone(struct mark *mark)
{
    enum { OBJECTS = 10000 };
    struct worker *w = &mark->worker[0];
    struct marking m = marking_by(mark, 0);
    w->atomic = false;
    for (unsigned i = 0; i < OBJECTS; i++) {
        void *object = pop_fetched(w);
        if (object == NULL)
            return true;
        mark_and_look_into(&m, object);
    }
    return false;
}

static void work(unsigned number, void *context)
{
    struct mark *mark = context;
    struct worker *w = &mark->worker[number];
    struct marking m = marking_by(mark, number);
    do {
        for (void *object; (object = pop_fetched(w)) != NULL;) {
            mark_and_look_into(&m, object);
            if (unlikely(load_relaxed(&mark->hungry) > 0) && load_relaxed(&mark->shared) == NULL)
                share_half(mark, w);
        }
    } while (wait_for_work(mark, w));
}

static void rescan_block(struct marking *m, uint32_t block)
{
    struct block *b = &m->heap->blocks[block];
    char *address = block_home(m->heap, block), *object;
    unsigned granule = 0;
    store_relaxed(&b->rescan, false);
    if (b->state == BLOCK_LARGE) {
        object_visit_large(m->heap, address, mark_edge, m);
        return;
    }
    bool fresh = b->fresh;
    b->fresh = false; /* by the bits, which are those of this mark */
    while ((object = next_object(m->heap, block, address, &granule)) != NULL)
        look_into(m, object);
    b->fresh = fresh;
}

/* What was marked while there was no room for it. */
static void rescan(struct marking *m)
{
    for (uint32_t block = 0; block < m->heap->frontier; block++) {
        if (load_relaxed(&m->heap->blocks[block].rescan))
            rescan_block(m, block);
    }
}

/* Goes on until nothing that is marked was not looked into. */
static void run(struct mark *mark, unsigned workers)
{
    do {
        mark->idle = 0;
        mark->done = false;
        mark->workers = workers;
        for (unsigned i = 0; i < workers; i++)
            mark->worker[i].atomic = workers > 1;
        crew_run(mark->heap->crew, workers, work, mark);
        struct marking m = marking_by(mark, 0);
        if (!atomic_exchange(&mark->overflow, false))
            return;
        rescan(&m);
    } while (true);
}

void mark_tell(sinter_gc_heap *heap, struct keys *keys)
{
    heap->mark->keys = keys;
}

void mark_more(sinter_gc_heap *heap, void *object)
{
    struct marking m = marking_by(heap->mark, 0);
    if (mark_is_marked(heap, object))
        return;
    mark_edge(&object, &m);
    run(heap->mark, 1);
}

/* ---- ambiguous roots ---- */

static void *small_around(const sinter_gc_heap *heap, uint32_t block, const char *address)
{
    const struct block *b = &heap->blocks[block];
    char *start = block_home(heap, block), *object;
    unsigned granule = 0;
    while ((object = next_object(heap, block, start, &granule)) != NULL && object <= address) {
        if (address < start + granule * GRANULE_BYTES)
            return b->state == BLOCK_CLOSED ? object : NULL;
    }
    return NULL;
}

void *mark_object_around(const sinter_gc_heap *heap, const void *address)
{
    if (!is_reference(heap, (const void *)align_down((uintptr_t)address, GRANULE_BYTES)))
        return NULL;
    uint32_t block = block_of(heap, address);
    const struct block *b = &heap->blocks[block];
    if (block >= heap->frontier || window_of(heap, address) != b->home)
        return NULL;
    if (b->state == BLOCK_CLOSED)
        return small_around(heap, block, address);
    if (b->state != BLOCK_LARGE && b->state != BLOCK_TAIL)
        return NULL;
    char *object = block_home(heap, first_of_run(heap, block));
    return (const char *)address < object + object_size(heap, object) ? object : NULL;
}

static void note_ambiguous(void *value, void *context)
{
    struct marking *m = context;
    void *object = mark_object_around(m->heap, value);
    if (object != NULL && !vector_push(&m->heap->pinned, &object, sizeof(object)))
        fatal("out of memory while noting an object that must not move");
}

/*
 * What is alive was said by the last mark, which is needed until ambiguous roots have been resolved. A minor cycle leaves it at
 * that for what is old.
 */
static void forget(sinter_gc_heap *heap)
{
    for (uint32_t block = 0; block < heap->frontier; block++) {
        struct block *b = &heap->blocks[block];
        b->pinned = false;
        store_relaxed(&b->rescan, false);
        if (heap->minor && !b->fresh)
            continue;
        store_relaxed(&b->calls, false);
        if (b->state == BLOCK_CLOSED)
            memset(&heap->maps[block], 0, sizeof(heap->maps[block]));
        else if (b->state == BLOCK_LARGE)
            store_relaxed(&b->marked, false);
    }
}

/* ---- old objects that were written to ---- */

static unsigned pages_of(const char *from, const char *end)
{
    unsigned first = (unsigned)((uintptr_t)from % BLOCK_BYTES >> PAGE_BITS),
             last = (unsigned)((uintptr_t)(end - 1) % BLOCK_BYTES >> PAGE_BITS);
    return (2u << last) - (1u << first);
}

static void look_into_small(struct marking *m, uint32_t block, unsigned pages)
{
    char *address = block_home(m->heap, block), *object;
    unsigned granule = 0;
    while ((object = next_object(m->heap, block, address, &granule)) != NULL) {
        if (pages_of(object, address + granule * GRANULE_BYTES) & pages)
            look_into_any(m, object);
    }
}

/* The references that lie in these pages of a large object; all, where only a callback knows them. */
static void look_into_part(struct marking *m, uint32_t block, unsigned pages)
{
    char *object = block_home(m->heap, first_of_run(m->heap, block)), *address = block_home(m->heap, block);
    const struct sinter_gc_layout *layout = &type_of(m->heap, object)->layout;
    if (layout->visit != NULL) {
        layout->visit(object, mark_edge, m);
        return;
    }
    for (; pages != 0; pages &= pages - 1) {
        const char *from = address + (size_t)__builtin_ctz(pages) * PAGE_BYTES;
        object_visit_part(layout, object_tail(layout, object), object, from, from + PAGE_BYTES, mark_edge, m);
    }
}

static void look_into_written(void *context, uint32_t block, unsigned pages)
{
    struct marking *m = context;
    if (m->heap->blocks[block].state == BLOCK_CLOSED)
        look_into_small(m, block, pages);
    else
        look_into_part(m, block, pages);
}

/* ---- the whole ---- */

static void pin_all(struct marking *m)
{
    for (size_t i = 0; i < m->heap->pinned.count; i++) {
        void *object = ((void **)m->heap->pinned.items)[i];
        m->heap->blocks[block_of(m->heap, object)].pinned = true;
        mark_edge(&object, m);
    }
    m->heap->pinned.count = 0;
}

void mark_all(sinter_gc_heap *heap)
{
    struct mark *mark = heap->mark;
    struct marking m = marking_by(mark, 0);
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        mark->worker[i].found.weak.count = mark->worker[i].found.ephemerons.count = 0;
    roots_visit_ambiguous(heap, note_ambiguous, &m);
    forget(heap);
    pin_all(&m);
    roots_visit(heap, mark_edge, &m);
    weak_visit_queue(heap, mark_edge, &m);
    if (heap->minor)
        heap->written = written_visit(heap, look_into_written, &m);
    run(mark, work_alone(mark) ? 1 : crew_size(heap->crew));
}

unsigned mark_workers(const sinter_gc_heap *heap)
{
    return crew_size(heap->crew);
}

struct found *mark_found(const sinter_gc_heap *heap, unsigned worker)
{
    return &heap->mark->worker[worker].found;
}

bool mark_create(sinter_gc_heap *heap)
{
    struct mark *mark = heap->mark = calloc(1, sizeof(*mark));
    if (mark == NULL)
        return false;
    pthread_mutex_init(&mark->lock, NULL);
    pthread_cond_init(&mark->changed, NULL);
    mark->heap = heap;
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        mark->worker[i].top = calloc(1, sizeof(struct piece));
        if (mark->worker[i].top == NULL)
            return false;
    }
    return true;
}

void mark_destroy(sinter_gc_heap *heap)
{
    struct mark *mark = heap->mark;
    for (unsigned i = 0; mark != NULL && i < WORKERS_MAX; i++) {
        free(mark->worker[i].top);
        free(mark->worker[i].spare);
        vector_free(&mark->worker[i].found.weak);
        vector_free(&mark->worker[i].found.ephemerons);
    }
    free(mark);
    vector_free(&heap->pinned);
    vector_free(&heap->staying);
    vector_free(&heap->vacated);
    vector_free(&heap->first);
}
