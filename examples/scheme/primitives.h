/* The procedures that are written in C. */
#ifndef SCHEME_PRIMITIVES_H
#define SCHEME_PRIMITIVES_H

#include "vm.h"

/* Each ends with an entry that has no name. */
extern const struct primitive_definition primitives_list[], primitives_vector[], primitives_number[],
    primitives_math[], primitives_char[], primitives_string[], primitives_table[], primitives_io[],
    primitives_control[], primitives_system[];

/* Makes them known, and compiles the procedures that are written in Scheme. False: those have an error. */
bool primitives_init(void);

/* What the program was started with. */
void primitives_set_command_line(int count, char **arguments);

#endif
