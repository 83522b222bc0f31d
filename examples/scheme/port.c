#include "port.h"

#include "error.h"
#include "object.h"
#include "symbol.h"

#include <stdlib.h>
#include <string.h>

value ports[PORT_COUNT];

static struct heap_range range = {ports, ports + PORT_COUNT};
static char **files; /* [0] is not used */
static uint32_t file_count;

static value port_new(value buffer, value name, FILE *file, uint32_t flags)
{
    ROOTS(buffer, name);
    struct port *p = object_new(T_PORT, sizeof(*p));
    p->buffer = buffer;
    p->name = name;
    p->file = file;
    p->flags = flags;
    p->line = 1;
    return p;
}

static value standard(FILE *file, const char *name, uint32_t flags)
{
    value string = string_from(name);
    return port_new(FALSE, string, file, flags);
}

void ports_init(void)
{
    for (unsigned i = 0; i < PORT_COUNT; i++)
        ports[i] = FALSE;
    heap_range_add(&range);
    ports[PORT_STDIN] = ports[PORT_CURRENT_INPUT] = standard(stdin, "stdin", PORT_INPUT);
    ports[PORT_STDOUT] = ports[PORT_CURRENT_OUTPUT] = standard(stdout, "stdout", PORT_OUTPUT);
    ports[PORT_STDERR] = standard(stderr, "stderr", PORT_OUTPUT);
}

uint32_t file_number(value name)
{
    const struct string *s = name;
    for (uint32_t i = 1; i <= file_count; i++)
        if (strlen(files[i]) == s->length && memcmp(files[i], s->bytes, s->length) == 0)
            return i;
    char **more = realloc(files, (file_count + 2) * sizeof(*files));
    char *copy = strndup(s->bytes, s->length);
    if (more == NULL || copy == NULL)
        heap_exhausted(s->length);
    files = more;
    files[++file_count] = copy;
    return file_count;
}

const char *file_name(uint32_t number)
{
    return number == 0 ? "?" : files[number];
}

value port_of_string(value string, value name)
{
    struct port *p = port_new(string, name, NULL, PORT_INPUT);
    if (is_string(p->name))
        p->file_number = file_number(p->name);
    return p;
}

static value whole_file(FILE *file)
{
    struct text text = {0};
    char piece[4096];
    size_t length;
    while ((length = fread(piece, 1, sizeof(piece), file)) > 0)
        text_append(&text, piece, length);
    value contents = ferror(file) ? FALSE : string_new(text.bytes, text.length);
    free(text.bytes);
    return contents;
}

/* Files are read at once, so that none stays open that is forgotten. */
value port_of_file(value name, bool input)
{
    ROOTS(name);
    char *path = strndup(string_of(name)->bytes, string_of(name)->length);
    FILE *file = path != NULL ? fopen(path, input ? "re" : "we") : NULL;
    free(path);
    if (file == NULL)
        return FALSE;
    if (!input)
        return port_new(FALSE, name, file, PORT_OUTPUT);
    value contents = whole_file(file);
    fclose(file);
    return contents == FALSE ? FALSE : port_of_string(contents, name);
}

value port_to_string(void)
{
    value buffer = string_new(NULL, 64);
    return port_new(buffer, FALSE, NULL, PORT_OUTPUT);
}

int port_peek(value port)
{
    struct port *p = port;
    if (p->file != NULL) {
        int c = getc(p->file);
        ungetc(c, p->file);
        return c;
    }
    const struct string *s = p->buffer;
    return p->position < s->length ? (unsigned char)s->bytes[p->position] : -1;
}

int port_get(value port)
{
    struct port *p = port;
    int c = p->file != NULL ? getc(p->file) : port_peek(port);
    if (p->file == NULL && c >= 0)
        p->position++;
    if (c == '\n')
        p->line++;
    return c < 0 ? -1 : c;
}

static void put_string(value port, const char *bytes, size_t length)
{
    struct port *p = port;
    size_t room = string_of(p->buffer)->length;
    if (room - p->position < length) {
        ROOTS(port);
        value larger = string_new(NULL, room * 2 > p->position + length ? room * 2 : p->position + length);
        p = port;
        memcpy(string_of(larger)->bytes, string_of(p->buffer)->bytes, p->position);
        p->buffer = larger;
    }
    memcpy(string_of(p->buffer)->bytes + p->position, bytes, length);
    p->position += length;
}

void port_put(value port, const char *bytes, size_t length)
{
    struct port *p = port;
    if (length == 0)
        return;
    p->column = bytes[length - 1] == '\n' ? 0 : 1;
    if (p->file != NULL)
        fwrite(bytes, 1, length, p->file);
    else
        put_string(port, bytes, length);
}

value port_contents(value port)
{
    ROOTS(port);
    size_t length = ((struct port *)port)->position;
    value contents = string_new(NULL, length);
    memcpy(string_of(contents)->bytes, string_of(((struct port *)port)->buffer)->bytes, length);
    return contents;
}

void port_close(value port)
{
    struct port *p = port;
    if (p->file != NULL && p->file != stdin && p->file != stdout && p->file != stderr) {
        fclose(p->file);
        p->file = NULL;
        p->buffer = FALSE;
    }
    p->flags |= PORT_CLOSED;
}
