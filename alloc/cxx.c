/*
 * operator new and delete, all forms, under their Itanium C++ ABI names. They are here, not left to libstdc++'s
 * calls of malloc and free, for the call saved and for sized deletion.
 */
#include "fatal.h"
#include "heap.h"

#include <dlfcn.h>

/* Of libstdc++, if the program has it. */
typedef void (*new_handler)(void);
extern new_handler get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern _Noreturn void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));

/* [new.delete.single]: call the new-handler and try again until there is none; then throw. */
static COLD void *new_failed(size_t size, size_t align)
{
    for (;;) {
        new_handler handler = get_new_handler != NULL ? get_new_handler() : NULL;
        if (handler == NULL)
            break;
        handler();
        void *p = heap_memalign(align, size);
        if (p != NULL)
            return p;
    }
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    fatal("operator new: out of memory (%zu bytes), and no C++ library to throw std::bad_alloc", size);
}

/*
 * A new-handler may throw, and the nothrow forms then return NULL. C cannot catch, so that case is left to
 * libstdc++'s own form, which calls the throwing one, ours again, and catches.
 */
static COLD void *next_form(const char *symbol)
{
    bool handled = get_new_handler != NULL && get_new_handler() != NULL;
    return handled ? dlsym(RTLD_NEXT, symbol) : NULL;
}

static inline void *new_plain(size_t size)
{
    void *p = heap_malloc(size);
    return likely(p != NULL) ? p : new_failed(size, 1);
}

static inline void *new_aligned(size_t size, size_t align)
{
    void *p = heap_memalign(align, size);
    return likely(p != NULL) ? p : new_failed(size, align);
}

static inline void *new_plain_nothrow(size_t size, const void *nothrow, const char *symbol)
{
    void *p = heap_malloc(size);
    if (likely(p != NULL))
        return p;
    void *(*next)(size_t, const void *) = (void *(*)(size_t, const void *))next_form(symbol);
    return next != NULL ? next(size, nothrow) : NULL;
}

static inline void *new_aligned_nothrow(size_t size, size_t align, const void *nothrow, const char *symbol)
{
    void *p = heap_memalign(align, size);
    if (likely(p != NULL))
        return p;
    void *(*next)(size_t, size_t, const void *) = (void *(*)(size_t, size_t, const void *))next_form(symbol);
    return next != NULL ? next(size, align, nothrow) : NULL;
}

/* m: size_t, St11align_val_t: std::align_val_t, RKSt9nothrow_t: const std::nothrow_t & */
#define NEW(symbol, parameters, body)                                                                        \
    void *symbol parameters;                                                                                 \
    SINTER_EXPORT FAST_ALLOC void *symbol parameters                                                         \
    {                                                                                                        \
        return body;                                                                                         \
    }

NEW(_Znwm, (size_t size), new_plain(size))
NEW(_Znam, (size_t size), new_plain(size))
NEW(_ZnwmSt11align_val_t, (size_t size, size_t align), new_aligned(size, align))
NEW(_ZnamSt11align_val_t, (size_t size, size_t align), new_aligned(size, align))

#define NEW_NOTHROW(symbol)                                                                                  \
    NEW(symbol, (size_t size, const void *nothrow), new_plain_nothrow(size, nothrow, #symbol))
#define NEW_ALIGNED_NOTHROW(symbol)                                                                          \
    NEW(symbol, (size_t size, size_t align, const void *nothrow),                                            \
        new_aligned_nothrow(size, align, nothrow, #symbol))

NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

/* Alignments and tags are passed behind the rest and are not needed. */
#define DELETE(symbol, call)                                                                                 \
    void symbol(void *p);                                                                                    \
    SINTER_EXPORT FAST_FREE void symbol(void *p)                                                             \
    {                                                                                                        \
        heap_free(p, call);                                                                                  \
    }

/* The same with the size, which only guard mode looks at. */
#define DELETE_SIZED(symbol, call)                                                                           \
    void symbol(void *p, size_t size);                                                                       \
    SINTER_EXPORT FAST_FREE void symbol(void *p, size_t size)                                                \
    {                                                                                                        \
        heap_free_sized(p, size, call);                                                                      \
    }

DELETE(_ZdlPv, "operator delete")
DELETE_SIZED(_ZdlPvm, "operator delete")
DELETE(_ZdlPvSt11align_val_t, "operator delete")
DELETE_SIZED(_ZdlPvmSt11align_val_t, "operator delete")
DELETE(_ZdlPvRKSt9nothrow_t, "operator delete")
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, "operator delete")
DELETE(_ZdaPv, "operator delete[]")
DELETE_SIZED(_ZdaPvm, "operator delete[]")
DELETE(_ZdaPvSt11align_val_t, "operator delete[]")
DELETE_SIZED(_ZdaPvmSt11align_val_t, "operator delete[]")
DELETE(_ZdaPvRKSt9nothrow_t, "operator delete[]")
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, "operator delete[]")
