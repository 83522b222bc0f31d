/*
 * A page and its record: which slots are kept, and putting the page together again.
 *
 * A record's contents are one bit for each slot that has a part on the page, then the parts of the slots whose bits are set,
 * one after the other.
 */
#ifndef SINTER_PACK_H
#define SINTER_PACK_H

#include "base.h"

enum { PACK_NOTHING = 0, PACK_FAILED = UINT32_MAX };

/*
 * Makes a record of `page`, whose contents are at `from`, with the slots that are not free. PACK_NOTHING if all are;
 * PACK_FAILED if the store has no memory.
 */
uint32_t pack_page(uint32_t page, const char *from);

/* Puts the page together at `to`, which is zeroed; PACK_NOTHING leaves it so. */
void pack_unpack(uint32_t record, char *to);

/*
 * Makes the record smaller if many of its slots have been freed. Returns the record to use from now on, which is PACK_NOTHING
 * if no slot is left.
 */
uint32_t pack_shrink(uint32_t page, uint32_t record);

#endif
