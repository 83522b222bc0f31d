#include "keys.h"

#include "vector.h"

enum { LEAST_BITS = 6 };

/* Lists are linked by numbers, which count from 1, as the vector may move. */
struct waiting {
    const void *key;
    void *ephemeron;
    size_t next; /* 0: none */
};

static struct waiting *numbered(const struct keys *keys, size_t number)
{
    return (struct waiting *)keys->waiting.items + number - 1;
}

static size_t *list_of(const struct keys *keys, const void *key)
{
    uint64_t hash = (uintptr_t)key / GRANULE_BYTES * 0x9e3779b97f4a7c15u;
    return &keys->lists[hash >> (64 - keys->bits)];
}

static void push(const struct keys *keys, size_t *list, size_t number)
{
    numbered(keys, number)->next = *list;
    *list = number;
}

static size_t pop(const struct keys *keys, size_t *list)
{
    size_t number = *list;
    if (number != 0)
        *list = numbered(keys, number)->next;
    return number;
}

static size_t room(const struct keys *keys)
{
    return keys->lists != NULL ? (size_t)1 << keys->bits : 0;
}

static bool grow(struct keys *keys)
{
    struct keys larger = *keys;
    larger.bits = keys->lists != NULL ? keys->bits + 1 : LEAST_BITS;
    larger.lists = calloc((size_t)1 << larger.bits, sizeof(*larger.lists));
    if (larger.lists == NULL)
        return false;
    for (size_t i = 0; i < room(keys); i++) {
        for (size_t number; (number = pop(keys, &keys->lists[i])) != 0;)
            push(&larger, list_of(&larger, numbered(&larger, number)->key), number);
    }
    free(keys->lists);
    *keys = larger;
    return true;
}

bool keys_add(struct keys *keys, const void *key, void *ephemeron)
{
    struct waiting w = {key, ephemeron, 0};
    if (keys->waiting.count == room(keys) && !grow(keys))
        return false;
    if (!vector_push(&keys->waiting, &w, sizeof(w)))
        return false;
    push(keys, list_of(keys, key), keys->waiting.count);
    return true;
}

void keys_marked(struct keys *keys, const void *object)
{
    if (keys->lists == NULL)
        return;
    for (size_t *at = list_of(keys, object); *at != 0;) {
        if (numbered(keys, *at)->key == object)
            push(keys, &keys->ready, pop(keys, at));
        else
            at = &numbered(keys, *at)->next;
    }
}

void *keys_take(struct keys *keys)
{
    size_t number = pop(keys, &keys->ready);
    return number != 0 ? numbered(keys, number)->ephemeron : NULL;
}

void keys_free(struct keys *keys)
{
    vector_free(&keys->waiting);
    free(keys->lists);
}
