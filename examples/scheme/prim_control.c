/* Procedures, errors, records and promises. */
#include "check.h"
#include "object.h"
#include "port.h"
#include "primitives.h"
#include "print.h"

#include <stdlib.h>
#include <string.h>

static value prim_is_procedure(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_CLOSURE) || has_type(a[0], T_PRIMITIVE) ||
                   has_type(a[0], T_CONTINUATION));
}

static value prim_values(value *a, size_t n)
{
    if (n == 1)
        return a[0];
    struct vector *v = vector_new(T_VALUES, n, FALSE);
    memcpy(v->items, a, n * sizeof(value));
    return v;
}

/* The condition that (error message irritant ...) raises. */
static value prim_make_condition(value *a, size_t n)
{
    value irritants = NIL, where = FALSE;
    ROOTS(irritants, where);
    for (size_t i = n; i > 1; i--)
        irritants = cons(a[i - 1], irritants);
    vm.primitive = NULL;
    where = error_here();
    return condition_new(a[0], irritants, where);
}

static value prim_error(value *a, size_t n)
{
    vm_raise(prim_make_condition(a, n));
}

static value prim_is_condition(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_CONDITION));
}

static struct condition *check_condition(value v)
{
    if (!has_type(v, T_CONDITION))
        error_expected("a condition", v);
    return v;
}

static value prim_condition_message(value *a, size_t n)
{
    (void)n;
    return check_condition(a[0])->message;
}

static value prim_condition_irritants(value *a, size_t n)
{
    (void)n;
    return check_condition(a[0])->irritants;
}

static value prim_condition_where(value *a, size_t n)
{
    (void)n;
    return check_condition(a[0])->where;
}

/* "message: irritant irritant" */
static void report(struct text *text, const struct condition *c)
{
    print(text, c->message, is_string(c->message) ? PRINT_DISPLAY : PRINT_WRITE);
    const char *before = ": ";
    for (value i = c->irritants; is_pair(i); i = cdr(i)) {
        text_string(text, before);
        print(text, car(i), PRINT_WRITE);
        before = " ";
    }
}

static value prim_condition_report(value *a, size_t n)
{
    struct text text = {0};
    (void)n;
    report(&text, check_condition(a[0]));
    value string = string_new(text.bytes, text.length);
    free(text.bytes);
    return string;
}

/* Nobody handles what was raised: says so and gives up. */
static value prim_uncaught(value *a, size_t n)
{
    struct text text = {0};
    (void)n;
    fflush(stdout);
    if (has_type(a[0], T_CONDITION)) {
        const struct condition *c = a[0];
        if (c->where != FALSE) {
            print(&text, c->where, PRINT_DISPLAY);
            text_string(&text, ": ");
        }
        report(&text, c);
    } else {
        text_string(&text, "raised and not handled: ");
        print(&text, a[0], PRINT_WRITE);
    }
    fprintf(stderr, "scheme: %.*s\n", (int)text.length, text.bytes);
    free(text.bytes);
    vm_backtrace(stderr);
    vm_abandon();
}

static value prim_make_record_type(value *a, size_t n)
{
    (void)n;
    struct record_type *t = object_new(T_RECORD_TYPE, sizeof(*t));
    t->name = a[0];
    t->fields = a[1];
    return t;
}

static value prim_record_size(value *a, size_t n)
{
    (void)n;
    return fixnum(list_length(((struct record_type *)a[0])->fields));
}

/* (%record type field ...) */
static value prim_record(value *a, size_t n)
{
    struct record *r = object_new(T_RECORD, offsetof(struct record, fields) + (n - 1) * sizeof(value));
    r->type = a[0];
    r->count = n - 1;
    memcpy(r->fields, a + 1, (n - 1) * sizeof(value));
    return r;
}

/* (%record-of type numbers values): the other fields are false. */
static value prim_record_of(value *a, size_t n)
{
    const struct record_type *type = a[0];
    size_t count = (size_t)list_length(type->fields);
    (void)n;
    if (list_length(a[1]) != list_length(a[2]))
        error_plain("wrong number of fields for a record");
    struct record *r = object_new(T_RECORD, offsetof(struct record, fields) + count * sizeof(value));
    r->type = a[0];
    r->count = count;
    for (size_t i = 0; i < count; i++)
        r->fields[i] = FALSE;
    for (value k = a[1], v = a[2]; is_pair(k); k = cdr(k), v = cdr(v))
        r->fields[fixnum_of(car(k))] = car(v);
    return r;
}

