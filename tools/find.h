/*
 * Where the libraries are: beside this program, as built or as installed.
 */
#ifndef SINTER_FIND_H
#define SINTER_FIND_H

/*
 * The path of the library that is loaded as `name` ("libsinter.so"): in the build tree if this program is run from there,
 * else in the directory for libraries that belongs to where the program is installed. The caller frees it. NULL, with a
 * line on stderr, if there is none, or LD_PRELOAD cannot hold its path.
 */
char *find_library(const char *name);

#endif
