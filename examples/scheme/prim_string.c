/* Strings: sequences of bytes. Text in UTF-8 passes through them unharmed; a character of a string is a byte. */
#include "check.h"
#include "object.h"
#include "primitives.h"

#include <ctype.h>
#include <string.h>

static char check_byte(value v)
{
    if (check_char(v) > 255)
        error_expected("a character that is a byte", v);
    return (char)char_of(v);
}

static value prim_is_string(value *a, size_t n)
{
    (void)n;
    return boolean(is_string(a[0]));
}

static value prim_make_string(value *a, size_t n)
{
    char fill = n > 1 ? check_byte(a[1]) : ' ';
    value string = string_new(NULL, check_size(a[0]));
    memset(string_of(string)->bytes, fill, string_of(string)->length);
    return string;
}

static value prim_string(value *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_byte(a[i]);
    value string = string_new(NULL, n);
    for (size_t i = 0; i < n; i++)
        string_of(string)->bytes[i] = (char)char_of(a[i]);
    return string;
}

static value prim_string_length(value *a, size_t n)
{
    (void)n;
    return fixnum((intptr_t)check_string(a[0])->length);
}

static value prim_string_ref(value *a, size_t n)
{
    const struct string *s = check_string(a[0]);
    (void)n;
    return character((unsigned char)s->bytes[check_index(a[1], s->length)]);
}

static value prim_string_set(value *a, size_t n)
{
    struct string *s = check_string(a[0]);
    (void)n;
    s->bytes[check_index(a[1], s->length)] = check_byte(a[2]);
    return UNSPECIFIED;
}

static int compare_strings(const struct string *a, const struct string *b, bool fold)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int difference = fold ? strncasecmp(a->bytes, b->bytes, shorter) : memcmp(a->bytes, b->bytes, shorter);
    return difference != 0 ? difference : (a->length > b->length) - (a->length < b->length);
}

static value compare(value *a, size_t n, int sign, bool or_equal, bool fold)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        check_string(a[i]);
    for (size_t i = 1; i < n && all; i++) {
        int difference = compare_strings(a[i - 1], a[i], fold);
        all = (difference > 0 && sign > 0) || (difference < 0 && sign < 0) || (or_equal && difference == 0);
    }
    return boolean(all);
}

#define COMPARISONS(X)                                                                                       \
    X(equal, "string=?", 0, true, false)                                                                     \
    X(less, "string<?", -1, false, false)                                                                    \
    X(greater, "string>?", 1, false, false)                                                                  \
    X(less_equal, "string<=?", -1, true, false)                                                              \
    X(greater_equal, "string>=?", 1, true, false)                                                            \
    X(ci_equal, "string-ci=?", 0, true, true)                                                                \
    X(ci_less, "string-ci<?", -1, false, true)

#define X(id, name, sign, or_equal, fold)                                                                    \
    static value prim_##id(value *a, size_t n)                                                               \
    {                                                                                                        \
        return compare(a, n, sign, or_equal, fold);                                                          \
    }
COMPARISONS(X)
#undef X

/* (string-copy string start end) */
static value prim_string_copy(value *a, size_t n)
{
    struct part p = check_part(a, n, 1, check_string(a[0])->length);
    value copy = string_new(NULL, p.end - p.start);
    memcpy(string_of(copy)->bytes, string_of(a[0])->bytes + p.start, p.end - p.start);
    return copy;
}

/* (string-copy! to at from start end) */
static value prim_string_copy_to(value *a, size_t n)
{
    struct string *to = check_string(a[0]);
    size_t at = check_index(a[1], to->length + 1);
    const struct string *from = check_string(a[2]);
    struct part p = check_part(a, n, 3, from->length);
    if (p.end - p.start > to->length - at)
        error_plain("the string is too short");
    memmove(to->bytes + at, from->bytes + p.start, p.end - p.start);
    return UNSPECIFIED;
}

static value prim_string_fill(value *a, size_t n)
{
    struct string *s = check_string(a[0]);
    struct part p = check_part(a, n, 2, s->length);
    memset(s->bytes + p.start, check_byte(a[1]), p.end - p.start);
    return UNSPECIFIED;
}

