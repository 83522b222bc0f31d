#include "text.h"

#include "heap.h"

#include <stdlib.h>
#include <string.h>

static void make_room(struct text *text, size_t length)
{
    if (text->room - text->length >= length)
        return;
    size_t room = text->room * 2 > text->length + length ? text->room * 2 : text->length + length + 64;
    char *bytes = realloc(text->bytes, room);
    if (bytes == NULL)
        heap_exhausted(room);
    text->bytes = bytes;
    text->room = room;
}

void text_byte(struct text *text, char byte)
{
    make_room(text, 1);
    text->bytes[text->length++] = byte;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    make_room(text, length);
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

void text_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}
