/* Input and output. */
#include "check.h"
#include "object.h"
#include "port.h"
#include "primitives.h"
#include "print.h"
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The port among the arguments, or the current one. */
static value check_port(value *a, size_t n, size_t at, uint32_t flags)
{
    value port = n > at ? a[at] : ports[flags == PORT_INPUT ? PORT_CURRENT_INPUT : PORT_CURRENT_OUTPUT];
    if (!has_type(port, T_PORT) || !(((struct port *)port)->flags & flags))
        error_expected(flags == PORT_INPUT ? "an input port" : "an output port", port);
    if (((struct port *)port)->flags & PORT_CLOSED)
        error_value(port, "the port is closed");
    return port;
}

static value write_value(value *a, size_t n, enum print_how how)
{
    static struct text text; /* kept: an error may leave this at any time */
    value port = check_port(a, n, 1, PORT_OUTPUT);
    text.length = 0;
    print(&text, a[0], how);
    port_put(port, text.bytes, text.length);
    return UNSPECIFIED;
}

static value prim_display(value *a, size_t n)
{
    return write_value(a, n, PRINT_DISPLAY);
}

static value prim_write(value *a, size_t n)
{
    return write_value(a, n, PRINT_WRITE);
}

static value prim_newline(value *a, size_t n)
{
    port_put(check_port(a, n, 0, PORT_OUTPUT), "\n", 1);
    return UNSPECIFIED;
}

static value prim_fresh_line(value *a, size_t n)
{
    value port = check_port(a, n, 0, PORT_OUTPUT);
    if (((struct port *)port)->column != 0)
        port_put(port, "\n", 1);
    return UNSPECIFIED;
}

static value prim_write_char(value *a, size_t n)
{
    check_char(a[0]);
    return write_value(a, n, PRINT_DISPLAY);
}

static value prim_write_string(value *a, size_t n)
{
    check_string(a[0]);
    return write_value(a, n, PRINT_DISPLAY);
}

static value prim_read(value *a, size_t n)
{
    return read_value(check_port(a, n, 0, PORT_INPUT));
}

static value prim_read_char(value *a, size_t n)
{
    int c = port_get(check_port(a, n, 0, PORT_INPUT));
    return c < 0 ? END_OF_FILE : character((uint32_t)c);
}

static value prim_peek_char(value *a, size_t n)
{
    int c = port_peek(check_port(a, n, 0, PORT_INPUT));
    return c < 0 ? END_OF_FILE : character((uint32_t)c);
}

/* Up to `limit` bytes, or to the end of the line, which is taken but not returned. */
static value read_text(value port, size_t limit, bool line)
{
    struct text text = {0};
    int c = 0;
    while (text.length < limit && (c = port_get(port)) >= 0 && !(line && c == '\n'))
        text_byte(&text, (char)c);
    value string = c < 0 && text.length == 0 ? END_OF_FILE : string_new(text.bytes, text.length);
    free(text.bytes);
    return string;
}

static value prim_read_line(value *a, size_t n)
{
    return read_text(check_port(a, n, 0, PORT_INPUT), SIZE_MAX, true);
}

static value prim_read_string(value *a, size_t n)
{
    size_t limit = check_size(a[0]);
    return read_text(check_port(a, n, 1, PORT_INPUT), limit, false);
}

static value prim_eof_object(value *a, size_t n)
{
    (void)a;
    (void)n;
    return END_OF_FILE;
}

static value prim_is_eof(value *a, size_t n)
{
    (void)n;
    return boolean(a[0] == END_OF_FILE);
}

static value open_file(value *a, bool input)
{
    check_string(a[0]);
    value port = port_of_file(a[0], input);
    if (port == FALSE)
        error_value(a[0], "cannot open the file (%s)", strerror(errno));
    return port;
}

static value prim_open_input_file(value *a, size_t n)
{
    (void)n;
    return open_file(a, true);
}

static value prim_open_output_file(value *a, size_t n)
{
    (void)n;
    return open_file(a, false);
}

/* Reads from a copy: what becomes of the string later does not matter. */
static value prim_open_input_string(value *a, size_t n)
{
    size_t length = check_string(a[0])->length;
    (void)n;
    value copy = string_new(NULL, length);
    memcpy(string_of(copy)->bytes, string_of(a[0])->bytes, length);
    return port_of_string(copy, FALSE);
}

/* (%open-named-string text name): positions name it. */
static value prim_open_named_string(value *a, size_t n)
{
    (void)n;
    check_string(a[0]);
    check_string(a[1]);
    return port_of_string(a[0], a[1]);
}

static value prim_open_output_string(value *a, size_t n)
{
    (void)a;
    (void)n;
    return port_to_string();
}

static value prim_get_output_string(value *a, size_t n)
{
    (void)n;
    if (!has_type(a[0], T_PORT) || ((struct port *)a[0])->flags != PORT_OUTPUT ||
        ((struct port *)a[0])->file != NULL)
        error_expected("a string port", a[0]);
    return port_contents(a[0]);
}

