/*
 * Random operations on the allocator, checked against a model of what it must have done.
 *
 * The model knows each live block's address, size and contents. It keeps its own memory in mappings, so that
 * nothing it does goes through the allocator under test, and its marks are relaxed atomics, so that they hide no
 * race from ThreadSanitizer. With one thread a seed replays exactly.
 *
 * Built twice: as a plain program to be run with the library preloaded, and with -DMODEL_PREFIX against the
 * allocator's sources, whose functions are then called sinter_malloc and so on.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef MODEL_PREFIX
#define API(name)  sinter_##name
#define HAVE(name) true
void *API(malloc)(size_t);
void API(free)(void *);
void *API(calloc)(size_t, size_t);
void *API(realloc)(void *, size_t);
void *API(reallocarray)(void *, size_t, size_t);
void *API(aligned_alloc)(size_t, size_t);
void *API(memalign)(size_t, size_t);
int API(posix_memalign)(void **, size_t, size_t);
size_t API(malloc_usable_size)(void *);
int API(malloc_trim)(size_t);
void API(free_sized)(void *, size_t);
void API(free_aligned_sized)(void *, size_t, size_t);
#else
#define API(name)  name
#define HAVE(name) (name != NULL)
/* C23's; glibc has neither yet. */
__attribute__((weak)) void free_sized(void *, size_t);
__attribute__((weak)) void free_aligned_sized(void *, size_t, size_t);
#endif

enum {
    UNIT = 16, /* what every block is aligned to */
    MAX_THREADS = 64,
    MAX_BLOCKS = 1 << 16,
    LIFE_OPS = 20000, /* a thread lives that long; its blocks then pass to a new one */
    PARCELS = 512,
    MAX_ALIGN_SHIFT = 22,
};

struct block {
    unsigned char *p;
    size_t size;   /* as asked for */
    size_t filled; /* bytes that hold the pattern: `size`, or up to the usable size */
    size_t marked; /* bytes that no other block may overlap */
    size_t align;  /* of aligned_alloc; 0 for others */
    uint64_t pattern;
};

struct worker {
    pthread_t thread;
    unsigned id;
    uint64_t rng;
    uint64_t ops;
    size_t live_bytes;
    size_t count;
    size_t target; /* the number of blocks this phase tends to */
    const char *call;
    size_t args[2];
    struct block *blocks;
};

static uint64_t seed;
static uint64_t max_ops = UINT64_MAX;
static double seconds = 5;
static unsigned threads = 1;
static size_t max_live = (size_t)256 << 20;
static struct timespec started;

static double elapsed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9;
}

__attribute__((format(printf, 2, 3), noreturn)) static void fail(const struct worker *w, const char *format,
                                                                 ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(STDERR_FILENO,
            "model: FAILED: %s\n"
            "model: in %s(%zu, %zu), operation %llu of thread %u\n"
            "model: replay with -s %llu -t %u\n",
            text, w->call, w->args[0], w->args[1], (unsigned long long)w->ops, w->id,
            (unsigned long long)seed, threads);
    _exit(1);
}

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        dprintf(STDERR_FILENO, "model: mmap of %zu bytes: %s\n", size, strerror(errno));
        _exit(99);
    }
    return p;
}

