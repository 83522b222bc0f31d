/* Looking at a heap: statistics, events, walking, dumps. */
#include "unit-gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OBJECTS = 3000, TEXT = 1 << 20 };

static char text[TEXT];

static int open_heap(void **state)
{
    (void)state;
    open_pairs(256 << 20, false);
    return 0;
}

static struct pair *new_list(unsigned n)
{
    struct pair *list = NULL;
    SINTER_GC_ROOTS(m, list);
    while (n-- > 0) {
        struct pair *p = sinter_gc_alloc(m, pair_type, sizeof(*p));
        p->number = n;
        p->first = list;
        list = p;
    }
    return list;
}

/* What a function writes to a descriptor. */
static size_t written(int fd)
{
    lseek(fd, 0, SEEK_SET);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    close(fd);
    return (size_t)n;
}

static int file(void)
{
    char name[] = "/tmp/unit-gc-look-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

/* ---- statistics ---- */

static void counters(void **state)
{
    (void)state;
    struct sinter_gc_stats s, t;
    struct pair *list = NULL;
    SINTER_GC_ROOTS(m, list);
    sinter_gc_stats_get(heap, &s, sizeof(s));
    assert_int_equal(s.size, sizeof(s));
    assert_int_equal(s.threads, 1);
    assert_int_equal(s.collections, 0);
    list = new_list(OBJECTS);
    new_list((1 << 20) / sizeof(struct pair)); /* dies */
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
    sinter_gc_stats_get(heap, &t, sizeof(t));
    assert_int_equal(t.live, OBJECTS * sizeof(struct pair));
    assert_true(t.collections == 2 && t.compactions == 2 && t.pauses >= 2);
    assert_in_range(t.used, t.live, t.live + (64 << 10));
    assert_in_range(t.allocated, t.live + (1 << 20), 4 << 20);
    assert_in_range(t.released, 1 << 20, 8 << 20);
    assert_int_equal(t.stock, 0);
    assert_true(t.mark_time > 0 && t.cpu > 0 && t.flip_max > 0);
    assert_true(t.pause_p50 <= t.pause_p99 && t.pause_p99 <= t.pause_p999 && t.pause_p999 <= t.pause_max);
}

static void a_part_of_the_struct(void **state)
{
    (void)state;
    struct sinter_gc_stats s;
    memset(&s, 0xee, sizeof(s));
    sinter_gc_stats_get(heap, &s, 24);
    assert_int_equal(s.size, sizeof(s));
    assert_int_equal(s.live, 0xeeeeeeeeeeeeeeee);
}

static void as_text(void **state)
{
    (void)state;
    int fd = file();
    unsigned lines = 0;
    assert_int_equal(sinter_gc_stats_text(heap, fd), 0);
    written(fd);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        char name[64];
        unsigned long value;
        int end = 0;
        assert_int_equal(sscanf(line, "%63[a-z_0-9] %lu%n", name, &value, &end), 2);
        assert_int_equal(line[end], 0);
        if (strcmp(name, "threads") == 0)
            assert_int_equal(value, 1);
    }
    assert_int_equal(lines, sizeof(struct sinter_gc_stats) / 8 - 1);
}

static void as_json(void **state)
{
    (void)state;
    int fd = file(), used;
    unsigned members = 0;
    assert_int_equal(sinter_gc_stats_json(heap, fd), 0);
    written(fd);
    const char *at = text;
    assert_int_equal(*at, '{');
    do {
        unsigned long value;
        used = 0;
        at += *at == '{' ? 1 : 2;
        assert_int_equal(sscanf(at, "\"%*[a-z_0-9]\": %lu%n", &value, &used), 1);
        at += used;
        members++;
    } while (strncmp(at, ", ", 2) == 0);
    assert_string_equal(at, "}\n");
    assert_int_equal(members, sizeof(struct sinter_gc_stats) / 8 - 1);
}

