#include "guard_modules.h"

#include "os.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>

/* A line of /proc/self/maps. */
struct mapping {
    uintptr_t start, end;
    bool readable;
    const char *path;
};

static uintptr_t parse_hex(const char **p)
{
    uintptr_t n = 0;
    for (;; ++*p) {
        char c = **p;
        if (c >= '0' && c <= '9')
            n = n << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return n;
    }
}

/* "start-end perms offset device inode    path" */
static struct mapping parse(const char *line)
{
    struct mapping m;
    m.start = parse_hex(&line);
    line += *line == '-';
    m.end = parse_hex(&line);
    m.readable = *line == ' ' && line[1] == 'r';
    const char *slash = strchr(line, '/');
    m.path = slash != NULL ? slash : "";
    return m;
}

/* What a file's addresses in memory have over those in the file. `first`: its first mapping. */
static uintptr_t bias_of(const struct mapping *first)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)first->start;
    if (!first->readable || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return first->start;
    return header->e_type == ET_EXEC ? 0 : first->start;
}

struct search {
    struct place *places;
    size_t count;
    struct mapping first;   /* of the file that the line before belonged to */
    char path[MODULE_NAME]; /* of that file */
};

static void copy_path(char *to, const char *from)
{
    size_t length = min_size(strlen(from), MODULE_NAME - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

static void look_in(struct search *s, const char *line)
{
    struct mapping m = parse(line);
    if (strncmp(s->path, m.path, MODULE_NAME - 1) != 0 || *m.path == '\0') {
        s->first = m;
        copy_path(s->path, m.path);
    }
    for (size_t i = 0; i < s->count; i++) {
        struct place *p = &s->places[i];
        if (p->address < m.start || p->address >= m.end || *m.path == '\0')
            continue;
        copy_path(p->name, m.path);
        p->offset = p->address - bias_of(&s->first);
    }
}

/* The complete lines in `text`, of `used` bytes. Returns how many bytes they were. */
static size_t look_in_lines(struct search *s, char *text, size_t used)
{
    size_t done = 0;
    for (char *end; (end = memchr(text + done, '\n', used - done)) != NULL; done = (size_t)(end + 1 - text)) {
        *end = '\0';
        look_in(s, text + done);
    }
    return done;
}

void guard_modules_find(struct place *places, size_t count)
{
    static char text[8192]; /* not on a signal stack; the reports' lock is held */
    struct search search = {.places = places, .count = count};
    for (size_t i = 0; i < count; i++) {
        places[i].offset = places[i].address;
        places[i].name[0] = '\0';
    }
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return;
    size_t used = 0;
    for (long n;
         (n = os_syscall(SYS_read, fd, (long)(text + used), (long)(sizeof(text) - used), 0, 0, 0)) > 0;) {
        used += (size_t)n;
        size_t done = look_in_lines(&search, text, used);
        if (done == 0 && used == sizeof(text))
            break;
        memmove(text, text + done, used - done);
        used -= done;
    }
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}
