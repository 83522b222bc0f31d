/*
 * Fragments the heap, then does nothing: objects of 64 to 512 bytes, of which a random 90 % are freed, most pages
 * keeping some. Says what it holds, waits for a line of input (whoever started it watches its resident memory),
 * and then checks every byte of what it kept. usage: churn [OBJECTS [SEED]]
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../process.h"
#include "../workload.h"

enum { SMALLEST = 64, LARGEST = 512, FREED_PERCENT = 90, VECTOR_PAGES = 4096 };

/* The program's own notes: not in the heap, so that they can be told from what the allocator needs. */
struct note {
    unsigned char *object;
    uint32_t size;
    uint32_t number; /* decides what the object holds */
};

static struct note *notes;
static size_t notes_bytes;

static bool notes_map(size_t count)
{
    notes_bytes = (count * sizeof *notes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
    notes = mmap(NULL, notes_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return notes != MAP_FAILED;
}

static size_t notes_resident(void)
{
    static unsigned char vector[VECTOR_PAGES];
    size_t pages = 0;
    for (size_t done = 0; done < notes_bytes; done += sizeof vector * PAGE_BYTES) {
        size_t left = notes_bytes - done;
        size_t length = left < sizeof vector * PAGE_BYTES ? left : sizeof vector * PAGE_BYTES;
        if (mincore((char *)notes + done, length, vector) != 0)
            return 0;
        for (size_t i = 0; i < length / PAGE_BYTES; i++)
            pages += vector[i] & 1;
    }
    return pages * PAGE_BYTES;
}

static unsigned char content(uint32_t number, uint32_t at)
{
    return (unsigned char)(number * 167 + (number >> 8) * 59 + at);
}

static bool make_objects(size_t count, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t size = (uint32_t)(SMALLEST + rng_below(rng, LARGEST - SMALLEST + 1));
        notes[i] = (struct note){malloc(size), size, (uint32_t)i};
        if (!notes[i].object)
            return false;
        for (uint32_t at = 0; at < size; at++)
            notes[i].object[at] = content(notes[i].number, at);
    }
    return true;
}

/* Frees random ones until `keep` are left, which then are the first. */
static void free_objects(size_t count, size_t keep, struct rng *rng)
{
    while (count > keep) {
        size_t i = rng_below(rng, count);
        free(notes[i].object);
        notes[i] = notes[--count];
    }
}

static size_t live_bytes(size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += notes[i].size;
    return bytes;
}

static bool check_objects(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < notes[i].size; at++) {
            if (notes[i].object[at] == content(notes[i].number, at))
                continue;
            fprintf(stderr, "byte %u of object %u is damaged\n", (unsigned)at, (unsigned)notes[i].number);
            return false;
        }
    }
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wait_for_input(void)
{
    char c;
    while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
        ;
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000000;
    struct rng rng = rng_seed(argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
    size_t keep = count - count * FREED_PERCENT / 100;
    setvbuf(stdout, output, _IOFBF, sizeof output);
    process_check_allocator();
    if (!notes_map(count) || !make_objects(count, &rng)) {
        fprintf(stderr, "no memory for %zu objects\n", count);
        return 1;
    }
    size_t loaded = process_rss();
    double start = seconds();
    free_objects(count, keep, &rng);
    printf("{\"loaded\": %zu, \"free_seconds\": %.3f, \"survivors\": %zu, \"live\": %zu, \"notes\": %zu}\n",
           loaded, seconds() - start, keep, live_bytes(keep), notes_resident());
    fflush(stdout);
    wait_for_input();
    start = seconds();
    if (!check_objects(keep))
        return 1;
    printf("{\"check_seconds\": %.3f, \"rss\": %zu}\n", seconds() - start, process_rss());
    return 0;
}
