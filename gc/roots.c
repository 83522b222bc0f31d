#include "roots.h"

#include "vector.h"
#include "world.h"

#include <errno.h>
#include <search.h>

struct callback {
    sinter_gc_roots roots;
    void *data;
};

struct range {
    const char *start;
    size_t size;
};

struct pin {
    const void *object; /* first: pins are compared by it */
    size_t count;
};

struct sinter_gc_handle {
    void *object;
    struct sinter_gc_handle *next; /* free */
};

enum { HANDLES = 255 };

struct handles {
    struct handles *next;
    struct sinter_gc_handle slots[HANDLES];
};

/* ---- visiting ---- */

static void visit_frames(const struct mutator *m, sinter_gc_edge edge, void *context)
{
    for (const struct sinter_gc_frame *frame = m->public.frames; frame != NULL; frame = frame->previous) {
        for (ptrdiff_t i = 0; i < frame->count; i++)
            edge((void **)frame->slots[i], context);
        for (ptrdiff_t i = 0; i < -frame->count; i++)
            edge((void **)frame->slots[0] + i, context);
    }
}

static void visit_handles(const sinter_gc_heap *heap, sinter_gc_edge edge, void *context)
{
    for (struct handles *h = heap->handles; h != NULL; h = h->next) {
        for (int i = 0; i < HANDLES; i++)
            edge(&h->slots[i].object, context);
    }
}

void roots_visit(sinter_gc_heap *heap, sinter_gc_edge edge, void *context)
{
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next)
        visit_frames(m, edge, context);
    visit_handles(heap, edge, context);
    for (size_t i = 0; i < heap->variables.count; i++)
        edge(((void ***)heap->variables.items)[i], context);
    for (size_t i = 0; i < heap->callbacks.count; i++) {
        const struct callback *c = (struct callback *)heap->callbacks.items + i;
        c->roots(c->data, edge, context);
    }
}

typedef void (*word_visitor)(void *value, void *context);

/* Reads what may be anything, also what a sanitizer holds to be out of bounds. */
static __attribute__((no_sanitize("address", "thread"))) void visit_range(const char *start, const char *end,
                                                                          word_visitor word, void *context)
{
    start = (const char *)align_up((uintptr_t)start, sizeof(void *));
    for (; start + sizeof(void *) <= end; start += sizeof(void *))
        word(*(void *const *)start, context);
}

static void visit_stack(const struct mutator *m, word_visitor word, void *context)
{
    const char *registers = (const char *)&m->registers;
    visit_range(registers, registers + sizeof(m->registers), word, context);
    visit_range(m->stack_top, m->stack_base, word, context);
}

struct pin_visit {
    word_visitor word;
    void *context;
};

static void visit_pin(const void *node, VISIT which, void *closure)
{
    const struct pin *pin = *(struct pin *const *)node;
    const struct pin_visit *visit = closure;
    if (which == postorder || which == leaf)
        visit->word((void *)pin->object, visit->context);
}

void roots_visit_ambiguous(sinter_gc_heap *heap, word_visitor word, void *context)
{
    struct pin_visit visit = {word, context};
    twalk_r(heap->pins, visit_pin, &visit);
    for (size_t i = 0; i < heap->ranges.count; i++) {
        const struct range *r = (struct range *)heap->ranges.items + i;
        visit_range(r->start, r->start + r->size, word, context);
    }
    for (struct mutator *m = heap->mutators; m != NULL; m = m->next) {
        if (m->scan_stack && m->stack_base != NULL)
            visit_stack(m, word, context);
    }
}

/* ---- variables, callbacks, ranges ---- */

static int add(sinter_gc_heap *heap, struct vector *v, const void *item, size_t size)
{
    pthread_mutex_lock(&heap->roots_lock);
    bool done = vector_push(v, item, size);
    pthread_mutex_unlock(&heap->roots_lock);
    errno = done ? errno : ENOMEM;
    return done ? 0 : -1;
}

/* Removes the last one whose first `same` bytes are those. */
static int drop(sinter_gc_heap *heap, struct vector *v, const void *item, size_t size, size_t same)
{
    pthread_mutex_lock(&heap->roots_lock);
    size_t i = v->count;
    while (i > 0 && memcmp((char *)v->items + (i - 1) * size, item, same) != 0)
        i--;
    if (i > 0) {
        char *at = (char *)v->items + (i - 1) * size;
        memmove(at, at + size, (v->count - i) * size);
        v->count--;
    }
    pthread_mutex_unlock(&heap->roots_lock);
    errno = i > 0 ? errno : ENOENT;
    return i > 0 ? 0 : -1;
}

int sinter_gc_root_add(sinter_gc_heap *heap, void **variable)
{
    return add(heap, &heap->variables, &variable, sizeof(variable));
}

