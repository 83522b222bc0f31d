#include "read.h"

#include "error.h"
#include "number.h"
#include "object.h"
#include "port.h"
#include "print.h"
#include "symbol.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 10000, TOKEN = 1024 };

static value read_at(value port, unsigned depth);

static _Noreturn void wrong(value port, const char *what)
{
    const struct port *p = port;
    error_at(p->file_number, p->line, "%s", what);
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_delimiter(int c)
{
    return c < 0 || is_space(c) || c == '(' || c == ')' || c == '[' || c == ']' || c == '"' || c == ';' ||
           c == '\'';
}

static void skip_block_comment(value port)
{
    unsigned open = 1;
    for (int last = 0, c; open > 0; last = c) {
        c = port_get(port);
        if (c < 0)
            wrong(port, "a comment #| has no end");
        if (last == '|' && c == '#') {
            open--;
            c = 0;
        } else if (last == '#' && c == '|') {
            open++;
            c = 0;
        }
    }
}

static value reverse_into_vector(value list)
{
    ROOTS(list);
    size_t length = (size_t)list_length(list);
    struct vector *v = vector_new(T_VECTOR, length, FALSE);
    for (; is_pair(list); list = cdr(list))
        v->items[--length] = car(list);
    return v;
}

/* The rest of a list after its opening parenthesis. */
static value read_list(value port, unsigned depth, bool vector)
{
    value list = NIL, tail = NIL;
    ROOTS(port, list, tail);
    uint32_t line = ((struct port *)port)->line;
    for (;;) {
        value v = read_at(port, depth + 1);
        if (v == CLOSER)
            break;
        if (v == END_OF_FILE)
            error_at(((struct port *)port)->file_number, line, "the list that begins here has no end");
        if (v == DOT) {
            if (list == NIL || vector)
                wrong(port, "a dot where none can be");
            tail = read_at(port, depth + 1);
            if (read_at(port, depth + 1) != CLOSER)
                wrong(port, "more than one value after a dot");
            break;
        }
        list = cons(v, list);
        ((struct pair *)list)->line = ((struct port *)port)->line;
    }
    if (vector)
        return reverse_into_vector(list);
    list = list_reverse_onto(list, tail);
    if (list != NIL) {
        ((struct pair *)list)->line = line;
        ((struct pair *)list)->file = ((struct port *)port)->file_number;
    }
    return list;
}

static int read_hex_escape(value port)
{
    int c = 0, next;
    while ((next = port_get(port)) != ';') {
        const char *digits = "0123456789abcdef", *at = next > 0 ? strchr(digits, next | 0x20) : NULL;
        if (at == NULL || c > 0xfffff)
            wrong(port, "a bad \\x escape");
        c = c * 16 + (int)(at - digits);
    }
    return c;
}

/* Spaces at the start of the next line do not count. */
static void skip_line_break(value port, int c)
{
    while (c != '\n' && is_space(c))
        c = port_get(port);
    if (c != '\n')
        wrong(port, "an unknown escape in a string");
    while (port_peek(port) == ' ' || port_peek(port) == '\t')
        port_get(port);
}

static void read_escape(value port, struct text *text)
{
    static const char from[] = "ntra0\\\"|'", to[] = "\n\t\r\a\0\\\"|'";
    char bytes[4];
    int c = port_get(port);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    if (at != NULL)
        text_byte(text, to[at - from]);
    else if (c == 'x')
        text_append(text, bytes, utf8_encode((uint32_t)read_hex_escape(port), bytes));
    else
        skip_line_break(port, c);
}

/* Up to an unescaped `end`. */
static value read_quoted(value port, char end)
{
    static struct text text; /* kept: an error may leave this at any time */
    uint32_t line = ((struct port *)port)->line;
    text.length = 0;
    for (int c; (c = port_get(port)) != end;) {
        if (c < 0)
            error_at(((struct port *)port)->file_number, line, "the %s that begins here has no end",
                     end == '"' ? "string" : "symbol");
        if (c == '\\')
            read_escape(port, &text);
        else
            text_byte(&text, (char)c);
    }
    return end == '"' ? string_new(text.bytes, text.length) : symbol_intern(text.bytes, text.length);
}

static size_t read_token(value port, char token[TOKEN], size_t length)
{
    while (!is_delimiter(port_peek(port))) {
        if (length == TOKEN)
            wrong(port, "a name or number is too long");
        token[length++] = (char)port_get(port);
    }
    return length;
}

static value decode_char(value port, const char *token, size_t length)
{
    unsigned char first = (unsigned char)token[0];
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (length == 1)
        return character(first);
    if (first == 'x') {
        value c = number_parse(token + 1, length - 1, 16);
        if (is_fixnum(c) && fixnum_of(c) >= 0 && fixnum_of(c) <= 0x10ffff)
            return character((uint32_t)fixnum_of(c));
    }
    int named = char_named(token, length);
    if (named >= 0)
        return character((uint32_t)named);
    if (more == 0 || length != more + 1)
        wrong(port, "an unknown character name");
    uint32_t c = first & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++)
        c = c << 6 | (token[i] & 0x3f);
    return character(c);
}

