#include "config.h"

#include "screen.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#if HAVE_NCURSES

#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>

static bool live;
static int row;

void screen_open(bool plain)
{
    setlocale(LC_ALL, "");
    const char *terminal = getenv("TERM");
    SCREEN *screen = NULL;
    if (!plain && isatty(0) && isatty(1))
        screen = newterm(terminal != NULL ? terminal : "dumb", stdout, stdin);
    live = screen != NULL;
    if (!live)
        return;
    set_term(screen);
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
}

void screen_close(void)
{
    if (live)
        endwin();
    live = false;
}

bool screen_is_live(void)
{
    return live;
}

unsigned screen_columns(void)
{
    return live ? (unsigned)COLS : 0;
}

unsigned screen_rows(void)
{
    return live ? (unsigned)LINES : 0;
}

void screen_begin(void)
{
    row = 0;
    if (live)
        erase();
}

void screen_line(enum screen_style style, const char *text)
{
    static const attr_t attributes[] = {
        [SCREEN_NORMAL] = A_NORMAL, [SCREEN_BOLD] = A_BOLD, [SCREEN_REVERSE] = A_REVERSE};
    if (!live) {
        puts(text);
        return;
    }
    if (row >= LINES)
        return;
    attrset(attributes[style]);
    mvaddnstr(row++, 0, text, -1);
}

void screen_end(void)
{
    if (live)
        refresh();
    else
        fflush(stdout);
}

int screen_key(int milliseconds)
{
    if (!live) {
        poll(NULL, 0, milliseconds);
        return SCREEN_NONE;
    }
    timeout(milliseconds);
    int key = getch();
    switch (key) {
    case ERR:
        return SCREEN_NONE;
    case KEY_UP:
        return SCREEN_UP;
    case KEY_DOWN:
        return SCREEN_DOWN;
    case KEY_RESIZE:
        return SCREEN_RESIZED;
    default:
        return key;
    }
}

#else

void screen_open(bool plain)
{
    (void)plain;
}

void screen_close(void) {}

bool screen_is_live(void)
{
    return false;
}

unsigned screen_columns(void)
{
    return 0;
}

unsigned screen_rows(void)
{
    return 0;
}

void screen_begin(void) {}

void screen_line(enum screen_style style, const char *text)
{
    (void)style;
    puts(text);
}

void screen_end(void)
{
    fflush(stdout);
}

int screen_key(int milliseconds)
{
    poll(NULL, 0, milliseconds);
    return SCREEN_NONE;
}

#endif
