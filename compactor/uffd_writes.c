/*
 * Which pages were written to: they are write-protected, the kernel takes the protection away at a write by itself
 * (UFFD_FEATURE_WP_ASYNC), and pages without it have been written to. A page that was not there before has none.
 */
#include "os.h"
#include "uffd.h"
#include "uffd_abi.h"

#include <errno.h>

static long scan(const struct uffd *u, struct pm_scan_arg *arg)
{
    long n;
    do
        n = os_syscall(SYS_ioctl, u->pagemap, PAGEMAP_SCAN, (long)arg, 0, 0, 0);
    while (n == -EINTR || n == -EAGAIN);
    return n;
}

bool uffd_forget_writes(const struct uffd *u, void *addr, size_t size)
{
    struct pm_scan_arg arg = {.size = sizeof(arg),
                              .flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
                              .start = (uintptr_t)addr,
                              .end = (uintptr_t)addr + size,
                              .category_mask = PAGE_IS_WRITTEN};
    return scan(u, &arg) >= 0;
}

long uffd_writes(const struct uffd *u, char **from, char *end, struct uffd_part *parts, size_t most)
{
    struct pm_scan_arg arg = {.size = sizeof(arg),
                              .flags = PM_SCAN_CHECK_WPASYNC,
                              .start = (uintptr_t)*from,
                              .end = (uintptr_t)end,
                              .vec = (uintptr_t)parts,
                              .vec_len = most,
                              .category_mask = PAGE_IS_WRITTEN,
                              .return_mask = PAGE_IS_WRITTEN};
    _Static_assert(sizeof(struct uffd_part) == sizeof(struct page_region), "");
    long n = scan(u, &arg);
    if (n >= 0)
        *from = (char *)(uintptr_t)arg.walk_end;
    return n;
}
