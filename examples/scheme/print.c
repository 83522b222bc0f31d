#include "print.h"

#include "number.h"
#include "object.h"
#include "symbol.h"
#include "vm.h"

#include <string.h>

enum { DEPTH = 2000 };

static const struct {
    const char *name;
    unsigned char c;
} char_names[] = {
    {"space", ' '},  {"newline", '\n'}, {"tab", '\t'},  {"return", '\r'}, {"null", 0},
    {"alarm", 7},    {"backspace", 8},  {"escape", 27}, {"delete", 127},  {"nul", 0},
    {"altmode", 27}, {"linefeed", 10},  {"page", 12},   {"rubout", 127},
};

const char *char_name(uint32_t c)
{
    for (size_t i = 0; i < sizeof(char_names) / sizeof(char_names[0]); i++)
        if (char_names[i].c == c)
            return char_names[i].name;
    return NULL;
}

int char_named(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(char_names) / sizeof(char_names[0]); i++)
        if (strlen(char_names[i].name) == length && memcmp(char_names[i].name, name, length) == 0)
            return char_names[i].c;
    return -1;
}

size_t utf8_encode(uint32_t c, char *bytes)
{
    if (c < 0x80) {
        bytes[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    bytes[0] = (char)((0xf00u >> more & 0xff) | c >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        bytes[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return more + 1;
}

static void print_char(struct text *text, uint32_t c, enum print_how how)
{
    char bytes[4];
    if (how == PRINT_WRITE) {
        text_string(text, "#\\");
        if (char_name(c) != NULL) {
            text_string(text, char_name(c));
            return;
        }
    }
    if (c >= 0x80 && c < 0x100 && how == PRINT_DISPLAY)
        text_byte(text, (char)c); /* strings are bytes, and so is what was taken from one */
    else
        text_append(text, bytes, utf8_encode(c, bytes));
}

static void print_string(struct text *text, const struct string *s)
{
    text_byte(text, '"');
    for (size_t i = 0; i < s->length; i++) {
        char c = s->bytes[i];
        if (c == '"' || c == '\\')
            text_byte(text, '\\');
        if (c == '\n')
            text_string(text, "\\n");
        else if (c == '\t')
            text_string(text, "\\t");
        else if (c == '\r')
            text_string(text, "\\r");
        else
            text_byte(text, c);
    }
    text_byte(text, '"');
}

static void print_at(struct text *text, value v, enum print_how how, unsigned depth);

static const char *quote_prefix(value v)
{
    static const char *const forms[][2] = {
        {"quote", "'"}, {"quasiquote", "`"}, {"unquote", ","}, {"unquote-splicing", ",@"}};
    if (!is_symbol(car(v)) || !is_pair(cdr(v)) || cdr(cdr(v)) != NIL)
        return NULL;
    const struct string *name = ((struct symbol *)car(v))->name;
    for (size_t i = 0; i < 4; i++)
        if (name->length == strlen(forms[i][0]) && memcmp(name->bytes, forms[i][0], name->length) == 0)
            return forms[i][1];
    return NULL;
}

static void print_list(struct text *text, value v, enum print_how how, unsigned depth)
{
    const char *prefix = quote_prefix(v);
    if (prefix != NULL) {
        text_string(text, prefix);
        print_at(text, car(cdr(v)), how, depth + 1);
        return;
    }
    text_byte(text, '(');
    print_at(text, car(v), how, depth + 1);
    for (v = cdr(v); is_pair(v); v = cdr(v)) {
        text_byte(text, ' ');
        print_at(text, car(v), how, depth + 1);
    }
    if (v != NIL) {
        text_string(text, " . ");
        print_at(text, v, how, depth + 1);
    }
    text_byte(text, ')');
}

static void print_items(struct text *text, const value *items, size_t count, enum print_how how,
                        unsigned depth)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_byte(text, ' ');
        print_at(text, items[i], how, depth + 1);
    }
}

static void print_special(struct text *text, value v)
{
    text_string(text, v == FALSE         ? "#f"
                      : v == TRUE        ? "#t"
                      : v == NIL         ? "()"
                      : v == END_OF_FILE ? "#<eof>"
                      : v == UNSPECIFIED ? "#<unspecified>"
                                         : "#<undefined>");
}

static void print_record(struct text *text, const struct record *r, enum print_how how, unsigned depth)
{
    const struct record_type *type = r->type;
    value names = type->fields;
    text_string(text, "#<");
    print_at(text, type->name, PRINT_DISPLAY, depth + 1);
    for (size_t i = 0; i < r->count; i++, names = cdr(names)) {
        text_byte(text, ' ');
        print_at(text, car(names), PRINT_DISPLAY, depth + 1);
        text_string(text, ": ");
        print_at(text, r->fields[i], how, depth + 1);
    }
    text_byte(text, '>');
}

static void print_condition(struct text *text, const struct condition *c, unsigned depth)
{
    text_string(text, "#<condition ");
    print_at(text, c->message, PRINT_WRITE, depth + 1);
    for (value i = c->irritants; is_pair(i); i = cdr(i)) {
        text_byte(text, ' ');
        print_at(text, car(i), PRINT_WRITE, depth + 1);
    }
    text_byte(text, '>');
}

static void print_named(struct text *text, const char *kind, value name)
{
    text_string(text, "#<");
    text_string(text, kind);
    if (is_symbol(name)) {
        text_byte(text, ' ');
        print_at(text, name, PRINT_DISPLAY, 0);
    }
    text_byte(text, '>');
}

static void print_object(struct text *text, value v, enum print_how how, unsigned depth)
{
    if (has_type(v, T_VECTOR) || has_type(v, T_VALUES)) {
        text_string(text, "#(");
        print_items(text, vector_of(v)->items, vector_of(v)->length, how, depth);
        text_byte(text, ')');
    } else if (has_type(v, T_CLOSURE)) {
        print_named(text, "procedure", ((struct template *)((struct closure *)v)->template)->constants[0]);
    } else if (has_type(v, T_PRIMITIVE)) {
        text_string(text, "#<procedure ");
        text_string(text, ((struct primitive *)v)->definition->name);
        text_byte(text, '>');
    } else if (has_type(v, T_RECORD_TYPE)) {
        print_named(text, "record-type", ((struct record_type *)v)->name);
    } else if (has_type(v, T_RECORD)) {
        print_record(text, v, how, depth);
    } else if (has_type(v, T_CONDITION)) {
        print_condition(text, v, depth);
    } else if (has_type(v, T_ALIAS)) {
        print_at(text, ((struct alias *)v)->name, how, depth + 1);
    } else {
        print_named(text, object_type_name(v), FALSE);
    }
}

static void print_at(struct text *text, value v, enum print_how how, unsigned depth)
{
    char number[NUMBER_TEXT];
    if (depth > DEPTH)
        text_string(text, "...");
    else if (is_number(v))
        text_append(text, number, number_text(v, 10, number));
    else if (is_char(v))
        print_char(text, char_of(v), how);
    else if (!is_object(v))
        print_special(text, v);
    else if (is_pair(v))
        print_list(text, v, how, depth);
    else if (is_symbol(v))
        print_at(text, ((struct symbol *)v)->name, PRINT_DISPLAY, depth);
    else if (!is_string(v))
        print_object(text, v, how, depth);
    else if (how == PRINT_WRITE)
        print_string(text, v);
    else
        text_append(text, string_of(v)->bytes, string_of(v)->length);
}

void print(struct text *text, value v, enum print_how how)
{
    print_at(text, v, how, 0);
}
