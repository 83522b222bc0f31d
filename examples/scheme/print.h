/* Values as text. Allocates nothing in the heap. */
#ifndef SCHEME_PRINT_H
#define SCHEME_PRINT_H

#include "text.h"
#include "value.h"

enum print_how { PRINT_DISPLAY, PRINT_WRITE };

void print(struct text *text, value v, enum print_how how);

/* The name of a character that has one, else NULL. */
const char *char_name(uint32_t c);

/* The character of that name; -1: none. */
int char_named(const char *name, size_t length);

/* At most 4 bytes; returns how many. */
size_t utf8_encode(uint32_t c, char *bytes);

#endif
