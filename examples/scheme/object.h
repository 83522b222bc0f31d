/* The types of objects, and how the common ones are made. */
#ifndef SCHEME_OBJECT_H
#define SCHEME_OBJECT_H

#include "value.h"

void object_types_init(void);

/* What a type is called in messages and by the printer. */
const char *object_type_name(value object);

value cons(value first, value rest);
value list2(value a, value b);
value list3(value a, value b, value c);
value flonum(double number);
value string_new(const char *bytes, size_t length); /* NULL: zeros */
value string_from(const char *text);
value vector_new(enum type type, size_t length, value fill);

/* -1: no proper list. */
ptrdiff_t list_length(value list);

/* Reverses a list in place, in front of `tail`. */
value list_reverse_onto(value list, value tail);

#endif
