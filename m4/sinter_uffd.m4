# SINTER_CHECK_UFFD
# Defines HAVE_DECL_* to 1 or 0 for what compactor/uffd_abi.h declares where the kernel's headers are older than 6.8.
AC_DEFUN([SINTER_CHECK_UFFD], [
  AC_CHECK_HEADERS([linux/userfaultfd.h], [],
    [AC_MSG_ERROR([Linux kernel headers of 4.3 or later are needed (linux-libc-dev)])])
  AC_CHECK_DECLS([USERFAULTFD_IOC_NEW, UFFD_FEATURE_POISON, UFFDIO_POISON, UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_MOVE, UFFDIO_MOVE], [], [], [[#include <linux/userfaultfd.h>]])
  AC_CHECK_DECLS([PAGEMAP_SCAN], [], [], [[#include <linux/fs.h>]])
])
