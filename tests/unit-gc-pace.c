/* How much may be allocated until the next collection is due. */
#include "unit.h"

#include "../gc/heap.h"
#include "../gc/pace.h"

#include <string.h>

enum { MIB_BLOCKS = (1 << 20) / BLOCK_BYTES, LIVE_MIB = 80, MOST_MIB = 1000 };

static sinter_gc_heap heap;

static void live_heap(enum sinter_gc_growth growth)
{
    memset(&heap, 0, sizeof(heap));
    sinter_gc_config_init(&heap.config);
    heap.config.growth = growth;
    heap.config.minimum = 0;
    heap.config.soft_limit = 0;
    heap.in_use = LIVE_MIB * MIB_BLOCKS;
    heap.most = MOST_MIB * MIB_BLOCKS;
    heap.full_live = (uint64_t)LIVE_MIB << 20;
}

static int64_t budget_mib(void)
{
    return pace_budget(&heap) / MIB_BLOCKS;
}

static void by_factor(void **state)
{
    (void)state;
    live_heap(SINTER_GC_GROW_FACTOR);
    heap.config.factor = 150;
    assert_int_equal(budget_mib(), LIVE_MIB / 2);
    heap.config.factor = 300;
    assert_int_equal(budget_mib(), 2 * LIVE_MIB);
}

static void by_fixed_size(void **state)
{
    (void)state;
    live_heap(SINTER_GC_GROW_FIXED);
    heap.config.fixed = (size_t)64 << 20;
    assert_int_equal(budget_mib(), 64);
}

/* The last cycle took a tenth of the time between the cycles, in which 40 MiB were allocated. */
static void by_time(void **state)
{
    (void)state;
    live_heap(SINTER_GC_GROW_TIME);
    heap.taken_between = 40 * MIB_BLOCKS;
    heap.between_ns = 1000000000 - 1;
    heap.last_ns = heap.between_ns / 10 + 1;
    heap.config.gc_share = 10;
    assert_int_equal(budget_mib(), 36); /* 40 / 10 x 90 % / 10 % */
    heap.config.gc_share = 2;
    assert_int_equal(budget_mib(), 196);
}

static void within_limits(void **state)
{
    (void)state;
    live_heap(SINTER_GC_GROW_FACTOR);
    heap.config.factor = 300;
    heap.config.soft_limit = (size_t)100 << 20;
    assert_int_equal(budget_mib(), 100 - LIVE_MIB);
    heap.config.minimum = (size_t)150 << 20; /* goes before the soft limit */
    assert_int_equal(budget_mib(), 150 - LIVE_MIB);
    heap.most = 120 * MIB_BLOCKS;
    assert_int_equal(budget_mib(), 120 - LIVE_MIB);
}

/* A heap beyond its soft limit does not collect at every block. */
static void never_at_once(void **state)
{
    (void)state;
    live_heap(SINTER_GC_GROW_FACTOR);
    heap.config.soft_limit = 1 << 20;
    assert_in_range(budget_mib(), LIVE_MIB / 16, LIVE_MIB / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_factor),     cmocka_unit_test(by_fixed_size), cmocka_unit_test(by_time),
        cmocka_unit_test(within_limits), cmocka_unit_test(never_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
