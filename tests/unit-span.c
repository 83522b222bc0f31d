#include "unit.h"

#include "conf.h"
#include "decay.h"
#include "heap.h"
#include "span.h"
#include "span_pool.h"
#include "span_sweep.h"
#include "span_table.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 40000 };
static void *slots[MANY];

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static size_t take(unsigned bin, size_t n)
{
    size_t got = 0;
    while (got < n) {
        size_t more = span_take(bin, slots + got, n - got);
        assert_in_range(more, 1, n - got);
        got += more;
    }
    return got;
}

static unsigned long span_of(const void *p)
{
    return (unsigned long)((uintptr_t)p >> SPAN_BITS);
}

/* Slots of every class: all distinct, at multiples of the size, inside their span; their bytes don't overlap. */
static void slots_of_every_class(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        size_t size = sizeclass_table[bin].size, n = (size_t)sizeclass_table[bin].slots * 2 + 3;
        take(bin, n);
        for (size_t i = 0; i < n; i++) {
            struct span_location at = span_find(slots[i]);
            assert_int_equal(at.bin, bin);
            assert_true(span_zone_contains(slots[i]));
            assert_ptr_equal(at.start, slots[i]);
            assert_int_equal(at.offset, 0);
            assert_false(at.free);
            assert_true(((uintptr_t)slots[i] % SPAN_BYTES) % size == 0);
            assert_true((uintptr_t)slots[i] % SPAN_BYTES + size <= SPAN_BYTES);
            memset(slots[i], (int)(i % 251), size);
        }
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(*(unsigned char *)slots[i], i % 251);
            assert_int_equal(((unsigned char *)slots[i])[size - 1], i % 251);
            struct span_location at = span_find((char *)slots[i] + size - 1);
            assert_ptr_equal(at.start, slots[i]);
            assert_int_equal(at.offset, size - 1);
        }
        struct span_bin_stats all[BIN_COUNT];
        span_bin_stats(all);
        assert_int_equal(all[bin].slots, n);
        assert_int_equal(all[bin].spans, (n + sizeclass_table[bin].slots - 1) / sizeclass_table[bin].slots);
        span_give(bin, slots, n, "test");
        span_bin_stats(all);
        assert_int_equal(all[bin].slots, 0);
        assert_int_equal(all[bin].spans, 0);
        assert_int_equal(span_find(slots[0]).bin, 0);
    }
    span_check();
}

static void the_waste_behind_the_last_slot(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        size_t end = (size_t)sizeclass_table[bin].size * sizeclass_table[bin].slots;
        if (end == SPAN_BYTES)
            continue;
        take(bin, 1);
        char *start = (char *)((uintptr_t)slots[0] & ~(SPAN_BYTES - 1));
        assert_int_equal(span_find(start + end - 1).bin, bin);
        assert_int_equal(span_find(start + end).bin, 0);
        assert_int_equal(span_find(start + SPAN_BYTES - 1).bin, 0);
        span_give(bin, slots, 1, "test");
    }
}

/* What is taken next comes from the fullest span, so that sparse ones drain. */
static void fullest_first(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(512);
    size_t per_span = sizeclass_table[bin].slots, n = 8 * per_span;
    take(bin, n);
    unsigned long of[8];
    size_t spans = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < spans && of[k] != span_of(slots[i]))
            k++;
        if (k == spans)
            of[spans++] = span_of(slots[i]);
    }
    assert_int_equal(spans, 8);
    /* Leaves in span k its first slots only: k + 1 eighths. */
    static void *kept[8 * 128];
    size_t left[8] = {0}, keep = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (of[k] != span_of(slots[i]))
            k++;
        if (left[k] < per_span * (k + 1) / 8) {
            left[k]++;
            kept[keep++] = slots[i];
        } else {
            span_give(bin, &slots[i], 1, "test");
        }
    }
    /* Span 7 is full; span 6 is the fullest of the others. */
    size_t rooms = per_span - left[6];
    assert_int_equal(take(bin, rooms), rooms);
    for (size_t i = 0; i < rooms; i++)
        assert_int_equal(span_of(slots[i]), of[6]);
    span_give(bin, slots, rooms, "test");
    span_give(bin, kept, keep, "test");
    span_check();
}

