/* What primitives demand of their arguments; anything else is an error. */
#ifndef SCHEME_CHECK_H
#define SCHEME_CHECK_H

#include "error.h"
#include "value.h"

#include <sys/types.h>

static inline struct string *check_string(value v)
{
    if (!is_string(v))
        error_expected("a string", v);
    return v;
}

static inline struct symbol *check_symbol(value v)
{
    if (!is_symbol(v))
        error_expected("a symbol", v);
    return v;
}

static inline struct vector *check_vector(value v)
{
    if (!has_type(v, T_VECTOR))
        error_expected("a vector", v);
    return v;
}

static inline struct pair *check_pair(value v)
{
    if (!is_pair(v))
        error_expected("a pair", v);
    return v;
}

static inline uint32_t check_char(value v)
{
    if (!is_char(v))
        error_expected("a character", v);
    return char_of(v);
}

static inline intptr_t check_fixnum(value v)
{
    if (!is_fixnum(v))
        error_expected("an exact integer", v);
    return fixnum_of(v);
}

/* An index below `limit`. */
static inline size_t check_index(value v, size_t limit)
{
    if (!is_fixnum(v) || fixnum_of(v) < 0 || (uintptr_t)fixnum_of(v) >= limit)
        error_value(v, "index out of range (0 to %zd)", (ssize_t)limit - 1);
    return (size_t)fixnum_of(v);
}

/* How much there is to be of something. */
static inline size_t check_size(value v)
{
    if (!is_fixnum(v) || fixnum_of(v) < 0 || fixnum_of(v) > (intptr_t)1 << 40)
        error_expected("a size", v);
    return (size_t)fixnum_of(v);
}

struct part {
    size_t start, end;
};

/* Optional arguments `start` and `end` from number `from` on. */
static inline struct part check_part(value *arguments, size_t count, size_t from, size_t length)
{
    struct part p = {0, length};
    if (count > from)
        p.start = check_index(arguments[from], length + 1);
    if (count > from + 1)
        p.end = check_index(arguments[from + 1], length + 1);
    if (p.start > p.end)
        error_value(arguments[from], "the start lies behind the end");
    return p;
}

#endif