static value read_char(value port)
{
    char token[TOKEN];
    int c = port_get(port);
    if (c < 0)
        wrong(port, "the file ends within a character");
    token[0] = (char)c;
    return decode_char(port, token, read_token(port, token, 1));
}

static value read_hash(value port, unsigned depth)
{
    char token[TOKEN] = "#";
    ROOTS(port);
    int c = port_peek(port);
    if (c == '(' || c == '\\' || c == '|' || c == ';' || c == '!')
        port_get(port);
    switch (c) {
    case '(':
        return read_list(port, depth, true);
    case '\\':
        return read_char(port);
    case '|':
        skip_block_comment(port);
        return read_at(port, depth);
    case ';':
        read_at(port, depth + 1);
        return read_at(port, depth);
    case '!':
        while ((c = port_get(port)) >= 0 && c != '\n')
            continue;
        return read_at(port, depth);
    }
    size_t length = read_token(port, token, 1);
    if ((length == 2 && token[1] == 't') || (length == 5 && memcmp(token, "#true", 5) == 0))
        return TRUE;
    if ((length == 2 && token[1] == 'f') || (length == 6 && memcmp(token, "#false", 6) == 0))
        return FALSE;
    value number = number_parse(token, length, 10);
    if (number == FALSE)
        wrong(port, "an unknown # syntax");
    return number;
}

static value read_abbreviation(value port, unsigned depth, const char *name)
{
    ROOTS(port);
    uint32_t line = ((struct port *)port)->line;
    value v = read_at(port, depth + 1);
    if (v == END_OF_FILE || v == DOT || v == CLOSER)
        wrong(port, "a quotation mark with nothing behind it");
    v = cons(v, NIL);
    ROOTS(v);
    value symbol = symbol_from(name);
    v = cons(symbol, v);
    ((struct pair *)v)->line = line;
    ((struct pair *)v)->file = ((struct port *)port)->file_number;
    return v;
}

static value read_atom(value port, int first)
{
    char token[TOKEN];
    token[0] = (char)first;
    size_t length = read_token(port, token, 1);
    if (length == 1 && first == '.')
        return DOT;
    value number = number_parse(token, length, 10);
    return number != FALSE ? number : symbol_intern(token, length);
}

static int next_visible(value port)
{
    for (int c;;) {
        c = port_get(port);
        if (c == ';')
            while ((c = port_get(port)) >= 0 && c != '\n')
                continue;
        if (!is_space(c))
            return c;
    }
}

static value read_at(value port, unsigned depth)
{
    ROOTS(port);
    if (depth > DEPTH)
        wrong(port, "nested too deeply");
    int c = next_visible(port);
    switch (c) {
    case -1:
        return END_OF_FILE;
    case '(':
    case '[':
        return read_list(port, depth, false);
    case ')':
    case ']':
        return CLOSER;
    case '"':
    case '|':
        return read_quoted(port, (char)c);
    case '\'':
        return read_abbreviation(port, depth, "quote");
    case '`':
        return read_abbreviation(port, depth, "quasiquote");
    case ',':
        if (port_peek(port) != '@')
            return read_abbreviation(port, depth, "unquote");
        port_get(port);
        return read_abbreviation(port, depth, "unquote-splicing");
    case '#':
        return read_hash(port, depth);
    default:
        return read_atom(port, c);
    }
}

value read_value(value port)
{
    value v = read_at(port, 0);
    if (v == DOT)
        wrong(port, "a dot outside of a list");
    if (v == CLOSER)
        wrong(port, "a closing parenthesis too many");
    return v;
}
