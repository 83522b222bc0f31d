/*
 * PROGRAM --list             prints the cases: name, what is measured and, where there is more to say, what that is
 * PROGRAM --case=NAME ...    runs one, so that the peak memory reported is that case's
 * PROGRAM ...                runs all
 *
 * --ARGUMENT=N sets an argument of the cases that has a name; the rest is Google Benchmark's.
 */
#include "main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

static int list_cases(void)
{
    static const char *const kinds[] = {"time", "memory", "baseline", "program", "step"};
    for (size_t i = 0; case_at(i); i++) {
        const struct bench_case *benchmark = case_at(i);
        const char *help = benchmark->help;
        printf("%s\t%s%s%s\n", benchmark->name, kinds[benchmark->kind], help ? "\t" : "", help ? help : "");
    }
    return 0;
}

/* What follows `--NAME=` where that is what `argument` is; else NULL. */
static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);
    bool is_it = strncmp(argument, "--", 2) == 0 && strncmp(argument + 2, name, length) == 0 &&
                 argument[2 + length] == '=';
    return is_it ? argument + 2 + length + 1 : NULL;
}

static size_t number(const char *argument, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0) {
        fprintf(stderr, "no number: %s\n", argument);
        exit(2);
    }
    return value;
}

static bool set_arg(const char *argument)
{
    for (int i = 0; arg_names[i]; i++) {
        const char *text = value_of(argument, arg_names[i]);
        if (!text)
            continue;
        bench_set_arg(i, number(argument, text));
        return true;
    }
    return false;
}

/* Takes what is ours out of the command line. The name of the case that is wanted; NULL: all. */
static const char *parse(int *argc, char **argv)
{
    const char *name = NULL;
    int left = 1;
    for (int i = 1; i < *argc; i++) {
        const char *value = value_of(argv[i], "case");
        if (value)
            name = value;
        else if (!set_arg(argv[i]))
            argv[left++] = argv[i];
    }
    argv[left] = NULL;
    *argc = left;
    return name;
}

/* Registers the case called `name`, or all if it is NULL. Returns how many that are. */
static int register_cases(const char *name)
{
    int registered = 0;
    for (size_t i = 0; case_at(i); i++) {
        if (name && strcmp(case_at(i)->name, name) != 0)
            continue;
        bench_register(case_at(i), arg_names);
        registered++;
    }
    return registered;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list_cases();
    process_check_allocator();
    const char *name = parse(&argc, argv);
    if (!name && case_at(0)->kind == BENCH_PROGRAM) {
        fprintf(stderr, "say which with --case=NAME, for each needs a process of its own; --list has them\n");
        return 2;
    }
    if (register_cases(name) == 0) {
        fprintf(stderr, "no case is called %s\n", name);
        return 2;
    }
    bench_context("allocator", process_allocator());
    return bench_run(argc, argv);
}