static void purge_gives_back_free_spans(void **state)
{
    (void)state;
    while (span_purge(SIZE_MAX) > 0)
        ;
    assert_int_equal(span_dirty_pages(), 0);
    unsigned bin = sizeclass_bin(256);
    size_t n = (size_t)sizeclass_table[bin].slots * 20;
    take(bin, n);
    for (size_t i = 0; i < n; i++)
        memset(slots[i], 0xaa, 256);
    char *watched = slots[n / 2];
    span_give(bin, slots, n, "test");
    assert_int_equal(span_dirty_pages(), 20 * SPAN_BYTES / PAGE_BYTES);
    size_t done = 0;
    for (size_t more; (more = span_purge(16)) > 0;)
        done += more;
    assert_int_equal(done, 20 * SPAN_BYTES / PAGE_BYTES);
    assert_int_equal(span_dirty_pages(), 0);
    assert_int_equal(watched[0], 0);
    span_check();
    assert_int_equal(take(bin, n), n); /* and they serve again */
    span_give(bin, slots, n, "test");
}

/* Pages of spans in use on which nothing is live go back; the others keep their contents. */
static void sweep_gives_back_free_pages(void **state)
{
    (void)state;
    size_t waiting = 0;
    span_sweep(true, &waiting, NULL);
    unsigned bin = sizeclass_bin(1024);
    size_t n = (size_t)sizeclass_table[bin].slots * 10, kept = 0;
    take(bin, n);
    for (size_t i = 0; i < n; i++)
        memset(slots[i], 0xbb, 1024);
    static void *keep[MANY], *drop[MANY];
    size_t dropped = 0;
    for (size_t i = 0; i < n; i++) {
        /* One of 16 pages stays whole, another in part. */
        size_t page = (uintptr_t)slots[i] % SPAN_BYTES / PAGE_BYTES;
        if (page == 3 || (page == 9 && (uintptr_t)slots[i] % PAGE_BYTES == 1024))
            keep[kept++] = slots[i];
        else
            drop[dropped++] = slots[i];
    }
    span_give(bin, drop, dropped, "test");
    size_t first = span_sweep(false, &waiting, NULL); /* only notes what is free */
    assert_int_equal(first, 0);
    assert_int_equal(waiting, 10 * 14);
    size_t second = span_sweep(false, &waiting, NULL);
    assert_int_equal(second, 10 * 14);
    for (size_t i = 0; i < kept; i++) {
        unsigned char *p = keep[i];
        assert_true(p[0] == 0xbb && memcmp(p, p + 1, 1023) == 0);
    }
    for (size_t i = 0; i < dropped; i++) {
        const unsigned char *p = drop[i];
        bool shared = (uintptr_t)p % SPAN_BYTES / PAGE_BYTES == 9;
        assert_int_equal(p[5], shared ? 0xbb : 0);
    }
    assert_int_equal(span_sweep(true, &waiting, NULL), 0);
    span_check();
    span_give(bin, keep, kept, "test");
    span_check();
}

