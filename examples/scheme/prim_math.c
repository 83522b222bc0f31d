/* Functions of real numbers, and numbers as text. */
#include "check.h"
#include "number.h"
#include "object.h"
#include "primitives.h"

#include <math.h>

#define ROUNDINGS(X)                                                                                         \
    X(floor, floor)                                                                                          \
    X(ceiling, ceil)                                                                                         \
    X(truncate, trunc)                                                                                       \
    X(round, nearbyint)

#define X(name, function)                                                                                    \
    static value prim_##name(value *a, size_t n)                                                             \
    {                                                                                                        \
        (void)n;                                                                                             \
        return is_fixnum(a[0]) ? a[0] : flonum(function(number_double(a[0])));                               \
    }
ROUNDINGS(X)
#undef X

#define FUNCTIONS(X)                                                                                         \
    X(exp)                                                                                                   \
    X(sin)                                                                                                   \
    X(cos)                                                                                                   \
    X(tan)                                                                                                   \
    X(asin)                                                                                                  \
    X(acos)

#define X(name)                                                                                              \
    static value prim_##name(value *a, size_t n)                                                             \
    {                                                                                                        \
        (void)n;                                                                                             \
        return flonum(name(number_double(a[0])));                                                            \
    }
FUNCTIONS(X)
#undef X

static value prim_log(value *a, size_t n)
{
    double x = log(number_double(a[0]));
    return flonum(n > 1 ? x / log(number_double(a[1])) : x);
}

static value prim_atan(value *a, size_t n)
{
    double x = number_double(a[0]);
    return flonum(n > 1 ? atan2(x, number_double(a[1])) : atan(x));
}

/* Exact where the root is. */
static value prim_sqrt(value *a, size_t n)
{
    double root = sqrt(number_double(a[0]));
    (void)n;
    if (is_fixnum(a[0]) && root == floor(root) && root < 3e9 &&
        (intptr_t)root * (intptr_t)root == fixnum_of(a[0]))
        return fixnum((intptr_t)root);
    return flonum(root);
}

static value exact_power(value base, intptr_t exponent)
{
    value result = fixnum(1);
    ROOTS(base, result);
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = number_multiply(result, base);
        if (exponent > 1)
            base = number_multiply(base, base);
    }
    return result;
}

static value prim_expt(value *a, size_t n)
{
    double x = number_double(a[0]), y = number_double(a[1]);
    (void)n;
    if (!is_fixnum(a[0]) || !is_fixnum(a[1]))
        return flonum(pow(x, y));
    return y >= 0 ? exact_power(a[0], fixnum_of(a[1]))
                  : number_divide(fixnum(1), exact_power(a[0], -fixnum_of(a[1])));
}

static value prim_exact(value *a, size_t n)
{
    (void)n;
    return number_exact(a[0]);
}

static value prim_inexact(value *a, size_t n)
{
    (void)n;
    return is_flonum(a[0]) ? a[0] : flonum(number_double(a[0]));
}

static int check_radix(value *a, size_t n)
{
    intptr_t radix = n > 1 ? check_fixnum(a[1]) : 10;
    if (radix < 2 || radix > 36)
        error_expected("a radix from 2 to 36", a[1]);
    return (int)radix;
}

static value prim_number_to_string(value *a, size_t n)
{
    char text[NUMBER_TEXT];
    number_double(a[0]);
    size_t length = number_text(a[0], check_radix(a, n), text);
    return string_new(text, length);
}

static value prim_string_to_number(value *a, size_t n)
{
    const struct string *s = check_string(a[0]);
    char text[256];
    if (s->length > sizeof(text))
        return FALSE;
    for (size_t i = 0; i < s->length; i++)
        text[i] = s->bytes[i];
    return number_parse(text, s->length, check_radix(a, n));
}

/* xorshift64*; the same sequence in every run. */
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}

static value prim_random(value *a, size_t n)
{
    (void)n;
    if (is_flonum(a[0]))
        return flonum((double)(next_random() >> 11) * 0x1p-53 * flonum_of(a[0]));
    intptr_t limit = check_fixnum(a[0]);
    if (limit <= 0)
        error_expected("a positive number", a[0]);
    return fixnum((intptr_t)(next_random() % (uint64_t)limit));
}

static value prim_random_seed(value *a, size_t n)
{
    (void)n;
    random_state = (uint64_t)check_fixnum(a[0]) * 0x9e3779b97f4a7c15u | 1;
    return UNSPECIFIED;
}

const struct primitive_definition primitives_math[] = {
#define X(name, function) {#name, prim_##name, 1, 1, ORDINARY},
    ROUNDINGS(X)
#undef X
#define X(name) {#name, prim_##name, 1, 1, ORDINARY},
        FUNCTIONS(X)
#undef X
            {"log", prim_log, 1, 2, ORDINARY},
    {"atan", prim_atan, 1, 2, ORDINARY},
    {"sqrt", prim_sqrt, 1, 1, ORDINARY},
    {"expt", prim_expt, 2, 2, ORDINARY},
    {"exact", prim_exact, 1, 1, ORDINARY},
    {"inexact->exact", prim_exact, 1, 1, ORDINARY},
    {"inexact", prim_inexact, 1, 1, ORDINARY},
    {"exact->inexact", prim_inexact, 1, 1, ORDINARY},
    {"number->string", prim_number_to_string, 1, 2, ORDINARY},
    {"string->number", prim_string_to_number, 1, 2, ORDINARY},
    {"random", prim_random, 1, 1, ORDINARY},
    {"random-seed!", prim_random_seed, 1, 1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
