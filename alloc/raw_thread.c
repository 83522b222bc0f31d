#include "raw_thread.h"

#include "layout.h"
#include "os.h"

#include <sched.h>

enum { STACK_BYTES = 64 * 1024, TLS_BYTES = 16 * 1024 };

static const struct layout_entry shapes[] LAYOUT_SHAPES = {{"RAW_THREAD_BYTES", STACK_BYTES + TLS_BYTES, 0}};

/*
 * Code of ours that runs in such a thread uses no thread-local variable outside of debug builds; but the compiler may
 * read the stack guard, and glibc's clone() its own fields, so there is a block for them: what lies above the thread
 * pointer are its words for itself, what lies below the variables.
 */
static void **clear_tls(char *block)
{
    void **tls = (void **)(block + TLS_BYTES / 2);
    for (size_t i = 0; i < TLS_BYTES; i++)
        block[i] = 0;
    tls[0] = tls[2] = tls;
    return tls;
}

static bool launch(struct raw_thread *thread, int (*run)(void *))
{
    if (thread->memory == NULL) /* takes no lock: a thread that forks may hold it and wait for the caller */
        thread->memory = os_map(STACK_BYTES + TLS_BYTES, PAGE_BYTES);
    if (thread->memory == NULL)
        return false;
    for (int old; (old = load_relaxed(&thread->alive)) != 0;)
        os_futex_wait(&thread->alive, old, 1);
    void **tls = clear_tls(thread->memory + STACK_BYTES);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    return clone(run, thread->memory + STACK_BYTES, flags, NULL, &thread->alive, tls, &thread->alive) > 0;
}

bool raw_thread_start(struct raw_thread *thread, int (*run)(void *))
{
    if (THREAD_SANITIZER) /* it takes every thread for a pthread */
        return false;
    uint64_t old = os_block_signals(~(uint64_t)0);
    bool started = launch(thread, run);
    os_block_signals(old);
    return started;
}

void raw_thread_forget(struct raw_thread *thread)
{
    store_relaxed(&thread->alive, 0);
}
