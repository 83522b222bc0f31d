/* Equivalence, and hashing that agrees with it. */
#ifndef SCHEME_EQUAL_H
#define SCHEME_EQUAL_H

#include "value.h"

bool is_eqv(value a, value b);
bool is_equal(value a, value b);

/* May move objects. */
uint32_t hash_eq(value v);
uint32_t hash_eqv(value v);
uint32_t hash_equal(value v);

#endif