int sinter_gc_root_remove(sinter_gc_heap *heap, void **variable)
{
    return drop(heap, &heap->variables, &variable, sizeof(variable), sizeof(variable));
}

int sinter_gc_roots_add(sinter_gc_heap *heap, sinter_gc_roots roots, void *data)
{
    struct callback c = {roots, data};
    return add(heap, &heap->callbacks, &c, sizeof(c));
}

int sinter_gc_roots_remove(sinter_gc_heap *heap, sinter_gc_roots roots, void *data)
{
    struct callback c = {roots, data};
    return drop(heap, &heap->callbacks, &c, sizeof(c), sizeof(c));
}

int sinter_gc_ambiguous_add(sinter_gc_heap *heap, const void *start, size_t size)
{
    struct range r = {start, size};
    return add(heap, &heap->ranges, &r, sizeof(r));
}

int sinter_gc_ambiguous_remove(sinter_gc_heap *heap, const void *start)
{
    return drop(heap, &heap->ranges, &start, sizeof(struct range), sizeof(start));
}

/* ---- handles ---- */

/* The roots lock is held. */
static bool more_handles(sinter_gc_heap *heap)
{
    struct handles *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return false;
    h->next = heap->handles;
    heap->handles = h;
    for (int i = 0; i < HANDLES; i++) {
        h->slots[i].next = heap->free_handles;
        heap->free_handles = &h->slots[i];
    }
    return true;
}

sinter_gc_handle *sinter_gc_handle_new(sinter_gc_mutator *mutator, void *object)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    pthread_mutex_lock(&heap->roots_lock);
    sinter_gc_handle *handle = NULL;
    if (heap->free_handles != NULL || more_handles(heap)) {
        handle = heap->free_handles;
        heap->free_handles = handle->next;
        handle->object = object;
    }
    pthread_mutex_unlock(&heap->roots_lock);
    if (handle == NULL)
        errno = ENOMEM;
    return handle;
}

void *sinter_gc_handle_get(sinter_gc_mutator *mutator, const sinter_gc_handle *handle)
{
    (void)mutator;
    return handle->object;
}

void sinter_gc_handle_set(sinter_gc_mutator *mutator, sinter_gc_handle *handle, void *object)
{
    (void)mutator;
    handle->object = object;
}

void sinter_gc_handle_free(sinter_gc_mutator *mutator, sinter_gc_handle *handle)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    if (handle == NULL)
        return;
    pthread_mutex_lock(&heap->roots_lock);
    handle->object = NULL;
    handle->next = heap->free_handles;
    heap->free_handles = handle;
    pthread_mutex_unlock(&heap->roots_lock);
}

/* ---- pins ---- */

static int compare_pins(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct pin *)a)->object, y = (uintptr_t)((const struct pin *)b)->object;
    return x < y ? -1 : x > y;
}

/* The pin of the object, made if need be; NULL if memory is exhausted. The roots lock is held. */
static struct pin *pin_of(sinter_gc_heap *heap, const void *object)
{
    struct pin *made = malloc(sizeof(*made));
    if (made == NULL)
        return NULL;
    *made = (struct pin){object, 0};
    struct pin **found = tsearch(made, &heap->pins, compare_pins);
    if (found == NULL || *found != made)
        free(made);
    return found != NULL ? *found : NULL;
}

int sinter_gc_pin(sinter_gc_mutator *mutator, void *object)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    pthread_mutex_lock(&heap->roots_lock);
    struct pin *pin = pin_of(heap, object);
    if (pin != NULL)
        pin->count++;
    pthread_mutex_unlock(&heap->roots_lock);
    if (pin == NULL) {
        errno = ENOMEM;
        return -1;
    }
    /* What is still on the move is there when it has been touched. */
    __atomic_load_n((const uint64_t *)object, __ATOMIC_RELAXED);
    return 0;
}

void sinter_gc_unpin(sinter_gc_mutator *mutator, void *object)
{
    sinter_gc_heap *heap = sinter_gc_heap_of(mutator);
    struct pin key = {object, 0};
    pthread_mutex_lock(&heap->roots_lock);
    struct pin **found = tfind(&key, &heap->pins, compare_pins);
    struct pin *pin = found != NULL ? *found : NULL;
    if (pin != NULL && --pin->count == 0) {
        tdelete(pin, &heap->pins, compare_pins);
        free(pin);
    }
    pthread_mutex_unlock(&heap->roots_lock);
}

void roots_destroy(sinter_gc_heap *heap)
{
    while (heap->handles != NULL) {
        struct handles *next = heap->handles->next;
        free(heap->handles);
        heap->handles = next;
    }
    tdestroy(heap->pins, free);
    vector_free(&heap->variables);
    vector_free(&heap->callbacks);
    vector_free(&heap->ranges);
}
