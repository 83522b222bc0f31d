#include "unit.h"

#include "fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The formatter's text must be that of snprintf, whose length it also has to count. */
#define AGREES(...)                                                                                          \
    do {                                                                                                     \
        char mine[256], theirs[256];                                                                         \
        struct fmt f;                                                                                        \
        fmt_to_buffer(&f, mine, sizeof mine);                                                                \
        fmt_print(&f, __VA_ARGS__);                                                                          \
        int length = snprintf(theirs, sizeof theirs, __VA_ARGS__);                                           \
        assert_string_equal(mine, theirs);                                                                   \
        assert_int_equal(f.total, length);                                                                   \
    } while (0)

static void as_printf(void **state)
{
    (void)state;
    AGREES("nothing");
    AGREES("%d %d %d", 0, INT_MAX, INT_MIN);
    AGREES("%ld %ld %zd", LONG_MAX, LONG_MIN, (ssize_t)-1);
    AGREES("%u %lu %zu", UINT_MAX, ULONG_MAX, SIZE_MAX);
    AGREES("%x %lx %zx", 0u, ULONG_MAX, (size_t)48879);
    AGREES("[%5d] [%-5d] [%05d] [%2d]", 42, 42, 42, 12345);
    AGREES("[%8s] [%-8s] [%s] [%2s]", "right", "left", "", "longer");
    AGREES("%c%c %% %s", 'a', 'z', "end");
    AGREES("%p", (void *)as_printf);
    AGREES("%12zu|%-16lu|%08x", (size_t)7, 8ul, 0xbeefu);
}

static void cut_off_but_counted(void **state)
{
    (void)state;
    for (size_t size = 0; size < 12; size++) {
        char text[16], whole[16] = "0123456789";
        memset(text, '#', sizeof text);
        struct fmt f;
        fmt_to_buffer(&f, text, size);
        fmt_print(&f, "%s", whole);
        assert_int_equal(f.total, 10);
        if (size > 0) {
            whole[size - 1 < 10 ? size - 1 : 10] = 0;
            assert_string_equal(text, whole);
        }
        for (size_t i = size; i < sizeof text; i++)
            assert_int_equal(text[i], '#');
    }
}

static void written_in_pieces(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    char small[7], got[512] = "", want[512] = "";
    struct fmt f;
    fmt_to_fd(&f, ends[1], small, sizeof small);
    for (int i = 0; i < 50; i++) {
        fmt_print(&f, "%d,", i);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%d,", i);
    }
    assert_int_equal(fmt_flush(&f), 0);
    assert_int_equal(read(ends[0], got, sizeof got - 1), strlen(want));
    assert_string_equal(got, want);
    close(ends[0]);
    close(ends[1]);
}

static void errors_are_kept(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    if (full < 0)
        skip();
    char small[4];
    struct fmt f;
    fmt_to_fd(&f, full, small, sizeof small);
    fmt_print(&f, "longer than four");
    assert_int_equal(fmt_flush(&f), -ENOSPC);
    close(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_printf),
        cmocka_unit_test(cut_off_but_counted),
        cmocka_unit_test(written_in_pieces),
        cmocka_unit_test(errors_are_kept),
    };
    return cmocka_run_group_tests_name("fmt", tests, NULL, NULL);
}
