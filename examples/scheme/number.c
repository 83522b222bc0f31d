#include "number.h"

#include "error.h"
#include "object.h"

#include <math.h>

value integer(intptr_t n)
{
    return n >= FIXNUM_MIN && n <= FIXNUM_MAX ? fixnum(n) : flonum((double)n);
}

double number_double(value v)
{
    if (is_fixnum(v))
        return (double)fixnum_of(v);
    if (!is_flonum(v))
        error_expected("a number", v);
    return flonum_of(v);
}

value number_add(value a, value b)
{
    if (is_fixnum(a) && is_fixnum(b))
        return integer(fixnum_of(a) + fixnum_of(b));
    return flonum(number_double(a) + number_double(b));
}

value number_subtract(value a, value b)
{
    if (is_fixnum(a) && is_fixnum(b))
        return integer(fixnum_of(a) - fixnum_of(b));
    return flonum(number_double(a) - number_double(b));
}

value number_multiply(value a, value b)
{
    intptr_t product;
    if (is_fixnum(a) && is_fixnum(b) && !__builtin_mul_overflow(fixnum_of(a), fixnum_of(b), &product))
        return integer(product);
    return flonum(number_double(a) * number_double(b));
}

value number_divide(value a, value b)
{
    if (is_fixnum(a) && is_fixnum(b)) {
        if (fixnum_of(b) == 0)
            error_plain("division by zero");
        if (fixnum_of(a) % fixnum_of(b) == 0)
            return integer(fixnum_of(a) / fixnum_of(b));
    }
    return flonum(number_double(a) / number_double(b));
}

bool number_equal(value a, value b)
{
    if (is_fixnum(a) && is_fixnum(b))
        return a == b;
    return number_double(a) == number_double(b);
}

bool number_less(value a, value b)
{
    if (is_fixnum(a) && is_fixnum(b))
        return fixnum_of(a) < fixnum_of(b);
    return number_double(a) < number_double(b);
}

bool number_is_integer(value v)
{
    return is_fixnum(v) || (is_flonum(v) && floor(flonum_of(v)) == flonum_of(v) && isfinite(flonum_of(v)));
}

value number_exact(value v)
{
    if (is_fixnum(v))
        return v;
    double d = number_double(v);
    if (!number_is_integer(v))
        error_value(v, "has no exact value");
    return fabs(d) < 4e18 ? fixnum((intptr_t)d) : v;
}
