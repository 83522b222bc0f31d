/*
 * Arrays that grow. They may hold anything that can be copied; items keep their order.
 */
#ifndef SINTER_GC_VECTOR_H
#define SINTER_GC_VECTOR_H

#include "heap.h"

#include <stdlib.h>
#include <string.h>

/* False if memory is exhausted. */
static inline bool vector_reserve(struct vector *v, size_t count, size_t size)
{
    if (count <= v->room)
        return true;
    size_t room = max_size(2 * v->room, max_size(count, 64));
    void *items = realloc(v->items, room * size);
    if (items == NULL)
        return false;
    v->items = items;
    v->room = room;
    return true;
}

/* False if there is no room: allocates nothing. */
static inline bool vector_push_within(struct vector *v, const void *item, size_t size)
{
    if (v->count == v->room)
        return false;
    memcpy((char *)v->items + v->count++ * size, item, size);
    return true;
}

static inline bool vector_push(struct vector *v, const void *item, size_t size)
{
    return vector_reserve(v, v->count + 1, size) && vector_push_within(v, item, size);
}

static inline void vector_free(struct vector *v)
{
    free(v->items);
    *v = (struct vector){0};
}

#endif
