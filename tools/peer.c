#include "peer.h"

#include "clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 4096, LOOK_MS = 100, FRESH_S = 10 };

__attribute__((format(printf, 2, 3))) static int refuse(const struct peer *peer, const char *format, ...)
{
    va_list args;
    if (peer->quiet)
        return -1;
    fprintf(stderr, "sinter: process %ld", (long)peer->pid);
    if (peer->comm[0] != '\0')
        fprintf(stderr, " (%s)", peer->comm);
    fputc(' ', stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return -1;
}

bool peer_parse(const char *text, pid_t *pid)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value <= 0 || value > INT_MAX) {
        fprintf(stderr, "sinter: '%s' is not the number of a process\n", text);
        return false;
    }
    *pid = (pid_t)value;
    return true;
}

/* What others say may hold anything; terminals shall not be told what to do. */
static void make_printable(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text != '\0'; text++) {
        if (!isprint((unsigned char)*text) || *text == '"' || *text == '\\')
            *text = '?';
    }
}

/* ---- /proc ---- */

static FILE *open_proc(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    return fopen(path, "re");
}

static void read_comm(struct peer *peer)
{
    FILE *in = open_proc(peer->pid, "comm");
    peer->comm[0] = '\0';
    if (in == NULL)
        return;
    if (fgets(peer->comm, sizeof(peer->comm), in) != NULL)
        peer->comm[strcspn(peer->comm, "\n")] = '\0';
    make_printable(peer->comm, sizeof(peer->comm));
    fclose(in);
}

/* As in /proc/PID/status, after the name and ':'. */
static bool read_status(pid_t pid, const char *name, char *value, size_t size)
{
    char line[256];
    FILE *in = open_proc(pid, "status");
    bool found = false;
    size_t length = strlen(name);
    while (in != NULL && !found && fgets(line, sizeof(line), in) != NULL) {
        found = strncmp(line, name, length) == 0 && line[length] == ':';
        if (found)
            snprintf(value, size, "%s", line + length + 1 + strspn(line + length + 1, " \t"));
    }
    if (in != NULL)
        fclose(in);
    return found;
}

size_t peer_resident(const struct peer *peer)
{
    char value[64];
    return read_status(peer->pid, "VmRSS", value, sizeof(value)) ? strtoul(value, NULL, 10) * 1024 : 0;
}

static bool is_stopped(pid_t pid)
{
    char value[64];
    return read_status(pid, "State", value, sizeof(value)) && (value[0] == 'T' || value[0] == 't');
}

/* ---- where the page is: the process has it mapped, and that nobody can pretend ---- */

struct place {
    unsigned long start, end;
    unsigned major, minor;
    unsigned long inode;
    char user[16], name[64]; /* CONTROL_DIRECTORY/CONTROL_PREFIXuser/name */
    bool found, has_library;
};

/* Digits, and '-' in `name` between them. */
static bool parse_path(const char *path, struct place *place)
{
    static const char prefix[] = CONTROL_DIRECTORY "/" CONTROL_PREFIX;
    int end = 0;
    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return false;
    path += sizeof(prefix) - 1;
    return sscanf(path, "%15[0-9]/%63[0-9-]%n", place->user, place->name, &end) == 2 &&
           (path[end] == '\n' || path[end] == ' ' || path[end] == '\0');
}

static void parse_mapping(const char *line, struct place *place)
{
    struct place here = {.has_library = place->has_library};
    int path = 0;
    if (sscanf(line, "%lx-%lx %*s %*s %x:%x %lu %n", &here.start, &here.end, &here.major, &here.minor,
               &here.inode, &path) < 5 ||
        path == 0)
        return;
    place->has_library |= strstr(line + path, "/libsinter.so") != NULL;
    here.has_library = place->has_library;
    here.found = parse_path(line + path, &here);
    if (here.found && here.end - here.start == CONTROL_BYTES)
        *place = here;
}

/* False if it is not to be known; errno says why. */
static bool find_place(pid_t pid, struct place *place)
{
    char *line = NULL;
    size_t size = 0;
    FILE *in = open_proc(pid, "maps");
    *place = (struct place){.found = false};
    if (in == NULL)
        return false;
    errno = 0;
    while (getline(&line, &size, in) >= 0) {
        if (!place->found || !place->has_library)
            parse_mapping(line, place);
    }
    int error = errno;
    free(line);
    fclose(in);
    errno = error;
    return error == 0;
}

static bool is_the_page(int file, const struct place *place)
{
    struct stat status;
    struct statfs system;
    return fstat(file, &status) == 0 && fstatfs(file, &system) == 0 && system.f_type == TMPFS_MAGIC &&
           S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600 && status.st_ino == place->inode &&
           major(status.st_dev) == place->major && minor(status.st_dev) == place->minor;
}

