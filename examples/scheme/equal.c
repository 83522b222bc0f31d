#include "equal.h"

#include "error.h"
#include "symbol.h"

#include <string.h>

enum { DEPTH = 20000, HASH_DEPTH = 4, HASH_LENGTH = 16 };

bool is_eqv(value a, value b)
{
    if (a == b)
        return true;
    return is_flonum(a) && is_flonum(b) &&
           memcmp(&((struct flonum *)a)->number, &((struct flonum *)b)->number, 8) == 0;
}

static bool equal_at(value a, value b, unsigned depth);

static bool equal_vectors(const struct vector *a, const struct vector *b, unsigned depth)
{
    if (a->length != b->length)
        return false;
    for (size_t i = 0; i < a->length; i++)
        if (!equal_at(a->items[i], b->items[i], depth + 1))
            return false;
    return true;
}

static bool equal_at(value a, value b, unsigned depth)
{
    if (depth > DEPTH)
        error_plain("nested too deeply to compare");
    for (; is_pair(a) && is_pair(b); a = cdr(a), b = cdr(b)) {
        if (a == b)
            return true;
        if (!equal_at(car(a), car(b), depth + 1))
            return false;
    }
    if (is_eqv(a, b))
        return true;
    if (is_string(a) && is_string(b))
        return string_of(a)->length == string_of(b)->length &&
               memcmp(string_of(a)->bytes, string_of(b)->bytes, string_of(a)->length) == 0;
    return has_type(a, T_VECTOR) && has_type(b, T_VECTOR) && equal_vectors(a, b, depth);
}

bool is_equal(value a, value b)
{
    return equal_at(a, b, 0);
}

static uint32_t mix(uint64_t bits)
{
    bits *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(bits >> 32);
}

uint32_t hash_eq(value v)
{
    if (is_symbol(v))
        return ((struct symbol *)v)->hash;
    return is_object(v) ? mix(heap_hash(v)) : mix((uintptr_t)v);
}

uint32_t hash_eqv(value v)
{
    uint64_t bits;
    if (!is_flonum(v))
        return hash_eq(v);
    memcpy(&bits, &((struct flonum *)v)->number, sizeof(bits));
    return mix(bits);
}

/* Looks only so far, and at no address: nothing moves while it does. */
static uint32_t hash_contents(value v, unsigned depth)
{
    uint32_t hash = 17;
    if (is_string(v))
        return hash_bytes(string_of(v)->bytes, string_of(v)->length);
    if (!is_object(v) || is_flonum(v) || is_symbol(v))
        return hash_eqv(v);
    if (depth > HASH_DEPTH)
        return hash;
    for (unsigned i = 0; is_pair(v) && i < HASH_LENGTH; v = cdr(v), i++)
        hash = hash * 31 + hash_contents(car(v), depth + 1);
    if (!is_pair(v) && v != NIL && hash != 17)
        return hash * 31 + hash_contents(v, depth + 1);
    if (has_type(v, T_VECTOR)) {
        const struct vector *vector = v;
        hash += mix(vector->length);
        for (size_t i = 0; i < vector->length && i < HASH_LENGTH; i++)
            hash = hash * 31 + hash_contents(vector->items[i], depth + 1);
    }
    return hash;
}

uint32_t hash_equal(value v)
{
    bool by_contents = !is_object(v) || is_pair(v) || is_string(v) || is_flonum(v) || has_type(v, T_VECTOR);
    return by_contents ? hash_contents(v, 0) : hash_eq(v);
}
