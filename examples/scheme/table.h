/*
 * Hash tables. `entries` is a vector of triples hash, key, value in the order in which they were added; `index` has open
 * addressing and says where a key's triple is. So what a program sees of the order does not depend on addresses.
 */
#ifndef SCHEME_TABLE_H
#define SCHEME_TABLE_H

#include "value.h"

enum table_kind { TABLE_EQ, TABLE_EQV, TABLE_EQUAL, TABLE_STRING };

value table_new(enum table_kind kind);

/* The arguments of these have to lie in roots: a table, a key and what belongs to it. Absent: UNDEFINED. */
value table_get(value *table_and_key);
void table_put(value *table_key_and_value);
bool table_remove(value *table_and_key);

void table_clear(value *table);

/* The next triple from number *at on, NULL at the end; *at moves on. */
value *table_next(value table, size_t *at);

#endif
