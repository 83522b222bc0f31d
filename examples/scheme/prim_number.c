/* Arithmetic. */
#include "check.h"
#include "number.h"
#include "object.h"
#include "primitives.h"

#include <math.h>
#include <stdlib.h>

static value check_number(value v)
{
    if (!is_number(v))
        error_expected("a number", v);
    return v;
}

static value prim_add(value *a, size_t n)
{
    value sum = fixnum(0);
    for (size_t i = 0; i < n; i++)
        sum = number_add(sum, a[i]);
    return sum;
}

static value prim_multiply(value *a, size_t n)
{
    value product = fixnum(1);
    for (size_t i = 0; i < n; i++)
        product = number_multiply(product, a[i]);
    return product;
}

static value prim_subtract(value *a, size_t n)
{
    value rest = n == 1 ? fixnum(0) : a[0];
    for (size_t i = n != 1; i < n; i++)
        rest = number_subtract(rest, a[i]);
    return rest;
}

static value prim_divide(value *a, size_t n)
{
    value rest = n == 1 ? fixnum(1) : a[0];
    for (size_t i = n != 1; i < n; i++)
        rest = number_divide(rest, a[i]);
    return rest;
}

static bool greater(value a, value b)
{
    return number_less(b, a);
}

static bool less_equal(value a, value b)
{
    return number_less(a, b) || number_equal(a, b);
}

static bool greater_equal(value a, value b)
{
    return number_less(b, a) || number_equal(a, b);
}

static value compare(value *a, size_t n, bool (*holds)(value, value))
{
    bool all = true;
    check_number(a[0]);
    for (size_t i = 1; i < n; i++)
        all = holds(a[i - 1], a[i]) && all;
    return boolean(all);
}

#define COMPARISONS(X)                                                                                       \
    X(equal, "=", number_equal)                                                                              \
    X(less, "<", number_less)                                                                                \
    X(greater, ">", greater)                                                                                 \
    X(less_equal, "<=", less_equal)                                                                          \
    X(greater_equal, ">=", greater_equal)

#define X(id, name, holds)                                                                                   \
    static value prim_##id(value *a, size_t n)                                                               \
    {                                                                                                        \
        return compare(a, n, holds);                                                                         \
    }
COMPARISONS(X)
#undef X

enum division { QUOTIENT, REMAINDER, MODULO };

