/* Large objects of which little is there: holes stay holes, whoever touches what while they move, and whatever the kernel refuses. */
#include "unit.h"

#include "sinter/gc.h"
#include "uffd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    PAGES = 512,
    WORDS = PAGE / sizeof(uint64_t),
    FILLED = PAGES / 8, /* pages of an object that come to be written to */
    THREADS = 3,
    HANG_SECONDS = 60,
};

/* Of each page one word may be written to. What is in all others is 0. */
struct large {
    uint64_t header;
    size_t count;
    struct large *other;
    uint64_t spare;
    uint64_t words[];
};

/* The words are references in tables, to numbers; numbers in buffers; and in secret ones as in tables, but a callback finds them. */
enum kind { TABLE, BUFFER, SECRET, KINDS };

struct number {
    uint64_t header;
    uint64_t value;
};

/* What an object has to hold: by page, 0 or the number in it. */
struct sparse {
    struct large *object;
    enum kind kind;
    unsigned filled;
    uint64_t numbers[PAGES];
};

static sinter_gc_heap *heap;
static sinter_gc_mutator *m;
static sinter_gc_type types[KINDS], number_type, gate_type;
static _Atomic bool stop, ready, moving, slow;
static _Atomic uint64_t passes;

static size_t place(size_t page)
{
    return page * WORDS + page * 7 % (WORDS - 16);
}

static void visit_secret(void *object, sinter_gc_edge edge, void *context)
{
    struct large *l = object;
    edge((void **)&l->other, context);
    for (size_t page = 0; page < PAGES; page++)
        edge((void **)&l->words[place(page)], context);
}

static size_t size_of_secret(const void *object)
{
    (void)object;
    return sizeof(struct large) + PAGES * PAGE;
}

/* The moves do not end before somebody has touched all that there is to touch: whoever is not woken then waits for ever. */
static void visit_gate(void *object, sinter_gc_edge edge, void *context)
{
    (void)object, (void)edge, (void)context;
    uint64_t enough = atomic_load(&passes) + 2;
    while (atomic_load(&moving) && atomic_load(&passes) < enough)
        usleep(100);
}

static void open_heap(const char *text)
{
    struct sinter_gc_layout table = {.name = "table",
                                     .size = sizeof(struct large),
                                     .references = 1 << 2,
                                     .element_size = 8,
                                     .element_references = 1,
                                     .count_offset = offsetof(struct large, count)},
                            buffer = {.name = "buffer",
                                      .size = sizeof(struct large),
                                      .references = 1 << 2,
                                      .element_size = 8,
                                      .count_offset = offsetof(struct large, count)},
                            secret = {.name = "secret", .visit = visit_secret, .size_of = size_of_secret},
                            gate = {.name = "gate", .visit = visit_gate, .size_of = size_of_secret},
                            number = {.name = "number", .size = sizeof(struct number), .pointer_free = true};
    struct sinter_gc_config config;
    sinter_gc_config_init(&config);
    config.maximum = 512 << 20;
    config.minimum = 256 << 20; /* those collections that are asked for */
    assert_int_equal(sinter_gc_config_parse(&config, text, NULL), 0);
    heap = sinter_gc_create(&config);
    assert_non_null(heap);
    types[TABLE] = sinter_gc_type_new(heap, &table);
    types[BUFFER] = sinter_gc_type_new(heap, &buffer);
    types[SECRET] = sinter_gc_type_new(heap, &secret);
    number_type = sinter_gc_type_new(heap, &number);
    gate_type = sinter_gc_type_new(heap, &gate);
    m = sinter_gc_attach(heap);
    assert_non_null(m);
    atomic_store(&stop, false);
    alarm(HANG_SECONDS);
}

static void close_heap(void)
{
    uffd_inject(0, 0);
    m->frames = NULL;
    sinter_gc_detach(m);
    sinter_gc_destroy(heap);
    alarm(0);
}

static bool is_served(void)
{
    struct sinter_gc_stats s;
    sinter_gc_stats_get(heap, &s, sizeof(s));
    return s.served != SINTER_GC_SERVED_NOT;
}

/* ---- sparse objects; these functions abort, for threads other than the first ---- */

static void renew(sinter_gc_mutator *by, struct sparse *s)
{
    size_t words = (size_t)PAGES * WORDS;
    struct large *l = s->kind == SECRET ? sinter_gc_alloc(by, types[SECRET], size_of_secret(NULL))
                                        : sinter_gc_alloc_array(by, types[s->kind], words);
    if (l == NULL)
        abort();
    s->object = l;
    s->filled = 0;
    memset(s->numbers, 0, sizeof(s->numbers));
}

