/* The store: records come and go at random, and the contents of those that stay are checked. */
#include "unit.h"

#include "heap.h"
#include "store.h"

#include <string.h>

enum { PAGES = 20000, ROUNDS = 300000, BIN = 7 };

static struct {
    uint32_t number; /* of the record; 0: none */
    uint16_t bytes;
    unsigned char mark;
} model[PAGES];

static uint32_t seed = 1;

static int setup(void **state)
{
    (void)state;
    heap_init();
    return 0;
}

static void put(uint32_t page)
{
    uint16_t bytes =
        (uint16_t)(1 + unit_random(&seed) % (unit_random(&seed) % 8 == 0 ? STORE_RECORD_MAX : 300));
    uint32_t number = store_append(page, BIN, bytes);
    assert_int_not_equal(number, 0);
    struct store_record *r = store_record(number);
    assert_int_equal(r->page, page);
    assert_int_equal(r->bin, BIN);
    assert_int_equal(r->bytes, bytes);
    model[page].number = number;
    model[page].bytes = bytes;
    model[page].mark = (unsigned char)unit_random(&seed);
    memset(r->contents, model[page].mark, bytes);
}

static void check_contents(uint32_t page)
{
    const struct store_record *r = store_record(model[page].number);
    assert_int_equal(r->page, page);
    assert_int_equal(r->bytes, model[page].bytes);
    for (uint16_t i = 0; i < r->bytes; i++) {
        if (r->contents[i] != model[page].mark)
            fail_msg("page %u, byte %u of %u", page, i, r->bytes);
    }
}

static void drop(uint32_t page)
{
    check_contents(page);
    store_free(model[page].number);
    model[page].number = 0;
}

static void moved(uint32_t page, uint32_t number)
{
    model[page].number = number;
}

static size_t live_bytes(void)
{
    size_t bytes = 0;
    for (uint32_t page = 0; page < PAGES; page++)
        bytes += model[page].number != 0 ? model[page].bytes + sizeof(struct store_record) : 0;
    return bytes;
}

static void records_survive(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t page = unit_random(&seed) % PAGES;
        if (model[page].number == 0)
            put(page);
        else
            drop(page);
        if (round % 64 == 0)
            store_clean(moved);
        if (round % 50000 == 0)
            store_check();
    }
    store_check();
    for (uint32_t page = 0; page < PAGES; page++) {
        if (model[page].number != 0)
            check_contents(page);
    }
}

/* After most was dropped, cleaning makes the store about as large as what is in it. */
static void cleaning_makes_it_tight(void **state)
{
    (void)state;
    for (uint32_t page = 0; page < PAGES; page++) {
        if (model[page].number != 0 && unit_random(&seed) % 8 != 0)
            drop(page);
    }
    while (store_clean(moved))
        ;
    store_check();
    assert_in_range(store_bytes(), live_bytes(), live_bytes() / 4 * 5 + 512 * KiB);
    for (uint32_t page = 0; page < PAGES; page++) {
        if (model[page].number != 0)
            drop(page);
    }
    store_check();
    assert_in_range(store_bytes(), 0, 64 * KiB); /* the open segment */
}

static void forgetting(void **state)
{
    (void)state;
    put(1);
    put(2);
    store_forget();
    store_check();
    assert_int_equal(store_bytes(), 0);
    put(3);
    check_contents(3);
    store_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive),
        cmocka_unit_test(cleaning_makes_it_tight),
        cmocka_unit_test(forgetting),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
