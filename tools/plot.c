#include "plot.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 22 };

static const char *const colours[] = {"#888888", "#4c72b0", "#c44e52", "#dd8452"};

static const struct {
    const char *suffix, *terminal;
} terminals[] = {
    {".png", "pngcairo size 1000,560 font 'sans,11'"},
    {".svg", "svg size 1000,560 font 'sans,13' background 'white'"},
};

static const char *terminal_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(terminals) / sizeof(terminals[0]); i++) {
        if (strcmp(dot, terminals[i].suffix) == 0)
            return terminals[i].terminal;
    }
    return NULL;
}

bool plot_knows(const char *path)
{
    return terminal_of(path) != NULL;
}

/* Between quotes, as gnuplot wants it. */
static void print_quoted(FILE *out, const char *text)
{
    putc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            putc('\'', out);
        putc(*text == '\n' ? ' ' : *text, out);
    }
    putc('\'', out);
}

static void print_settings(FILE *out, const char *path, unsigned columns, const char *title)
{
    if (path != NULL) {
        fprintf(out, "set terminal %s\nset output ", terminal_of(path));
        print_quoted(out, path);
        fputs("\nset grid ytics\nset key outside bottom center horizontal\n", out);
    } else {
        fprintf(out, "set terminal dumb %u %d\nset key below\n", columns, ROWS);
    }
    fputs("set title ", out);
    print_quoted(out, title);
    fputs(" noenhanced\nset xlabel 'seconds'\nset ylabel 'MiB'\nset yrange [0:*]\nset key noenhanced\n", out);
}

static void print_curves(FILE *out, bool picture, const struct plot_curve *curves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "$curve%zu << END\n", i);
        for (size_t j = 0; j < curves[i].count; j++)
            fprintf(out, "%.2f %.2f\n", curves[i].points[j].at_s,
                    (double)curves[i].points[j].bytes / (1 << 20));
        fputs("END\n", out);
    }
    fputs("plot ", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s$curve%zu with lines ", i > 0 ? ", " : "", i);
        if (picture)
            fprintf(out, "linewidth 2 linecolor rgb '%s' ",
                    colours[i % (sizeof(colours) / sizeof(colours[0]))]);
        fputs("title ", out);
        print_quoted(out, curves[i].name);
    }
    putc('\n', out);
}

/* Its input is the result; NULL if it cannot be started. */
static FILE *start_gnuplot(pid_t *pid)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    *pid = fork();
    if (*pid == 0) {
        dup2(ends[0], 0);
        execlp("gnuplot", "gnuplot", NULL);
        _exit(127);
    }
    close(ends[0]);
    FILE *out = *pid > 0 ? fdopen(ends[1], "w") : NULL;
    if (out == NULL)
        close(ends[1]);
    return out;
}

bool plot_draw(const char *path, unsigned columns, const char *title, const struct plot_curve *curves,
               size_t count)
{
    pid_t pid = -1;
    int status = -1;
    fflush(stdout);
    FILE *out = start_gnuplot(&pid);
    if (out == NULL)
        return false;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN); /* it may end early */
    print_settings(out, path, columns, title);
    print_curves(out, path != NULL, curves, count);
    fclose(out);
    signal(SIGPIPE, before);
    return waitpid(pid, &status, 0) == pid && status == 0;
}
