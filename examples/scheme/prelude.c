#include "prelude.h"

#include "compile.h"
#include "object.h"
#include "port.h"
#include "read.h"
#include "symbol.h"
#include "vm.h"

static const char text[] =
#include "prelude.inc"
    ;

static value read_and_compile(value *arguments, size_t count)
{
    (void)count;
    value form = read_value(arguments[0]);
    return form == END_OF_FILE ? form : compile(form);
}

static const struct primitive_definition reader = {"prelude", read_and_compile, 1, 1, ORDINARY};

/* The text is compiled by a primitive, so that errors in it are reported like all others. */
bool prelude_load(void)
{
    value string = string_new(text, sizeof(text) - 1), port = NULL, procedure = NULL;
    ROOTS(string, port, procedure);
    port = port_of_string(string, FALSE);
    struct primitive *p = object_new(T_PRIMITIVE, sizeof(*p));
    p->definition = &reader;
    value read = p;
    ROOTS(read);
    for (;;) {
        value ignored;
        if (!vm_run(read, 1, port, FALSE, &procedure))
            return false;
        if (procedure == END_OF_FILE)
            break;
        if (!vm_run(procedure, 0, FALSE, FALSE, &ignored))
            return false;
    }
    globals_seal();
    return true;
}
