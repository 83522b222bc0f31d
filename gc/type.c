/*
 * Types. They are never forgotten, and lie where no object does: a callback must not need an object that is on the move.
 */
#include "type.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 8, SIZE_MOST = 1 << 30 };

static size_t bytes_covered(uint64_t map)
{
    return map != 0 ? (64 - (size_t)__builtin_clzll(map)) * WORD : 0;
}

static bool tail_is_valid(const struct sinter_gc_layout *l)
{
    if (l->element_size == 0)
        return l->element_references == 0;
    bool aligned = l->element_references == 0 || (l->element_size % WORD == 0 && l->size % WORD == 0);
    return aligned && bytes_covered(l->element_references) <= l->element_size &&
           l->element_size <= SIZE_MOST && l->count_offset >= WORD && l->count_offset % WORD == 0 &&
           l->size >= sizeof(size_t) && l->count_offset <= l->size - sizeof(size_t);
}

static bool is_valid(const struct sinter_gc_layout *l)
{
    bool has_references = l->references != 0 || l->element_references != 0 || l->visit != NULL;
    bool sized = l->size_of != NULL || (l->size >= WORD && l->size <= SIZE_MOST);
    return sized && (l->references & 1) == 0 && bytes_covered(l->references) <= max_size(l->size, WORD) &&
           tail_is_valid(l) && !(l->pointer_free && has_references);
}

static struct quick_type quick(const struct sinter_gc_layout *l, enum special special)
{
    struct quick_type q = {l->references, (uint32_t)round_up_granules(l->size)};
    if (special != ORDINARY || l->visit != NULL || l->size_of != NULL || l->element_size != 0)
        q.granules = 0;
    return q;
}

static int add(sinter_gc_heap *heap, const struct sinter_gc_layout *layout, enum special special,
               uint32_t *number)
{
    char *name = strdup(layout->name != NULL ? layout->name : "object");
    if (name == NULL)
        return ENOMEM;
    pthread_mutex_lock(&heap->roots_lock);
    uint32_t count = load_relaxed(&heap->type_count);
    bool room = count < TYPES_MAX;
    if (room) {
        heap->types[count] = (struct type){.layout = *layout, .special = special};
        heap->types[count].layout.name = name;
        heap->quick_types[count] = quick(layout, special);
        atomic_store(&heap->type_count, count + 1);
    }
    pthread_mutex_unlock(&heap->roots_lock);
    *number = count;
    if (!room)
        free(name);
    return room ? 0 : ENOMEM;
}

sinter_gc_type sinter_gc_type_new(sinter_gc_heap *heap, const struct sinter_gc_layout *layout)
{
    uint32_t number;
    int error = is_valid(layout) ? add(heap, layout, ORDINARY, &number) : EINVAL;
    if (error != 0) {
        errno = error;
        return 0;
    }
    return layout->pointer_free ? number | LEAF_BIT : number;
}

const char *sinter_gc_type_name(const sinter_gc_heap *heap, sinter_gc_type type)
{
    return heap->types[type & ~(uint32_t)LEAF_BIT].layout.name;
}

/* The types of Sinter's own objects; number 0 is none. */
int types_create(sinter_gc_heap *heap)
{
    static const struct sinter_gc_layout none = {.name = "none", .size = WORD},
                                         weak = {.name = "weak reference", .size = 2 * WORD, .references = 2},
                                         ephemeron = {.name = "ephemeron", .size = 3 * WORD, .references = 6};
    uint32_t number;
    int error = add(heap, &none, ORDINARY, &number);
    error = error != 0 ? error : add(heap, &weak, WEAK, &number);
    return error != 0 ? error : add(heap, &ephemeron, EPHEMERON, &number);
}

void types_destroy(sinter_gc_heap *heap)
{
    for (uint32_t i = 0; i < load_relaxed(&heap->type_count); i++)
        free((char *)heap->types[i].layout.name);
}
