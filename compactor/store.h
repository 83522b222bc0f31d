/*
 * The store: what is left of packed pages, one record each.
 *
 * A log. Records are appended to the open segment, one after the other, so nothing is lost between them; segments that
 * have lost many of their records are cleaned, that is, the rest is appended again and the segment's memory given back (M.
 * Rosenblum, J. Ousterhout, "The Design and Implementation of a Log-Structured File System", 1992). Used by the mover only.
 */
#ifndef SINTER_STORE_H
#define SINTER_STORE_H

#include "base.h"

enum { STORE_RECORD_MAX = 4096 + 128 }; /* a page and the bits that say which slots it has */

/* Stands before each record's contents. */
struct store_record {
    uint32_t page;
    uint16_t bytes; /* of the contents */
    uint8_t bin;
    uint8_t unused;
    unsigned char contents[];
};

/* Number of a new record with room for `bytes`, 0 if memory is exhausted. */
uint32_t store_append(uint32_t page, unsigned bin, size_t bytes);

struct store_record *store_record(uint32_t number);

void store_free(uint32_t number);

/*
 * Cleans a segment if that is worth it; `moved` is told each record's new number. Returns whether there was one to clean.
 */
bool store_clean(void (*moved)(uint32_t page, uint32_t number));

/* Drops everything. */
void store_forget(void);

/* Bytes of memory that the store takes. */
size_t store_bytes(void);

/* Dies if an invariant is broken. */
void store_check(void);

#endif
