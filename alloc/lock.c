#include "lock.h"

#include "os.h"

/* Long enough for a critical section of ours on another CPU, shorter than a futex call. */
enum { SPINS = 100 };

void lock_slow(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        int expected = 0;
        if (load_relaxed(&lock->state) == 0 &&
            atomic_compare_exchange_weak_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        os_relax();
    }
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        os_futex_wait(&lock->state, 2, -1);
}

void lock_wake(struct lock *lock)
{
    os_futex_wake(&lock->state, 1);
}

/* How many locks of each rank this thread holds; bins are taken all at once by fork, so same ranks count. */
static __thread uint16_t held[LOCK_RANKS] __attribute__((tls_model("initial-exec")));

void lock_note_taken(const struct lock *lock)
{
    for (int rank = (int)lock->rank + 1; rank < LOCK_RANKS; rank++)
        debug_assert(held[rank] == 0);
    held[lock->rank]++;
}

void lock_note_given(const struct lock *lock)
{
    debug_assert(held[lock->rank] > 0);
    held[lock->rank]--;
}