/* In the root directory that is `root`. No link below it is followed. */
static int open_below(const char *root, const struct place *place)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s" CONTROL_DIRECTORY "/" CONTROL_PREFIX "%s", root, place->user);
    int above = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (above < 0)
        return -1;
    int file = openat(above, place->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = errno;
    close(above);
    errno = error;
    if (file >= 0 && !is_the_page(file, place)) {
        close(file);
        errno = ENOENT;
        return -1;
    }
    return file;
}

/* Its name where this process and where that one see it; then, for root, what it has mapped, wherever that may be. */
static int open_place(pid_t pid, const struct place *place)
{
    char path[PATH_MAX];
    int file = open_below("", place);
    snprintf(path, sizeof(path), "/proc/%ld/root", (long)pid);
    if (file < 0)
        file = open_below(path, place);
    snprintf(path, sizeof(path), "/proc/%ld/map_files/%lx-%lx", (long)pid, place->start, place->end);
    if (file < 0 && (file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) >= 0 && !is_the_page(file, place)) {
        close(file);
        file = -1;
        errno = ENOENT;
    }
    return file;
}

/* ---- opening ---- */

/* Somebody has cut the file off. */
static void on_bus_error(int signal)
{
    static const char line[] = "sinter: the process's page has been cut off\n";
    (void)signal;
    if (write(STDERR_FILENO, line, sizeof(line) - 1) >= 0)
        _exit(1);
    _exit(1);
}

static int map(struct peer *peer)
{
    struct stat status;
    if (fstat(peer->file, &status) != 0 || status.st_size < CONTROL_BYTES)
        return refuse(peer, "has a page that has been cut off");
    if (fallocate(peer->file, 0, 0, CONTROL_BYTES) !=
        0) /* a hole, and no room for it, were a signal to either side */
        return refuse(peer, "cannot be asked: %s", strerror(errno));
    void *page = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, peer->file, 0);
    if (page == MAP_FAILED)
        return refuse(peer, "cannot be asked: %s", strerror(errno));
    peer->page = page;
    signal(SIGBUS, on_bus_error);
    if (peer->page->magic != CONTROL_MAGIC || peer->page->layout != CONTROL_FORM)
        return refuse(peer, "runs a version of Sinter that this command does not know");
    return 0;
}

static int no_page(const struct peer *peer, const struct place *place)
{
    if (!place->has_library)
        return refuse(peer, "does not use Sinter");
    return refuse(peer, "has no page to reach it by: it has not freed so much so far that it would need "
                        "Sinter's thread, or it "
                        "runs with control:off, in a sandbox, or where /dev/shm cannot be used");
}

/* A client, such as this command, has the page of another process mapped. */
static bool is_own(pid_t pid, const struct place *place)
{
    char pids[128]; /* from the outermost namespace to its own */
    if (!read_status(pid, "NSpid", pids, sizeof(pids)))
        return true;
    pids[strcspn(pids, "\n")] = '\0';
    const char *last = pids + strlen(pids);
    while (last > pids && isdigit((unsigned char)last[-1]))
        last--;
    const char *dash = strrchr(place->name, '-');
    return dash != NULL && strcmp(dash + 1, last) == 0;
}

static int try_open(struct peer *peer, bool quietly)
{
    struct place place;
    if (!find_place(peer->pid, &place)) {
        bool gone = errno == ESRCH || errno == ENOENT;
        return quietly ? -1
               : gone  ? refuse(peer, "has ended")
                       : refuse(peer, "cannot be looked at, it belongs to another user or is protected: %s",
                                strerror(errno));
    }
    if (!place.found || !is_own(peer->pid, &place))
        return quietly ? -1 : no_page(peer, &place);
    peer->file = open_place(peer->pid, &place);
    if (peer->file < 0)
        return refuse(peer, "has a page that cannot be opened: %s", strerror(errno));
    struct pollfd ended = {.fd = peer->process, .events = POLLIN};
    if (poll(&ended, 1, 0) != 0) /* or it might have been another one of the same number */
        return quietly ? -1 : refuse(peer, "has ended");
    return map(peer);
}

int peer_open(struct peer *peer, pid_t pid, bool quietly)
{
    *peer = (struct peer){.pid = pid, .file = -1};
    peer->process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (peer->process < 0) {
        if (!quietly)
            fprintf(stderr, "sinter: process %ld: %s\n", (long)pid,
                    errno == ESRCH ? "no such process" : strerror(errno));
        return -1;
    }
    read_comm(peer);
    int result = try_open(peer, quietly);
    if (result != 0)
        peer_close(peer);
    return result;
}

void peer_close(struct peer *peer)
{
    if (peer->page != NULL) {
        munmap(peer->page, CONTROL_BYTES);
        fallocate(peer->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CONTROL_WINDOW,
                  CONTROL_BYTES - CONTROL_WINDOW);
    }
    if (peer->file >= 0)
        close(peer->file);
    if (peer->process >= 0)
        close(peer->process);
    *peer = (struct peer){.file = -1, .process = -1};
}

/* ---- asking ---- */

static bool has_ended(const struct peer *peer)
{
    struct pollfd ended = {.fd = peer->process, .events = POLLIN};
    return poll(&ended, 1, 0) > 0;
}

