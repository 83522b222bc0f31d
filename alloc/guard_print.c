#include "guard_print.h"

#include "guard_modules.h"
#include "os.h"

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

bool guard_is_freed(const struct guard_slot *slot)
{
    enum guard_state state = (enum guard_state)atomic_load(&slot->state);
    return state != GUARD_LIVE && state != GUARD_OPENING;
}

size_t guard_outside(const struct guard_report *r)
{
    uintptr_t start = r->slot->start, end = start + r->slot->size;
    if (r->address < start)
        return start - r->address;
    return r->address >= end ? r->address - end + 1 : 0;
}

/* ---- the stacks of a report ---- */

struct trace {
    const struct guard_event *event; /* NULL: there has been none */
    const struct place *places;
    size_t count;
};

struct traces {
    struct trace here, allocated, freed;
};

/* A return address is the instruction behind the call, which may belong to another line. An interrupted one is itself. */
static struct trace trace_of(const struct guard_event *event, struct place *places, bool exact_first)
{
    struct trace t = {event, places, min_size(event->stack.count, GUARD_FRAMES)};
    for (size_t i = 0; i < t.count; i++)
        places[i].address = event->stack.frames[i] - (i > 0 || !exact_first);
    return t;
}

static struct traces trace_all(const struct guard_report *r)
{
    static struct place places[3 * GUARD_FRAMES]; /* too large for a signal stack */
    struct traces t = {.here = trace_of(r->here, places, !r->call)};
    size_t count = t.here.count;
    if (r->slot != NULL && r->slot->allocated.ns != 0) { /* of ordinary blocks it is not known */
        t.allocated = trace_of(&r->slot->allocated, places + count, false);
        count += t.allocated.count;
        if (guard_is_freed(r->slot) && &r->slot->freed != r->here)
            t.freed = trace_of(&r->slot->freed, places + count, false);
        count += t.freed.count;
    }
    guard_modules_find(places, count);
    return t;
}

static uint64_t age_ms(const struct guard_report *r, const struct guard_event *event)
{
    return r->here->ns > event->ns ? (r->here->ns - event->ns) / 1000000 : 0;
}

/* ---- text ---- */

static void print_where(struct fmt *f, const struct guard_report *r)
{
    size_t n = guard_outside(r);
    if (n == 0)
        fmt_print(f, ", byte %zu of", r->address - r->slot->start);
    else
        fmt_print(f, ", %zu byte%s %s", n, n == 1 ? "" : "s",
                  r->address < r->slot->start ? "before" : "beyond");
    fmt_print(f, " the %zu-byte block at %p", r->slot->size, (void *)r->slot->start);
}

static void print_act(struct fmt *f, const struct guard_report *r)
{
    const struct guard_system_call *s = r->system_call;
    if (r->text != NULL)
        fmt_print(f, "%s(): %s", r->act, r->text);
    else if (r->mistake == GUARD_WRONG_SIZE)
        fmt_print(f, "%s(%p, %zu)", r->act, (void *)r->address, r->size);
    else if (r->found)
        fmt_print(f, "found by %s(): byte at %p is overwritten", r->act, (void *)r->address);
    else if (s != NULL)
        fmt_print(f, "%s(%d, %p, %zu): EFAULT at %p", r->act, s->fd, (void *)s->buffer, s->size,
                  (void *)r->address);
    else
        fmt_print(f, r->call ? "%s(%p)" : "%s at %p", r->act, (void *)r->address);
}

/* "heap overflow: write at 0x7f12, 1 byte beyond the 64-byte block at 0x7f11" */
static void print_headline(struct fmt *f, const struct guard_report *r)
{
    fmt_print(f, "sinter: %s%s: ", mistakes[r->mistake], r->system_call != NULL ? " by a system call" : "");
    print_act(f, r);
    if (r->slot != NULL && r->call && r->system_call == NULL && r->address == r->slot->start)
        fmt_print(f, ", a %zu-byte block", r->slot->size);
    else if (r->slot != NULL)
        print_where(f, r);
    fmt_print(f, "\n");
}

