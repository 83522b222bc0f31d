/*
 * instructions OBJECTS ROUNDS: that many times over, allocates a batch of 64-byte objects, writes to each and
 * frees them. To be counted by callgrind; see instructions.py.
 */
#include <stdio.h>

#include "process.h"
#include "workload.h"

enum { OBJECTS_MAX = 5000, OBJECT_BYTES = 64 };

int main(int argc, char **argv)
{
    static void *objects[OBJECTS_MAX];
    size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    size_t rounds = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (count == 0 || count > OBJECTS_MAX) {
        fprintf(stderr, "usage: instructions OBJECTS ROUNDS, with 1 to %d objects\n", OBJECTS_MAX);
        return 2;
    }
    process_check_allocator();
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            objects[i] = make(OBJECT_BYTES);
        for (size_t i = 0; i < count; i++)
            free(objects[i]);
    }
    return 0;
}
