#include "guard_report.h"

#include "fmt.h"
#include "guard_modules.h"
#include "os.h"

#include <stdlib.h>
#include <string.h>

enum { STACKS = 3 };

static const char *const mistakes[] = {
    [GUARD_OVERFLOW] = "heap overflow",
    [GUARD_UNDERFLOW] = "heap underflow",
    [GUARD_AFTER_FREE] = "use after free",
    [GUARD_DOUBLE_FREE] = "double free",
    [GUARD_REALLOC_AFTER_FREE] = "realloc after free",
    [GUARD_INVALID_FREE] = "invalid free",
    [GUARD_WRONG_SIZE] = "wrong size",
    [GUARD_WILD] = "wild access",
};

struct report {
    enum guard_mistake mistake;
    const char *act;  /* "read", "write", or the public function that was called */
    bool call;        /* it is a function */
    bool found;       /* the act has found it: it happened before */
    const char *text; /* what is said in place of all the rest; NULL */
    size_t size;      /* GUARD_WRONG_SIZE: the one that was given */
    uintptr_t address;
    const struct guard_slot *slot;  /* NULL: no block is near */
    const struct guard_event *here; /* what the thread does now */
};

/* One report at a time. A second fault of the thread that is writing one must not wait for itself. */
static _Atomic long writer;

static void begin(void)
{
    long nobody = 0, me = os_thread_id();
    if (atomic_load(&writer) == me)
        abort();
    while (!atomic_compare_exchange_weak(&writer, &nobody, me)) {
        nobody = 0;
        os_sleep(1);
    }
}

static void end(void)
{
    atomic_store(&writer, 0);
}

/* ---- the text ---- */

static uintptr_t end_of(const struct guard_slot *slot)
{
    return slot->start + slot->size;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* How far outside of the block the address is; 0: inside. */
static size_t outside(const struct report *r)
{
    if (r->address < r->slot->start)
        return r->slot->start - r->address;
    return r->address >= end_of(r->slot) ? r->address - end_of(r->slot) + 1 : 0;
}

static void print_where(struct fmt *f, const struct report *r)
{
    size_t size = r->slot->size, n = outside(r);
    if (n == 0)
        fmt_print(f, ", byte %zu of", r->address - r->slot->start);
    else
        fmt_print(f, ", %zu byte%s %s", n, plural(n), r->address < r->slot->start ? "before" : "beyond");
    fmt_print(f, " the %zu-byte block at %p", size, (void *)r->slot->start);
}

/* "heap overflow: write at 0x7f12, 1 byte beyond the 64-byte block at 0x7f11" */
static void print_headline(struct fmt *f, const struct report *r)
{
    fmt_print(f, "sinter: %s: ", mistakes[r->mistake]);
    if (r->text != NULL)
        fmt_print(f, "%s(): %s", r->act, r->text);
    else if (r->mistake == GUARD_WRONG_SIZE)
        fmt_print(f, "%s(%p, %zu)", r->act, (void *)r->address, r->size);
    else if (r->found)
        fmt_print(f, "found by %s(): byte at %p is overwritten", r->act, (void *)r->address);
    else
        fmt_print(f, r->call ? "%s(%p)" : "%s at %p", r->act, (void *)r->address);
    if (r->slot != NULL && r->call && r->address == r->slot->start)
        fmt_print(f, ", a %zu-byte block", r->slot->size);
    else if (r->slot != NULL)
        print_where(f, r);
    fmt_print(f, "\n");
}

static void print_stack(struct fmt *f, const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fmt_print(f, "    #%zu %p", i, (void *)places[i].address);
        if (places[i].name[0] != '\0')
            fmt_print(f, " %s+0x%zx", places[i].name, places[i].offset);
        fmt_print(f, "\n");
    }
}

static void print_age(struct fmt *f, const struct report *r, const struct guard_event *event)
{
    uint64_t ms = r->here->ns > event->ns ? (r->here->ns - event->ns) / 1000000 : 0;
    fmt_print(f, "%lu.%03lu s ago by thread %u:\n", ms / 1000, ms % 1000, event->thread);
}

/* ---- addresses of calls ---- */

/* A return address is the instruction behind the call, which may belong to another line. An interrupted one is itself. */
static void add_stack(struct place *places, size_t *count, const struct guard_stack *stack, bool exact_first)
{
    for (uint32_t i = 0; i < stack->count && i < GUARD_FRAMES; i++)
        places[(*count)++].address = stack->frames[i] - (i > 0 || !exact_first);
}

