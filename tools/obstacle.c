#include "obstacle.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { INTERPRETERS = 5 }; /* of a script whose interpreter is a script: the kernel goes no further */

__attribute__((format(printf, 1, 2))) static char *phrase(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return length < 0 ? NULL : text;
}

/* ---- finding it ---- */

static bool is_program(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

/* The path in `path`, of PATH_MAX bytes. */
static bool find_program(const char *name, char *path)
{
    const char *list = getenv("PATH");
    if (strchr(name, '/') != NULL)
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && is_program(path);
    if (list == NULL)
        list = "/bin:/usr/bin"; /* execvp's */
    for (;;) {
        int length = (int)strcspn(list, ":");
        const char *slash = length > 0 ? "/" : ""; /* an empty part is the present directory */
        if (snprintf(path, PATH_MAX, "%.*s%s%s", length, list, slash, name) < PATH_MAX && is_program(path))
            return true;
        if (list[length] == '\0')
            return false;
        list += length + 1;
    }
}

/* ---- who it runs as ---- */

/* The loader takes only libraries of system directories then, and the environment's options do not count. */
static char *raised_rights(int fd)
{
    struct stat s;
    struct statvfs fs;
    bool ignored =
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOSUID);
    if (fstat(fd, &s) != 0 || ignored)
        return NULL;
    if (s.st_mode & S_ISUID && s.st_uid != getuid())
        return phrase("is set-user-ID, so that nothing is preloaded");
    if (s.st_mode & S_ISGID && s.st_mode & S_IXGRP && s.st_gid != getgid())
        return phrase("is set-group-ID, so that nothing is preloaded");
    if (geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return phrase("has file capabilities, so that nothing is preloaded");
    return NULL;
}

/* ---- what it is ---- */

/* The loader that an ELF file of this machine names: "" if none. False: it is no such file. */
static bool read_loader(int fd, char *loader)
{
    ElfW(Ehdr) header;
    if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
        return false;
    *loader = '\0';
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) part;
        if (pread(fd, &part, sizeof(part), (off_t)(header.e_phoff + i * sizeof(part))) != sizeof(part))
            return false;
        if (part.p_type != PT_INTERP)
            continue;
        size_t size = part.p_filesz < PATH_MAX ? part.p_filesz : PATH_MAX - 1;
        ssize_t length = pread(fd, loader, size, (off_t)part.p_offset);
        loader[length > 0 ? length : 0] = '\0';
        return length > 0;
    }
    return true;
}

static bool is_same_file(const char *a, int fd)
{
    struct stat one, other;
    return stat(a, &one) == 0 && fstat(fd, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* The loader of this program, which is also the library's. */
static bool own_loader(char *loader, ElfW(Ehdr) * header)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known =
        fd >= 0 && pread(fd, header, sizeof(*header), 0) == sizeof(*header) && read_loader(fd, loader);
    if (fd >= 0)
        close(fd);
    return known && *loader != '\0';
}

static char *elf_obstacle(int fd, const ElfW(Ehdr) * header)
{
    char loader[PATH_MAX], ours[PATH_MAX];
    ElfW(Ehdr) own;
    if (!own_loader(ours, &own))
        return NULL;
    if (header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || header->e_machine != own.e_machine)
        return phrase("is made for another kind of machine than the library");
    if (!read_loader(fd, loader) || is_same_file(ours, fd)) /* the loader itself preloads */
        return NULL;
    if (*loader == '\0')
        return phrase("is statically linked, so that nothing is preloaded");
    int other = open(loader, O_PATH | O_CLOEXEC);
    bool foreign = other >= 0 && !is_same_file(ours, other);
    if (other >= 0)
        close(other);
    return foreign ? phrase("is loaded by %s, and the library is made for %s", loader, ours) : NULL;
}

/* The interpreter's path behind "#!". */
static bool read_interpreter(const char *start, char *interpreter)
{
    start += strspn(start, " \t");
    size_t length = strcspn(start, " \t\n");
    if (length == 0)
        return false;
    memcpy(interpreter, start, length);
    interpreter[length] = '\0';
    return true;
}

static char *obstacle(const char *path, int depth)
{
    char start[PATH_MAX] = "", interpreter[PATH_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) /* may be run and not be read */
        return NULL;
    ssize_t length = pread(fd, start, sizeof(start) - 1, 0);
    bool is_elf = length >= (ssize_t)sizeof(ElfW(Ehdr)) && memcmp(start, ELFMAG, SELFMAG) == 0;
    char *why = NULL;
    if (length > 2 && memcmp(start, "#!", 2) == 0) {
        char *inner = depth < INTERPRETERS && read_interpreter(start + 2, interpreter)
                          ? obstacle(interpreter, depth + 1)
                          : NULL;
        why = inner != NULL ? phrase("is a script: %s %s", interpreter, inner) : NULL;
        free(inner);
    } else {
        why = raised_rights(fd);
    }
    if (why == NULL && is_elf)
        why = elf_obstacle(fd, (const ElfW(Ehdr) *)(const void *)start);
    close(fd);
    return why;
}

char *preload_obstacle(const char *program)
{
    char path[PATH_MAX];
    return find_program(program, path) ? obstacle(path, 0) : NULL;
}
