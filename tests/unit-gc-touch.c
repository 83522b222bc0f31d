/* Threads, and system calls, that touch objects while these move. */
#include "unit.h"

#include "sinter/gc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OBJECTS = 8000, THREADS = 3, BYTES = 20000, HANG_SECONDS = 60 };

struct object {
    uint64_t header;
    size_t count;
    struct object *next;
    uint64_t number;
    unsigned char bytes[];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type object_type;
static _Atomic bool stop;
static _Atomic long cpus; /* that the library is to believe in; 0: those that there are */

/* In place of libc's. One CPU is left to the mutators, so this decides how many workers move objects. */
long sysconf(int name)
{
    long known = atomic_load(&cpus);
    if (name == _SC_NPROCESSORS_ONLN && known != 0)
        return known;
    long (*next)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return next(name);
}

static int open_heap(void **state)
{
    (void)state;
    struct sinter_gc_layout object = {.name = "object",
                                      .size = sizeof(struct object),
                                      .references = 4,
                                      .element_size = 1,
                                      .count_offset = offsetof(struct object, count)};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 512 << 20;
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    object_type = sinter_gc_type_new(heap, &object);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
    atomic_store(&stop, false);
    alarm(HANG_SECONDS);
    return 0;
}

static int close_heap(void **state)
{
    (void)state;
    m->frames = NULL; /* of a test that failed */
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    alarm(0);
    return 0;
}

static struct object *new_object(sinter_gc_mutator *mutator, uint64_t number, size_t bytes)
{
    struct object *o = sinter_gc_alloc_array(mutator, object_type, bytes);
    if (o == NULL)
        abort();
    o->number = number;
    memset(o->bytes, (int)(number % 251), bytes);
    return o;
}

static struct object *new_list(sinter_gc_mutator *mutator)
{
    struct object *list = NULL;
    SINTER_GC_ROOTS(mutator, list);
    for (unsigned i = OBJECTS; i-- > 0;) {
        new_object(mutator, 1, i % 300);
        struct object *o = new_object(mutator, i, i % 200);
        o->next = list;
        list = o;
    }
    return list;
}

/* Also writes, and sees what it wrote. No safepoint. */
static void touch_all(struct object *list)
{
    unsigned i = 0;
    for (struct object *o = list; o != NULL; o = o->next, i++) {
        if (o->number % OBJECTS != i)
            abort();
        o->number += OBJECTS;
        for (size_t n = 0; n < o->count; n++) {
            if (o->bytes[n] != i % 251)
                abort();
        }
    }
    if (i != OBJECTS)
        abort();
}

static void *touch_until_stopped(void *unused)
{
    (void)unused;
    struct object *list = NULL;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    {
        SINTER_GC_ROOTS(mine, list);
        while (!atomic_load(&stop)) {
            list = new_list(mine);
            for (int i = 0; i < 20; i++) {
                touch_all(list);
                sinter_gc_safepoint(mine);
            }
        }
    }
    sinter_gc_detach(mine);
    return NULL;
}

static void *collect_until_stopped(void *unused)
{
    (void)unused;
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    while (!atomic_load(&stop))
        sinter_gc_collect(mine, SINTER_GC_COLLECT_COMPACT);
    sinter_gc_detach(mine);
    return NULL;
}

static void run(void *(*function)(void *), pthread_t *threads, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, function, NULL), 0);
}

static void end(pthread_t *threads, int n)
{
    atomic_store(&stop, true);
    sinter_gc_block(m);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    sinter_gc_unblock(m);
}

static struct sinter_gc_stats stats(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s;
}

static void by_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    run(touch_until_stopped, threads, THREADS);
    for (int i = 0; i < 100; i++)
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    end(threads, THREADS);
    if (stats().served != SINTER_GC_SERVED_NOT)
        assert_int_not_equal(stats().faults, 0);
}

static int open_heap_of_four(void **state)
{
    atomic_store(&cpus, 4);
    return open_heap(state);
}

static int close_heap_of_four(void **state)
{
    atomic_store(&cpus, 0);
    return close_heap(state);
}

