/* Numbers as text. */
#include "number.h"
#include "object.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* Digits with a sign; too many of them make a flonum. */
static value parse_integer(const char *text, size_t length, int radix)
{
    bool negative = text[0] == '-', exact = true;
    size_t i = text[0] == '-' || text[0] == '+';
    if (i == length)
        return FALSE;
    intptr_t n = 0;
    double d = 0;
    for (; i < length; i++) {
        int digit = digit_of(text[i]);
        if (digit >= radix)
            return FALSE;
        exact = exact && !__builtin_mul_overflow(n, (intptr_t)radix, &n) &&
                !__builtin_add_overflow(n, (intptr_t)digit, &n);
        d = d * radix + digit;
    }
    if (exact)
        return integer(negative ? -n : n);
    return flonum(negative ? -d : d);
}

static bool looks_decimal(const char *text, size_t length)
{
    bool digits = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            digits = true;
        else if ((c == 'e' || c == 'E') && digits && i + 1 < length)
            continue;
        else if (c != '.' && !((c == '+' || c == '-') && (i == 0 || (text[i - 1] | 0x20) == 'e')))
            return false;
    }
    return digits;
}

static value parse_decimal(const char *text, size_t length)
{
    char copy[128], *end;
    if (length == 6 && (memcmp(text + 1, "inf.0", 5) == 0 || memcmp(text + 1, "nan.0", 5) == 0) &&
        (text[0] == '+' || text[0] == '-'))
        return flonum(text[1] == 'n' ? NAN : text[0] == '-' ? -HUGE_VAL : HUGE_VAL);
    if (length >= sizeof(copy) || !looks_decimal(text, length))
        return FALSE;
    memcpy(copy, text, length);
    copy[length] = '\0';
    double d = strtod(copy, &end);
    return end == copy + length ? flonum(d) : FALSE;
}

static value parse_ratio(const char *text, size_t length, int radix)
{
    const char *slash = memchr(text, '/', length);
    if (slash == NULL || slash == text)
        return FALSE;
    size_t before = (size_t)(slash - text), after = length - before - 1;
    if (after == 0 || slash[1] == '-' || slash[1] == '+')
        return FALSE;
    value above = parse_integer(text, before, radix), below = parse_integer(slash + 1, after, radix);
    if (!is_fixnum(above) || !is_fixnum(below) || below == fixnum(0))
        return FALSE;
    return number_divide(above, below);
}

value number_parse(const char *text, size_t length, int radix)
{
    char exactness = 0;
    for (; length > 2 && text[0] == '#'; text += 2, length -= 2) {
        switch (text[1] | 0x20) {
        case 'x':
            radix = 16;
            break;
        case 'b':
            radix = 2;
            break;
        case 'o':
            radix = 8;
            break;
        case 'd':
            radix = 10;
            break;
        case 'e':
        case 'i':
            exactness = text[1] | 0x20;
            break;
        default:
            return FALSE;
        }
    }
    if (length == 0)
        return FALSE;
    value number = parse_integer(text, length, radix);
    if (number == FALSE)
        number = parse_ratio(text, length, radix);
    if (number == FALSE && radix == 10)
        number = parse_decimal(text, length);
    if (exactness == 'i' && is_fixnum(number))
        return flonum((double)fixnum_of(number));
    return exactness == 'e' && number_is_integer(number) ? number_exact(number) : number;
}

static size_t integer_text(intptr_t n, int radix, char *text)
{
    char digits[NUMBER_TEXT];
    size_t count = 0, length = 0;
    uintptr_t rest = n < 0 ? -(uintptr_t)n : (uintptr_t)n;
    do
        digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % (unsigned)radix];
    while ((rest /= (unsigned)radix) != 0);
    if (n < 0)
        text[length++] = '-';
    while (count > 0)
        text[length++] = digits[--count];
    text[length] = '\0';
    return length;
}

/* The shortest that reads back the same. */
static size_t double_text(double d, char *text)
{
    if (isnan(d))
        return (size_t)snprintf(text, NUMBER_TEXT, "+nan.0");
    if (isinf(d))
        return (size_t)snprintf(text, NUMBER_TEXT, d < 0 ? "-inf.0" : "+inf.0");
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(text, NUMBER_TEXT, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    if (strpbrk(text, ".e") == NULL)
        length += snprintf(text + length, NUMBER_TEXT - (size_t)length, ".0");
    return (size_t)length;
}

size_t number_text(value number, int radix, char text[NUMBER_TEXT])
{
    if (is_fixnum(number))
        return integer_text(fixnum_of(number), radix, text);
    return double_text(flonum_of(number), text);
}
