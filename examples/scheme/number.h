/* Numbers: fixnums, and doubles where those do not suffice. */
#ifndef SCHEME_NUMBER_H
#define SCHEME_NUMBER_H

#include "value.h"

static inline bool is_number(value v)
{
    return is_fixnum(v) || is_flonum(v);
}

/* A fixnum if it fits, else a flonum. */
value integer(intptr_t n);

/* Of a number; else it is an error. */
double number_double(value v);

value number_add(value a, value b);
value number_subtract(value a, value b);
value number_multiply(value a, value b);
value number_divide(value a, value b);
bool number_equal(value a, value b);
bool number_less(value a, value b);
bool number_is_integer(value v);

/* A flonum with an integral value as a fixnum, if it fits. */
value number_exact(value v);

/* False if `text` is no number. */
value number_parse(const char *text, size_t length, int radix);

enum { NUMBER_TEXT = 80 };

/* Returns the length. */
size_t number_text(value number, int radix, char text[NUMBER_TEXT]);

#endif
