/* Vectors. */
#include "check.h"
#include "object.h"
#include "primitives.h"

#include <string.h>

static value prim_is_vector(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_VECTOR));
}

static value prim_make_vector(value *a, size_t n)
{
    return vector_new(T_VECTOR, check_size(a[0]), n > 1 ? a[1] : FALSE);
}

static value prim_vector(value *a, size_t n)
{
    struct vector *v = vector_new(T_VECTOR, n, FALSE);
    memcpy(v->items, a, n * sizeof(value));
    return v;
}

static value prim_vector_length(value *a, size_t n)
{
    (void)n;
    return fixnum((intptr_t)check_vector(a[0])->length);
}

static value prim_vector_ref(value *a, size_t n)
{
    const struct vector *v = check_vector(a[0]);
    (void)n;
    return v->items[check_index(a[1], v->length)];
}

static value prim_vector_set(value *a, size_t n)
{
    struct vector *v = check_vector(a[0]);
    (void)n;
    v->items[check_index(a[1], v->length)] = a[2];
    return UNSPECIFIED;
}

static value prim_vector_fill(value *a, size_t n)
{
    struct vector *v = check_vector(a[0]);
    struct part p = check_part(a, n, 2, v->length);
    for (size_t i = p.start; i < p.end; i++)
        v->items[i] = a[1];
    return UNSPECIFIED;
}

static value prim_vector_copy(value *a, size_t n)
{
    struct part p = check_part(a, n, 1, check_vector(a[0])->length);
    struct vector *copy = vector_new(T_VECTOR, p.end - p.start, FALSE);
    memcpy(copy->items, vector_of(a[0])->items + p.start, copy->length * sizeof(value));
    return copy;
}

/* (vector-copy! to at from start end) */
static value prim_vector_copy_to(value *a, size_t n)
{
    struct vector *to = check_vector(a[0]);
    size_t at = check_index(a[1], to->length + 1);
    const struct vector *from = check_vector(a[2]);
    struct part p = check_part(a, n, 3, from->length);
    if (p.end - p.start > to->length - at)
        error_plain("the vector is too short");
    memmove(to->items + at, from->items + p.start, (p.end - p.start) * sizeof(value));
    return UNSPECIFIED;
}

static value prim_vector_to_list(value *a, size_t n)
{
    struct part p = check_part(a, n, 1, check_vector(a[0])->length);
    value list = NIL;
    ROOTS(list);
    for (size_t i = p.end; i > p.start; i--)
        list = cons(vector_of(a[0])->items[i - 1], list);
    return list;
}

static value prim_list_to_vector(value *a, size_t n)
{
    ptrdiff_t length = list_length(a[0]);
    (void)n;
    if (length < 0)
        error_expected("a list", a[0]);
    struct vector *v = vector_new(T_VECTOR, (size_t)length, FALSE);
    value list = a[0];
    for (size_t i = 0; is_pair(list); list = cdr(list))
        v->items[i++] = car(list);
    return v;
}

static value prim_vector_append(value *a, size_t n)
{
    size_t length = 0;
    for (size_t i = 0; i < n; i++)
        length += check_vector(a[i])->length;
    struct vector *v = vector_new(T_VECTOR, length, FALSE);
    value *at = v->items;
    for (size_t i = 0; i < n; at += vector_of(a[i++])->length)
        memcpy(at, vector_of(a[i])->items, vector_of(a[i])->length * sizeof(value));
    return v;
}

const struct primitive_definition primitives_vector[] = {
    {"vector?", prim_is_vector, 1, 1, ORDINARY},
    {"make-vector", prim_make_vector, 1, 2, ORDINARY},
    {"vector", prim_vector, 0, -1, ORDINARY},
    {"vector-length", prim_vector_length, 1, 1, ORDINARY},
    {"vector-ref", prim_vector_ref, 2, 2, ORDINARY},
    {"vector-set!", prim_vector_set, 3, 3, ORDINARY},
    {"vector-fill!", prim_vector_fill, 2, 4, ORDINARY},
    {"vector-copy", prim_vector_copy, 1, 3, ORDINARY},
    {"subvector", prim_vector_copy, 3, 3, ORDINARY},
    {"vector-copy!", prim_vector_copy_to, 3, 5, ORDINARY},
    {"vector->list", prim_vector_to_list, 1, 3, ORDINARY},
    {"list->vector", prim_list_to_vector, 1, 1, ORDINARY},
    {"%list->vector", prim_list_to_vector, 1, 1, ORDINARY},
    {"vector-append", prim_vector_append, 0, -1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
