#include "misuse.h"

#include "conf.h"
#include "fatal.h"
#include "fmt.h"
#include "guard_report.h"
#include "huge.h"
#include "run.h"
#include "span.h"
#include "tcache.h"

/* One line, or a report if there are such. */
__attribute__((format(printf, 4, 5))) static void tell(enum guard_mistake mistake, const char *call,
                                                       const void *p, const char *format, ...)
{
    char text[256];
    struct fmt f;
    va_list args;
    va_start(args, format);
    fmt_to_buffer(&f, text, sizeof(text));
    fmt_vprint(&f, format, args);
    va_end(args);
    if (guard_report_is_on() && !fatal_in_own_thread())
        guard_report_unguarded(mistake, (uintptr_t)p, call, text);
    else if (conf_get(CONF_guard_misuse) == GUARD_REPORT)
        warning("%s(): %s", call, text);
    else
        fatal("%s(): %s", call, text);
}

static void double_free(const char *call, const void *p, size_t bytes, const char *kind)
{
    tell(GUARD_DOUBLE_FREE, call, p, "double free of %p (%zu-byte %s, already free)", p, bytes, kind);
}

static void interior(const char *call, const void *p, size_t bytes, const char *kind, const void *start,
                     bool free)
{
    tell(GUARD_INVALID_FREE, call, p, "pointer %p into a block (%zu-byte %s at %p, offset %zu, %s)", p, bytes,
         kind, start, (size_t)((uintptr_t)p - (uintptr_t)start), free ? "free" : "allocated");
}

static void no_block(const char *call, const void *p)
{
    tell(GUARD_INVALID_FREE, call, p, "invalid pointer %p (no block there)", p);
}

void misuse_double_free_small(const char *call, const void *slot, unsigned bin)
{
    double_free(call, slot, sizeclass_table[bin].size, "block");
}

void misuse_write_after_free(const char *call, const void *slot, unsigned bin, size_t offset)
{
    tell(GUARD_AFTER_FREE, call, slot,
         "byte %zu of the %u-byte block at %p was written after it had been freed (found as it leaves the "
         "quarantine)",
         offset, sizeclass_table[bin].size, slot);
}

void misuse_trailer(const char *call, const void *slot, size_t slot_size)
{
    tell(GUARD_OVERFLOW, call, slot,
         "the canary behind the block at %p, at the end of its slot of %zu bytes, is overwritten", slot,
         slot_size);
}

static void bad_small(const char *call, const void *p)
{
    struct span_location at = span_find(p);
    bool free = at.free || (at.bin != 0 && tcache_holds(at.bin, at.start, PTRDIFF_MAX));
    if (at.bin == 0)
        no_block(call, p);
    else if (at.offset == 0)
        misuse_double_free_small(call, p, at.bin);
    else
        interior(call, p, sizeclass_table[at.bin].size, "block", at.start, free);
}

static void bad_run(const char *call, const void *p)
{
    struct run_location at = run_find(p);
    if (at.kind == RUN_KIND_NONE)
        no_block(call, p);
    else if (at.kind == RUN_KIND_FREE) /* it has grown together with its neighbours */
        tell(GUARD_DOUBLE_FREE, call, p, "double free of %p (page run, already free)", p);
    else
        interior(call, p, at.bytes, "run", at.start, false);
}

static void bad_foreign(const char *call, const void *p)
{
    struct huge_location at = huge_find(p);
    if (at.start == NULL)
        tell(GUARD_INVALID_FREE, call, p, "invalid pointer %p (not memory of Sinter)", p);
    else if (at.start == p)
        double_free(call, p, at.bytes, "mapping");
    else
        interior(call, p, at.bytes, "mapping", at.start, !at.live);
}

void misuse_bad_pointer(const char *call, const void *p)
{
    if (span_zone_contains(p))
        bad_small(call, p);
    else if (run_zone_contains(p))
        bad_run(call, p);
    else
        bad_foreign(call, p);
}
