#include "symbol.h"

#include "object.h"

#include <stdlib.h>
#include <string.h>

struct heap_range globals;
struct global_info *global_infos;

static struct heap_range names;   /* of the globals */
static struct heap_range symbols; /* a hash table with open addressing; UNDEFINED: free */
static size_t symbol_count;
static uint32_t globals_room;

static value *new_values(size_t count)
{
    value *values = malloc(count * sizeof(*values));
    if (values == NULL)
        heap_exhausted(count * sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = UNDEFINED;
    return values;
}

void symbols_init(void)
{
    symbols.start = new_values(1024);
    symbols.end = symbols.start + 1024;
    heap_range_add(&symbols);
    heap_range_add(&globals);
    heap_range_add(&names);
}

/* FNV-1a, stirred. */
uint32_t hash_bytes(const char *bytes, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static size_t symbols_mask(void)
{
    return (size_t)(symbols.end - symbols.start) - 1;
}

static value *find(const char *name, size_t length, uint32_t hash)
{
    size_t mask = symbols_mask(), at = hash & mask;
    for (; symbols.start[at] != UNDEFINED; at = (at + 1) & mask) {
        const struct symbol *s = symbols.start[at];
        const struct string *n = s->name;
        if (s->hash == hash && n->length == length && memcmp(n->bytes, name, length) == 0)
            break;
    }
    return &symbols.start[at];
}

static void grow_symbols(void)
{
    size_t old_size = symbols_mask() + 1, mask = old_size * 2 - 1;
    value *old = symbols.start;
    symbols.start = new_values(mask + 1);
    symbols.end = symbols.start + mask + 1;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] == UNDEFINED)
            continue;
        size_t at = ((struct symbol *)old[i])->hash & mask;
        while (symbols.start[at] != UNDEFINED)
            at = (at + 1) & mask;
        symbols.start[at] = old[i];
    }
    free(old);
}

value symbol_intern(const char *name, size_t length)
{
    uint32_t hash = hash_bytes(name, length);
    value *found = find(name, length, hash);
    if (*found != UNDEFINED)
        return *found;
    value string = string_new(name, length);
    ROOTS(string);
    struct symbol *s = object_new(T_SYMBOL, sizeof(*s));
    s->name = string;
    s->hash = hash;
    *found = s;
    if (++symbol_count > symbols_mask() / 2)
        grow_symbols();
    return s;
}

value symbol_from(const char *name)
{
    return symbol_intern(name, strlen(name));
}

value symbol_of_string(value string)
{
    size_t length = string_of(string)->length;
    char small[128], *name = length <= sizeof(small) ? small : malloc(length);
    if (name == NULL)
        heap_exhausted(length);
    memcpy(name, string_of(string)->bytes, length);
    value symbol = symbol_intern(name, length);
    if (name != small)
        free(name);
    return symbol;
}

static void grow_globals(void)
{
    uint32_t room = globals_room == 0 ? 512 : globals_room * 2;
    value *new_globals = new_values(room), *new_names = new_values(room);
    struct global_info *infos = calloc(room, sizeof(*infos));
    if (infos == NULL)
        heap_exhausted(room * sizeof(*infos));
    size_t count = globals_room == 0 ? 1 : (size_t)(globals.end - globals.start);
    if (globals_room != 0) {
        memcpy(new_globals, globals.start, count * sizeof(value));
        memcpy(new_names, names.start, count * sizeof(value));
        memcpy(infos, global_infos, count * sizeof(*infos));
        free(globals.start);
        free(names.start);
        free(global_infos);
    }
    globals = (struct heap_range){new_globals, new_globals + count};
    names = (struct heap_range){new_names, new_names + count};
    global_infos = infos;
    globals_room = room;
}

uint32_t global_number(value symbol)
{
    struct symbol *s = symbol;
    if (s->global != 0)
        return (uint32_t)s->global;
    if ((size_t)(globals.end - globals.start) >= globals_room)
        grow_globals();
    uint32_t number = (uint32_t)(globals.end - globals.start);
    *globals.end++ = UNDEFINED;
    *names.end++ = symbol;
    s->global = number;
    return number;
}

value global_name(uint32_t number)
{
    return names.start[number];
}

void globals_seal(void)
{
    uint32_t count = (uint32_t)(globals.end - globals.start);
    for (uint32_t i = 1; i < count; i++) {
        struct symbol *symbol = names.start[i];
        symbol->global = 0;
        uint32_t number = global_number(symbol);
        globals.start[number] = globals.start[i];
        global_infos[number] = global_infos[i];
    }
}
