// Every form of C++'s operator new and delete, and what happens when there is no memory. Run it preloaded.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

static unsigned checks, failures;

#define CHECK(condition) check((condition), __LINE__, #condition)

static void check(bool good, int line, const char *what)
{
    checks++;
    if (!good) {
        failures++;
        std::printf("FAIL line %d: %s\n", line, what);
    }
}

static std::size_t opaque(std::size_t value)
{
    volatile std::size_t hidden = value;
    return hidden;
}

static const std::size_t too_large = PTRDIFF_MAX;
static const auto aligned = std::align_val_t(256);

static void *use(void *p, std::size_t size, std::size_t align = 16)
{
    CHECK(p && reinterpret_cast<std::uintptr_t>(p) % align == 0);
    return std::memset(p, 0x5a, size);
}

static void every_form()
{
    for (std::size_t size : {0, 1, 16, 100, 5000, 100000, 5000000}) {
        operator delete(use(operator new(size), size));
        operator delete(use(operator new(size), size), size);
        operator delete(use(operator new(size, std::nothrow), size), std::nothrow);
        operator delete[](use(operator new[](size), size));
        operator delete[](use(operator new[](size), size), size);
        operator delete[](use(operator new[](size, std::nothrow), size), std::nothrow);
        operator delete(use(operator new(size, aligned), size, 256), aligned);
        operator delete(use(operator new(size, aligned), size, 256), size, aligned);
        operator delete(use(operator new(size, aligned, std::nothrow), size, 256), aligned, std::nothrow);
        operator delete[](use(operator new[](size, aligned), size, 256), aligned);
        operator delete[](use(operator new[](size, aligned), size, 256), size, aligned);
        operator delete[](use(operator new[](size, aligned, std::nothrow), size, 256), aligned, std::nothrow);
    }
    operator delete(nullptr);
    operator delete[](nullptr);
    operator delete(nullptr, aligned);
    operator delete(nullptr, 10);
}

template <typename F> static bool throws_bad_alloc(F call)
{
    try {
        call();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void no_memory()
{
    CHECK(throws_bad_alloc([] { operator delete(operator new(opaque(too_large))); }));
    CHECK(throws_bad_alloc([] { operator delete[](operator new[](opaque(too_large))); }));
    CHECK(throws_bad_alloc([] { operator delete(operator new(opaque(too_large), aligned), aligned); }));
    CHECK(throws_bad_alloc([] { operator delete[](operator new[](opaque(too_large), aligned), aligned); }));
    CHECK(operator new(opaque(too_large), std::nothrow) == nullptr);
    CHECK(operator new[](opaque(too_large), std::nothrow) == nullptr);
    CHECK(operator new(opaque(too_large), aligned, std::nothrow) == nullptr);
    CHECK(operator new[](opaque(too_large), aligned, std::nothrow) == nullptr);
}

static int handler_calls;

// Gives up at the third call, by uninstalling itself.
static void give_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

static void throw_own()
{
    handler_calls++;
    throw std::bad_alloc();
}

static void new_handlers()
{
    handler_calls = 0;
    std::set_new_handler(give_up);
    CHECK(throws_bad_alloc([] { operator delete(operator new(opaque(too_large))); }));
    CHECK(handler_calls == 3);

    handler_calls = 0;
    std::set_new_handler(give_up);
    CHECK(operator new(opaque(too_large), std::nothrow) == nullptr);
    CHECK(handler_calls == 3);

    handler_calls = 0;
    std::set_new_handler(throw_own);
    CHECK(throws_bad_alloc([] { operator delete(operator new(opaque(too_large), aligned), aligned); }));
    CHECK(handler_calls == 1);
    CHECK(operator new(opaque(too_large), std::nothrow) == nullptr); // what the handler throws ends here
    CHECK(handler_calls == 2);
    std::set_new_handler(nullptr);
}

struct alignas(4096) page {
    char bytes[4096];
};

static void in_use()
{
    std::vector<std::string> strings;
    for (int i = 0; i < 20000; i++)
        strings.push_back(std::string(static_cast<std::size_t>(i % 300), 'x') + std::to_string(i));
    std::size_t total = 0;
    for (const auto &s : strings)
        total += s.size();
    CHECK(total == 20000 / 300 * 300 * 299 / 2 + 199 * 200 / 2 + 88890);
    std::vector<page *> pages;
    for (int i = 0; i < 100; i++)
        pages.push_back(new page());
    for (auto *p : pages) {
        CHECK(reinterpret_cast<std::uintptr_t>(p) % 4096 == 0);
        delete p;
    }
    CHECK(throws_bad_alloc([] { std::vector<char> v(opaque(std::size_t(1) << 50)); }));
}

int main()
{
    every_form();
    no_memory();
    new_handlers();
    in_use();
    std::printf("operators: %u checks, %u failures\n", checks, failures);
    return failures > 0;
}
