/*
 * From return addresses to what a tool can look up: file and offset. By /proc/self/maps, because what libc offers takes the loader's
 * lock, which the thread that faults may hold.
 */
#ifndef SINTER_GUARD_MODULES_H
#define SINTER_GUARD_MODULES_H

#include "base.h"

enum { MODULE_NAME = 200 };

struct place {
    uintptr_t address;
    size_t offset;          /* as in the file's symbol table; without a module, the address */
    char name[MODULE_NAME]; /* path of the file; "" if there is none */
};

/* Fills offset and name in. `count` places, in any order. */
void guard_modules_find(struct place *places, size_t count);

#endif
