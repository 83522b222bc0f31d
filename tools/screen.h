/*
 * Where `sinter top` draws: a terminal whose lines are replaced, or plain lines one after the other.
 */
#ifndef SINTER_SCREEN_H
#define SINTER_SCREEN_H

#include <stdbool.h>

/* Takes the terminal over, if standard output and input are one, `plain` is false, and this build can. */
void screen_open(bool plain);

/* Gives it back. */
void screen_close(void);

/* Are lines replaced? */
bool screen_is_live(void);

unsigned screen_columns(void);
unsigned screen_rows(void);

enum screen_style { SCREEN_NORMAL, SCREEN_BOLD, SCREEN_REVERSE };

/* Between these two, the lines of one picture, from the top; what does not fit is cut off. */
void screen_begin(void);
void screen_line(enum screen_style style, const char *text);
void screen_end(void);

/* Waits so long for a key: its character, SCREEN_UP, SCREEN_DOWN or SCREEN_RESIZED; SCREEN_NONE if there was none. */
enum { SCREEN_NONE = -1, SCREEN_UP = 1000, SCREEN_DOWN, SCREEN_RESIZED };
int screen_key(int milliseconds);

#endif
