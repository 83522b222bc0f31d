#include "fmt.h"

#include "os.h"

void fmt_to_fd(struct fmt *f, int fd, char *text, size_t size)
{
    *f = (struct fmt){.fd = fd, .text = text, .size = size};
}

void fmt_to_buffer(struct fmt *f, char *text, size_t size)
{
    *f = (struct fmt){.fd = -1, .text = text, .size = size};
    if (size > 0)
        text[0] = '\0';
}

long fmt_flush(struct fmt *f)
{
    if (f->fd >= 0 && f->used > 0) {
        long ret = os_write(f->fd, f->text, f->used);
        if (ret < 0 && f->error == 0)
            f->error = ret;
        f->used = 0;
    }
    return f->error;
}

static void put(struct fmt *f, char c)
{
    f->total++;
    if (f->fd >= 0) {
        if (f->used == f->size)
            fmt_flush(f);
        f->text[f->used++] = c;
    } else if (f->used + 1 < f->size) {
        f->text[f->used++] = c;
        f->text[f->used] = '\0';
    }
}

struct field {
    size_t width;
    bool left;
    char pad;
};

static void put_field(struct fmt *f, const struct field *field, const char *text, size_t length)
{
    size_t fill = field->width > length ? field->width - length : 0;
    for (size_t i = 0; i < fill && !field->left; i++)
        put(f, field->pad);
    for (size_t i = 0; i < length; i++)
        put(f, text[i]);
    for (size_t i = 0; i < fill && field->left; i++)
        put(f, ' ');
}

static void put_number(struct fmt *f, const struct field *field, uint64_t value, unsigned base,
                       const char *prefix)
{
    char digits[32];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    size_t prefix_length = 0;
    while (prefix[prefix_length] != '\0')
        prefix_length++;
    while (prefix_length > 0)
        digits[--at] = prefix[--prefix_length];
    put_field(f, field, digits + at, sizeof(digits) - at);
}

static uint64_t take_unsigned(va_list *args, int longs)
{
    return longs > 0 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned);
}

static int64_t take_signed(va_list *args, int longs)
{
    return longs > 0 ? va_arg(*args, long) : va_arg(*args, int);
}

static size_t text_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return length;
}

static void put_conversion(struct fmt *f, char kind, const struct field *field, int longs, va_list *args)
{
    switch (kind) {
    case 's': {
        const char *text = va_arg(*args, const char *);
        put_field(f, field, text, text_length(text));
        break;
    }
    case 'c': {
        char c = (char)va_arg(*args, int);
        put_field(f, field, &c, 1);
        break;
    }
    case 'd': {
        int64_t value = take_signed(args, longs);
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        put_number(f, field, magnitude, 10, value < 0 ? "-" : "");
        break;
    }
    case 'u':
        put_number(f, field, take_unsigned(args, longs), 10, "");
        break;
    case 'x':
        put_number(f, field, take_unsigned(args, longs), 16, "");
        break;
    case 'p':
        put_number(f, field, (uintptr_t)va_arg(*args, void *), 16, "0x");
        break;
    default:
        put(f, kind);
    }
}

void fmt_vprint(struct fmt *f, const char *format, va_list args)
{
    va_list rest;
    va_copy(rest, args);
    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            put(f, *p);
            continue;
        }
        struct field field = {.pad = ' '};
        int longs = 0;
        for (p++; *p == '-' || *p == '0'; p++) {
            if (*p == '-')
                field.left = true;
            else
                field.pad = '0';
        }
        for (; *p >= '0' && *p <= '9'; p++)
            field.width = field.width * 10 + (size_t)(*p - '0');
        for (; *p == 'l' || *p == 'z'; p++)
            longs++;
        put_conversion(f, *p, &field, longs, &rest);
    }
    va_end(rest);
}

void fmt_print(struct fmt *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fmt_vprint(f, format, args);
    va_end(args);
}
