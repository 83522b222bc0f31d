/* What all heaps have in common. */
#include "heap.h"

#include <stdio.h>
#include <stdlib.h>

void heap_exhausted(size_t size)
{
    if (size > 0)
        fprintf(stderr, "scheme: out of memory (%zu bytes wanted)\n", size);
    else
        fprintf(stderr, "scheme: out of memory\n");
    exit(70);
}