static void write_to(sinter_gc_mutator *by, struct sparse *s, size_t page, uint64_t value)
{
    if (s->kind == BUFFER) {
        s->object->words[place(page)] = value;
    } else {
        struct number *n = sinter_gc_alloc(by, number_type, sizeof(*n));
        if (n == NULL)
            abort();
        n->value = value;
        s->object->words[place(page)] = (uint64_t)(uintptr_t)n;
    }
    s->filled += s->numbers[page] == 0;
    s->numbers[page] = value;
}

static void check_page(const struct sparse *s, size_t page)
{
    uint64_t word = s->object->words[place(page)];
    if (s->kind != BUFFER && word != 0)
        word = ((const struct number *)(uintptr_t)word)->value;
    if (word != s->numbers[page] || s->object->words[place(page) + 1] != 0)
        abort();
}

static void check_all(const struct sparse *s)
{
    for (size_t page = 0; page < PAGES; page++)
        check_page(s, page);
}

/* Holes are touched as well as pages; there is a new object before all of them have been. */
static void touch(sinter_gc_mutator *by, struct sparse *s, uint32_t *seed)
{
    if (s->object == NULL || s->filled == FILLED)
        renew(by, s);
    for (int i = 0; i < 4; i++)
        check_page(s, unit_random(seed) % PAGES);
    write_to(by, s, unit_random(seed) % PAGES, unit_random(seed) | 1);
}

static void *touch_until_stopped(void *number)
{
    uint32_t seed = (uint32_t)(uintptr_t)number + 1;
    struct sparse *s = calloc(KINDS, sizeof(*s));
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    if (s == NULL || mine == NULL)
        abort();
    {
        SINTER_GC_ROOTS(mine, s[TABLE].object, s[BUFFER].object, s[SECRET].object);
        while (!atomic_load(&stop)) {
            for (enum kind kind = 0; kind < KINDS; kind++) {
                s[kind].kind = kind;
                touch(mine, &s[kind], &seed);
                sinter_gc_safepoint(mine);
            }
        }
        for (int kind = 0; kind < KINDS; kind++) {
            if (s[kind].object != NULL)
                check_all(&s[kind]);
        }
    }
    sinter_gc_detach(mine);
    free(s);
    return NULL;
}

/* ---- what is tested ---- */

static void touched_meanwhile(const char *conf, uint64_t one_in, int rounds)
{
    pthread_t threads[THREADS];
    open_heap(conf);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, touch_until_stopped, (void *)i), 0);
    for (int round = 0; round < rounds; round++) {
        uffd_inject(one_in, (uint64_t)round + 1);
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    }
    uffd_inject(0, 0);
    atomic_store(&stop, true);
    sinter_gc_block(m);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sinter_gc_unblock(m);
    close_heap();
}

static void by_threads(void **state)
{
    (void)state;
    touched_meanwhile("", 0, 60);
    touched_meanwhile("workers:8", 0, 30);
}

static void in_other_modes(void **state)
{
    (void)state;
    touched_meanwhile("verify:on", 0, 15);
    touched_meanwhile("verify:on,stress:50", 0, 5);
    touched_meanwhile("concurrent:off", 0, 10);
}

static void with_refusals(void **state)
{
    (void)state;
    open_heap("");
    bool served = is_served();
    close_heap();
    if (!served)
        skip();
    touched_meanwhile("", 10, 25);
    touched_meanwhile("workers:8", 3, 15);
}

/* ---- who waits ---- */

/* What could come between a wake and what follows it takes its time. */
void __real_uffd_wake(const struct uffd *u, void *addr, size_t size);
void __wrap_uffd_wake(const struct uffd *u, void *addr, size_t size);
size_t __real_uffd_move(const struct uffd *u, void *to, void *from, size_t pages, int flags, uint8_t *result);
size_t __wrap_uffd_move(const struct uffd *u, void *to, void *from, size_t pages, int flags, uint8_t *result);

void __wrap_uffd_wake(const struct uffd *u, void *addr, size_t size)
{
    __real_uffd_wake(u, addr, size);
    if (atomic_load(&slow))
        usleep(100);
}

size_t __wrap_uffd_move(const struct uffd *u, void *to, void *from, size_t pages, int flags, uint8_t *result)
{
    size_t n = __real_uffd_move(u, to, from, pages, flags, result);
    if (atomic_load(&slow))
        usleep(100);
    return n;
}

static void on_flipped(void *data)
{
    (void)data;
    atomic_store(&moving, true);
    atomic_store(&ready, false);
}

static void on_finished(void *data)
{
    (void)data;
    atomic_store(&moving, false);
}

static void fill(sinter_gc_mutator *by, struct sparse *s)
{
    uint32_t seed = 1;
    renew(by, s);
    while (s->filled < FILLED)
        write_to(by, s, unit_random(&seed) % (PAGES - 1), unit_random(&seed) | 1);
}

