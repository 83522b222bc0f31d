/*
 * A buffer of the latest messages: each that comes takes the place of the oldest. How long every single one takes is noted,
 * and every so often an older one is read again.
 */
#include <string.h>

#include "../workload.h"
#include "program.h"

enum { PAYLOAD = 1024, READ_EVERY = 8, WORDS = PAYLOAD / 8 };

struct payload {
    HEAP_HEADER
    uint64_t words[WORDS];
};

struct message {
    HEAP_HEADER
    struct payload *payload;
    uint64_t number;
};

struct window {
    HEAP_HEADER
    size_t count;
    struct message *messages[];
};

static heap_kind payload_kind, message_kind, window_kind;

static void make_kinds(void)
{
    payload_kind =
        heap_kind_new(&(struct heap_layout){.name = "payload", .size = sizeof(struct payload), .leaf = true});
    message_kind = heap_kind_new(&(struct heap_layout){
        .name = "message",
        .size = sizeof(struct message),
        .references = HEAP_REFERENCE(struct message, payload),
    });
    window_kind = HEAP_TABLE_KIND(window);
}

static struct window *window_new(mutator *m, size_t count)
{
    struct window *window = heap_zeroed(m, window_kind, sizeof *window + count * sizeof(void *));
    window->count = count;
    return window;
}

static struct message *receive(mutator *m, uint64_t number)
{
    struct message *message = NULL;
    struct payload *payload = heap_leaf(m, payload_kind, sizeof *payload);
    HEAP_ROOTS(m, payload);
    for (size_t i = 0; i < WORDS; i++)
        payload->words[i] = number + i;
    message = heap_new(m, message_kind, sizeof *message);
    message->payload = payload;
    message->number = number;
    return message;
}

static void forget(struct message *message)
{
    if (!HEAP_BY_HAND || message == NULL)
        return;
    heap_drop(message->payload);
    heap_drop(message);
}

static bool is_intact(const struct message *message, uint64_t number)
{
    bool intact = message != NULL && message->number == number;
    for (size_t i = 0; intact && i < WORDS; i++)
        intact = message->payload->words[i] == number + i;
    return intact;
}

static uint64_t insert(mutator *m, struct window *window, uint64_t number)
{
    HEAP_ROOTS(m, window);
    uint64_t start = now_ns();
    struct message *message = receive(m, number), **place = &window->messages[number % window->count];
    forget(*place);
    *place = message;
    return now_ns() - start;
}

static void fill(mutator *m, struct window *window)
{
    HEAP_ROOTS(m, window);
    for (uint64_t number = 0; number < window->count; number++)
        insert(m, window, number);
}

/* All of them are replaced `work` times. */
static void run_window(mutator *m, const struct options *options, struct report *report,
                       struct window *window)
{
    static struct durations durations;
    struct rng rng = rng_seed(options->seed);
    size_t size = options->size;
    HEAP_ROOTS(m, window);
    for (uint64_t number = size; number < size * (options->work + 1); number++) {
        durations_add(&durations, insert(m, window, number));
        if (number % READ_EVERY != 0)
            continue;
        uint64_t older = number - rng_below(&rng, size);
        check(is_intact(window->messages[older % size], older), "an older message is damaged");
    }
    report_durations(report, "inserts", &durations);
}

static void check_window(const struct window *window, uint64_t end)
{
    for (uint64_t number = end - window->count; number < end; number++)
        check(is_intact(window->messages[number % window->count], number), "a message is damaged");
}

static void run(const struct options *options, struct report *report)
{
    size_t live = options->size * (sizeof(struct payload) + sizeof(struct message) + sizeof(void *));
    heap_open(options->factor, live);
    mutator *m = heap_attach();
    make_kinds();
    {
        struct window *window = window_new(m, options->size);
        HEAP_ROOTS(m, window);
        fill(m, window);
        run_window(m, options, report, window);
        check_window(window, options->size * (options->work + 1));
        report_settled(report, m, live);
    }
    heap_detach(m);
}

const struct workload workload_lru = {
    "lru", run, 200000, 20,
    "size: messages of 1 KiB that are kept; work: times that all of them are replaced"};
