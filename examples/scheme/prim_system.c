/* The heap, time, and what surrounds the program. */
#include "check.h"
#include "object.h"
#include "primitives.h"
#include "symbol.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int command_count;
static char **command;

void primitives_set_command_line(int count, char **arguments)
{
    command_count = count;
    command = arguments;
}

static intptr_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static value prim_jiffy(value *a, size_t n)
{
    (void)a;
    (void)n;
    return fixnum(nanoseconds(CLOCK_MONOTONIC) / 1000);
}

static value prim_jiffies_per_second(value *a, size_t n)
{
    (void)a;
    (void)n;
    return fixnum(1000000);
}

static value prim_milliseconds(value *a, size_t n)
{
    (void)a;
    (void)n;
    return fixnum(nanoseconds(CLOCK_MONOTONIC) / 1000000);
}

static value prim_second(value *a, size_t n)
{
    (void)a;
    (void)n;
    return flonum((double)nanoseconds(CLOCK_REALTIME) / 1e9);
}

static value prim_cpu_milliseconds(value *a, size_t n)
{
    (void)a;
    (void)n;
    return fixnum(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) / 1000000);
}

static value prim_gc(value *a, size_t n)
{
    (void)a;
    (void)n;
    heap_collect();
    return UNSPECIFIED;
}

/* An association list; the first entry is the name of the heap. */
static value prim_gc_stats(value *a, size_t n)
{
    struct heap_number numbers[16];
    value list = NIL, entry = NIL;
    (void)a;
    (void)n;
    ROOTS(list, entry);
    for (size_t i = heap_statistics(numbers, 16); i > 0; i--) {
        entry = symbol_from(numbers[i - 1].name);
        entry = cons(entry, fixnum((intptr_t)numbers[i - 1].number));
        list = cons(entry, list);
    }
    entry = symbol_from(heap_name);
    value key = symbol_from("heap");
    entry = cons(key, entry);
    return cons(entry, list);
}

/* #t or nothing: success; #f: failure. */
static value prim_exit(value *a, size_t n)
{
    int status = n == 0 || a[0] == TRUE ? 0 : is_fixnum(a[0]) ? (int)(fixnum_of(a[0]) & 255) : 1;
    fflush(NULL);
    exit(status);
}

static value prim_command_line(value *a, size_t n)
{
    value list = NIL;
    (void)a;
    (void)n;
    ROOTS(list);
    for (int i = command_count; i > 0; i--) {
        value string = string_from(command[i - 1]);
        list = cons(string, list);
    }
    return list;
}

static value prim_environment(value *a, size_t n)
{
    char *name = strndup(check_string(a[0])->bytes, string_of(a[0])->length);
    const char *found = name != NULL ? getenv(name) : NULL;
    (void)n;
    free(name);
    return found != NULL ? string_from(found) : FALSE;
}

static value prim_void(value *a, size_t n)
{
    (void)a;
    (void)n;
    return UNSPECIFIED;
}

const struct primitive_definition primitives_system[] = {
    {"current-jiffy", prim_jiffy, 0, 0, ORDINARY},
    {"jiffies-per-second", prim_jiffies_per_second, 0, 0, ORDINARY},
    {"current-milliseconds", prim_milliseconds, 0, 0, ORDINARY},
    {"current-second", prim_second, 0, 0, ORDINARY},
    {"cpu-milliseconds", prim_cpu_milliseconds, 0, 0, ORDINARY},
    {"gc", prim_gc, 0, 0, ORDINARY},
    {"gc-stats", prim_gc_stats, 0, 0, ORDINARY},
    {"%exit", prim_exit, 0, 1, ORDINARY},
    {"emergency-exit", prim_exit, 0, 1, ORDINARY},
    {"command-line", prim_command_line, 0, 0, ORDINARY},
    {"get-environment-variable", prim_environment, 1, 1, ORDINARY},
    {"void", prim_void, 0, -1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