/* From one object into another by way of a socket. */
static void send_and_receive(int fds[2], const struct object *from, struct object *to)
{
    memset(to->bytes, 0, BYTES);
    for (size_t sent = 0, received = 0; received < BYTES;) {
        ssize_t n = sent < BYTES ? send(fds[0], from->bytes + sent, BYTES - sent, MSG_DONTWAIT) : 0;
        sent += n > 0 ? (size_t)n : 0;
        n = recv(fds[1], to->bytes + received, BYTES - received, MSG_DONTWAIT);
        received += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(from->bytes, to->bytes, BYTES);
}

static void by_system_calls(void **state)
{
    (void)state;
    pthread_t threads[1];
    int fds[2], ends[2];
    struct object *from = NULL, *to = NULL, *list = NULL;
    SINTER_GC_ROOTS(m, from, to, list);
    if (stats().served == SINTER_GC_SERVED_USER)
        skip();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(pipe(ends), 0);
    list = new_list(m);
    run(collect_until_stopped, threads, 1);
    for (unsigned i = 0; i < 1000; i++) {
        from = new_object(m, i, BYTES);
        to = new_object(m, i, BYTES);
        sinter_gc_safepoint(m);
        send_and_receive(fds, from, to);
        from = new_object(m, i, 100);
        to = new_object(m, i + 1, 100);
        sinter_gc_safepoint(m);
        assert_int_equal(write(ends[1], from->bytes, 100), 100);
        assert_int_equal(read(ends[0], to->bytes, 100), 100);
        assert_memory_equal(from->bytes, to->bytes, 100);
    }
    end(threads, 1);
    touch_all(list);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(ends[i]);
    }
}

/* Objects that are pinned while all around them moves. */
static void pinned_meanwhile(void **state)
{
    (void)state;
    pthread_t threads[2];
    struct object *list = NULL;
    SINTER_GC_ROOTS(m, list);
    list = new_list(m);
    run(collect_until_stopped, threads, 1);
    run(touch_until_stopped, threads + 1, 1);
    for (unsigned round = 0; round < 300; round++) {
        struct object *o = list;
        for (unsigned i = 0; i < round * 7 % OBJECTS; i++)
            o = o->next;
        const uint64_t number = o->number;
        assert_int_equal(sinter_gc_pin(m, o), 0);
        sinter_gc_block(m);
        usleep(200);
        assert_int_equal(o->number, number); /* it is the one thing that may be touched here */
        sinter_gc_unblock(m);
        assert_int_equal(o->number, number);
        sinter_gc_unpin(m, o);
    }
    end(threads, 2);
    touch_all(list);
}

static void grow_and_move(sinter_gc_mutator *other, sinter_gc_type type)
{
    struct object *list = NULL;
    SINTER_GC_ROOTS(other, list);
    for (unsigned i = 0; i < 200; i++) {
        struct object *o = sinter_gc_alloc(other, type, sizeof(*o));
        o->next = list;
        o->number = i;
        list = o;
        sinter_gc_block(m); /* of the first heap */
        sinter_gc_collect(other, SINTER_GC_COLLECT_COMPACT);
        sinter_gc_unblock(m);
    }
    unsigned n = 200;
    for (const struct object *o = list; o != NULL; o = o->next)
        assert_int_equal(o->number, --n);
    assert_int_equal(n, 0);
}

/* Two heaps, whose objects move at the same time. */
static void two_heaps(void **state)
{
    (void)state;
    pthread_t threads[2];
    struct sinter_gc_layout layout = {.size = sizeof(struct object), .references = 4, .name = "other"};
    sinter_gc_heap *second = sinter_gc_create(NULL);
    assert_non_null(second);
    run(touch_until_stopped, threads, 1);
    sinter_gc_mutator *other = sinter_gc_attach(second);
    grow_and_move(other, sinter_gc_type_new(second, &layout));
    end(threads, 1);
    sinter_gc_detach(other);
    sinter_gc_destroy(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        TEST(by_threads),
        /* Three workers move, whatever this machine has. */
        {"by_threads_of_four_cpus", by_threads, open_heap_of_four, close_heap_of_four, NULL},
        TEST(by_system_calls),
        TEST(pinned_meanwhile),
        TEST(two_heaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
