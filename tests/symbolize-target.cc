// What symbolize.sh compiles in several ways: a use after free in functions whose names and lines are known. The numbers in
// comments mark the lines that a report has to name.
#include <cstdlib>

namespace pool
{
struct Block {
    char *p;
    void release();
    void use(int n);
};

// Noinline and not last: each has a frame of its own.
__attribute__((noinline)) void Block::release()
{
    free(p); // 1
    asm volatile("");
}

inline __attribute__((always_inline)) void touch(char *p)
{
    *(volatile char *)p = 1; // 2
}

inline __attribute__((always_inline)) void each(char *p, int n)
{
    for (int i = 0; i < n; i++)
        touch(p + i); // 3
}

__attribute__((noinline)) void Block::use(int n)
{
    each(p, n); // 4
    asm volatile("");
}
} // namespace pool

extern "C" __attribute__((noinline)) char *plain_c(void)
{
    char *p = (char *)malloc(64); // 5
    asm volatile("");
    return p;
}

int main()
{
    pool::Block block = {plain_c()}; // 6
    block.release();                 // 7
    block.use(3);                    // 8
    return 0;
}
