/*
 * Ephemerons that wait for their keys to be marked, by key: each is looked at again when that has come about, and not before.
 */
#ifndef SINTER_GC_KEYS_H
#define SINTER_GC_KEYS_H

#include "heap.h"

/* All zero: empty. */
struct keys {
    struct vector waiting; /* struct waiting */
    size_t *lists;         /* 1 << bits of them, by the hash of the key */
    unsigned bits;
    size_t ready; /* a list of those whose keys have been marked */
};

/* False if memory is exhausted. */
bool keys_add(struct keys *keys, const void *key, void *ephemeron);

/* For each object that is marked from now on. */
void keys_marked(struct keys *keys, const void *object);

/* An ephemeron whose key has been marked since it was added, each once; NULL: there is none. */
void *keys_take(struct keys *keys);

void keys_free(struct keys *keys);

#endif
