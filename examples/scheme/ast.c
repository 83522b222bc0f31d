#include "ast.h"

#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    size_t used, room;
    char bytes[];
};

enum { CHUNK = 64 * 1024 };

struct ast_position ast_position;

static struct chunk *chunks; /* the newest first */
static struct heap_range values;
static size_t values_room;

static void add_chunk(size_t room)
{
    struct chunk *c = malloc(sizeof(*c) + room);
    if (c == NULL)
        heap_exhausted(room);
    *c = (struct chunk){chunks, 0, room};
    chunks = c;
}

void *ast_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (chunks == NULL || chunks->room - chunks->used < size)
        add_chunk(size > CHUNK ? size : CHUNK);
    void *memory = memset(chunks->bytes + chunks->used, 0, size);
    chunks->used += size;
    return memory;
}

struct node *ast_node(enum node_kind kind)
{
    struct node *n = ast_alloc(sizeof(*n));
    n->kind = kind;
    n->line = ast_position.line;
    return n;
}

static void grow_values(void)
{
    size_t count = (size_t)(values.end - values.start);
    if (values_room == 0)
        heap_range_add(&values);
    values_room = values_room == 0 ? 256 : values_room * 2;
    values.start = realloc(values.start, values_room * sizeof(value));
    if (values.start == NULL)
        heap_exhausted(values_room * sizeof(value));
    values.end = values.start + count;
}

uint32_t ast_hold(value v)
{
    if ((size_t)(values.end - values.start) == values_room)
        grow_values();
    *values.end++ = v;
    return (uint32_t)(values.end - values.start) - 1;
}

value ast_held(uint32_t number)
{
    return values.start[number];
}

void ast_reset(void)
{
    values.end = values.start;
    while (chunks != NULL && chunks->next != NULL) {
        struct chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
    if (chunks != NULL)
        chunks->used = 0;
}
