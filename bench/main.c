/*
 * bench-malloc --list             prints the cases: name and what is measured
 * bench-malloc --case=NAME ...    runs one, so that the peak memory reported is that case's
 * bench-malloc ...                runs all; the rest of the arguments is Google Benchmark's
 */
#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "process.h"

static int list_cases(void)
{
    static const char *const kinds[] = {"time", "memory", "baseline"};
    for (size_t i = 0; i < case_count; i++)
        printf("%s\t%s\n", cases[i].name, kinds[cases[i].kind]);
    return 0;
}

/* Registers the case called `name`, or all if it is NULL. Returns how many that are. */
static int register_cases(const char *name)
{
    int registered = 0;
    for (size_t i = 0; i < case_count; i++) {
        if (name && strcmp(cases[i].name, name) != 0)
            continue;
        bench_register(&cases[i]);
        registered++;
    }
    return registered;
}

int main(int argc, char **argv)
{
    static const char option[] = "--case=";
    const char *name = NULL;
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list_cases();
    process_check_allocator();
    if (argc > 1 && strncmp(argv[1], option, strlen(option)) == 0) {
        name = argv[1] + strlen(option);
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    if (register_cases(name) == 0) {
        fprintf(stderr, "no case is called %s\n", name);
        return 2;
    }
    bench_context("allocator", process_allocator());
    return bench_run(argc, argv);
}
