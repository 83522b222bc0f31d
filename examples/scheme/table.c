#include "table.h"

#include "equal.h"
#include "object.h"

#include <string.h>

enum { LEAST = 8, TRIPLE = 3 };

static struct table *table_of(value v)
{
    return v;
}

static struct index *index_new(size_t length)
{
    struct index *i = object_new(T_INDEX, offsetof(struct index, slots) + length * sizeof(uint32_t));
    i->length = length;
    return i;
}

value table_new(enum table_kind kind)
{
    value index = index_new((size_t)LEAST * 2), entries = NULL;
    ROOTS(index, entries);
    entries = vector_new(T_VECTOR, (size_t)LEAST * TRIPLE, FALSE);
    struct table *t = object_new(T_TABLE, sizeof(*t));
    t->index = index;
    t->entries = entries;
    t->kind = kind;
    return t;
}

static uint32_t hash_of(const struct table *t, value key)
{
    switch (t->kind) {
    case TABLE_EQ:
        return hash_eq(key);
    case TABLE_EQV:
        return hash_eqv(key);
    default:
        return hash_equal(key);
    }
}

static bool same(const struct table *t, value a, value b)
{
    if (a == b)
        return true;
    switch (t->kind) {
    case TABLE_EQ:
        return false;
    case TABLE_EQV:
        return is_eqv(a, b);
    default:
        return is_equal(a, b);
    }
}

static value *triple(const struct table *t, size_t number)
{
    return vector_of(t->entries)->items + number * TRIPLE;
}

/* Where the key's number stands in the index, or 0 where it would. */
static uint32_t *find(const struct table *t, value key, uint32_t hash)
{
    struct index *index = t->index;
    size_t mask = index->length - 1, at = hash & mask;
    for (; index->slots[at] != 0; at = (at + 1) & mask) {
        const value *entry = triple(t, index->slots[at] - 1);
        if (entry[0] == fixnum(hash) && entry[1] != ABSENT && same(t, entry[1], key))
            break;
    }
    return &index->slots[at];
}

value table_get(value *arguments)
{
    uint32_t hash = hash_of(arguments[0], arguments[1]);
    const struct table *t = arguments[0];
    uint32_t *slot = find(t, arguments[1], hash);
    return *slot != 0 ? triple(t, *slot - 1)[2] : UNDEFINED;
}

/* Room for twice as many entries as there are, without those that were deleted. */
static void rebuild(value *table)
{
    size_t room = LEAST;
    while (room < table_of(*table)->live * 2)
        room *= 2;
    value index = index_new(room * 2), entries = NULL;
    ROOTS(index, entries);
    entries = vector_new(T_VECTOR, room * TRIPLE, FALSE);
    struct table *t = table_of(*table);
    size_t count = 0;
    for (size_t i = 0; i < t->used; i++) {
        const value *entry = triple(t, i);
        if (entry[1] == ABSENT)
            continue;
        memcpy(vector_of(entries)->items + count++ * TRIPLE, entry, TRIPLE * sizeof(value));
        size_t mask = room * 2 - 1, at = (size_t)fixnum_of(entry[0]) & mask;
        while (((struct index *)index)->slots[at] != 0)
            at = (at + 1) & mask;
        ((struct index *)index)->slots[at] = (uint32_t)count;
    }
    t->index = index;
    t->entries = entries;
    t->used = count;
}

void table_put(value *arguments)
{
    uint32_t hash = hash_of(arguments[0], arguments[1]);
    struct table *t = table_of(arguments[0]);
    uint32_t *slot = find(t, arguments[1], hash);
    if (*slot != 0) {
        triple(t, *slot - 1)[2] = arguments[2];
        return;
    }
    if ((t->used + 1) * TRIPLE > vector_of(t->entries)->length) {
        rebuild(&arguments[0]);
        t = table_of(arguments[0]);
        slot = find(t, arguments[1], hash);
    }
    value *entry = triple(t, t->used++);
    entry[0] = fixnum(hash);
    entry[1] = arguments[1];
    entry[2] = arguments[2];
    t->live++;
    *slot = (uint32_t)t->used;
}

bool table_remove(value *arguments)
{
    uint32_t hash = hash_of(arguments[0], arguments[1]);
    struct table *t = table_of(arguments[0]);
    uint32_t *slot = find(t, arguments[1], hash);
    if (*slot == 0)
        return false;
    value *entry = triple(t, *slot - 1);
    entry[1] = ABSENT; /* the index goes on naming it: others may lie behind it */
    entry[2] = FALSE;
    t->live--;
    return true;
}

void table_clear(value *table)
{
    table_of(*table)->live = table_of(*table)->used = 0;
    rebuild(table);
}

value *table_next(value table, size_t *at)
{
    const struct table *t = table;
    while (*at < t->used) {
        value *entry = triple(t, (*at)++);
        if (entry[1] != ABSENT)
            return entry;
    }
    return NULL;
}