static bool is_record_of(value v, value type)
{
    return has_type(v, T_RECORD) && ((struct record *)v)->type == type;
}

static value prim_is_record(value *a, size_t n)
{
    (void)n;
    return boolean(is_record_of(a[0], a[1]));
}

/* The fields of a record of the type, which messages call by the procedure's name. */
static value *check_record(value record, value type, value name)
{
    if (is_record_of(record, type))
        return ((struct record *)record)->fields;
    const struct string *procedure = ((struct symbol *)name)->name;
    const struct string *wanted = ((struct symbol *)((struct record_type *)type)->name)->name;
    char who[64], what[64];
    snprintf(who, sizeof(who), "%.*s", (int)procedure->length, procedure->bytes);
    snprintf(what, sizeof(what), "a %.*s", (int)wanted->length, wanted->bytes);
    vm.primitive = who;
    error_expected(what, record);
}

/* (%record-ref record type number name) */
static value prim_record_ref(value *a, size_t n)
{
    (void)n;
    return check_record(a[0], a[1], a[3])[fixnum_of(a[2])];
}

/* (%record-set! record type number name value) */
static value prim_record_set(value *a, size_t n)
{
    (void)n;
    check_record(a[0], a[1], a[3])[fixnum_of(a[2])] = a[4];
    return UNSPECIFIED;
}

static value prim_make_promise(value *a, size_t n)
{
    (void)n;
    value content = cons(a[0], a[1]);
    ROOTS(content);
    struct promise *p = object_new(T_PROMISE, sizeof(*p));
    p->content = content;
    return p;
}

static struct promise *check_promise(value v)
{
    if (!has_type(v, T_PROMISE))
        error_expected("a promise", v);
    return v;
}

static value prim_is_promise(value *a, size_t n)
{
    (void)n;
    return boolean(has_type(a[0], T_PROMISE));
}

static value prim_promise_content(value *a, size_t n)
{
    (void)n;
    return check_promise(a[0])->content;
}

static value prim_promise_set_content(value *a, size_t n)
{
    (void)n;
    check_promise(a[0])->content = a[1];
    return UNSPECIFIED;
}

const struct primitive_definition primitives_control[] = {
    {"procedure?", prim_is_procedure, 1, 1, ORDINARY},
    {"apply", NULL, 2, -1, APPLY},
    {"%call/cc", NULL, 1, 1, CALL_CC},
    {"%spread-values", NULL, 2, 2, SPREAD_VALUES},
    {"eval", NULL, 1, 2, EVAL},
    {"values", prim_values, 0, -1, ORDINARY},
    {"error", prim_error, 1, -1, ORDINARY},
    {"make-condition", prim_make_condition, 1, -1, ORDINARY},
    {"error-object?", prim_is_condition, 1, 1, ORDINARY},
    {"error?", prim_is_condition, 1, 1, ORDINARY},
    {"condition?", prim_is_condition, 1, 1, ORDINARY},
    {"error-object-message", prim_condition_message, 1, 1, ORDINARY},
    {"error-object-irritants", prim_condition_irritants, 1, 1, ORDINARY},
    {"error-object-location", prim_condition_where, 1, 1, ORDINARY},
    {"condition/report-string", prim_condition_report, 1, 1, ORDINARY},
    {"%uncaught", prim_uncaught, 1, 1, ORDINARY},
    {"%make-record-type", prim_make_record_type, 2, 2, ORDINARY},
    {"%record-size", prim_record_size, 1, 1, ORDINARY},
    {"%record", prim_record, 1, -1, ORDINARY},
    {"%record-of", prim_record_of, 3, 3, ORDINARY},
    {"%record?", prim_is_record, 2, 2, ORDINARY},
    {"%record-ref", prim_record_ref, 4, 4, ORDINARY},
    {"%record-set!", prim_record_set, 5, 5, ORDINARY},
    {"%make-promise", prim_make_promise, 2, 2, ORDINARY},
    {"promise?", prim_is_promise, 1, 1, ORDINARY},
    {"%promise-content", prim_promise_content, 1, 1, ORDINARY},
    {"%promise-set-content!", prim_promise_set_content, 2, 2, ORDINARY},
    {NULL, NULL, 0, 0, ORDINARY},
};
