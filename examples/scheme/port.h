/* Ports: files, and strings that are read from or grow. */
#ifndef SCHEME_PORT_H
#define SCHEME_PORT_H

#include "text.h"
#include "value.h"

enum { PORT_INPUT = 1, PORT_OUTPUT = 2, PORT_CLOSED = 4 };

/* Open ports of the process, and those in use when none is given. */
enum { PORT_STDIN, PORT_STDOUT, PORT_STDERR, PORT_CURRENT_INPUT, PORT_CURRENT_OUTPUT, PORT_COUNT };
extern value ports[PORT_COUNT];

void ports_init(void);

value port_of_string(value string, value name); /* to read from */
value port_of_file(value name, bool input);     /* false: it could not be opened, see errno */
value port_to_string(void);

/* -1: there is no more. */
int port_get(value port);
int port_peek(value port);

void port_put(value port, const char *bytes, size_t length); /* from outside the heap */
value port_contents(value port);
void port_close(value port);

/* Names of files by number, for positions. */
uint32_t file_number(value name);
const char *file_name(uint32_t number);

#endif
