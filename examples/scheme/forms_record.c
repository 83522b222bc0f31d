/*
 * define-record-type, as plain definitions:
 *
 *     (define point (%make-record-type 'point '(x y)))
 *     (define make-point (%record-constructor point 'make-point '(0 1)))
 *     (define point? (%record-predicate point 'point?))
 *     (define point-x (%record-accessor point 0 'point-x))
 *     (define set-point-x! (%record-modifier point 0 'set-point-x!))
 */
#include "error.h"
#include "object.h"
#include "parse.h"
#include "rules.h"

/* (define name (maker arguments ...)) in front of `forms`. */
static value definition(value name, value call, value forms)
{
    ROOTS(name, call, forms);
    call = cons(call, NIL);
    value d = cons(name, call);
    ROOTS(d);
    value define = rules_core("define");
    d = cons(define, d);
    return cons(d, forms);
}

/* (procedure type . arguments) */
static value call_on_type(const char *procedure, value type, value arguments)
{
    ROOTS(arguments);
    value call = cons(type, arguments);
    ROOTS(call);
    value name = rules_core(procedure);
    return cons(name, call);
}

static value quoted(value v)
{
    ROOTS(v);
    value quote = rules_core("quote");
    return list2(quote, v);
}

static value field_name(value field)
{
    return is_pair(field) ? car(field) : field;
}

static value field_names(value fields)
{
    value names = NIL;
    ROOTS(fields, names);
    for (; is_pair(fields); fields = cdr(fields))
        names = cons(field_name(car(fields)), names);
    return list_reverse_onto(names, NIL);
}

static value add_accessor(const char *maker, value type, value name, intptr_t number, value forms)
{
    ROOTS(type, name, forms);
    value arguments = quoted(name);
    arguments = list2(fixnum(number), arguments);
    value call = call_on_type(maker, type, arguments);
    return definition(name, call, forms);
}

static value add_fields(value form, value type, value fields, value forms)
{
    ROOTS(form, type, fields, forms);
    for (intptr_t number = 0; is_pair(fields); fields = cdr(fields), number++) {
        value field = car(fields);
        ROOTS(field);
        if (is_identifier(field))
            continue;
        ptrdiff_t length = list_length(field);
        if (length < 1 || length > 3)
            error_form(form, "bad field of a record");
        if (length > 1)
            forms = add_accessor("%record-accessor", type, car(cdr(field)), number, forms);
        if (length > 2)
            forms = add_accessor("%record-modifier", type, car(cdr(cdr(field))), number, forms);
    }
    return forms;
}

static intptr_t field_number(value form, value fields, value name)
{
    for (intptr_t number = 0; is_pair(fields); fields = cdr(fields), number++)
        if (field_name(car(fields)) == name)
            return number;
    error_form(form, "the constructor names no field of the record");
}

/* The numbers of the fields that the constructor takes. */
static value constructor_fields(value form, value names, value fields)
{
    value numbers = NIL;
    ROOTS(form, names, fields, numbers);
    for (; is_pair(names); names = cdr(names))
        numbers = cons(fixnum(field_number(form, fields, car(names))), numbers);
    return list_reverse_onto(numbers, NIL);
}

static value add_constructor(value form, value type, value constructor, value fields, value forms)
{
    if (constructor == FALSE)
        return forms;
    ROOTS(form, type, constructor, fields, forms);
    value names = is_pair(constructor) ? cdr(constructor) : field_names(fields);
    value arguments = constructor_fields(form, names, fields);
    ROOTS(arguments);
    value name = quoted(field_name(constructor));
    ROOTS(name);
    arguments = quoted(arguments);
    arguments = list2(name, arguments);
    value call = call_on_type("%record-constructor", type, arguments);
    return definition(field_name(constructor), call, forms);
}

/* (define-record-type name (constructor field ...) predicate (field accessor modifier) ...) */
value form_record_definitions(value form)
{
    ROOTS(form);
    parse_check(form, 3, -1);
    value type = field_name(car(cdr(form))), constructor = car(cdr(cdr(form))), rest = cdr(cdr(cdr(form)));
    value forms = NIL, call = NIL;
    ROOTS(type, constructor, rest, forms, call);
    if (!is_identifier(type) || (car(rest) != FALSE && !is_identifier(car(rest))))
        error_form(form, "bad syntax");
    call = field_names(cdr(rest));
    call = quoted(call);
    call = cons(call, NIL);
    value name = quoted(type);
    call = call_on_type("%make-record-type", name, call);
    forms = definition(type, call, forms);
    forms = add_constructor(form, type, constructor, cdr(rest), forms);
    if (car(rest) != FALSE) {
        call = quoted(car(rest));
        call = cons(call, NIL);
        call = call_on_type("%record-predicate", type, call);
        forms = definition(car(rest), call, forms);
    }
    forms = add_fields(form, type, cdr(rest), forms);
    return list_reverse_onto(forms, NIL);
}

struct node *form_define_record_type(value form, struct scope *scope)
{
    if (scope != NULL)
        error_form(form, "a definition where an expression has to be");
    return parse_sequence(form_record_definitions(form), scope);
}
