/* The command: scheme [-e EXPRESSION]... [FILE [ARGUMENT]...] */
#include "object.h"
#include "parse.h"
#include "port.h"
#include "primitives.h"
#include "repl.h"
#include "symbol.h"

#include <string.h>

enum { FAILED = 70 };

static void help(const char *name)
{
    printf("usage: %s [-e EXPRESSION]... [FILE [ARGUMENT]...]\n"
           "Runs FILE or evaluates the expressions; without either reads from the terminal.\n"
           "  -e EXPRESSION  evaluate it\n"
           "  -h, --help     this text\n"
           "The heap is %s's.\n",
           name, heap_name);
}

/* Calls the procedure of that name with one or two strings. */
static bool call(const char *procedure, const char *first, const char *second)
{
    value a = string_from(first), b = FALSE, ignored = NULL;
    ROOTS(a, b, ignored);
    b = string_from(second != NULL ? second : "");
    uint32_t number = global_number(symbol_from(procedure));
    return vm_run(*global_at(number), second != NULL ? 2 : 1, a, b, &ignored);
}

static bool start(void)
{
    heap_open();
    object_types_init();
    symbols_init();
    ports_init();
    parse_init();
    vm_init();
    return primitives_init();
}

static int run(int argc, char **argv)
{
    bool evaluated = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            help(argv[0]);
            return 0;
        }
        if (strcmp(argv[i], "-e") != 0 || i + 1 == argc) {
            fprintf(stderr, "scheme: unknown or incomplete option %s; --help tells more\n", argv[i]);
            return 64;
        }
        if (!call("%evaluate-text", argv[++i], "-e"))
            return FAILED;
        evaluated = true;
    }
    if (i == argc)
        return evaluated ? 0 : repl();
    primitives_set_command_line(argc - i, argv + i);
    return call("load", argv[i], NULL) ? 0 : FAILED;
}

int main(int argc, char **argv)
{
    if (!start()) {
        fprintf(stderr, "scheme: the procedures written in Scheme have an error\n");
        return FAILED;
    }
    int status = run(argc, argv);
    fflush(NULL);
    heap_close();
    return status;
}