static void random_slots_are_random(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(64);
    uint32_t seed = 3;
    size_t descents = 0;
    for (size_t i = 0; i < 1000; i++) {
        slots[i] = span_take_random(bin, unit_random(&seed));
        assert_non_null(slots[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(slots[i], slots[k]);
        descents += i > 0 && slots[i] < slots[i - 1];
    }
    assert_in_range(descents, 400, 600);
    span_give(bin, slots, 1000, "test");
    span_check();
}

/* Pages under slots that were taken at random can go, as others. */
static void random_slots_have_pages(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(64);
    uint32_t seed = 2;
    size_t n = 2 * (size_t)sizeclass_table[bin].slots, waiting;
    span_purge(SIZE_MAX); /* so that no page counts as populated yet */
    for (size_t i = 0; i < n; i++) {
        slots[i] = span_take_random(bin, unit_random(&seed));
        memset(slots[i], 1, 64);
    }
    for (size_t i = 1; i < n; i++) { /* the last in its span keeps it in use */
        if (span_of(slots[i]) == span_of(slots[0]))
            span_give(bin, &slots[i], 1, "test");
    }
    assert_int_equal(span_sweep(true, &waiting, NULL), SPAN_PAGES - 1);
    assert_int_equal(*(char *)slots[0], 1);
    span_give(bin, &slots[0], 1, "test");
    for (size_t i = 1; i < n; i++) {
        if (span_of(slots[i]) != span_of(slots[0]))
            span_give(bin, &slots[i], 1, "test");
    }
    span_check();
}

static void random_operations(void **state)
{
    (void)state;
    enum { LIVE = 3000 };
    static struct {
        void *p;
        unsigned bin;
    } live[LIVE];
    uint32_t seed = 11;
    struct span_stats before, stats;
    span_stats(&before);
    size_t bytes = 0;
    for (int op = 0; op < 200000; op++) {
        size_t i = unit_random(&seed) % LIVE;
        if (live[i].p) {
            assert_int_equal(*(uint32_t *)live[i].p, i);
            bytes -= sizeclass_table[live[i].bin].size;
            span_give(live[i].bin, &live[i].p, 1, "test");
            live[i].p = NULL;
        } else {
            live[i].bin = 1 + unit_random(&seed) % (BIN_COUNT - 1);
            assert_int_equal(span_take(live[i].bin, &live[i].p, 1), 1);
            *(uint32_t *)live[i].p = (uint32_t)i;
            bytes += sizeclass_table[live[i].bin].size;
        }
        if (op % 20000 == 0) {
            size_t waiting;
            span_check();
            span_purge(unit_random(&seed) % 100);
            span_sweep(op % 40000 == 0, &waiting, NULL);
            span_stats(&stats);
            assert_int_equal(stats.slot_bytes - before.slot_bytes, bytes);
        }
    }
    for (size_t i = 0; i < LIVE; i++) {
        if (live[i].p)
            span_give(live[i].bin, &live[i].p, 1, "test");
    }
    span_check();
    span_stats(&stats);
    assert_int_equal(stats.slot_bytes, before.slot_bytes);
    assert_int_equal(stats.spans, before.spans);
}

/* What a process says that overwrites a link between spans and then goes on freeing. */
static void overwrite_and_free(int out)
{
    dup2(out, STDERR_FILENO);
    struct span *s = span_info((uint32_t)(((uintptr_t)slots[0] - arena_base) >> SPAN_BITS));
    s->next = s->prev = 1;
    for (size_t i = 0; i < 3000; i++) {
        if (i % 1400 != 0)
            span_give(sizeclass_bin(64), &slots[i], 1, "free");
    }
}

/* Links that do not agree are found when they are followed, in every build. */
static void overwritten_tables_are_found(void **state)
{
    (void)state;
    unsigned bin = sizeclass_bin(64);
    int text[2], status;
    take(bin, 3000);
    for (size_t i = 0; i < 3000; i += 1400) /* a slot in each of the spans, which puts them into lists */
        span_give(bin, &slots[i], 1, "free");
    assert_int_equal(pipe(text), 0);
    pid_t pid = fork();
    if (pid == 0) {
        overwrite_and_free(text[1]);
        _exit(0);
    }
    char said[512] = "";
    close(text[1]);
    assert_true(read(text[0], said, sizeof(said) - 1) > 0);
    close(text[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "sinter: internal error, or the allocator's tables were overwritten: "));
    for (size_t i = 0; i < 3000; i++) {
        if (i % 1400 != 0)
            span_give(bin, &slots[i], 1, "free");
    }
    struct span_stats stats;
    span_stats(&stats);
    assert_int_equal(stats.spans, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_every_class),
        cmocka_unit_test(the_waste_behind_the_last_slot),
        cmocka_unit_test(fullest_first),
        cmocka_unit_test(purge_gives_back_free_spans),
        cmocka_unit_test(sweep_gives_back_free_pages),
        cmocka_unit_test(random_slots_are_random),
        cmocka_unit_test(random_slots_have_pages),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(overwritten_tables_are_found),
    };
    return cmocka_run_group_tests_name("span", tests, setup, NULL);
}