static bool is_freed(const struct guard_slot *slot)
{
    enum guard_state state = (enum guard_state)atomic_load(&slot->state);
    return state != GUARD_LIVE && state != GUARD_OPENING;
}

static void write_report(const struct report *r)
{
    static struct place places[STACKS * GUARD_FRAMES]; /* these are large for a signal stack */
    static char buffer[4096];
    struct fmt f;
    size_t count = 0, allocated, freed;
    bool has_free = r->slot != NULL && is_freed(r->slot) && &r->slot->freed != r->here;
    add_stack(places, &count, &r->here->stack, !r->call);
    allocated = count;
    if (r->slot != NULL)
        add_stack(places, &count, &r->slot->allocated.stack, false);
    freed = count;
    if (has_free)
        add_stack(places, &count, &r->slot->freed.stack, false);
    guard_modules_find(places, count);

    fmt_to_fd(&f, 2, buffer, sizeof(buffer));
    print_headline(&f, r);
    fmt_print(&f, "  by thread %u:\n", r->here->thread);
    print_stack(&f, places, allocated);
    if (r->slot != NULL) {
        fmt_print(&f, "  allocated ");
        print_age(&f, r, &r->slot->allocated);
        print_stack(&f, places + allocated, freed - allocated);
    }
    if (has_free) {
        fmt_print(&f, "  freed ");
        print_age(&f, r, &r->slot->freed);
        print_stack(&f, places + freed, count - freed);
    }
    fmt_flush(&f);
}

static void report(const struct report *r)
{
    begin();
    write_report(r);
    end();
}

/* ---- what is said when ---- */

static enum guard_mistake mistake_of_access(const struct report *r)
{
    if (r->slot == NULL)
        return GUARD_WILD;
    if (is_freed(r->slot))
        return GUARD_AFTER_FREE;
    if (outside(r) == 0)
        return GUARD_WILD;
    return r->address < r->slot->start ? GUARD_UNDERFLOW : GUARD_OVERFLOW;
}

void guard_report_access(uintptr_t address, bool write, uintptr_t pc)
{
    struct guard_event here = {.ns = os_now_ns(), .thread = (uint32_t)os_thread_id()};
    struct report r = {.act = write ? "write" : "read", .address = address, .here = &here};
    guard_stack_take_from(&here.stack, pc);
    r.slot = guard_blame(address);
    r.mistake = mistake_of_access(&r);
    report(&r);
}

static bool is_realloc(const char *call)
{
    return strncmp(call, "realloc", strlen("realloc")) == 0;
}

static enum guard_mistake mistake_of_bad_pointer(const struct report *r)
{
    if (r->slot == NULL || r->address != r->slot->start)
        return GUARD_INVALID_FREE;
    if (strcmp(r->act, "malloc_usable_size") == 0)
        return GUARD_AFTER_FREE;
    return is_realloc(r->act) ? GUARD_REALLOC_AFTER_FREE : GUARD_DOUBLE_FREE;
}

void guard_report_bad_pointer(uintptr_t address, const struct guard_event *here, const char *call)
{
    struct report r = {.act = call, .call = true, .address = address, .here = here};
    r.slot = guard_blame(address);
    r.mistake = mistake_of_bad_pointer(&r);
    report(&r);
    abort();
}

void guard_report_damage(const struct guard_slot *slot, uintptr_t address, const struct guard_event *here,
                         const char *call)
{
    struct report r = {
        .mistake = address < slot->start ? GUARD_UNDERFLOW : GUARD_OVERFLOW,
        .act = call,
        .call = true,
        .found = true,
        .address = address,
        .slot = slot,
        .here = here,
    };
    report(&r);
    abort();
}

void guard_report_size(const struct guard_slot *slot, size_t size, const struct guard_event *here,
                       const char *call)
{
    struct report r = {
        .mistake = GUARD_WRONG_SIZE,
        .act = call,
        .call = true,
        .size = size,
        .address = slot->start,
        .slot = slot,
        .here = here,
    };
    report(&r);
    abort();
}

void guard_report_unguarded(enum guard_mistake mistake, uintptr_t address, const char *call, const char *text)
{
    struct guard_event here;
    guard_event_now(&here);
    struct report r = {
        .mistake = mistake, .act = call, .call = true, .text = text, .address = address, .here = &here};
    report(&r);
    abort();
}
