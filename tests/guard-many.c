/*
 * Hundreds of thousands of guarded blocks at once, in a process that may have 65 530 mappings: they must not take mappings, keep their
 * contents, and be guarded on both sides as long as they live and in full afterwards. Run preloaded, with guard:all.
 */
#include "sinter/malloc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) int sinter_stats_get(struct sinter_stats *);

enum {
    BLOCKS = 200 * 1000,
    PAGE = 4096,
    MAPPINGS = 100, /* more than before, at most */
    MPROTECT = 3,   /* of the field guard_way */
    SAMPLE = 97,    /* each so many blocks are tried */
};

static char *block[BLOCKS];
static int failures;

static size_t size_of(size_t i)
{
    return 16 + i * 16 % 2048; /* it ends at the page border, or starts there */
}

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            failures++;                                                                                      \
            printf("FAIL: " __VA_ARGS__);                                                                    \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

static struct sinter_stats stats_now(void)
{
    struct sinter_stats stats = {.size = sizeof stats};
    sinter_stats_get(&stats);
    return stats;
}

static long mappings(void)
{
    char line[4096 + 256];
    long count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count++;
    if (maps != NULL)
        fclose(maps);
    return count;
}

/* ---- touching what must be closed: the program's handler gets the signal after the report ---- */

static sigjmp_buf after;
static char *volatile fault_at;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault_at = info->si_addr;
    siglongjmp(after, sig);
}

static bool is_closed(char *p)
{
    fault_at = NULL;
    if (sigsetjmp(after, 1) == 0)
        (void)*(volatile char *)p;
    return fault_at == p;
}

/* ---- the steps ---- */

static void allocate_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = malloc(size_of(i));
        memset(block[i], (int)(i % 251), size_of(i));
    }
}

static void check_contents(size_t i)
{
    for (size_t k = 0; k < size_of(i); k++) {
        if (block[i][k] != (char)(i % 251)) {
            CHECK(false, "block %zu, byte %zu", i, k);
            return;
        }
    }
}

static void check_guards(size_t i)
{
    uintptr_t start = (uintptr_t)block[i], page = start - start % PAGE;
    CHECK(is_closed((char *)page - 1), "block %zu: the page before is open", i);
    CHECK(is_closed((char *)page + PAGE), "block %zu: the page behind is open", i);
}

static void check_limit_of_mprotect(long before)
{
    struct sinter_stats stats = stats_now();
    CHECK(stats.guards < 10000 && stats.guards > 8000, "%lu guarded", (unsigned long)stats.guards);
    CHECK(mappings() - before < 20000, "%ld mappings", mappings());
    for (size_t i = 0; i < BLOCKS; i++)
        check_contents(i);
}

static void check_all(long before)
{
    struct sinter_stats stats = stats_now();
    long added = mappings() - before;
    printf("%d blocks, %lu guards, %ld mappings, %ld more than before\n", BLOCKS, (unsigned long)stats.guards,
           mappings(), added);
    CHECK(stats.guards >= BLOCKS, "%lu guarded", (unsigned long)stats.guards);
    CHECK(added <= MAPPINGS, "%ld more mappings", added);
    for (size_t i = 0; i < BLOCKS; i++)
        check_contents(i);
    for (size_t i = 0; i < BLOCKS; i += SAMPLE)
        check_guards(i);
}

static void free_half(void)
{
    for (size_t i = 0; i < BLOCKS; i += 2)
        free(block[i]);
    for (size_t i = 0; i < BLOCKS; i += 2 * SAMPLE)
        CHECK(is_closed(block[i]), "block %zu: open although freed", i);
    for (size_t i = 1; i < BLOCKS; i += 2) {
        check_contents(i);
        free(block[i]);
    }
    CHECK(stats_now().guards_failed == 0, "%lu not closed", (unsigned long)stats_now().guards_failed);
}

int main(int argc, char **argv)
{
    if (sinter_stats_get == NULL || argc != 2)
        return 99;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    if ((int)stats_now().guard_way != atoi(argv[1]))
        return 77;
    long before = mappings();
    allocate_all();
    if (stats_now().guard_way == MPROTECT)
        check_limit_of_mprotect(before);
    else
        check_all(before);
    if (stats_now().guard_way != MPROTECT)
        free_half();
    printf("guard-many: %d failures\n", failures);
    return failures > 0;
}