static void print_trace(struct fmt *f, const struct trace *t)
{
    for (size_t i = 0; i < t->count; i++) {
        fmt_print(f, "    #%zu %p", i, (void *)t->places[i].address);
        if (t->places[i].name[0] != '\0')
            fmt_print(f, " %s+0x%zx", t->places[i].name, t->places[i].offset);
        fmt_print(f, "\n");
    }
}

static void print_past(struct fmt *f, const struct guard_report *r, const char *what, const struct trace *t)
{
    if (t->event == NULL)
        return;
    uint64_t ms = age_ms(r, t->event);
    fmt_print(f, "  %s %lu.%03lu s ago by thread %u:\n", what, ms / 1000, ms % 1000, t->event->thread);
    print_trace(f, t);
}

void guard_print_text(struct fmt *f, const struct guard_report *r)
{
    struct traces t = trace_all(r);
    print_headline(f, r);
    fmt_print(f, "  by thread %u:\n", r->here->thread);
    print_trace(f, &t.here);
    print_past(f, r, "allocated", &t.allocated);
    print_past(f, r, "freed", &t.freed);
}

/* ---- JSON ---- */

static void json_text(struct fmt *f, const char *text)
{
    fmt_print(f, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fmt_print(f, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fmt_print(f, "\\u%04x", (unsigned char)*text);
        else
            fmt_print(f, "%c", *text);
    }
    fmt_print(f, "\"");
}

static void json_trace(struct fmt *f, const struct trace *t)
{
    fmt_print(f, "\"stack\":[");
    for (size_t i = 0; i < t->count; i++) {
        fmt_print(f, "%s{\"address\":\"%p\"", i > 0 ? "," : "", (void *)t->places[i].address);
        if (t->places[i].name[0] != '\0') {
            fmt_print(f, ",\"module\":");
            json_text(f, t->places[i].name);
            fmt_print(f, ",\"offset\":\"0x%zx\"", t->places[i].offset);
        }
        fmt_print(f, "}");
    }
    fmt_print(f, "]");
}

static void json_past(struct fmt *f, const struct guard_report *r, const char *what, const struct trace *t)
{
    if (t->event == NULL)
        return;
    fmt_print(f, ",\"%s\":{\"ms_ago\":%lu,\"thread\":%u,", what, age_ms(r, t->event), t->event->thread);
    json_trace(f, t);
    fmt_print(f, "}");
}

void guard_print_json(struct fmt *f, const struct guard_report *r)
{
    struct traces t = trace_all(r);
    fmt_print(f, "{\"mistake\":\"%s\",\"%s\":\"%s\",\"found_later\":%s,\"address\":\"%p\",\"pid\":%ld",
              mistakes[r->mistake], r->call ? "call" : "access", r->act, r->found ? "true" : "false",
              (void *)r->address, os_process_id());
    if (r->text != NULL) {
        fmt_print(f, ",\"text\":");
        json_text(f, r->text);
    }
    if (r->mistake == GUARD_WRONG_SIZE)
        fmt_print(f, ",\"given_size\":%zu", r->size);
    if (r->system_call != NULL)
        fmt_print(f, ",\"system_call\":{\"descriptor\":%d,\"buffer\":\"%p\",\"length\":%zu}",
                  r->system_call->fd, (void *)r->system_call->buffer, r->system_call->size);
    if (r->slot != NULL)
        fmt_print(f, ",\"block\":\"%p\",\"size\":%zu,\"offset\":%ld", (void *)r->slot->start, r->slot->size,
                  (long)(r->address - r->slot->start));
    fmt_print(f, ",\"thread\":%u,", r->here->thread);
    json_trace(f, &t.here);
    json_past(f, r, "allocated", &t.allocated);
    json_past(f, r, "freed", &t.freed);
    fmt_print(f, "}\n");
}
