#include "misuse.h"

#include "fatal.h"
#include "huge.h"
#include "run.h"
#include "span.h"
#include "tcache.h"

static _Noreturn void double_free(const char *call, const void *p, size_t bytes, const char *kind)
{
    fatal("%s(): double free of %p (%zu-byte %s, already free)", call, p, bytes, kind);
}

static _Noreturn void interior(const char *call, const void *p, size_t bytes, const char *kind,
                               const void *start, bool free)
{
    fatal("%s(): pointer %p into a block (%zu-byte %s at %p, offset %zu, %s)", call, p, bytes, kind, start,
          (size_t)((uintptr_t)p - (uintptr_t)start), free ? "free" : "allocated");
}

static _Noreturn void no_block(const char *call, const void *p)
{
    fatal("%s(): invalid pointer %p (no block there)", call, p);
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
        fatal("%s(): double free of %p (page run, already free)", call, p);
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
        fatal("%s(): invalid pointer %p (not memory of Sinter)", call, p);
    if (at.start == p)
        double_free(call, p, at.bytes, "mapping");
    interior(call, p, at.bytes, "mapping", at.start, !at.live);
}
