#include "error.h"

#include "ast.h"
#include "code.h"
#include "object.h"
#include "port.h"
#include "print.h"
#include "vm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 500 };

value condition_new(value message, value irritants, value where)
{
    ROOTS(message, irritants, where);
    struct condition *c = object_new(T_CONDITION, sizeof(*c));
    c->message = message;
    c->irritants = irritants;
    c->where = where;
    return c;
}

static value position(uint32_t file, uint32_t line)
{
    char text[MESSAGE];
    if (line == 0)
        return FALSE;
    snprintf(text, sizeof(text), "%s:%u", file_name(file), line);
    return string_from(text);
}

value error_here(void)
{
    uint32_t line;
    const struct code *code = vm_position(&line);
    return code != NULL ? position(code->file, line) : FALSE;
}

/* "name: message" of the primitive that runs, if one does. */
static value __attribute__((format(printf, 1, 0))) named_message(const char *format, va_list arguments)
{
    char text[MESSAGE];
    int length = vm.primitive != NULL ? snprintf(text, sizeof(text), "%s: ", vm.primitive) : 0;
    vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
    return string_from(text);
}

void error_plain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    value message = named_message(format, arguments);
    va_end(arguments);
    ROOTS(message);
    value where = error_here();
    vm_raise(condition_new(message, NIL, where));
}

static _Noreturn void raise_with(value message, value irritant)
{
    ROOTS(message, irritant);
    irritant = cons(irritant, NIL);
    value where = error_here();
    vm_raise(condition_new(message, irritant, where));
}

void error_value(value irritant, const char *format, ...)
{
    ROOTS(irritant);
    va_list arguments;
    va_start(arguments, format);
    value message = named_message(format, arguments);
    va_end(arguments);
    raise_with(message, irritant);
}

void error_expected(const char *what, value v)
{
    error_value(v, "expected %s", what);
}

void error_at(uint32_t file, uint32_t line, const char *format, ...)
{
    char text[MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    value message = string_from(text);
    ROOTS(message);
    value where = position(file, line);
    vm_raise(condition_new(message, NIL, where));
}

void error_form(value form, const char *format, ...)
{
    char text[MESSAGE];
    va_list arguments;
    ROOTS(form);
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    value message = string_from(text);
    ROOTS(message);
    value irritants = cons(form, NIL);
    ROOTS(irritants);
    const struct pair *p = is_pair(form) ? form : NULL;
    value where = p != NULL && p->file != 0 ? position(p->file, p->line)
                                            : position(ast_position.file, ast_position.line);
    vm_raise(condition_new(message, irritants, where));
}
