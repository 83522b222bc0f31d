/*
 * From a place in a file of code to function and line, by the file's symbol table and debugging information (libdw). Where these
 * are in a file of their own, that is found by the build ID or by the name that stands in the first.
 */
#ifndef SINTER_SYMBOLS_H
#define SINTER_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* A function and the line that was reached in it. NULL and 0 stand for what is not known. */
struct source {
    char *function, *file;
    int line;
};

enum { SOURCES = 32 }; /* functions inlined into one another, at most */

/* Another directory with separate debugging information, to be looked at before the system's. 0, or -1 with errno. */
int symbols_add_directory(const char *directory);

/*
 * What is at `offset`, an address as in the module's own symbol table: the innermost function, then those that it is inlined in.
 * How many; 0 if nothing is known. A module that cannot be read is named on stderr, once. The caller frees them.
 */
size_t symbols_find(const char *module, uint64_t offset, struct source sources[SOURCES]);
void symbols_free(struct source *sources, size_t count);

#endif