static value prim_close_port(value *a, size_t n)
{
    (void)n;
    if (!has_type(a[0], T_PORT))
        error_expected("a port", a[0]);
    port_close(a[0]);
    return UNSPECIFIED;
}

static value prim_flush_output(value *a, size_t n)
{
    const struct port *p = check_port(a, n, 0, PORT_OUTPUT);
    if (p->file != NULL)
        fflush(p->file);
    return UNSPECIFIED;
}

static value prim_current_input(value *a, size_t n)
{
    (void)a;
    (void)n;
    return ports[PORT_CURRENT_INPUT];
}

static value prim_current_output(value *a, size_t n)
{
    (void)a;
    (void)n;
    return ports[PORT_CURRENT_OUTPUT];
}

static value prim_current_error(value *a, size_t n)
{
    (void)a;
    (void)n;
    return ports[PORT_STDERR];
}

static value prim_set_current_output(value *a, size_t n)
{
    ports[PORT_CURRENT_OUTPUT] = check_port(a, n, 0, PORT_OUTPUT);
    return UNSPECIFIED;
}

static value prim_set_current_input(value *a, size_t n)
{
    ports[PORT_CURRENT_INPUT] = check_port(a, n, 0, PORT_INPUT);
    return UNSPECIFIED;
}

static bool has_flag(value v, uint32_t flag)
{
    return has_type(v, T_PORT) && (((struct port *)v)->flags & flag);
}

static value prim_is_port(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_PORT));
}

static value prim_is_input_port(value *a, size_t n)
{
    (void)n;
    return boolean(has_flag(a[0], PORT_INPUT));
}

static value prim_is_output_port(value *a, size_t n)
{
    (void)n;
    return boolean(has_flag(a[0], PORT_OUTPUT));
}

static char *path_of(value v)
{
    char *path = strndup(check_string(v)->bytes, string_of(v)->length);
    if (path == NULL)
        heap_exhausted(string_of(v)->length);
    return path;
}

static value prim_file_exists(value *a, size_t n)
{
    (void)n;
    char *path = path_of(a[0]);
    bool exists = access(path, F_OK) == 0;
    free(path);
    return boolean(exists);
}

static value prim_delete_file(value *a, size_t n)
{
    (void)n;
    char *path = path_of(a[0]);
    int error = unlink(path) == 0 ? 0 : errno;
    free(path);
    if (error != 0)
        error_value(a[0], "cannot delete the file (%s)", strerror(error));
    return UNSPECIFIED;
}

const struct primitive_definition primitives_io[] = {
    {"display", prim_display, 1, 2, ORDINARY},
    {"write", prim_write, 1, 2, ORDINARY},
    {"write-shared", prim_write, 1, 2, ORDINARY},
    {"write-simple", prim_write, 1, 2, ORDINARY},
    {"newline", prim_newline, 0, 1, ORDINARY},
    {"fresh-line", prim_fresh_line, 0, 1, ORDINARY},
    {"write-char", prim_write_char, 1, 2, ORDINARY},
    {"write-string", prim_write_string, 1, 2, ORDINARY},
    {"read", prim_read, 0, 1, ORDINARY},
    {"read-char", prim_read_char, 0, 1, ORDINARY},
    {"peek-char", prim_peek_char, 0, 1, ORDINARY},
    {"read-line", prim_read_line, 0, 1, ORDINARY},
    {"read-string", prim_read_string, 1, 2, ORDINARY},
    {"eof-object", prim_eof_object, 0, 0, ORDINARY},
    {"eof-object?", prim_is_eof, 1, 1, ORDINARY},
    {"open-input-file", prim_open_input_file, 1, 1, ORDINARY},
    {"open-output-file", prim_open_output_file, 1, 1, ORDINARY},
    {"open-input-string", prim_open_input_string, 1, 1, ORDINARY},
    {"%open-named-string", prim_open_named_string, 2, 2, ORDINARY},
    {"open-output-string", prim_open_output_string, 0, 0, ORDINARY},
    {"get-output-string", prim_get_output_string, 1, 1, ORDINARY},
    {"close-port", prim_close_port, 1, 1, ORDINARY},
    {"close-input-port", prim_close_port, 1, 1, ORDINARY},
    {"close-output-port", prim_close_port, 1, 1, ORDINARY},
    {"flush-output", prim_flush_output, 0, 1, ORDINARY},
    {"flush-output-port", prim_flush_output, 0, 1, ORDINARY},
    {"current-input-port", prim_current_input, 0, 0, ORDINARY},
    {"current-output-port", prim_current_output, 0, 0, ORDINARY},
    {"current-error-port", prim_current_error, 0, 0, ORDINARY},
    {"%set-current-output!", prim_set_current_output, 1, 1, ORDINARY},
    {"%set-current-input!", prim_set_current_input, 1, 1, ORDINARY},
    {"port?", prim_is_port, 1, 1, ORDINARY},
    {"input-port?", prim_is_input_port, 1, 1, ORDINARY},
    {"output-port?", prim_is_output_port, 1, 1, ORDINARY},
    {"file-exists?", prim_file_exists, 1, 1, ORDINARY},
    {"delete-file", prim_delete_file, 1, 1, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