static void descriptors_that_fail(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(sinter_gc_stats_text(heap, -1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(sinter_gc_stats_json(heap, full), -1);
    assert_int_equal(errno, ENOSPC);
    errno = 0;
    assert_int_equal(sinter_gc_dump(m, full), -1);
    assert_int_equal(errno, ENOSPC);
    close(full);
}

/* ---- events ---- */

static struct {
    char seen[64];
    size_t live;
} events;

static void note(void *data, char what)
{
    assert_ptr_equal(data, &events);
    size_t n = strlen(events.seen);
    if (n < sizeof(events.seen) - 1)
        events.seen[n] = what;
}
static void on_stopped(void *data)
{
    note(data, 's');
}
static void on_marked(void *data, size_t live)
{
    note(data, 'm');
    events.live = live;
}
static void on_flipped(void *data)
{
    note(data, 'f');
}
static void on_finished(void *data)
{
    note(data, 'e');
}
static void on_finalizers(void *data)
{
    note(data, 'q');
}

static void events_in_order(void **state)
{
    (void)state;
    struct sinter_gc_events all = {.data = &events,
                                   .stopped = on_stopped,
                                   .marked = on_marked,
                                   .flipped = on_flipped,
                                   .finished = on_finished,
                                   .finalizers = on_finalizers};
    struct sinter_gc_events some = {.data = &events, .finished = on_finished};
    struct pair *p = NULL;
    SINTER_GC_ROOTS(m, p);
    memset(&events, 0, sizeof(events));
    sinter_gc_listen(heap, &all);
    p = new_list(10);
    assert_int_equal(sinter_gc_finalizer_add(m, p, NULL), 0);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    assert_string_equal(events.seen, "smfe");
    assert_int_equal(events.live, 10 * sizeof(*p));
    p = NULL;
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    assert_string_equal(events.seen, "smfesmfeq");
    sinter_gc_listen(heap, &some);
    sinter_gc_collect(m, SINTER_GC_COLLECT_RELEASE);
    assert_string_equal(events.seen, "smfesmfeqe");
    sinter_gc_listen(heap, NULL);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    assert_string_equal(events.seen, "smfesmfeqe");
}

/* Whose descriptors are these? What a callback writes arrives at the program's own, or is refused. */
static unsigned accepted;

static void write_everywhere(void *data)
{
    (void)data;
    for (int fd = 0; fd < 32; fd++)
        accepted += write(fd, "01234567", 8) == 8;
}

static void callbacks_do_not_write_elsewhere(void **state)
{
    (void)state;
    struct sinter_gc_events all = {.finished = write_everywhere};
    int fd = file(), old[3];
    for (int i = 0; i < 3; i++) {
        old[i] = dup(i);
        dup2(fd, i);
    }
    accepted = 0;
    sinter_gc_listen(heap, &all);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_listen(heap, NULL);
    for (int i = 0; i < 3; i++) {
        dup2(old[i], i);
        close(old[i]);
    }
    off_t arrived = lseek(fd, 0, SEEK_END);
    close(fd);
    if (accepted * 8 > arrived)
        fail_msg("of %u writes, %ld bytes arrived", accepted, (long)arrived);
}

/* ---- walking ---- */

static struct {
    unsigned char times[OBJECTS];
    unsigned pairs, bytes, others;
    size_t size;
} walked;

static void visit(void *data, void *object, sinter_gc_type type, size_t size)
{
    assert_ptr_equal(data, &walked);
    assert_int_equal(type, sinter_gc_type_of(object));
    if (type == pair_type) {
        uint64_t number = ((struct pair *)object)->number;
        walked.pairs++;
        walked.times[number % OBJECTS]++;
        assert_int_equal(size, sizeof(struct pair));
    } else if (type == bytes_type) {
        walked.bytes++;
        walked.size += size;
    } else {
        walked.others++;
    }
}

static void walk(void)
{
    memset(&walked, 0, sizeof(walked));
    sinter_gc_walk(m, visit, &walked);
}

static void each_object_once(void **state)
{
    (void)state;
    struct pair *list = NULL;
    void *large = NULL, *weak = NULL;
    SINTER_GC_ROOTS(m, list, large, weak);
    walk();
    assert_int_equal(walked.pairs + walked.bytes + walked.others, 0);
    list = new_list(OBJECTS);
    large = sinter_gc_alloc_array(m, bytes_type, 100000);
    for (int i = 0; i < 50; i++)
        sinter_gc_alloc_array(m, bytes_type, (size_t)i * 10);
    weak = sinter_gc_weak_new(m, list);
    walk();
    assert_true(walked.pairs == OBJECTS && walked.bytes == 51 && walked.others == 1);
    for (int round = 0; round < 3; round++) {
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
        walk();
        assert_true(walked.pairs == OBJECTS && walked.bytes == 1 && walked.others == 1);
        assert_int_equal(walked.size, 100016);
        for (unsigned i = 0; i < OBJECTS; i++)
            assert_int_equal(walked.times[i], 1);
    }
}

/* ---- dumps ---- */

static struct {
    unsigned types, roots, objects, edges, weak;
} dumped;

static void parse_object(char *line)
{
    char *rest, *word = strtok_r(line, " ", &rest);
    void *object;
    unsigned long number;
    assert_int_equal(sscanf(word, "%p", &object), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sscanf(strtok_r(NULL, " ", &rest), "%lu", &number), 1);
    for (; (word = strtok_r(NULL, " ", &rest)) != NULL; dumped.edges++) {
        dumped.weak += *word == '~';
        assert_int_equal(sscanf(word + (*word == '~'), "%p", &object), 1);
    }
    dumped.objects++;
}

static void parse(char *line)
{
    unsigned number;
    void *root;
    if (strncmp(line, "object ", 7) == 0)
        parse_object(line + 7);
    else if (sscanf(line, "root %p", &root) == 1)
        dumped.roots++;
    else if (sscanf(line, "type %u", &number) == 1)
        dumped.types++;
    else
        fail_msg("a dump has \"%s\"", line);
}

static void a_dump(void **state)
{
    (void)state;
    char *rest;
    int fd = file();
    struct pair *list = NULL;
    void *large = NULL, *weak = NULL;
    SINTER_GC_ROOTS(m, list, large, weak);
    new_list(100); /* dies */
    list = new_list(OBJECTS);
    large = sinter_gc_alloc_array(m, bytes_type, 100000);
    weak = sinter_gc_weak_new(m, list);
    assert_int_equal(sinter_gc_dump(m, fd), 0);
    written(fd);
    memset(&dumped, 0, sizeof(dumped));
    assert_non_null(strstr(text, " pair\n"));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        parse(line);
    assert_int_equal(dumped.types, 4); /* two are Sinter's */
    assert_int_equal(dumped.roots, 3);
    assert_int_equal(dumped.objects, OBJECTS + 2);
    assert_int_equal(dumped.edges, OBJECTS - 1 + 1);
    assert_int_equal(dumped.weak, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(counters), TEST(a_part_of_the_struct),  TEST(as_text),
        TEST(as_json),  TEST(descriptors_that_fail), TEST(events_in_order),
        TEST(a_dump),   TEST(each_object_once),      TEST(callbacks_do_not_write_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