/* splitmix64 */
static uint64_t next(struct worker *w)
{
    uint64_t z = w->rng += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static size_t below(struct worker *w, size_t limit)
{
    return (size_t)(next(w) % limit);
}
static bool one_in(struct worker *w, size_t n)
{
    return below(w, n) == 0;
}

/*
 * The map of occupied memory: one bit for each 16 bytes of address space, in leaves of 1 GiB made on demand.
 * It is exact, since every block begins at a multiple of 16.
 */
enum { LEAF_SHIFT = 30, LEAVES = 1 << (48 - LEAF_SHIFT), LEAF_WORDS = (1 << LEAF_SHIFT) / UNIT / 64 };
typedef _Atomic uint64_t mark_word;
static _Atomic(mark_word *) *leaves;

static mark_word *leaf_of(uintptr_t address)
{
    _Atomic(mark_word *) *entry = &leaves[address >> LEAF_SHIFT];
    mark_word *leaf = atomic_load(entry);
    if (!leaf) {
        mark_word *mine = map(LEAF_WORDS * sizeof(mark_word));
        if (atomic_compare_exchange_strong(entry, &leaf, mine))
            return mine;
        munmap(mine, LEAF_WORDS * sizeof(mark_word));
    }
    return leaf;
}

/* Sets (or clears) the bits of a range; false if one was already so. */
static bool mark(const unsigned char *p, size_t size, bool set)
{
    uintptr_t unit = (uintptr_t)p / UNIT;
    uintptr_t end = ((uintptr_t)p + (size ? size : 1) + UNIT - 1) / UNIT;
    while (unit < end) {
        size_t n = 64 - unit % 64;
        if (n > end - unit)
            n = end - unit;
        uint64_t bits = (n == 64 ? ~0ULL : (1ULL << n) - 1) << (unit % 64);
        mark_word *word = &leaf_of(unit * UNIT)[unit / 64 % LEAF_WORDS];
        uint64_t old = set ? atomic_fetch_or_explicit(word, bits, memory_order_relaxed)
                           : atomic_fetch_and_explicit(word, ~bits, memory_order_relaxed);
        if ((old & bits) != (set ? 0 : bits))
            return false;
        unit += n;
    }
    return true;
}

static uint64_t pattern_word(uint64_t pattern, size_t i)
{
    return (pattern + i) * 0x9e3779b97f4a7c15;
}

static void fill(struct block *b, size_t from, size_t to)
{
    size_t i = from / 8;
    for (; i < to / 8; i++) {
        uint64_t v = pattern_word(b->pattern, i);
        memcpy(b->p + i * 8, &v, 8);
    }
    uint64_t v = pattern_word(b->pattern, i);
    memcpy(b->p + i * 8, &v, to % 8);
    b->filled = to;
}

static void check_fill(const struct worker *w, const struct block *b, const unsigned char *p, size_t size)
{
    for (size_t i = 0; i * 8 < size; i++) {
        size_t n = size - i * 8 < 8 ? size - i * 8 : 8;
        uint64_t want = pattern_word(b->pattern, i), have = 0;
        memcpy(&have, p + i * 8, n);
        if (n < 8)
            want &= (1ULL << (n * 8)) - 1;
        if (have != want)
            fail(w, "block %p of %zu bytes holds %#llx at offset %zu, not %#llx", (void *)p, size,
                 (unsigned long long)have, i * 8, (unsigned long long)want);
    }
}

static void check_zero(const struct worker *w, const unsigned char *p, size_t size)
{
    if (size && (p[0] || memcmp(p, p + 1, size - 1)))
        fail(w, "calloc's block %p of %zu bytes is not zero", (void *)p, size);
}

/* Sizes from nothing to tens of MiB, most of them small, many at the border of a size class. */
static size_t pick_size(struct worker *w)
{
    static const struct {
        unsigned share; /* of 10 000 */
        size_t limit;
    } bands[] = {{200, 1},      {5000, 256},   {2600, 2048},  {1700, 32768},
                 {450, 262144}, {45, 4 << 20}, {4, 16 << 20}, {1, 48 << 20}};
    size_t roll = below(w, 10000), limit = 0;
    for (size_t i = 0; i < sizeof bands / sizeof *bands; i++) {
        limit = bands[i].limit;
        if (roll < bands[i].share)
            break;
        roll -= bands[i].share;
    }
    size_t size = below(w, limit);
    if (limit > 256 && one_in(w, 4)) { /* a power of two or three quarters of one, and its neighbours */
        size_t power = (size_t)16 << below(w, (size_t)__builtin_ctzll(limit) - 3);
        size = (one_in(w, 2) ? power : power / 4 * 3) + below(w, 3) - 1;
    }
    size_t room = max_live / threads > w->live_bytes ? max_live / threads - w->live_bytes : 0;
    return size <= room ? size : size % 512;
}

static size_t pick_align(struct worker *w)
{
    size_t shift = one_in(w, 8) ? below(w, MAX_ALIGN_SHIFT + 1) : below(w, 13);
    return (size_t)1 << shift;
}

/* A block has come from the allocator: checks what can be seen of it and enters it. */
static void accept_block(struct worker *w, struct block *b, unsigned char *p, size_t size, size_t align)
{
    if (!p)
        fail(w, "returned NULL: %s", strerror(errno));
    if ((uintptr_t)p % UNIT || (align && (uintptr_t)p % align))
        fail(w, "returned %p, not aligned to %zu", (void *)p, align > UNIT ? align : UNIT);
    size_t usable = API(malloc_usable_size)(p);
    if (usable < size)
        fail(w, "returned %p with a usable size of %zu for %zu bytes", (void *)p, usable, size);
    b->p = p;
    b->size = size;
    b->marked = usable;
    if (!mark(p, usable, true))
        fail(w, "returned %p (%zu bytes usable), which overlaps a live block", (void *)p, usable);
    w->live_bytes += usable;
}

static void retire(struct worker *w, struct block *b)
{
    check_fill(w, b, b->p, b->filled);
    if (!mark(b->p, b->marked, false))
        fail(w, "the model lost track of block %p", (void *)b->p);
    w->live_bytes -= b->marked;
}

static void called(struct worker *w, const char *name, size_t a, size_t b)
{
    w->call = name;
    w->args[0] = a;
    w->args[1] = b;
}

static void do_alloc(struct worker *w)
{
    if (w->count == MAX_BLOCKS)
        return;
    struct block *b = &w->blocks[w->count];
    size_t size = pick_size(w), align = 0, n;
    void *p = NULL;
    b->align = 0;
    b->pattern = next(w);
    switch (below(w, 16)) {
    case 0:
        align = pick_align(w);
        b->align = align;
        called(w, "aligned_alloc", align, size);
        p = API(aligned_alloc)(align, size);
        break;
    case 1:
        align = pick_align(w);
        align = align < sizeof(void *) ? sizeof(void *) : align;
        called(w, "posix_memalign", align, size);
        if ((errno = API(posix_memalign)(&p, align, size)))
            p = NULL;
        break;
    case 2:
        align = pick_align(w);
        called(w, "memalign", align, size);
        p = API(memalign)(align, size);
        break;
    case 3:
        called(w, "realloc of NULL", 0, size);
        p = API(realloc)(NULL, size);
        break;
    case 4:
        n = 1 + below(w, 16);
        called(w, "reallocarray of NULL", n, size / n);
        size = size / n * n;
        p = API(reallocarray)(NULL, n, size / n);
        break;
    case 5:
    case 6:
    case 7:
        n = 1 + below(w, 16);
        called(w, "calloc", n, size / n);
        size = size / n * n;
        p = API(calloc)(n, size / n);
        if (p)
            check_zero(w, p, size);
        break;
    default:
        called(w, "malloc", size, 0);
        p = API(malloc)(size);
    }
    accept_block(w, b, p, size, align);
    fill(b, 0, one_in(w, 8) ? b->marked : size);
    w->count++;
}

static void release(struct worker *w, struct block *b)
{
    retire(w, b);
    called(w, "free", b->size, b->align);
    int kept = errno = (int)below(w, 100);
    if (b->align && HAVE(free_aligned_sized) && one_in(w, 2))
        API(free_aligned_sized)(b->p, b->align, b->size);
    else if (!b->align && HAVE(free_sized) && one_in(w, 4))
        API(free_sized)(b->p, b->size);
    else
        API(free)(b->p);
    if (errno != kept)
        fail(w, "free changed errno from %d to %d", kept, errno);
}

static void remove_at(struct worker *w, size_t i)
{
    w->blocks[i] = w->blocks[--w->count];
}

static void do_free(struct worker *w)
{
    if (!w->count)
        return;
    size_t i = one_in(w, 2) ? w->count - 1 : below(w, w->count);
    release(w, &w->blocks[i]);
    remove_at(w, i);
}

static size_t pick_resize(struct worker *w, size_t old)
{
    size_t size;
    switch (below(w, 5)) {
    case 0:
        size = old + below(w, 32);
        break;
    case 1:
        size = old - (old ? below(w, old < 32 ? old : 32) : 0);
        break;
    case 2:
        size = old + old / 2;
        break;
    case 3:
        size = old / 2;
        break;
    default:
        size = pick_size(w);
    }
    if (size > old && size - old + w->live_bytes > max_live / threads)
        size = old / 2;
    return size ? size : 1; /* realloc(p, 0) frees; that has a test of its own */
}

static void do_realloc(struct worker *w)
{
    if (!w->count)
        return;
    struct block *b = &w->blocks[below(w, w->count)];
    size_t size = pick_resize(w, b->size), filled = b->filled;
    retire(w, b);
    unsigned char *p;
    if (one_in(w, 4)) {
        called(w, "reallocarray", b->size, size);
        p = API(reallocarray)(b->p, 1, size);
    } else {
        called(w, "realloc", b->size, size);
        p = API(realloc)(b->p, size);
    }
    /* Only what was asked for need survive, not all that was usable. */
    size_t kept = filled < b->size ? filled : b->size;
    kept = kept < size ? kept : size;
    if (p)
        check_fill(w, b, p, kept);
    accept_block(w, b, p, size, 0);
    b->align = 0;
    fill(b, kept, size);
}

/* Blocks on their way from one thread to another. */
static struct {
    pthread_mutex_t mutex;
    size_t count;
    struct block blocks[PARCELS];
} parcels = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void do_send(struct worker *w)
{
    pthread_mutex_lock(&parcels.mutex);
    for (size_t n = 1 + below(w, 32); n && w->count && parcels.count < PARCELS; n--) {
        size_t i = below(w, w->count);
        parcels.blocks[parcels.count++] = w->blocks[i];
        w->live_bytes -= w->blocks[i].marked;
        remove_at(w, i);
    }
    pthread_mutex_unlock(&parcels.mutex);
}

static void do_receive(struct worker *w)
{
    for (size_t n = 1 + below(w, 32); n; n--) {
        struct block b;
        pthread_mutex_lock(&parcels.mutex);
        bool any = parcels.count > 0;
        if (any)
            b = parcels.blocks[--parcels.count];
        pthread_mutex_unlock(&parcels.mutex);
        if (!any)
            return;
        w->live_bytes += b.marked;
        if (w->count < MAX_BLOCKS && one_in(w, 4))
            w->blocks[w->count++] = b;
        else
            release(w, &b);
    }
}

static void step(struct worker *w)
{
    if (one_in(w, 4096)) /* a new phase: the set of live blocks grows or drains */
        w->target = (size_t)1 << below(w, 16);
    if (one_in(w, 20000)) {
        called(w, "malloc_trim", 0, 0);
        API(malloc_trim)(0);
    }
    size_t roll = below(w, 100);
    if (roll < 12)
        do_realloc(w);
    else if (roll < 14 && threads > 1)
        do_send(w);
    else if (roll < 17 && threads > 1)
        do_receive(w);
    else if (roll == 17)
        API(free)(NULL);
    else if (below(w, 100) < (w->count < w->target ? 75u : 25u))
        do_alloc(w);
    else
        do_free(w);
}

static void *live(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < LIFE_OPS && w->ops < max_ops; i++, w->ops++) {
        step(w);
        if (i % 256 == 0 && elapsed() >= seconds)
            break;
    }
    return NULL;
}

