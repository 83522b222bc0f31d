/*
 * fragment [-c] SECONDS: allocates small blocks, frees nine in ten of them at random, waits, reads back what is left, and
 * says so. With -c a child holds the memory. Ends with 3 if a byte is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 400000, BYTES = 200, KEPT_IN = 10 };

static unsigned char *blocks[BLOCKS];

static unsigned char mark(size_t i)
{
    return (unsigned char)(i * 37 + 11);
}

static int hold(unsigned seconds)
{
    size_t kept = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        if (blocks[i] == NULL)
            return 2;
        memset(blocks[i], mark(i), BYTES);
    }
    srandom(1);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (random() % KEPT_IN != 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    sleep(seconds);
    for (size_t i = 0; i < BLOCKS; i++) {
        for (size_t at = 0; blocks[i] != NULL && at < BYTES; at++) {
            if (blocks[i][at] != mark(i))
                return 3;
        }
        kept += blocks[i] != NULL;
    }
    printf("%zu blocks are intact\n", kept);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;
    if (argc == 3 && strcmp(argv[1], "-c") == 0) {
        if (fork() == 0)
            return hold((unsigned)atoi(argv[2]));
        wait(&status);
        return WEXITSTATUS(status);
    }
    return argc == 2 ? hold((unsigned)atoi(argv[1])) : 2;
}
