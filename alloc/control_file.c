#include "control_file.h"

#include "control_page.h"
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum { NAME_BYTES = 64, CLEANED_MOST = 64 };

static void close_fd(long fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* ---- the directory: the user's own, or there is none ---- */

static bool is_shared_memory(long fd)
{
    struct statfs system;
    return os_syscall(SYS_fstatfs, fd, (long)&system, 0, 0, 0, 0) == 0 && system.f_type == TMPFS_MAGIC;
}

static bool is_own_directory(long fd, uint32_t user)
{
    struct stat status;
    return os_syscall(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == user && (status.st_mode & 07777) == 0700;
}

/* A descriptor, or -errno. Somebody else may have made it, as a link or with rights for others: then it is not used. */
static long open_directory(bool make)
{
    char name[NAME_BYTES];
    struct fmt f;
    uint32_t user = (uint32_t)os_syscall(SYS_geteuid, 0, 0, 0, 0, 0, 0);
    fmt_to_buffer(&f, name, sizeof(name));
    fmt_print(&f, CONTROL_PREFIX "%u", user);
    long above =
        os_syscall(SYS_openat, AT_FDCWD, (long)CONTROL_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (above < 0)
        return above;
    if (make && os_syscall(SYS_mkdirat, above, (long)name, 0700, 0, 0, 0) == 0)
        os_syscall(SYS_fchmodat, above, (long)name, 0700, 0, 0, 0); /* whatever the umask is */
    long fd =
        os_syscall(SYS_openat, above, (long)name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0, 0);
    close_fd(above);
    if (fd >= 0 && !(is_shared_memory(fd) && is_own_directory(fd, user))) {
        close_fd(fd);
        return -EACCES;
    }
    return fd;
}

/* ---- names ---- */

/* "pid:[4026531836]" without what is around the number: process numbers mean something in their namespace only. */
static bool namespace_name(char *name, size_t size)
{
    char link[NAME_BYTES];
    long n =
        os_syscall(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/ns/pid", (long)link, sizeof(link) - 1, 0, 0);
    size_t length = 0;
    for (long i = 0; i < n && length + 1 < size; i++) {
        if (link[i] >= '0' && link[i] <= '9')
            name[length++] = link[i];
    }
    name[length] = '\0';
    return length > 0;
}

static bool own_name(char *name, size_t size)
{
    char space[NAME_BYTES];
    struct fmt f;
    if (!namespace_name(space, sizeof(space)))
        return false;
    fmt_to_buffer(&f, name, size);
    fmt_print(&f, "%s-%ld", space, os_process_id());
    return f.total < size;
}

/* ---- files of processes that are gone ---- */

/* The process whose file in this namespace it is, 0 if it is not one. */
static long process_of(const char *name, const char *space)
{
    size_t prefix = strlen(space);
    long process = 0;
    if (strncmp(name, space, prefix) != 0 || name[prefix] != '-')
        return 0;
    for (const char *p = name + prefix + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || process > INT32_MAX / 10)
            return 0;
        process = process * 10 + (*p - '0');
    }
    return process;
}

struct entry { /* as getdents64(2) has it */
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void clean(long directory)
{
    char space[NAME_BYTES];
    uint64_t buffer[256];
    int looked = 0;
    if (!namespace_name(space, sizeof(space)))
        return;
    for (long n; looked < CLEANED_MOST &&
                 (n = os_syscall(SYS_getdents64, directory, (long)buffer, sizeof(buffer), 0, 0, 0)) > 0;) {
        for (const char *p = (const char *)buffer; p < (const char *)buffer + n;) {
            const struct entry *entry = (const struct entry *)(const void *)p;
            long process = process_of(entry->name, space);
            looked++;
            if (process > 0 && os_syscall(SYS_kill, process, 0, 0, 0, 0, 0) == -ESRCH)
                os_syscall(SYS_unlinkat, directory, (long)entry->name, 0, 0, 0, 0);
            p += entry->length;
        }
    }
}

/* ---- the file ---- */

/*
 * What the process writes without being asked has memory behind it from the start: were it taken later, a full file system would
 * be a SIGBUS.
 */
static bool size_file(long fd)
{
    return os_syscall(SYS_fchmod, fd, 0600, 0, 0, 0, 0) == 0 &&
           os_syscall(SYS_fallocate, fd, 0, 0, CONTROL_WINDOW, 0, 0) == 0 &&
           os_syscall(SYS_ftruncate, fd, CONTROL_BYTES, 0, 0, 0, 0) == 0;
}

static void *map_file(long fd)
{
    long at = os_syscall(SYS_mmap, 0, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at < 0 && at > -4096)
        return NULL;
    if (os_syscall(SYS_madvise, at, CONTROL_BYTES, MADV_DONTFORK, 0, 0, 0) == 0)
        return (void *)at;
    os_unmap((void *)at, CONTROL_BYTES);
    return NULL;
}

/* One of that name is of this process before it called execve(2), or of one long gone. */
static void *make(long directory, const char *name)
{
    os_syscall(SYS_unlinkat, directory, (long)name, 0, 0, 0, 0);
    long fd = os_syscall(SYS_openat, directory, (long)name,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600, 0, 0);
    if (fd < 0)
        return NULL;
    void *map = size_file(fd) ? map_file(fd) : NULL;
    if (map == NULL)
        os_syscall(SYS_unlinkat, directory, (long)name, 0, 0, 0, 0);
    close_fd(fd);
    return map;
}

void *control_file_map(void)
{
    char name[NAME_BYTES];
    long directory = own_name(name, sizeof(name)) ? open_directory(true) : -ENOENT;
    if (directory < 0)
        return NULL;
    clean(directory);
    void *map = make(directory, name);
    close_fd(directory);
    return map;
}

void control_file_remove(void)
{
    char name[NAME_BYTES];
    long directory = own_name(name, sizeof(name)) ? open_directory(false) : -ENOENT;
    if (directory < 0)
        return;
    os_syscall(SYS_unlinkat, directory, (long)name, 0, 0, 0, 0);
    close_fd(directory);
}
