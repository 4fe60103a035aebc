// Clock, waiting, random numbers and standard output.
#include <poll.h>
#include "py/mphal.h"
#include "py/runtime.h"
#include "syscall.h"

int errno;

typedef struct {
    int64_t s;
    int64_t ns; // on the kernel's side 32 bits and padding
} timespec_t;

static uint64_t now_ns(int clock) {
    timespec_t t = {0, 0};
    syscall(SYS_clock_gettime64, clock, (long)&t, 0, 0, 0);
    return t.s * 1000000000ull + (uint32_t)t.ns;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

mp_uint_t mp_hal_ticks_us(void) {
    return now_ns(CLOCK_MONOTONIC) / 1000;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}

uint64_t mp_hal_time_ns(void) {
    return now_ns(CLOCK_REALTIME);
}

static long wait(struct pollfd *fds, unsigned int count, int64_t us) {
    timespec_t t = {us / 1000000, us % 1000000 * 1000};
    return syscall(SYS_ppoll_time64, (long)fds, count, us < 0 ? 0 : (long)&t, 0, 8);
}

int poll(struct pollfd *fds, unsigned int count, int timeout_ms) {
    long result = wait(fds, count, timeout_ms * 1000ll);
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

void mp_hal_delay_us(mp_uint_t us) {
    wait(NULL, 0, us);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_handle_pending(true);
    wait(NULL, 0, ms * 1000ll);
    mp_handle_pending(true);
}

uint32_t random_seed(void) {
    uint32_t seed = 0;
    syscall(SYS_getrandom, (long)&seed, sizeof(seed), 0, 0, 0);
    return seed;
}

long checked(long result) {
    if (result < 0) {
        mp_raise_OSError(-result);
    }
    return result;
}

void write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        long written = syscall(SYS_write, fd, (long)data, len, 0, 0);
        if (written < 0) {
            return;
        }
        data += written;
        len -= written;
    }
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    write_all(1, str, len);
    return len;
}

void mp_hal_stdout_tx_strn_cooked(const char *str, size_t len) {
    write_all(1, str, len);
}
