// What extmod/modselect.c needs to wait for file descriptors, over ppoll.
#ifndef POLL_H
#define POLL_H

#define POLLIN 0x01
#define POLLOUT 0x04
#define POLLERR 0x08
#define POLLHUP 0x10
#define POLLNVAL 0x20

struct pollfd {
    int fd;
    short events, revents;
};

// As in POSIX; on an error -1 and errno.
int poll(struct pollfd *fds, unsigned int count, int timeout_ms);

// Not the C library's, which is thread local: that takes a set-up this port has not.
extern int errno;
#define EINTR 4

#endif
