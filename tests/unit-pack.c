/* Pages and their records: what was live comes back, and nothing else is kept. And the histogram of waiting. */
#include "unit.h"

#include "conf.h"
#include "heap.h"
#include "histogram.h"
#include "pack.h"
#include "pages.h"
#include "span.h"
#include "span_pages.h"
#include "store.h"

#include <string.h>

static uint32_t seed = 1;
static void *slots[SLOTS_MAX];

static int setup(void **state)
{
    (void)state;
    heap_init();
    conf_values[CONF_background] = 0;
    return 0;
}

static uint32_t number_of(const void *p)
{
    return (uint32_t)(((uintptr_t)p - arena_base) / PAGE_BYTES);
}

static unsigned char mark_of(size_t i)
{
    return (unsigned char)(1 + i % 251);
}

static void check_slot_part(unsigned bin, uint32_t page, const char *copy, size_t i)
{
    size_t size = sizeclass_table[bin].size;
    uintptr_t start = (uintptr_t)slots[i], page_start = (uintptr_t)page_address(page);
    for (uintptr_t at = max_size(start, page_start); at < min_size(start + size, page_start + PAGE_BYTES);
         at++) {
        if ((unsigned char)copy[at - page_start] != mark_of(i))
            fail_msg("bin %u, slot %zu, byte %zu", bin, i, (size_t)(at - start));
    }
}

/* Fills a span's worth of slots, frees some, and packs and unpacks all pages. */
static void pack_span(unsigned bin, unsigned live_in_16)
{
    static char copy[PAGE_BYTES];
    size_t n = sizeclass_table[bin].slots, got = span_take(bin, slots, n);
    assert_int_equal(got, n);
    uint32_t first = number_of(slots[0]), last = first;
    for (size_t i = 0; i < n; i++) {
        memset(slots[i], mark_of(i), sizeclass_table[bin].size);
        first = (uint32_t)min_size(first, number_of(slots[i]));
        last = (uint32_t)max_size(last, number_of((char *)slots[i] + sizeclass_table[bin].size - 1));
    }
    for (size_t i = 0; i < n; i++) {
        if (unit_random(&seed) % 16 >= live_in_16 && i > 0) { /* one stays, or the span would end */
            span_give(bin, &slots[i], 1, "free");
            slots[i] = NULL;
        }
    }
    for (uint32_t page = first; page <= last; page++) {
        uint32_t record = pack_page(page, page_address(page));
        assert_int_not_equal(record, PACK_FAILED);
        uint32_t live = span_page_live(page_span(page), bin, page % SPAN_PAGES);
        assert_true((record == PACK_NOTHING) == (live == 0));
        memset(copy, 0, sizeof(copy));
        pack_unpack(record, copy);
        for (size_t i = 0; i < n; i++) {
            if (slots[i] != NULL)
                check_slot_part(bin, page, copy, i);
        }
        if (record != PACK_NOTHING) {
            assert_in_range(store_record(record)->bytes, live, live + 34);
            store_free(record);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (slots[i] != NULL)
            span_give(bin, &slots[i], 1, "free");
    }
}

static void every_class_comes_back(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT && sizeclass_table[bin].size < PAGE_BYTES; bin++) {
        pack_span(bin, 16);
        pack_span(bin, 8);
        pack_span(bin, 1);
    }
    store_check();
}

static void larger_classes_are_never_packed(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        void *slot;
        assert_int_equal(span_take(bin, &slot, 1), 1);
        uint32_t span = page_span(number_of(slot));
        assert_int_equal(span_packable_bin(span), sizeclass_table[bin].size < PAGE_BYTES ? bin : 0);
        span_give(bin, &slot, 1, "free");
    }
}

static void records_shrink(void **state)
{
    (void)state;
    enum { BIN = 8 };
    static char copy[PAGE_BYTES];
    size_t n = sizeclass_table[BIN].slots;
    assert_int_equal(span_take(BIN, slots, n), n);
    for (size_t i = 0; i < n; i++)
        memset(slots[i], mark_of(i), sizeclass_table[BIN].size);
    uint32_t page = page_span(number_of(slots[0])) * SPAN_PAGES, record = pack_page(page, page_address(page));
    assert_int_equal(pack_shrink(page, record), record); /* nothing was freed */
    uint32_t bytes = store_record(record)->bytes;
    for (size_t i = 0; i < n; i++) {
        if (number_of(slots[i]) == page && i % 4 != 0) {
            span_give(BIN, &slots[i], 1, "free");
            slots[i] = NULL;
        }
    }
    record = pack_shrink(page, record);
    assert_int_not_equal(record, PACK_NOTHING);
    assert_in_range(store_record(record)->bytes, 1, bytes / 2);
    memset(copy, 0, sizeof(copy));
    pack_unpack(record, copy);
    for (size_t i = 0; i < n; i++) {
        if (slots[i] == NULL)
            continue;
        if (number_of(slots[i]) == page) {
            check_slot_part(BIN, page, copy, i);
            span_give(BIN, &slots[i], 1, "free");
            slots[i] = NULL;
        }
    }
    assert_int_equal(pack_shrink(page, record), PACK_NOTHING);
    for (size_t i = 0; i < n; i++) {
        if (slots[i] != NULL)
            span_give(BIN, &slots[i], 1, "free");
    }
    store_check();
}

/* Times that are kept in 16 bits: ahead until they have come, and never for long after they have come around. */
static void ticks_come_around(void **state)
{
    (void)state;
    for (uint64_t start = 0; start < 3 * 65536; start += 997) {
        uint64_t now = start * PAGES_TICK_MS;
        uint16_t at = tick_after(now, 10), never = 0;
        assert_false(tick_ahead(&never, now));
        assert_true(tick_ahead(&at, now));
        assert_true(tick_ahead(&at, now + 8 * PAGES_TICK_MS));
        assert_false(tick_ahead(&at, now + 12 * PAGES_TICK_MS));
        assert_false(tick_ahead(&at, now + 65536ull * PAGES_TICK_MS));
    }
}

static void percentiles(void **state)
{
    (void)state;
    static struct histogram h;
    assert_int_equal(histogram_percentile(&h, 500), 0);
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&h, value);
    static const unsigned asked[] = {1, 100, 500, 990, 999, 1000};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        uint64_t exact = asked[i] * 100u;
        assert_in_range(histogram_percentile(&h, asked[i]), exact, exact + exact / 8 + 1);
    }
    histogram_add(&h, UINT64_MAX / 2);
    assert_int_equal(histogram_percentile(&h, 1000), UINT64_MAX / 2);
    assert_in_range(histogram_percentile(&h, 500), 50000, 57000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_comes_back), cmocka_unit_test(larger_classes_are_never_packed),
        cmocka_unit_test(records_shrink),         cmocka_unit_test(percentiles),
        cmocka_unit_test(ticks_come_around),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