static int no_answer(const struct peer *peer)
{
    if (has_ended(peer))
        return refuse(peer, "has ended");
    return refuse(peer, is_stopped(peer->pid) ? "is stopped and does not answer" : "does not answer in time");
}

/* One client at a time. The lock goes with the descriptor, however this process ends. */
static bool take_lock(const struct peer *peer, double end)
{
    while (flock(peer->file, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_seconds() > end || has_ended(peer))
            return false;
        usleep(1000);
    }
    return true;
}

static bool wait_for(const struct peer *peer, uint32_t number, double end)
{
    struct control_page *page = peer->page;
    struct timespec look = {.tv_nsec = LOOK_MS * 1000000};
    int seen;
    while ((uint32_t)(seen = atomic_load(&page->answer)) != number) {
        if (clock_seconds() > end || has_ended(peer))
            return false;
        syscall(SYS_futex, &page->answer, FUTEX_WAIT, seen, &look, NULL, 0);
    }
    return true;
}

int peer_call(struct peer *peer, enum control_command command, uint64_t argument, const char *text,
              int seconds)
{
    struct control_page *page = peer->page;
    double end = clock_seconds() + seconds;
    if (!take_lock(peer, end))
        return no_answer(peer);
    page->command = command;
    page->argument = argument;
    memset(page->text, 0, sizeof(page->text));
    if (text != NULL)
        memcpy(page->text, text, sizeof(page->text));
    uint32_t number = atomic_fetch_add(&page->request, 1) + 1;
    atomic_fetch_add(&page->bell, 1);
    syscall(SYS_futex, &page->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
    int result = wait_for(peer, number, end) ? page->result : no_answer(peer);
    flock(peer->file, LOCK_UN);
    return result;
}

size_t peer_window(const struct peer *peer, void *to, size_t size)
{
    size_t length = peer->page->length;
    if (length > CONTROL_BYTES - CONTROL_WINDOW)
        length = CONTROL_BYTES - CONTROL_WINDOW;
    if (length > size)
        length = size;
    memcpy(to, (const char *)peer->page + CONTROL_WINDOW, length);
    return length;
}

/* The figures may be a lie; they shall do no harm. */
static void check_report(struct stats_report *report)
{
    make_printable(report->version, sizeof(report->version));
    make_printable(report->lack, sizeof(report->lack));
    if (report->classes > STATS_CLASSES)
        report->classes = 0;
    for (uint32_t i = 0; i < report->classes; i++) {
        if (report->rows[i].size == 0 || report->rows[i].size > SPAN_BYTES || report->rows[i].spans == 0)
            report->classes = 0;
    }
}

bool peer_report(const struct peer *peer, struct stats_report *report, double *age)
{
    struct control_page *page = peer->page;
    for (double end = clock_seconds() + 1; clock_seconds() < end;) {
        uint32_t before = atomic_load(&page->sequence);
        *report = page->report;
        double at = (double)page->reported_at / 1e9;
        atomic_thread_fence(memory_order_seq_cst);
        if (before % 2 == 0 && before != 0 && atomic_load(&page->sequence) == before) {
            check_report(report);
            *age = clock_seconds() - at;
            return true;
        }
        usleep(1000);
    }
    refuse(peer, "has no figures so far");
    return false;
}

/* ---- files of processes that are gone ---- */

/* A file that is new may be on its way to be mapped. */
static bool is_stale(int directory, const char *name, const char *space)
{
    struct place place;
    struct stat status;
    size_t length = strlen(space);
    if (strncmp(name, space, length) != 0 || name[length] != '-')
        return false;
    pid_t pid = (pid_t)atol(name + length + 1);
    if (pid <= 0)
        return false;
    if (kill(pid, 0) != 0 && errno == ESRCH)
        return true;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || time(NULL) - status.st_ctime < FRESH_S)
        return false;
    return find_place(pid, &place) && !(place.found && place.inode == status.st_ino);
}

static void clean_directory(int above, const char *name, const char *space)
{
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (is_stale(fd, entry->d_name, space))
            unlinkat(fd, entry->d_name, 0);
    }
    closedir(directory);
}

/* "pid:[N]": N. */
static bool own_namespace(char *space, size_t size)
{
    char link[64];
    ssize_t length = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
    if (length < 0)
        return false;
    link[length] = '\0';
    unsigned long number;
    if (sscanf(link, "pid:[%lu]", &number) != 1)
        return false;
    snprintf(space, size, "%lu", number);
    return true;
}

void peer_clean(void)
{
    char space[64];
    DIR *directory = opendir(CONTROL_DIRECTORY);
    if (directory == NULL)
        return;
    if (own_namespace(space, sizeof(space))) {
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            if (strncmp(entry->d_name, CONTROL_PREFIX, strlen(CONTROL_PREFIX)) == 0)
                clean_directory(dirfd(directory), entry->d_name, space);
        }
    }
    closedir(directory);
}
