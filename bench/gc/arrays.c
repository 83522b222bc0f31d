/*
 * Large arrays that are nearly empty: tables of references of 64 KiB to 1 MiB in which one place in many is filled. Contents
 * come and go, and so do arrays.
 */
#include "../workload.h"
#include "program.h"

enum { LEAST = 64 * 1024, DOUBLINGS = 5, FILLED_ONE_IN = 256, ARRAYS_MOST = 4096, RENEW_ONE_IN = 512 };

struct item {
    HEAP_HEADER
    struct item *self; /* its address, wherever that is by now */
    uint64_t place, array;
};

struct array {
    HEAP_HEADER
    size_t count;
    struct item *items[];
};

static heap_kind item_kind, array_kind;
static struct array *arrays[ARRAYS_MOST];
static uint64_t numbers[ARRAYS_MOST]; /* of the arrays, as their items know them */

static void make_kinds(void)
{
    item_kind = heap_kind_new(&(struct heap_layout){
        .name = "item",
        .size = sizeof(struct item),
        .references = HEAP_REFERENCE(struct item, self),
    });
    array_kind = HEAP_TABLE_KIND(array);
}

static void put_item(mutator *m, size_t array, size_t place)
{
    struct item *item = heap_new(m, item_kind, sizeof *item);
    item->self = item;
    item->place = place;
    item->array = numbers[array];
    heap_drop(arrays[array]->items[place]);
    arrays[array]->items[place] = item;
}

static void drop_array(struct array *array)
{
    if (!HEAP_BY_HAND || array == NULL)
        return;
    for (size_t i = 0; i < array->count; i++)
        heap_drop(array->items[i]);
    heap_drop(array);
}

/* Its bytes. */
static size_t renew(mutator *m, size_t at, uint64_t number, struct rng *rng)
{
    size_t bytes = (size_t)LEAST << rng_below(rng, DOUBLINGS), count = bytes / sizeof(void *);
    drop_array(arrays[at]);
    arrays[at] = NULL;
    struct array *array = heap_zeroed(m, array_kind, sizeof *array + bytes);
    array->count = count;
    arrays[at] = array;
    numbers[at] = number;
    for (size_t i = 0; i < count / FILLED_ONE_IN; i++)
        put_item(m, at, rng_below(rng, count));
    return bytes;
}

static bool is_intact(const struct item *item, size_t at, size_t place)
{
    return item == NULL || (item->self == item && item->place == place && item->array == numbers[at]);
}

static void check_array(size_t at)
{
    bool intact = true;
    for (size_t i = 0; i < arrays[at]->count; i++)
        intact = intact && is_intact(arrays[at]->items[i], at, i);
    check(intact, "an array's content has changed");
}

static void churn(mutator *m, const struct options *options, size_t count)
{
    struct rng rng = rng_seed(options->seed + 1);
    uint64_t number = count;
    size_t steps = options->work * options->size * 1024 * 1024 / sizeof(void *) / FILLED_ONE_IN;
    for (size_t i = 0; i < steps; i++) {
        size_t at = rng_below(&rng, count), place = rng_below(&rng, arrays[at]->count);
        check(is_intact(arrays[at]->items[place], at, place), "an item is damaged");
        put_item(m, at, place);
        if (i % RENEW_ONE_IN == 0)
            renew(m, at, number++, &rng);
    }
}

static void run(const struct options *options, struct report *report)
{
    size_t live = options->size * 1024 * 1024, bytes = 0, count = 0;
    struct rng rng = rng_seed(options->seed);
    heap_open(options->factor, live);
    mutator *m = heap_attach();
    make_kinds();
    {
        HEAP_ROOT_ARRAY(m, arrays, ARRAYS_MOST);
        for (; bytes < live && count < ARRAYS_MOST; count++)
            bytes += renew(m, count, count, &rng);
        churn(m, options, count);
        for (size_t at = 0; at < count; at++)
            check_array(at);
        report_settled(report, m, bytes);
    }
    heap_detach(m);
}

const struct workload workload_arrays = {"arrays", run, 128, 20,
                                         "size: MiB of arrays; work: times that each item is replaced"};
