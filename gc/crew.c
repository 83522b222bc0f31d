#include "crew.h"

#include "fatal.h"
#include "heap.h"
#include "os.h"

#include <pthread.h>
#include <stdlib.h>

struct worker {
    struct crew *crew;
    unsigned number;
    pthread_t thread;
    _Atomic uint64_t cpu_ns;
};

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct worker workers[WORKERS_MAX];
    unsigned size;
    /* The present piece of work. */
    void (*work)(unsigned worker, void *context);
    void *context;
    uint64_t turn;
    unsigned wanted, busy;
    bool quit;
};

static __thread bool enlisted;

void crew_enlist(void)
{
    enlisted = true;
}

bool fatal_in_own_thread(void)
{
    return enlisted;
}

static void *run(void *argument)
{
    struct worker *w = argument;
    struct crew *crew = w->crew;
    uint64_t seen = 0;
    crew_enlist();
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        while (crew->turn == seen && !crew->quit)
            pthread_cond_wait(&crew->changed, &crew->lock);
        if (crew->quit)
            break;
        seen = crew->turn;
        if (w->number >= crew->wanted)
            continue;
        pthread_mutex_unlock(&crew->lock);
        crew->work(w->number, crew->context);
        store_relaxed(&w->cpu_ns, os_thread_cpu_ns());
        pthread_mutex_lock(&crew->lock);
        if (--crew->busy == 0)
            pthread_cond_broadcast(&crew->changed);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

struct crew *crew_start(unsigned workers)
{
    struct crew *crew = calloc(1, sizeof(*crew));
    if (crew == NULL)
        return NULL;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    crew->size = 1;
    while (crew->size < workers) {
        struct worker *w = &crew->workers[crew->size];
        *w = (struct worker){.crew = crew, .number = crew->size};
        if (pthread_create(&w->thread, NULL, run, w) != 0)
            break;
        crew->size++;
    }
    return crew;
}

void crew_stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->quit = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 1; i < crew->size; i++)
        pthread_join(crew->workers[i].thread, NULL);
    pthread_mutex_destroy(&crew->lock);
    pthread_cond_destroy(&crew->changed);
    free(crew);
}

unsigned crew_size(const struct crew *crew)
{
    return crew->size;
}

void crew_run(struct crew *crew, unsigned workers, void (*work)(unsigned worker, void *context),
              void *context)
{
    if (workers > crew->size)
        workers = crew->size;
    if (workers == 1) { /* nobody has to be woken */
        work(0, context);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    crew->work = work;
    crew->context = context;
    crew->wanted = workers;
    crew->busy = workers - 1;
    crew->turn++;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    work(0, context);
    pthread_mutex_lock(&crew->lock);
    while (crew->busy > 0)
        pthread_cond_wait(&crew->changed, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

uint64_t crew_cpu_ns(const struct crew *crew)
{
    uint64_t sum = 0;
    for (unsigned i = 1; i < crew->size; i++)
        sum += load_relaxed(&crew->workers[i].cpu_ns);
    return sum;
}
