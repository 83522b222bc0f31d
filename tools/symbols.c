#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libstdc++'s; its header is for C++ only. */
extern char *__cxa_demangle(const char *mangled, char *buffer, size_t *length, int *status);

struct module {
    struct module *next;
    char *path;
    Dwfl *dwfl; /* NULL: it cannot be read */
    Dwfl_Module *dwfl_module;
    Dwarf_Addr bias;
};

static struct module *modules;
static char *debug_path; /* as libdwfl has it; NULL: its default */

static const Dwfl_Callbacks callbacks = {
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

int symbols_add_directory(const char *directory)
{
    char *absolute = realpath(directory, NULL), *path;
    if (absolute == NULL)
        return -1;
    const char *others = debug_path != NULL ? debug_path : ":.debug:/usr/lib/debug";
    int n = asprintf(&path, ":%s%s", absolute, others);
    free(absolute);
    if (n < 0)
        return -1;
    free(debug_path);
    debug_path = path;
    return 0;
}

/* ---- modules ---- */

static void report_unreadable(const char *path, const char *why)
{
    fprintf(stderr, "sinter symbolize: %s: %s\n", path, why);
}

static Dwfl *read_file(const char *path, Dwfl_Module **module)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl == NULL)
        return NULL;
    dwfl_report_begin(dwfl);
    *module = dwfl_report_offline(dwfl, "", path, -1);
    dwfl_report_end(dwfl, NULL, NULL);
    Dwarf_Addr bias;
    if (*module != NULL && dwfl_module_getelf(*module, &bias) != NULL)
        return dwfl;
    report_unreadable(path, dwfl_errmsg(-1));
    dwfl_end(dwfl);
    return NULL;
}

static struct module *add_module(const char *path)
{
    struct module *m = calloc(1, sizeof(*m));
    if (m == NULL || (m->path = strdup(path)) == NULL) {
        free(m);
        return NULL;
    }
    if (access(path, R_OK) != 0)
        report_unreadable(path, strerror(errno));
    else
        m->dwfl = read_file(path, &m->dwfl_module);
    if (m->dwfl != NULL)
        dwfl_module_getelf(m->dwfl_module, &m->bias);
    m->next = modules;
    modules = m;
    return m;
}

static struct module *module_of(const char *path)
{
    struct module *m = modules;
    while (m != NULL && strcmp(m->path, path) != 0)
        m = m->next;
    return m != NULL ? m : add_module(path);
}

/* ---- names ---- */

static char *demangled(const char *name)
{
    char *plain = strncmp(name, "_Z", 2) == 0 ? __cxa_demangle(name, NULL, NULL, NULL) : NULL;
    return plain != NULL ? plain : strdup(name);
}

static char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (name == NULL)
        name = dwarf_diename(die);
    return name != NULL ? demangled(name) : NULL;
}

static char *symbol_at(const struct module *m, Dwarf_Addr address)
{
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(m->dwfl_module, address, &offset, &symbol, NULL, NULL, NULL);
    return name != NULL && *name != '\0' ? demangled(name) : NULL;
}

/* Files are given as the compiler was told them, which may be from where it ran. */
static char *absolute(Dwarf_Die *unit, const char *file)
{
    Dwarf_Attribute attribute;
    const char *directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    char *path;
    if (*file == '/' || directory == NULL)
        return strdup(file);
    return asprintf(&path, "%s/%s", directory, file) < 0 ? NULL : path;
}

/* ---- places ---- */

/* Compilers may leave out the table from addresses to units (.debug_aranges), as clang does. */
static Dwarf_Die *unit_at(const struct module *m, Dwarf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(m->dwfl_module, address, bias);
    if (unit != NULL)
        return unit;
    while ((unit = dwfl_module_nextcu(m->dwfl_module, unit, bias)) != NULL) {
        if (dwarf_haspc(unit, address - *bias) > 0)
            return unit;
    }
    return NULL;
}

static void set_line(struct source *s, Dwarf_Die *unit, Dwarf_Addr address)
{
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    const char *file = line != NULL ? dwarf_linesrc(line, NULL, NULL) : NULL;
    if (file == NULL)
        return;
    s->file = absolute(unit, file);
    dwarf_lineno(line, &s->line);
}

static bool read_number(Dwarf_Die *die, unsigned int name, Dwarf_Word *number)
{
    Dwarf_Attribute attribute;
    return dwarf_formudata(dwarf_attr(die, name, &attribute), number) == 0;
}

/* Where the function that `die` is inlined in has it. */
static void set_call(struct source *s, Dwarf_Die *unit, Dwarf_Die *die)
{
    Dwarf_Files *files;
    Dwarf_Word index, line;
    if (dwarf_getsrcfiles(unit, &files, NULL) != 0 || !read_number(die, DW_AT_call_file, &index))
        return;
    const char *file = dwarf_filesrc(files, index, NULL, NULL);
    if (file == NULL)
        return;
    s->file = absolute(unit, file);
    if (read_number(die, DW_AT_call_line, &line))
        s->line = (int)line;
}

static int scopes_at(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **scopes)
{
    int count = dwarf_getscopes(unit, address, scopes);
    if (count <= 0)
        return 0;
    Dwarf_Die innermost = (*scopes)[0];
    free(*scopes);
    return dwarf_getscopes_die(&innermost, scopes); /* in the code, not as they are nested in the source */
}

/* The functions around the address; the innermost one's line is known. Leaves at least one, which may have no name. */
static size_t follow_inlining(Dwarf_Die *unit, Dwarf_Addr address, struct source *sources)
{
    Dwarf_Die *scopes;
    int count = scopes_at(unit, address, &scopes);
    size_t n = 0;
    bool whole = false;
    for (int i = 0; i < count && !whole && n < SOURCES; i++) {
        int tag = dwarf_tag(&scopes[i]);
        whole = tag == DW_TAG_subprogram || tag == DW_TAG_entry_point;
        if (!whole && tag != DW_TAG_inlined_subroutine)
            continue;
        sources[n++].function = name_of(&scopes[i]);
        if (!whole && n < SOURCES)
            set_call(&sources[n], unit, &scopes[i]);
    }
    if (count > 0)
        free(scopes);
    return n > 0 ? n : 1;
}

size_t symbols_find(const char *module, uint64_t offset, struct source sources[SOURCES])
{
    memset(sources, 0, SOURCES * sizeof(*sources));
    const struct module *m = module_of(module);
    if (m == NULL || m->dwfl == NULL)
        return 0;
    size_t count = 1;
    Dwarf_Addr bias, address = offset + m->bias;
    Dwarf_Die *unit = unit_at(m, address, &bias);
    if (unit != NULL) {
        set_line(&sources[0], unit, address - bias);
        count = follow_inlining(unit, address - bias, sources);
    }
    if (count == 1 && sources[0].function == NULL)
        sources[0].function = symbol_at(m, address);
    return sources[0].function != NULL || sources[0].file != NULL ? count : 0;
}

void symbols_free(struct source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(sources[i].function);
        free(sources[i].file);
    }
}
