#include "misuse.h"

#include "fatal.h"
#include "fmt.h"
#include "guard_report.h"
#include "huge.h"
#include "run.h"
#include "span.h"
#include "tcache.h"

/* One line and the end; in guard mode, a report. */
__attribute__((format(printf, 4, 5))) static _Noreturn void die(enum guard_mistake mistake, const char *call,
                                                                const void *p, const char *format, ...)
{
    char text[256];
    struct fmt f;
    va_list args;
    va_start(args, format);
    fmt_to_buffer(&f, text, sizeof(text));
    fmt_vprint(&f, format, args);
    va_end(args);
    if (guard_rate != 0)
        guard_report_unguarded(mistake, (uintptr_t)p, call, text);
    fatal("%s(): %s", call, text);
}

static _Noreturn void double_free(const char *call, const void *p, size_t bytes, const char *kind)
{
    die(GUARD_DOUBLE_FREE, call, p, "double free of %p (%zu-byte %s, already free)", p, bytes, kind);
}

static _Noreturn void interior(const char *call, const void *p, size_t bytes, const char *kind,
                               const void *start, bool free)
{
    die(GUARD_INVALID_FREE, call, p, "pointer %p into a block (%zu-byte %s at %p, offset %zu, %s)", p, bytes,
        kind, start, (size_t)((uintptr_t)p - (uintptr_t)start), free ? "free" : "allocated");
}

static _Noreturn void no_block(const char *call, const void *p)
{
    die(GUARD_INVALID_FREE, call, p, "invalid pointer %p (no block there)", p);
}

void misuse_double_free_small(const char *call, const void *slot, unsigned bin)
{
    double_free(call, slot, sizeclass_table[bin].size, "block");
}

static _Noreturn void bad_small(const char *call, const void *p)
{
    struct span_location at = span_find(p);
    if (at.bin == 0)
        no_block(call, p);
    bool free = at.free || tcache_holds(at.bin, at.start, PTRDIFF_MAX);
    if (at.offset == 0)
        misuse_double_free_small(call, p, at.bin);
    interior(call, p, sizeclass_table[at.bin].size, "block", at.start, free);
}

static _Noreturn void bad_run(const char *call, const void *p)
{
    struct run_location at = run_find(p);
    if (at.kind == RUN_KIND_NONE)
        no_block(call, p);
    if (at.kind == RUN_KIND_FREE) /* it has grown together with its neighbours */
        die(GUARD_DOUBLE_FREE, call, p, "double free of %p (page run, already free)", p);
    interior(call, p, at.bytes, "run", at.start, false);
}

void misuse_bad_pointer(const char *call, const void *p)
{
    if (span_zone_contains(p))
        bad_small(call, p);
    if (run_zone_contains(p))
        bad_run(call, p);
    struct huge_location at = huge_find(p);
    if (at.start == NULL)
        die(GUARD_INVALID_FREE, call, p, "invalid pointer %p (not memory of Sinter)", p);
    if (at.start == p)
        double_free(call, p, at.bytes, "mapping");
    interior(call, p, at.bytes, "mapping", at.start, !at.live);
}
