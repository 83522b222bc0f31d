#include "attend.h"

#include "background.h"
#include "conf.h"
#include "control.h"
#include "map.h"
#include "os.h"

#include <errno.h>
#include <string.h>

enum {
    REPORT_MS = 1000,     /* between reports that nobody has asked for, */
    REPORT_SHARE = 10000, /* which take one part in so many of the time at most */
    ATTENTIVE_MS = 200,   /* after an answer the next request comes soon */
    LOOK_MS = 1,
};

static struct {
    bool busy;                           /* with what takes longer */
    uint64_t attentive_until, report_at; /* ms */
} attend;

static void answer(int result, size_t length)
{
    attend.busy = false;
    attend.attentive_until = os_now_ms() + ATTENTIVE_MS;
    control_answer(result, length);
}

/* EINPROGRESS: the answer is not known yet. */
static void answer_if_done(int result)
{
    attend.busy = result == EINPROGRESS;
    if (!attend.busy)
        answer(result, 0);
}

static void option_get(const struct control_request *request)
{
    static char value[CONTROL_WINDOW];
    int result = conf_get_text(request->text, value, sizeof(value));
    size_t length = result == 0 ? strlen(value) : 0;
    char *window = control_window(length);
    if (window == NULL) {
        answer(ENOSPC, 0);
        return;
    }
    memcpy(window, value, length);
    answer(result, length);
}

static int option_set(const struct control_request *request)
{
    size_t key = strlen(request->text) + 1;
    return key < sizeof(request->text) ? conf_set_text(request->text, request->text + key) : EINVAL;
}

static void map(const struct control_request *request)
{
    enum { ROOM = CONTROL_BYTES - CONTROL_WINDOW };
    char *window = control_window(ROOM);
    size_t length = window != NULL ? map_read(request->argument, (struct map_part *)(void *)window, ROOM) : 0;
    answer(window == NULL ? ENOSPC : length == 0 ? EINVAL : 0, length);
}

static void attend_to(const struct control_request *request)
{
    switch (request->command) {
    case CONTROL_REFRESH:
        control_report(true);
        answer(0, 0);
        return;
    case CONTROL_COMPACT:
        answer_if_done(background_begin_compact());
        return;
    case CONTROL_RESTORE:
        answer_if_done(background_begin_restore());
        return;
    case CONTROL_OPTION_GET:
        option_get(request);
        return;
    case CONTROL_OPTION_SET:
        answer(option_set(request), 0);
        return;
    case CONTROL_MAP:
        map(request);
        return;
    default:
        answer(ENOSYS, 0);
    }
}

static void report_unasked(uint64_t now)
{
    if (now < attend.report_at)
        return;
    uint64_t start = os_now_ns();
    control_report(false);
    uint64_t pause = (os_now_ns() - start) * REPORT_SHARE / 1000000;
    attend.report_at = now + (pause > REPORT_MS ? pause : REPORT_MS);
}

int64_t attend_step(uint64_t now)
{
    struct control_request request;
    int64_t until = control_make(now);
    if (until != CONTROL_MADE || !control_is_here())
        return until;
    if (attend.busy)
        answer_if_done(background_progress());
    else if (control_take(&request, now, now < attend.attentive_until))
        attend_to(&request);
    report_unasked(now);
    return attend.busy || now < attend.attentive_until ? LOOK_MS : ATTEND_IDLE;
}

bool attend_is_busy(void)
{
    return attend.busy;
}

void attend_fork_child(void)
{
    attend.busy = false;
    control_fork_child();
}
