/* Text that grows, outside the heap. */
#ifndef SCHEME_TEXT_H
#define SCHEME_TEXT_H

#include <stddef.h>

struct text {
    char *bytes;
    size_t length, room;
};

void text_byte(struct text *text, char byte);
void text_append(struct text *text, const char *bytes, size_t length);
void text_string(struct text *text, const char *string);

#endif
