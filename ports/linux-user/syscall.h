// Linux system calls without a libc. All return the result, or minus an error number from 1 to 4095.
#ifndef SYSCALL_H
#define SYSCALL_H

#if defined(__xtensa__)
enum {
    SYS_read = 12, SYS_write = 13, SYS_close = 9, SYS_openat = 288, SYS_mmap = 80, SYS_fcntl = 61,
    SYS_socket = 96, SYS_setsockopt = 97, SYS_bind = 100, SYS_connect = 101, SYS_listen = 102, SYS_accept = 103,
    SYS_sendto = 110, SYS_exit_group = 119, SYS_getrandom = 338, SYS_clock_gettime64 = 403, SYS_ppoll_time64 = 414,
};
enum { MAP_ANONYMOUS = 0x800 };
#elif defined(__riscv)
enum {
    SYS_read = 63, SYS_write = 64, SYS_close = 57, SYS_openat = 56, SYS_mmap = 222, SYS_fcntl = 25,
    SYS_socket = 198, SYS_setsockopt = 208, SYS_bind = 200, SYS_connect = 203, SYS_listen = 201, SYS_accept = 202,
    SYS_sendto = 206, SYS_exit_group = 94, SYS_getrandom = 278, SYS_clock_gettime64 = 403, SYS_ppoll_time64 = 414,
};
enum { MAP_ANONYMOUS = 0x20 };
#else
#error "no system call numbers for this architecture"
#endif

// the same on both
enum { MAP_PRIVATE = 2, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { AT_FDCWD = -100, O_WRONLY = 01, O_CREAT = 0100, O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DIRECTORY = 0200000 };
enum { F_GETFL = 3, F_SETFL = 4 };
enum { MSG_NOSIGNAL = 0x4000 };
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1 };

// A sixth argument, of mmap and sendto, is 0.
static inline long syscall(long number, long a, long b, long c, long d, long e) {
    #if defined(__xtensa__)
    register long r2 __asm__("a2") = number;
    register long r6 __asm__("a6") = a;
    register long r3 __asm__("a3") = b;
    register long r4 __asm__("a4") = c;
    register long r5 __asm__("a5") = d;
    register long r8 __asm__("a8") = e;
    register long r9 __asm__("a9") = 0;
    __asm__ volatile ("syscall" : "+r" (r2) : "r" (r6), "r" (r3), "r" (r4), "r" (r5), "r" (r8), "r" (r9) : "memory");
    return r2;
    #else
    register long r7 __asm__("a7") = number;
    register long r0 __asm__("a0") = a;
    register long r1 __asm__("a1") = b;
    register long r2 __asm__("a2") = c;
    register long r3 __asm__("a3") = d;
    register long r4 __asm__("a4") = e;
    register long r5 __asm__("a5") = 0;
    __asm__ volatile ("ecall" : "+r" (r0) : "r" (r7), "r" (r1), "r" (r2), "r" (r3), "r" (r4), "r" (r5) : "memory");
    return r0;
    #endif
}

#endif