static value prim_string_append(value *a, size_t n)
{
    size_t length = 0;
    for (size_t i = 0; i < n; i++)
        length += check_string(a[i])->length;
    value string = string_new(NULL, length);
    char *at = string_of(string)->bytes;
    for (size_t i = 0; i < n; at += string_of(a[i++])->length)
        memcpy(at, string_of(a[i])->bytes, string_of(a[i])->length);
    return string;
}

static value prim_string_to_list(value *a, size_t n)
{
    struct part p = check_part(a, n, 1, check_string(a[0])->length);
    value list = NIL;
    ROOTS(list);
    for (size_t i = p.end; i > p.start; i--)
        list = cons(character((unsigned char)string_of(a[0])->bytes[i - 1]), list);
    return list;
}

static value prim_list_to_string(value *a, size_t n)
{
    ptrdiff_t length = list_length(a[0]);
    (void)n;
    if (length < 0)
        error_expected("a list", a[0]);
    for (value list = a[0]; is_pair(list); list = cdr(list))
        check_byte(car(list));
    value string = string_new(NULL, (size_t)length), list = a[0];
    for (size_t i = 0; is_pair(list); list = cdr(list))
        string_of(string)->bytes[i++] = (char)char_of(car(list));
    return string;
}

static value convert(value *a, int (*function)(int))
{
    size_t length = check_string(a[0])->length;
    value string = string_new(NULL, length);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)string_of(a[0])->bytes[i];
        string_of(string)->bytes[i] = (char)(c < 128 ? function(c) : c);
    }
    return string;
}

static value prim_string_upcase(value *a, size_t n)
{
    (void)n;
    return convert(a, toupper);
}

static value prim_string_downcase(value *a, size_t n)
{
    (void)n;
    return convert(a, tolower);
}

/* (string-search pattern string start): where the pattern begins, or false. */
static value prim_string_search(value *a, size_t n)
{
    const struct string *pattern = check_string(a[0]), *s = check_string(a[1]);
    size_t start = n > 2 ? check_index(a[2], s->length + 1) : 0;
    const char *found = memmem(s->bytes + start, s->length - start, pattern->bytes, pattern->length);
    return found != NULL ? fixnum(found - s->bytes) : FALSE;
}

/* (string-index string character) */
static value prim_string_index(value *a, size_t n)
{
    const struct string *s = check_string(a[0]);
    (void)n;
    const char *found = s->length > 0 ? memchr(s->bytes, check_byte(a[1]), s->length) : NULL;
    return found != NULL ? fixnum(found - s->bytes) : FALSE;
}

const struct primitive_definition primitives_string[] = {
#define X(id, name, ...) {name, prim_##id, 1, -1, ORDINARY},
    COMPARISONS(X)
#undef X
        {"string?", prim_is_string, 1, 1, ORDINARY},
    {"make-string", prim_make_string, 1, 2, ORDINARY},
    {"string", prim_string, 0, -1, ORDINARY},
    {"string-length", prim_string_length, 1, 1, ORDINARY},
    {"string-ref", prim_string_ref, 2, 2, ORDINARY},
    {"string-set!", prim_string_set, 3, 3, ORDINARY},
    {"string-copy", prim_string_copy, 1, 3, ORDINARY},
    {"substring", prim_string_copy, 2, 3, ORDINARY},
    {"string-copy!", prim_string_copy_to, 3, 5, ORDINARY},
    {"string-fill!", prim_string_fill, 2, 4, ORDINARY},
    {"string-append", prim_string_append, 0, -1, ORDINARY},
    {"string->list", prim_string_to_list, 1, 3, ORDINARY},
    {"list->string", prim_list_to_string, 1, 1, ORDINARY},
    {"string-upcase", prim_string_upcase, 1, 1, ORDINARY},
    {"string-downcase", prim_string_downcase, 1, 1, ORDINARY},
    {"string-search", prim_string_search, 2, 3, ORDINARY},
    {"string-index", prim_string_index, 2, 2, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