static void run(struct worker *workers)
{
    while (workers[0].ops < max_ops && elapsed() < seconds) {
        if (threads == 1) {
            live(workers);
            continue;
        }
        for (unsigned i = 0; i < threads; i++) {
            if ((errno = pthread_create(&workers[i].thread, NULL, live, &workers[i]))) {
                dprintf(STDERR_FILENO, "model: pthread_create: %s\n", strerror(errno));
                _exit(99);
            }
        }
        for (unsigned i = 0; i < threads; i++)
            pthread_join(workers[i].thread, NULL);
    }
}

static void finish(struct worker *workers)
{
    uint64_t ops = 0;
    for (unsigned i = 0; i < threads; i++) {
        ops += workers[i].ops;
        while (workers[i].count)
            do_free(&workers[i]);
    }
    for (size_t i = 0; i < parcels.count; i++) {
        workers->live_bytes += parcels.blocks[i].marked;
        release(workers, &parcels.blocks[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        if (workers[i].live_bytes)
            fail(&workers[i], "the model's sum of live bytes is off by %zu", workers[i].live_bytes);
    }
    printf("model: ok: seed %llu, %u threads, %llu operations, %.1f s\n", (unsigned long long)seed, threads,
           (unsigned long long)ops, elapsed());
}

static int usage(const char *name)
{
    fprintf(
        stderr,
        "usage: %s [-s SEED] [-n OPERATIONS] [-d SECONDS] [-t THREADS] [-m MIB]\n"
        "-n counts in each thread; -m bounds the live bytes; the run ends at whichever limit comes first\n",
        name);
    return 2;
}

int main(int argc, char **argv)
{
    clock_gettime(CLOCK_MONOTONIC, &started);
    seed = (uint64_t)started.tv_nsec * 1000003 + (uint64_t)getpid();
    for (int c; (c = getopt(argc, argv, "s:n:d:t:m:")) != -1;) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (c == 'n')
            max_ops = strtoull(optarg, NULL, 0);
        else if (c == 'd')
            seconds = strtod(optarg, NULL);
        else if (c == 't')
            threads = (unsigned)strtoul(optarg, NULL, 0);
        else if (c == 'm')
            max_live = strtoull(optarg, NULL, 0) << 20;
        else
            return usage(argv[0]);
    }
    if (optind < argc || threads < 1 || threads > MAX_THREADS)
        return usage(argv[0]);
    printf("model: seed %llu, %u threads\n", (unsigned long long)seed, threads);
    fflush(stdout);

    leaves = map(LEAVES * sizeof *leaves);
    struct worker *workers = map(threads * sizeof *workers);
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.id = i, .rng = seed + i * 0xd1b54a32d192ed03, .target = 1000, .call = "start"};
        w->blocks = map(MAX_BLOCKS * sizeof *w->blocks);
    }
    run(workers);
    finish(workers);
    return 0;
}
