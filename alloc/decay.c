#include "decay.h"

#include "conf.h"

_Atomic size_t decay_dirty_pages;
_Atomic size_t decay_sparse_pages;

/* The curve in units of 1 / 65536, for an epoch of the given age (0 is the latest). */
static uint64_t keep_factor(unsigned age)
{
    const uint64_t one = 65536;
    uint64_t t = one - one * (age + 1) / (DECAY_EPOCHS + 1);
    uint64_t t3 = t * t / one * t / one;
    uint64_t t4 = t3 * t / one;
    uint64_t t5 = t4 * t / one;
    return 6 * t5 + 10 * t3 - 15 * t4;
}

uint64_t decay_epoch_ms(void)
{
    int64_t decay = conf_get(CONF_decay);
    return decay <= 0 ? 1000 : max_size((size_t)decay / DECAY_EPOCHS, 10);
}

static void shift_backlog(struct decay *decay, uint64_t epochs)
{
    size_t n = min_size(epochs, DECAY_EPOCHS);
    for (size_t i = 0; i < DECAY_EPOCHS; i++)
        decay->backlog[i] = i + n < DECAY_EPOCHS ? decay->backlog[i + n] : 0;
}

static size_t limit_of(const struct decay *decay)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < DECAY_EPOCHS; i++)
        sum += decay->backlog[i] * keep_factor(DECAY_EPOCHS - 1 - i);
    return sum / 65536;
}

size_t decay_advance(struct decay *decay, uint64_t now, size_t dirty)
{
    int64_t mode = conf_get(CONF_decay);
    if (mode <= 0)
        return mode == 0 ? dirty : 0;
    uint64_t epoch = decay_epoch_ms();
    if (decay->epoch_end == 0)
        decay->epoch_end = now + epoch;
    if (now >= decay->epoch_end) {
        uint64_t epochs = (now - decay->epoch_end) / epoch + 1;
        shift_backlog(decay, epochs);
        decay->epoch_end += epochs * epoch;
    }
    if (dirty > decay->previous)
        decay->backlog[DECAY_EPOCHS - 1] += dirty - decay->previous;
    decay->previous = dirty;
    size_t limit = limit_of(decay);
    return dirty > limit ? dirty - limit : 0;
}

void decay_settle(struct decay *decay, size_t dirty)
{
    decay->previous = dirty;
}
