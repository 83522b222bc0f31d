/* Characters. Letters are those of ASCII. */
#include "check.h"
#include "primitives.h"

static bool is_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint32_t c)
{
    return is_upper(c) || is_lower(c);
}

static bool is_white(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint32_t upcase(uint32_t c)
{
    return is_lower(c) ? c - 32 : c;
}

static uint32_t downcase(uint32_t c)
{
    return is_upper(c) ? c + 32 : c;
}

static value compare(value *a, size_t n, int sign, bool or_equal, bool fold)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        check_char(a[i]);
    for (size_t i = 1; i < n && all; i++) {
        int64_t x = char_of(a[i - 1]), y = char_of(a[i]);
        if (fold) {
            x = downcase((uint32_t)x);
            y = downcase((uint32_t)y);
        }
        all = (x - y) * sign > 0 || (or_equal && x == y);
    }
    return boolean(all);
}

#define COMPARISONS(X)                                                                                       \
    X(equal, "char=?", 0, true, false)                                                                       \
    X(less, "char<?", -1, false, false)                                                                      \
    X(greater, "char>?", 1, false, false)                                                                    \
    X(less_equal, "char<=?", -1, true, false)                                                                \
    X(greater_equal, "char>=?", 1, true, false)                                                              \
    X(ci_equal, "char-ci=?", 0, true, true)

#define X(id, name, sign, or_equal, fold)                                                                    \
    static value prim_##id(value *a, size_t n)                                                               \
    {                                                                                                        \
        return compare(a, n, sign, or_equal, fold);                                                          \
    }
COMPARISONS(X)
#undef X

#define CLASSES(X)                                                                                           \
    X(letter, "char-alphabetic?")                                                                            \
    X(digit, "char-numeric?")                                                                                \
    X(white, "char-whitespace?")                                                                             \
    X(upper, "char-upper-case?")                                                                             \
    X(lower, "char-lower-case?")

#define X(id, name)                                                                                          \
    static value prim_is_##id(value *a, size_t n)                                                            \
    {                                                                                                        \
        (void)n;                                                                                             \
        return boolean(is_##id(check_char(a[0])));                                                           \
    }
CLASSES(X)
#undef X

static value prim_is_char(value *a, size_t n)
{
    (void)n;
    return boolean(is_char(a[0]));
}

static value prim_char_to_integer(value *a, size_t n)
{
    (void)n;
    return fixnum(check_char(a[0]));
}

static value prim_integer_to_char(value *a, size_t n)
{
    (void)n;
    return character((uint32_t)check_index(a[0], 0x110000));
}

static value prim_upcase(value *a, size_t n)
{
    (void)n;
    return character(upcase(check_char(a[0])));
}

static value prim_downcase(value *a, size_t n)
{
    (void)n;
    return character(downcase(check_char(a[0])));
}

static value prim_digit_value(value *a, size_t n)
{
    (void)n;
    uint32_t c = check_char(a[0]);
    return is_digit(c) ? fixnum((intptr_t)c - '0') : FALSE;
}

const struct primitive_definition primitives_char[] = {
#define X(id, name, ...) {name, prim_##id, 1, -1, ORDINARY},
    COMPARISONS(X)
#undef X
#define X(id, name) {name, prim_is_##id, 1, 1, ORDINARY},
        CLASSES(X)
#undef X
            {"char?", prim_is_char, 1, 1, ORDINARY},
    {"char->integer", prim_char_to_integer, 1, 1, ORDINARY},
    {"integer->char", prim_integer_to_char, 1, 1, ORDINARY},
    {"char-upcase", prim_upcase, 1, 1, ORDINARY},
    {"char-downcase", prim_downcase, 1, 1, ORDINARY},
    {"char-foldcase", prim_downcase, 1, 1, ORDINARY},
    {"digit-value", prim_digit_value, 1, 1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
