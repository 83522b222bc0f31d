/* Symbols, one object a name, and the global variables that are known by them. Neither ever goes away. */
#ifndef SCHEME_SYMBOL_H
#define SCHEME_SYMBOL_H

#include "value.h"

void symbols_init(void);

value symbol_intern(const char *name, size_t length); /* `name` must not lie in the heap */
value symbol_from(const char *name);
value symbol_of_string(value string);

uint32_t hash_bytes(const char *bytes, size_t length);

/* Global variables by number; [0] is not used. */
extern struct heap_range globals;

/* What the compiler knows of a global variable. */
struct global_info {
    bool primitive;          /* it still has the primitive that it was given at start */
    unsigned char op, arity; /* the instruction that does the same for so many operands; 0: none */
};
extern struct global_info *global_infos;

uint32_t global_number(value symbol);
value global_name(uint32_t number);

/*
 * Gives every global variable a second one of the same value, which code that is compiled from now on means by the name:
 * what a program defines or sets does not change the procedures that are there already.
 */
void globals_seal(void);

static inline value *global_at(uint32_t number)
{
    return &globals.start[number];
}

#endif
