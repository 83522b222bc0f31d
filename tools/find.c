#include "find.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The directory of this program, without its last `levels` parts. */
static int own_directory(char *path, size_t size, int levels)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length < 0)
        return -1;
    path[length] = '\0';
    for (; levels >= 0; levels--) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return -1;
        *slash = '\0';
    }
    return 0;
}

/* In the version that belongs to this program: the name without one is there only for those who compile. */
static char *existing(const char *directory, const char *below, const char *name)
{
    char *path;
    if (asprintf(&path, "%s%s/%s." SINTER_SOVERSION, directory, below, name) < 0)
        return NULL;
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *find_library(const char *name)
{
    char directory[PATH_MAX], *path = NULL;
    /* tools/sinter, or tools/.libs/sinter as libtool has it */
    for (int levels = 1; path == NULL && levels <= 2; levels++) {
        if (own_directory(directory, sizeof(directory), levels) == 0)
            path = existing(directory, "/.libs", name);
    }
    if (path == NULL)
        path = existing(SINTER_LIBDIR, "", name);
    if (path == NULL && own_directory(directory, sizeof(directory), 1) == 0) /* moved as a whole */
        path = existing(directory, "/lib", name);
    if (path == NULL) {
        fprintf(stderr, "sinter: %s is neither in %s nor beside this program\n", name, SINTER_LIBDIR);
    } else if (strpbrk(path, ": ") != NULL) {
        fprintf(stderr, "sinter: %s cannot be preloaded: a space or a colon ends a path in LD_PRELOAD\n",
                path);
        free(path);
        path = NULL;
    }
    return path;
}
