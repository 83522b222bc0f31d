/* Hash tables. */
#include "check.h"
#include "equal.h"
#include "object.h"
#include "primitives.h"
#include "table.h"

static struct table *check_table(value v)
{
    if (!has_type(v, T_TABLE))
        error_expected("a hash table", v);
    return v;
}

static value prim_make_table(value *a, size_t n)
{
    (void)n;
    return table_new((enum table_kind)check_index(a[0], TABLE_STRING + 1));
}

static value prim_is_table(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_TABLE));
}

static void check_key(value *a)
{
    if (check_table(a[0])->kind == TABLE_STRING)
        check_string(a[1]);
}

static value prim_table_get(value *a, size_t n)
{
    (void)n;
    check_key(a);
    value found = table_get(a);
    return found != UNDEFINED ? found : a[2];
}

static value prim_table_put(value *a, size_t n)
{
    (void)n;
    check_key(a);
    table_put(a);
    return UNSPECIFIED;
}

static value prim_table_remove(value *a, size_t n)
{
    (void)n;
    check_key(a);
    return boolean(table_remove(a));
}

static value prim_table_contains(value *a, size_t n)
{
    (void)n;
    check_key(a);
    return boolean(table_get(a) != UNDEFINED);
}

static value prim_table_count(value *a, size_t n)
{
    (void)n;
    return fixnum((intptr_t)check_table(a[0])->live);
}

static value prim_table_clear(value *a, size_t n)
{
    (void)n;
    check_table(a[0]);
    table_clear(a);
    return UNSPECIFIED;
}

/* A list of what `pick` makes of each key and value, in the order in which they were added. */
static value collect(value *a, value (*pick)(const value *entry))
{
    value list = NIL;
    ROOTS(list);
    check_table(a[0]);
    for (size_t at = 0;;) {
        const value *entry = table_next(a[0], &at);
        if (entry == NULL)
            return list_reverse_onto(list, NIL);
        value item = pick(entry);
        list = cons(item, list);
    }
}

static value pick_key(const value *entry)
{
    return entry[1];
}

static value pick_value(const value *entry)
{
    return entry[2];
}

static value pick_both(const value *entry)
{
    return cons(entry[1], entry[2]);
}

static value prim_table_keys(value *a, size_t n)
{
    (void)n;
    return collect(a, pick_key);
}

static value prim_table_values(value *a, size_t n)
{
    (void)n;
    return collect(a, pick_value);
}

static value prim_table_to_list(value *a, size_t n)
{
    (void)n;
    return collect(a, pick_both);
}

static value prim_table_copy(value *a, size_t n)
{
    (void)n;
    value copy[3] = {table_new((enum table_kind)check_table(a[0])->kind), FALSE, FALSE};
    ROOTS(copy[0], copy[1], copy[2]);
    for (size_t at = 0;;) {
        const value *entry = table_next(a[0], &at);
        if (entry == NULL)
            return copy[0];
        copy[1] = entry[1];
        copy[2] = entry[2];
        table_put(copy);
    }
}

static value bounded(uint32_t hash, value *a, size_t n)
{
    intptr_t bound = n > 1 ? check_fixnum(a[1]) : 0;
    return fixnum(bound > 0 ? (intptr_t)hash % bound : (intptr_t)hash);
}

static value prim_hash(value *a, size_t n)
{
    return bounded(hash_equal(a[0]), a, n);
}

static value prim_string_hash(value *a, size_t n)
{
    check_string(a[0]);
    return bounded(hash_equal(a[0]), a, n);
}

static value prim_eq_hash(value *a, size_t n)
{
    return bounded(hash_eq(a[0]), a, n);
}

static value prim_eqv_hash(value *a, size_t n)
{
    return bounded(hash_eqv(a[0]), a, n);
}

const struct primitive_definition primitives_table[] = {
    {"%make-table", prim_make_table, 1, 1, ORDINARY},
    {"hash-table?", prim_is_table, 1, 1, ORDINARY},
    {"hash-table-ref/default", prim_table_get, 3, 3, ORDINARY},
    {"hash-table-set!", prim_table_put, 3, 3, ORDINARY},
    {"hash-table-delete!", prim_table_remove, 2, 2, ORDINARY},
    {"hash-table-exists?", prim_table_contains, 2, 2, ORDINARY},
    {"hash-table-contains?", prim_table_contains, 2, 2, ORDINARY},
    {"hash-table-count", prim_table_count, 1, 1, ORDINARY},
    {"hash-table-size", prim_table_count, 1, 1, ORDINARY},
    {"hash-table-clear!", prim_table_clear, 1, 1, ORDINARY},
    {"hash-table-keys", prim_table_keys, 1, 1, ORDINARY},
    {"hash-table-values", prim_table_values, 1, 1, ORDINARY},
    {"hash-table->alist", prim_table_to_list, 1, 1, ORDINARY},
    {"hash-table-copy", prim_table_copy, 1, 2, ORDINARY},
    {"hash", prim_hash, 1, 2, ORDINARY},
    {"string-hash", prim_string_hash, 1, 2, ORDINARY},
    {"hash-by-identity", prim_eq_hash, 1, 2, ORDINARY},
    {"eqv-hash", prim_eqv_hash, 1, 2, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