static double divide_doubles(double x, double y, enum division which)
{
    if (which == QUOTIENT)
        return trunc(x / y);
    double rest = fmod(x, y);
    return which == MODULO && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

static value divide(value *a, enum division which)
{
    if (!number_is_integer(a[0]) || !number_is_integer(a[1]))
        error_expected("an integer", number_is_integer(a[0]) ? a[1] : a[0]);
    if (number_equal(a[1], fixnum(0)))
        error_plain("division by zero");
    if (!is_fixnum(a[0]) || !is_fixnum(a[1]))
        return flonum(divide_doubles(number_double(a[0]), number_double(a[1]), which));
    intptr_t x = fixnum_of(a[0]), y = fixnum_of(a[1]);
    if (which == QUOTIENT)
        return integer(x / y);
    intptr_t rest = x % y;
    return fixnum(which == MODULO && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest);
}

static value prim_quotient(value *a, size_t n)
{
    (void)n;
    return divide(a, QUOTIENT);
}

static value prim_remainder(value *a, size_t n)
{
    (void)n;
    return divide(a, REMAINDER);
}

static value prim_modulo(value *a, size_t n)
{
    (void)n;
    return divide(a, MODULO);
}

static value prim_floor_quotient(value *a, size_t n)
{
    (void)n;
    value rest = divide(a, MODULO);
    return number_divide(number_subtract(a[0], rest), a[1]);
}

static value prim_abs(value *a, size_t n)
{
    (void)n;
    return number_less(check_number(a[0]), fixnum(0)) ? number_subtract(fixnum(0), a[0]) : a[0];
}

/* Exact only if all are. */
static value extreme(value *a, size_t n, bool most)
{
    value found = a[0];
    bool inexact = is_flonum(check_number(found));
    for (size_t i = 1; i < n; i++) {
        inexact = inexact || is_flonum(check_number(a[i]));
        if (most ? number_less(found, a[i]) : number_less(a[i], found))
            found = a[i];
    }
    return inexact && is_fixnum(found) ? flonum(number_double(found)) : found;
}

static value prim_min(value *a, size_t n)
{
    return extreme(a, n, false);
}

static value prim_max(value *a, size_t n)
{
    return extreme(a, n, true);
}

static intptr_t gcd(intptr_t a, intptr_t b)
{
    while (b != 0) {
        intptr_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static value prim_gcd(value *a, size_t n)
{
    intptr_t found = 0;
    for (size_t i = 0; i < n; i++)
        found = gcd(found, check_fixnum(a[i]));
    return integer(found);
}

static value prim_lcm(value *a, size_t n)
{
    value found = fixnum(1);
    for (size_t i = 0; i < n; i++) {
        intptr_t x = labs(check_fixnum(a[i])), y = check_fixnum(found);
        if (x == 0)
            return fixnum(0);
        found = number_multiply(integer(y / gcd(x, y)), integer(x));
    }
    return found;
}

static value prim_is_number(value *a, size_t n)
{
    (void)n;
    return boolean(is_number(a[0]));
}

static value prim_is_integer(value *a, size_t n)
{
    (void)n;
    return boolean(number_is_integer(a[0]));
}

static value prim_is_rational(value *a, size_t n)
{
    (void)n;
    return boolean(is_fixnum(a[0]) || (is_flonum(a[0]) && isfinite(flonum_of(a[0]))));
}

static value prim_is_exact(value *a, size_t n)
{
    (void)n;
    return boolean(is_fixnum(check_number(a[0])));
}

static value prim_is_inexact(value *a, size_t n)
{
    (void)n;
    return boolean(is_flonum(check_number(a[0])));
}

static value prim_is_exact_integer(value *a, size_t n)
{
    (void)n;
    return boolean(is_fixnum(a[0]));
}

static value prim_is_nan(value *a, size_t n)
{
    (void)n;
    return boolean(isnan(number_double(a[0])));
}

static value prim_is_zero(value *a, size_t n)
{
    (void)n;
    return boolean(number_equal(a[0], fixnum(0)));
}

static value prim_is_positive(value *a, size_t n)
{
    (void)n;
    return boolean(number_less(fixnum(0), a[0]));
}

static value prim_is_negative(value *a, size_t n)
{
    (void)n;
    return boolean(number_less(a[0], fixnum(0)));
}

static bool is_odd(value v)
{
    if (!number_is_integer(v))
        error_expected("an integer", v);
    return is_fixnum(v) ? fixnum_of(v) & 1 : fmod(flonum_of(v), 2) != 0;
}

static value prim_is_odd(value *a, size_t n)
{
    (void)n;
    return boolean(is_odd(a[0]));
}

static value prim_is_even(value *a, size_t n)
{
    (void)n;
    return boolean(!is_odd(a[0]));
}

static value prim_increment(value *a, size_t n)
{
    (void)n;
    return number_add(a[0], fixnum(1));
}

static value prim_decrement(value *a, size_t n)
{
    (void)n;
    return number_subtract(a[0], fixnum(1));
}

static value prim_and(value *a, size_t n)
{
    intptr_t bits = -1;
    for (size_t i = 0; i < n; i++)
        bits &= check_fixnum(a[i]);
    return fixnum(bits);
}

static value prim_or(value *a, size_t n)
{
    intptr_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits |= check_fixnum(a[i]);
    return fixnum(bits);
}

static value prim_xor(value *a, size_t n)
{
    intptr_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits ^= check_fixnum(a[i]);
    return fixnum(bits);
}

static value prim_bitwise_not(value *a, size_t n)
{
    (void)n;
    return fixnum(~check_fixnum(a[0]));
}

static value prim_shift(value *a, size_t n)
{
    intptr_t bits = check_fixnum(a[0]), by = check_fixnum(a[1]);
    (void)n;
    if (by <= 0)
        return fixnum(by <= -63 ? (bits < 0 ? -1 : 0) : bits >> -by);
    intptr_t shifted;
    if (by < 62 && !__builtin_mul_overflow(bits, (intptr_t)1 << by, &shifted))
        return integer(shifted);
    return flonum(ldexp((double)bits, (int)(by < 5000 ? by : 5000)));
}

const struct primitive_definition primitives_number[] = {
    {"+", prim_add, 0, -1, ORDINARY},
    {"-", prim_subtract, 1, -1, ORDINARY},
    {"*", prim_multiply, 0, -1, ORDINARY},
    {"/", prim_divide, 1, -1, ORDINARY},
#define X(id, name, holds) {name, prim_##id, 1, -1, ORDINARY},
    COMPARISONS(X)
#undef X
        {"quotient", prim_quotient, 2, 2, ORDINARY},
    {"truncate-quotient", prim_quotient, 2, 2, ORDINARY},
    {"remainder", prim_remainder, 2, 2, ORDINARY},
    {"truncate-remainder", prim_remainder, 2, 2, ORDINARY},
    {"modulo", prim_modulo, 2, 2, ORDINARY},
    {"floor-remainder", prim_modulo, 2, 2, ORDINARY},
    {"floor-quotient", prim_floor_quotient, 2, 2, ORDINARY},
    {"abs", prim_abs, 1, 1, ORDINARY},
    {"magnitude", prim_abs, 1, 1, ORDINARY},
    {"min", prim_min, 1, -1, ORDINARY},
    {"max", prim_max, 1, -1, ORDINARY},
    {"gcd", prim_gcd, 0, -1, ORDINARY},
    {"lcm", prim_lcm, 0, -1, ORDINARY},
    {"number?", prim_is_number, 1, 1, ORDINARY},
    {"complex?", prim_is_number, 1, 1, ORDINARY},
    {"real?", prim_is_number, 1, 1, ORDINARY},
    {"rational?", prim_is_rational, 1, 1, ORDINARY},
    {"integer?", prim_is_integer, 1, 1, ORDINARY},
    {"exact?", prim_is_exact, 1, 1, ORDINARY},
    {"inexact?", prim_is_inexact, 1, 1, ORDINARY},
    {"exact-integer?", prim_is_exact_integer, 1, 1, ORDINARY},
    {"fixnum?", prim_is_exact_integer, 1, 1, ORDINARY},
    {"nan?", prim_is_nan, 1, 1, ORDINARY},
    {"zero?", prim_is_zero, 1, 1, ORDINARY},
    {"positive?", prim_is_positive, 1, 1, ORDINARY},
    {"negative?", prim_is_negative, 1, 1, ORDINARY},
    {"odd?", prim_is_odd, 1, 1, ORDINARY},
    {"even?", prim_is_even, 1, 1, ORDINARY},
    {"1+", prim_increment, 1, 1, ORDINARY},
    {"-1+", prim_decrement, 1, 1, ORDINARY},
    {"1-", prim_decrement, 1, 1, ORDINARY},
    {"bitwise-and", prim_and, 0, -1, ORDINARY},
    {"bitwise-or", prim_or, 0, -1, ORDINARY},
    {"bitwise-xor", prim_xor, 0, -1, ORDINARY},
    {"bitwise-not", prim_bitwise_not, 1, 1, ORDINARY},
    {"arithmetic-shift", prim_shift, 2, 2, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
