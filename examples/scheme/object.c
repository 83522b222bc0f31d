#include "object.h"

#include <string.h>

sinter_gc_type types[TYPE_COUNT];

#define WORD(type, member) ((uint64_t)1 << offsetof(struct type, member) / 8)
#define TAIL(type, length, elements)                                                                         \
    .size = offsetof(struct type, elements), .count_offset = offsetof(struct type, length),                  \
    .element_size = sizeof(((struct type *)0)->elements[0])

static const struct sinter_gc_layout layouts[TYPE_COUNT] = {
    [T_PAIR] = {.size = sizeof(struct pair), .references = WORD(pair, car) | WORD(pair, cdr)},
    [T_FLONUM] = {.size = sizeof(struct flonum), .pointer_free = true},
    [T_STRING] = {TAIL(string, length, bytes), .pointer_free = true},
    [T_SYMBOL] = {.size = sizeof(struct symbol), .references = WORD(symbol, name)},
    [T_VECTOR] = {TAIL(vector, length, items), .element_references = 1},
    [T_VALUES] = {TAIL(vector, length, items), .element_references = 1},
    [T_BOX] = {.size = sizeof(struct box), .references = WORD(box, content)},
    [T_CLOSURE] = {TAIL(closure, count, free), .references = WORD(closure, template),
                   .element_references = 1},
    [T_TEMPLATE] = {TAIL(template, count, constants), .element_references = 1},
    [T_PRIMITIVE] = {.size = sizeof(struct primitive), .pointer_free = true},
    [T_CONTINUATION] = {TAIL(vector, length, items), .element_references = 1},
    [T_RECORD] = {TAIL(record, count, fields), .references = WORD(record, type), .element_references = 1},
    [T_RECORD_TYPE] = {.size = sizeof(struct record_type),
                       .references = WORD(record_type, name) | WORD(record_type, fields)},
    [T_TABLE] = {.size = sizeof(struct table), .references = WORD(table, index) | WORD(table, entries)},
    [T_INDEX] = {TAIL(index, length, slots), .pointer_free = true},
    [T_PORT] = {.size = sizeof(struct port), .references = WORD(port, buffer) | WORD(port, name)},
    [T_PROMISE] = {.size = sizeof(struct promise), .references = WORD(promise, content)},
    [T_CONDITION] = {.size = sizeof(struct condition),
                     .references =
                         WORD(condition, message) | WORD(condition, irritants) | WORD(condition, where)},
    [T_MACRO] = {.size = sizeof(struct macro),
                 .references = WORD(macro, ellipsis) | WORD(macro, literals) | WORD(macro, rules)},
    [T_ALIAS] = {.size = sizeof(struct alias), .references = WORD(alias, name)},
};

static const char *const names[TYPE_COUNT] = {
#define X(type, structure, name) [T_##type] = name,
    TYPE_TABLE(X)
#undef X
};

void object_types_init(void)
{
    for (unsigned i = 0; i < TYPE_COUNT; i++) {
        struct sinter_gc_layout layout = layouts[i];
        layout.name = names[i];
        types[i] = heap_type(&layout);
    }
}

const char *object_type_name(value object)
{
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (sinter_gc_type_of(object) == types[i])
            return names[i];
    return "object";
}

value cons(value first, value rest)
{
    ROOTS(first, rest);
    struct pair *p = object_new(T_PAIR, sizeof(*p));
    p->car = first;
    p->cdr = rest;
    return p;
}

value list2(value a, value b)
{
    ROOTS(a);
    value rest = cons(b, NIL);
    return cons(a, rest);
}

value list3(value a, value b, value c)
{
    ROOTS(a);
    value rest = list2(b, c);
    return cons(a, rest);
}

value flonum(double number)
{
    struct flonum *f = object_new(T_FLONUM, sizeof(*f));
    f->number = number;
    return f;
}

/* `bytes` must not lie in the heap. */
value string_new(const char *bytes, size_t length)
{
    struct string *s = object_new(T_STRING, offsetof(struct string, bytes) + length);
    s->length = length;
    if (bytes != NULL)
        memcpy(s->bytes, bytes, length);
    return s;
}

value string_from(const char *text)
{
    return string_new(text, strlen(text));
}

value vector_new(enum type type, size_t length, value fill)
{
    ROOTS(fill);
    struct vector *v = object_new(type, offsetof(struct vector, items) + length * sizeof(value));
    v->length = length;
    for (size_t i = 0; i < length; i++)
        v->items[i] = fill;
    return v;
}

ptrdiff_t list_length(value list)
{
    ptrdiff_t length = 0;
    for (value slow = list; is_pair(list); slow = cdr(slow)) {
        list = cdr(list);
        length++;
        if (!is_pair(list))
            break;
        list = cdr(list);
        length++;
        if (list == slow)
            return -1;
    }
    return list == NIL ? length : -1;
}

value list_reverse_onto(value list, value tail)
{
    while (is_pair(list)) {
        struct pair *p = list;
        list = p->cdr;
        p->cdr = tail;
        tail = p;
    }
    return tail;
}
