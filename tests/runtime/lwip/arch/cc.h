// What lwIP wants to know of the compiler: its own defaults serve (those of MicroPython are for 32 bits).
#include <assert.h>
#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) assert(!(x))
#define LWIP_RAND() ((u32_t)rand())
