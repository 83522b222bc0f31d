#include "unit.h"

#include "sizeclass.h"

static int setup(void **state)
{
    (void)state;
    sizeclass_init();
    return 0;
}

static void classes_grow_and_fit(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        const struct sizeclass *c = &sizeclass_table[bin];
        assert_true(c->size % 16 == 0);
        assert_true(c->size > sizeclass_table[bin - 1].size);
        assert_int_equal(c->slots, SPAN_BYTES / c->size);
        assert_in_range(c->slots, 2, SLOTS_MAX);
    }
    assert_int_equal(sizeclass_table[BIN_COUNT - 1].size, SMALL_MAX);
}

/* Every size gets the smallest class that holds it, and never wastes more than an eighth, or 15 bytes. */
static void every_size_has_the_tightest_class(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        unsigned bin = sizeclass_bin(size);
        assert_in_range(bin, 1, BIN_COUNT - 1);
        size_t got = sizeclass_table[bin].size;
        assert_true(got >= size && sizeclass_table[bin - 1].size < size);
        if (size <= 8192)
            assert_true(got - size <= (size / 8 > 15 ? size / 8 : 15));
    }
}

/* The division by multiplication, for every offset into a span of every class. */
static void magic_divides_exactly(void **state)
{
    (void)state;
    for (unsigned bin = 1; bin < BIN_COUNT; bin++) {
        uint32_t size = sizeclass_table[bin].size, magic = sizeclass_table[bin].magic;
        uint32_t wrong = 0;
        for (uint32_t offset = 0; offset < SPAN_BYTES; offset++) {
            uint32_t slot = (uint32_t)((uint64_t)offset * magic >> 32);
            void *p = (void *)(((uintptr_t)12345 << SPAN_BITS) + offset);
            wrong += slot != offset / size || sizeclass_is_start(p, magic) != (offset % size == 0);
        }
        assert_int_equal(wrong, 0);
    }
}

static void aligned_classes(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 2 * SMALL_MAX; align *= 2) {
        for (size_t size = 0; size <= SMALL_MAX + 100; size += 13) {
            unsigned bin = sizeclass_bin_aligned(size, align);
            if (bin == 0) {
                assert_true(size > SMALL_MAX || align > SMALL_MAX);
                continue;
            }
            assert_true(sizeclass_table[bin].size >= size && sizeclass_table[bin].size % align == 0);
            for (unsigned b = 1; b < bin; b++)
                assert_false(sizeclass_table[b].size >= size && sizeclass_table[b].size % align == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_grow_and_fit),
        cmocka_unit_test(every_size_has_the_tightest_class),
        cmocka_unit_test(magic_divides_exactly),
        cmocka_unit_test(aligned_classes),
    };
    return cmocka_run_group_tests_name("sizeclass", tests, setup, NULL);
}
