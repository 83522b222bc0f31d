/*
 * Where things are, for debuggers: a table of names and values, found by the exported symbol `sinter_layout`, that says what
 * a script has to know of the data structures to read them in a live process or a core dump. A stripped library has it,
 * too, and it cannot differ from the code. tools/gdb/sinter_gdb/layout.py reads it. The program never does.
 *
 * Each module contributes its own entries, which the linker gathers in two sections: fields and constants, which need no
 * relocation and stay on pages that nobody touches; and addresses.
 */
#ifndef SINTER_LAYOUT_H
#define SINTER_LAYOUT_H

#include "base.h"

enum { LAYOUT_VERSION = 1, LAYOUT_NAME_BYTES = 32 };

struct layout_entry {
    char name[LAYOUT_NAME_BYTES]; /* "span.free_slots", "pool.frontier", "PAGE_BYTES" */
    uint64_t value; /* offset of a field, address of a variable or function, value of a constant */
    uint64_t size;  /* of the field, the variable, the type; 0 otherwise */
};

#define LAYOUT_FIELD(type, field)                                                                            \
    {                                                                                                        \
        .name = #type "." #field, .value = offsetof(struct type, field),                                     \
        .size = sizeof(((struct type *)NULL)->field)                                                         \
    }
#define LAYOUT_TYPE(type)                                                                                    \
    {                                                                                                        \
        .name = #type, .size = sizeof(struct type)                                                           \
    }
#define LAYOUT_CONSTANT(constant)                                                                            \
    {                                                                                                        \
        .name = #constant, .value = (uint64_t)(constant)                                                     \
    }
#define LAYOUT_VARIABLE(variable)                                                                            \
    {                                                                                                        \
        .name = #variable, .value = (uint64_t)(uintptr_t)(&(variable)), .size = sizeof(variable)             \
    }
#define LAYOUT_FUNCTION(function)                                                                            \
    {                                                                                                        \
        .name = #function, .value = (uint64_t)(uintptr_t)(function)                                          \
    }

/* static const struct layout_entry NAME[] LAYOUT_SHAPES = {LAYOUT_FIELD(span, list), ...}; fields, types, constants */
#define LAYOUT_SHAPES __attribute__((section("sinter_shapes"), used, aligned(8)))
/* The same of variables and functions. */
#define LAYOUT_PLACES __attribute__((section("sinter_places"), used, aligned(8)))

struct layout {
    char magic[8];
    uint32_t version, entry_bytes;
    const struct layout_entry *shapes, *shapes_end, *places, *places_end;
};

/* Not in the interface for programs: its form may change with every version of the library. */
extern const struct layout sinter_layout;

#endif
