#include <stddef.h>

static inline void mp_hal_set_interrupt_char(char c) {
    (void)c;
}

// The result of a system call, or OSError. Can raise.
long checked(long result);

// Write it all to a file descriptor, as far as that goes.
void write_all(int fd, const char *data, size_t len);