/* The gate is in no root, or it would be among the first to move. */
static void make_all(sinter_gc_mutator *by, struct sparse s[KINDS])
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        s[kind].kind = kind;
        fill(by, &s[kind]);
    }
    struct large *gate = sinter_gc_alloc(by, gate_type, size_of_secret(NULL));
    if (gate == NULL)
        abort();
    s[BUFFER].object->other = gate;
}

/*
 * What is touched stays no hole, so everything is made anew before it moves. Page after page, so that what is touched next is
 * likely to be in what is just being moved.
 */
static void *pass_while_moving(void *unused)
{
    static struct sparse s[KINDS];
    sinter_gc_mutator *mine = sinter_gc_attach(heap);
    (void)unused;
    if (mine == NULL)
        abort();
    {
        SINTER_GC_ROOTS(mine, s[TABLE].object, s[BUFFER].object, s[SECRET].object);
        while (!atomic_load(&stop)) {
            make_all(mine, s);
            for (atomic_store(&ready, true); atomic_load(&ready) && !atomic_load(&stop);)
                sinter_gc_safepoint(mine);
            do {
                for (enum kind kind = 0; kind < KINDS; kind++)
                    check_all(&s[kind]);
                atomic_fetch_add(&passes, 1);
            } while (atomic_load(&moving));
        }
    }
    sinter_gc_detach(mine);
    return NULL;
}

static void compact_when_ready(void)
{
    sinter_gc_block(m);
    while (!atomic_load(&ready))
        usleep(100);
    sinter_gc_unblock(m);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
}

static void nobody_is_forgotten(void **state)
{
    (void)state;
    pthread_t thread;
    const struct sinter_gc_events events = {.flipped = on_flipped, .finished = on_finished};
    open_heap("workers:1,generational:off");
    if (!is_served()) {
        close_heap();
        skip();
    }
    sinter_gc_listen(heap, &events);
    atomic_store(&slow, true);
    assert_int_equal(pthread_create(&thread, NULL, pass_while_moving, NULL), 0);
    for (int round = 0; round < 10; round++)
        compact_when_ready();
    atomic_store(&slow, false);
    sinter_gc_listen(heap, NULL);
    atomic_store(&stop, true);
    sinter_gc_block(m);
    pthread_join(thread, NULL);
    sinter_gc_unblock(m);
    close_heap();
}

/* ---- what there is ---- */

/* Pages of memory that the process has of its own. */
static size_t resident(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    assert_non_null(status);
    while (fgets(line, sizeof(line), status) != NULL && sscanf(line, "RssAnon: %lu", &kib) != 1)
        ;
    fclose(status);
    assert_int_not_equal(kib, 0);
    return kib * 1024 / PAGE;
}

/* Pages that are there, and those of zeros that the kernel has put in the place of holes. */
static size_t present(const struct sparse *s)
{
    static uint64_t entries[PAGES];
    size_t n = 0, first = (size_t)(uintptr_t)s->object / PAGE * sizeof(uint64_t);
    FILE *pagemap = fopen("/proc/self/pagemap", "r");
    assert_non_null(pagemap);
    assert_int_equal(fseek(pagemap, (long)first, SEEK_SET), 0);
    assert_int_equal(fread(entries, sizeof(*entries), PAGES, pagemap), PAGES);
    fclose(pagemap);
    for (size_t page = 0; page < PAGES; page++)
        n += entries[page] >> 62 != 0; /* in memory or in swap */
    return n;
}

/* The header's page may be one of those that are filled; so may the end of a page that is counted twice. */
static void nothing_is_added(enum kind kind, uint64_t one_in)
{
    enum { ROUNDS = 10, SLACK = FILLED };
    struct sparse s = {.kind = kind};
    SINTER_GC_ROOTS(m, s.object);
    fill(m, &s);
    sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    size_t before = resident();
    for (int round = 0; round < ROUNDS; round++) {
        uffd_inject(one_in, (uint64_t)round + 1);
        sinter_gc_collect(m, SINTER_GC_COLLECT_COMPACT);
    }
    uffd_inject(0, 0);
    if (is_served() && kind != SECRET && one_in == 0)
        assert_in_range(present(&s), FILLED, 2 * FILLED + 1);
    assert_in_range(resident(), 0, before + SLACK);
    check_all(&s);
}

static void holes_stay(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        open_heap("");
        nothing_is_added(kind, 0);
        nothing_is_added(kind, 10);
        close_heap();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_stay),     cmocka_unit_test(nobody_is_forgotten), cmocka_unit_test(by_threads),
        cmocka_unit_test(in_other_modes), cmocka_unit_test(with_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
