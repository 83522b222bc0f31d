/*
 * A formatter that allocates nothing and needs no locale, for messages and statistics.
 */
#ifndef SINTER_FMT_H
#define SINTER_FMT_H

#include "base.h"

#include <stdarg.h>

struct fmt {
    int fd;       /* where full buffers go; -1: nowhere, what does not fit is cut off */
    long error;   /* the first -errno of a write */
    size_t used;  /* bytes in `text` */
    size_t total; /* bytes formatted so far */
    size_t size;
    char *text;
};

/* Formats into `text`, writing to `fd` whenever it is full and at fmt_flush(). */
void fmt_to_fd(struct fmt *f, int fd, char *text, size_t size);

/* Formats into `text`, always terminated by NUL; what does not fit is dropped but counted in `total`. */
void fmt_to_buffer(struct fmt *f, char *text, size_t size);

/*
 * printf with %s, %c, %d, %u, %x, %p and %%, the length modifiers l and z, a field width and the flags '-'
 * and '0'.
 */
void fmt_print(struct fmt *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fmt_vprint(struct fmt *f, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Writes what is left. 0, or -errno of the first write that failed. */
long fmt_flush(struct fmt *f);

#endif
