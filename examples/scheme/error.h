/* Raising errors from C. Each makes a condition that says where the program stood, and leaves the caller for its handler. */
#ifndef SCHEME_ERROR_H
#define SCHEME_ERROR_H

#include "value.h"

_Noreturn void error_plain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* With the value that is to blame, which is shown behind the message. */
_Noreturn void error_value(value irritant, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "car: expected a pair: 5" */
_Noreturn void error_expected(const char *what, value v);

/* Errors in the text of a program. */
_Noreturn void error_at(uint32_t file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void error_form(value form, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `where` is a string, or false. */
value condition_new(value message, value irritants, value where);

/* "file:line" where the program stands, or false. */
value error_here(void);

#endif
