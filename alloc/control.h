/*
 * This process's side of the control page (control_page.h): its life, sleeping on it, requests and figures. What a request asks
 * for is done elsewhere (attend.h).
 *
 * There is none until the background thread has run for a while, so that processes which never need the thread, or are over soon,
 * have neither page nor file. It is then there for good, and the thread too: it sleeps where requests wake it.
 */
#ifndef SINTER_CONTROL_H
#define SINTER_CONTROL_H

#include "base.h"
#include "control_page.h"

/* Before any thread. */
void control_init(void);

/* Is there a page, and is it this process's? In children that were made without fork(3) it is not. */
bool control_is_here(void);

/* 0: no page so far, 1: there is one, 2: there can be none. */
unsigned control_stats(void);

/* ---- on the background thread ---- */

/* It has begun to run. */
void control_thread_began(uint64_t now);

/* Makes the page when it is time. Returns in how many milliseconds that will be; CONTROL_MADE if it has been or will never be. */
int64_t control_make(uint64_t now);
enum { CONTROL_MADE = -1 };

struct control_request {
    enum control_command command;
    uint64_t argument;
    char text[CONTROL_TEXT]; /* ends in NUL */
};

/* Takes the request that has come. False if there is none. It does not look each time, unless one is expected. */
bool control_take(struct control_request *request, uint64_t now, bool expected);

/* Is there a page that may be touched? */
bool control_is_usable(void);

/* Room for `size` bytes of an answer; NULL if there is no memory for them. */
char *control_window(size_t size);

/* Answers the request taken last: `length` bytes are in the window. */
void control_answer(int result, size_t length);

/* Writes down the figures of now, with those of each size class or without. */
void control_report(bool classes);

/*
 * Sleeps until a request comes, somebody calls control_wake(), or the time is over (ms; -1: never), unless *woken or a request is
 * waiting. False if there is no page to sleep on.
 */
bool control_sleep(_Atomic int *woken, int64_t ms);

/* Removes the file, so that nobody new comes. */
void control_remove(void);

/* ---- on any thread ---- */

/* Wakes it, who has made *woken something else. False if it does not sleep here. */
bool control_wake(void);

/* The process ends: has the file removed, if the thread does that soon. */
void control_exiting(void);

/* In the child of a fork, which has not inherited the page. */
void control_fork_child(void);

#endif
