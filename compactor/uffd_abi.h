/*
 * What kernel headers before 6.8 lack of userfaultfd and of the pagemap. Where they have it, theirs is used.
 */
#ifndef SINTER_UFFD_ABI_H
#define SINTER_UFFD_ABI_H

#include "config.h"

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>

/* 6.1: descriptors from /dev/userfaultfd, for whoever may open it. */
#if !HAVE_DECL_USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC     0xAA
#define USERFAULTFD_IOC_NEW _IO(USERFAULTFD_IOC, 0x00)
#endif

/* 6.6 */
#if !HAVE_DECL_UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif

#if !HAVE_DECL_UFFDIO_POISON
#define _UFFDIO_POISON              (0x08)
#define UFFDIO_POISON               _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#define UFFDIO_POISON_MODE_DONTWAKE ((__u64)1 << 0)

struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated; /* bytes, or negated error */
};
#endif

/* 6.7 */
#if !HAVE_DECL_UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

#if !HAVE_DECL_PAGEMAP_SCAN
#define PAGEMAP_SCAN          _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WPALLOWED     (1 << 0)
#define PAGE_IS_WRITTEN       (1 << 1)
#define PAGE_IS_FILE          (1 << 2)
#define PAGE_IS_PRESENT       (1 << 3)
#define PAGE_IS_SWAPPED       (1 << 4)
#define PAGE_IS_PFNZERO       (1 << 5)
#define PAGE_IS_HUGE          (1 << 6)
#define PAGE_IS_SOFT_DIRTY    (1 << 7)
#define PM_SCAN_WP_MATCHING   (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)

struct page_region {
    __u64 start, end;
    __u64 categories; /* PAGE_IS_* */
};

struct pm_scan_arg {
    __u64 size;  /* of this struct */
    __u64 flags; /* PM_SCAN_* */
    __u64 start, end;
    __u64 walk_end; /* out: where the scan stopped */
    __u64 vec, vec_len;
    __u64 max_pages;
    __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#endif

/* 6.8 */
#if !HAVE_DECL_UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

#if !HAVE_DECL_UFFDIO_MOVE
#define _UFFDIO_MOVE                     (0x05)
#define UFFDIO_MOVE                      _IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#define UFFDIO_MOVE_MODE_DONTWAKE        ((__u64)1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES ((__u64)1 << 1)

struct uffdio_move {
    __u64 dst, src, len;
    __u64 mode;
    __s64 move; /* bytes, or negated error */
};
#endif

#endif
