#include "watched.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_S = 1 };

static bool is_there(const struct watched_list *watched, pid_t pid)
{
    for (size_t i = 0; i < watched->count; i++) {
        if (watched->list[i].peer.pid == pid)
            return true;
    }
    return false;
}

static bool add(struct watched_list *watched, pid_t pid, bool quietly)
{
    struct peer peer;
    if (is_there(watched, pid))
        return true;
    if (peer_open(&peer, pid, quietly) != 0)
        return false;
    struct watched *more = reallocarray(watched->list, watched->count + 1, sizeof(*more));
    if (more == NULL) {
        peer_close(&peer);
        return false;
    }
    watched->list = more;
    peer.quiet = true;
    more[watched->count++] = (struct watched){.peer = peer};
    return true;
}

bool watched_add(struct watched_list *watched, const struct processes *processes)
{
    bool all = true;
    for (size_t i = 0; i < processes->count; i++)
        all &= add(watched, processes->pids[i], false);
    return all;
}

void watched_add_all(struct watched_list *watched)
{
    struct processes processes = {0};
    processes_add_all(&processes);
    for (size_t i = 0; i < processes.count; i++)
        add(watched, processes.pids[i], true);
    processes_free(&processes);
}

/* One that does not answer, as when it is stopped, is shown as it was. */
static void look(struct watched *watched)
{
    struct stats_report report;
    double age;
    uint64_t resident = peer_resident(&watched->peer);
    if (resident == 0) {
        watched->gone = true;
        return;
    }
    bool answered = peer_call(&watched->peer, CONTROL_REFRESH, 0, NULL, ANSWER_S) == 0;
    if (!peer_report(&watched->peer, &report, &age))
        return;
    watched->resident = resident;
    watched->history[watched->looks++ % HISTORY] = resident;
    if (!answered && watched->now_at != 0)
        return;
    watched->before = watched->now;
    watched->before_at = watched->now_at;
    watched->now = report.totals;
    watched->now_at = clock_seconds();
}

void watched_look(struct watched_list *watched)
{
    for (size_t i = 0; i < watched->count; i++)
        look(&watched->list[i]);
}

void watched_remove_gone(struct watched_list *watched)
{
    size_t kept = 0;
    for (size_t i = 0; i < watched->count; i++) {
        if (watched->list[i].gone)
            peer_close(&watched->list[i].peer);
        else
            watched->list[kept++] = watched->list[i];
    }
    watched->count = kept;
}

void watched_free(struct watched_list *watched)
{
    for (size_t i = 0; i < watched->count; i++)
        peer_close(&watched->list[i].peer);
    free(watched->list);
    *watched = (struct watched_list){0};
}

double watched_rate(const struct watched *watched, uint64_t now, uint64_t before)
{
    double seconds = watched->now_at - watched->before_at;
    return watched->before_at > 0 && seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}
