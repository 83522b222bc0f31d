#include "faults.h"

#include "os.h"

void faults_read(struct faults *f)
{
    while (f->queued < FAULTS_QUEUE) {
        struct uffd_event event = uffd_read(f->uffd);
        if (event.kind == UFFD_EVENT_NONE)
            return;
        if (event.kind == UFFD_EVENT_CHILD && f->child != NULL)
            f->child(event.child_fd);
        else if (event.kind == UFFD_EVENT_FAULT)
            f->queue[f->queued++] = event;
    }
}

void faults_read_all(struct faults *f)
{
    faults_read(f);
    while (f->queued == FAULTS_QUEUE) {
        while (f->queued > FAULTS_QUEUE / 2)
            uffd_wake(f->uffd, f->queue[--f->queued].addr, PAGE_BYTES);
        faults_read(f);
    }
}

static void note_answer(struct faults *f, uint64_t now)
{
    f->in_row = now < f->answered_at + FAULTS_EXPECTED_NS;
    f->answered_at = now;
}

bool faults_drain(struct faults *f, uint64_t since)
{
    bool any = false;
    for (;;) {
        faults_read(f);
        f->quiet_at = os_now_ns(); /* what comes from now on has not waited longer */
        if (f->queued == 0)
            break;
        any = true;
        while (f->queued > 0) {
            struct uffd_event fault = f->queue[--f->queued];
            f->serve(f, fault.addr, fault.thread, since);
        }
        since = f->quiet_at;
    }
    if (any)
        note_answer(f, f->quiet_at);
    return any;
}

bool faults_are_expected(const struct faults *f, uint64_t now)
{
    return f->in_row && now < f->answered_at + FAULTS_EXPECTED_NS;
}
