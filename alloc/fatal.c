#include "fatal.h"

#include "fmt.h"
#include "os.h"

#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    char line[512];
    struct fmt f;
    fmt_to_buffer(&f, line, sizeof(line) - 1);
    fmt_print(&f, "sinter: ");
    fmt_vprint(&f, format, args);
    line[f.used++] = '\n';
    os_write(2, line, f.used);
}

void warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    abort();
}

void fatal_assert(const char *what, const char *file, int line)
{
    const char *slash = strrchr(file, '/');
    fatal("internal error, or the allocator's tables were overwritten: %s does not hold (%s:%d)", what,
          slash != NULL ? slash + 1 : file, line);
}
