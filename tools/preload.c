#include "preload.h"

#include <stdio.h>
#include <stdlib.h>

bool preload_add(const char *library)
{
    const char *old = getenv("LD_PRELOAD");
    char *joined;
    if (old == NULL || *old == '\0')
        return setenv("LD_PRELOAD", library, 1) == 0;
    if (asprintf(&joined, "%s:%s", library, old) < 0)
        return false;
    bool added = setenv("LD_PRELOAD", joined, 1) == 0;
    free(joined);
    return added;
}
