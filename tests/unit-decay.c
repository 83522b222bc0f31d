#include "unit.h"

#include "conf.h"
#include "decay.h"

enum { MS = 10000 };

static int setup(void **state)
{
    (void)state;
    conf_values[CONF_decay] = MS;
    return 0;
}

/* Runs from `from` to `to` and purges as told; returns the pages left. */
static size_t run(struct decay *d, uint64_t from, uint64_t to, size_t dirty)
{
    for (uint64_t now = from; now <= to; now += 50) {
        size_t go = decay_advance(d, now, dirty);
        assert_true(go <= dirty);
        dirty -= go;
        decay_settle(d, dirty);
    }
    return dirty;
}

static void falls_smoothly_to_nothing(void **state)
{
    (void)state;
    enum { PAGES = 100000 };
    struct decay d = {.epoch_end = 0};
    size_t left[11], before = PAGES;
    uint64_t start = 123456;
    for (int tenth = 0; tenth <= 10; tenth++) {
        left[tenth] = run(&d, start + (tenth ? (uint64_t)(tenth - 1) * MS / 10 + 50 : 0),
                          start + (uint64_t)tenth * MS / 10, before);
        assert_true(left[tenth] <= before);
        /* No tenth of the time takes much more than the steepest part of the curve, 1.875 times the average. */
        assert_true(before - left[tenth] <= PAGES / 10 * 21 / 10);
        before = left[tenth];
    }
    assert_true(left[1] > PAGES * 95 / 100);
    assert_in_range(left[5], PAGES * 4 / 10, PAGES * 6 / 10);
    assert_true(left[9] < PAGES * 5 / 100);
    assert_int_equal(run(&d, start + MS + 50, start + MS + 2 * MS / DECAY_EPOCHS + 50, before), 0);
}

static void fresh_pages_stay(void **state)
{
    (void)state;
    struct decay d = {.epoch_end = 0};
    size_t old = run(&d, 1000, 1000 + MS * 8 / 10, 1000);
    size_t both = run(&d, 1050 + MS * 8 / 10, 1050 + MS * 9 / 10, old + 5000);
    assert_true(both >= 4700); /* the new ones are a tenth of the time old */
    assert_int_equal(run(&d, 1100 + MS * 9 / 10, 2000 + 2 * MS, both), 0);
}

/* Pages that are used and freed again all the time are never a reason to call the system. */
static void steady_use_purges_little(void **state)
{
    (void)state;
    struct decay d = {.epoch_end = 0};
    size_t dirty = 0, purged = 0;
    for (uint64_t now = 0; now < 10 * MS; now += 100) {
        dirty = now / 100 % 2 ? 1000 : 500;
        size_t go = decay_advance(&d, now, dirty);
        purged += go;
        decay_settle(&d, dirty - go);
    }
    assert_true(purged < 10000);
}

static void long_sleep(void **state)
{
    (void)state;
    struct decay d = {.epoch_end = 0};
    assert_true(decay_advance(&d, 5, 300) <= 3);
    decay_settle(&d, 300);
    assert_int_equal(decay_advance(&d, (uint64_t)1 << 50, 300), 300);
}

static void at_once_and_never(void **state)
{
    (void)state;
    struct decay d = {.epoch_end = 0};
    conf_values[CONF_decay] = 0;
    assert_int_equal(decay_advance(&d, 1, 777), 777);
    conf_values[CONF_decay] = -1;
    assert_int_equal(decay_advance(&d, 1, 777), 0);
    assert_int_equal(decay_advance(&d, (uint64_t)1 << 40, 777), 0);
    assert_true(decay_epoch_ms() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(falls_smoothly_to_nothing, setup),
        cmocka_unit_test_setup(fresh_pages_stay, setup),
        cmocka_unit_test_setup(steady_use_purges_little, setup),
        cmocka_unit_test_setup(long_sleep, setup),
        cmocka_unit_test_setup(at_once_and_never, setup),
    };
    return cmocka_run_group_tests_name("decay", tests, NULL, NULL);
}
