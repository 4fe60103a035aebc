// The network of the emulated board, in user space, by libslirp: a DHCP server, a DNS server, and this computer's
// loopback interface as 10.0.2.2. Ethernet frames go through stdin and stdout, each after its length in two bytes.
#include <arpa/inet.h>
#include <libslirp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAME 65535
#define DESCRIPTORS 1024

struct timer {
    SlirpTimerCb call;
    void *argument;
    int64_t due; // ms, below 0: not set
    struct timer *next;
};

static struct timer *timers;
static struct pollfd descriptors[DESCRIPTORS];
static int used;

static int64_t nanoseconds(void *opaque) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t milliseconds(void) {
    return nanoseconds(NULL) / 1000000;
}

static ssize_t send_frame(const void *frame, size_t length, void *opaque) {
    unsigned char out[2 + FRAME] = {length >> 8, length};
    memcpy(out + 2, frame, length);
    for (size_t at = 0; at < length + 2;) {
        ssize_t written = write(STDOUT_FILENO, out + at, length + 2 - at);
        if (written < 0) {
            exit(0); // the emulator has ended
        }
        at += written;
    }
    return length;
}

static void *timer_new(SlirpTimerCb call, void *argument, void *opaque) {
    struct timer *t = malloc(sizeof *t);
    *t = (struct timer) {call, argument, -1, timers};
    return timers = t;
}

static void timer_free(void *timer, void *opaque) {
    struct timer **at = &timers;
    while (*at != timer) {
        at = &(*at)->next;
    }
    *at = (*at)->next;
    free(timer);
}

static void timer_set(void *timer, int64_t due, void *opaque) {
    ((struct timer *)timer)->due = due;
}

// One is called each time: it may free others
static void call_timer(void) {
    for (struct timer *t = timers; t; t = t->next) {
        if (t->due >= 0 && t->due <= milliseconds()) {
            t->due = -1;
            t->call(t->argument);
            return;
        }
    }
}

static int wait_for(int descriptor, int events, void *opaque) {
    if (used == DESCRIPTORS) {
        abort();
    }
    short wanted = (events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) | (events & SLIRP_POLL_PRI ? POLLPRI : 0);
    descriptors[used] = (struct pollfd) {descriptor, wanted, 0};
    return used++;
}

static int came(int index, void *opaque) {
    short events = descriptors[index].revents;
    return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) | (events & POLLPRI ? SLIRP_POLL_PRI : 0)
           | (events & POLLERR ? SLIRP_POLL_ERR : 0) | (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void complain(const char *message, void *opaque) {
    fprintf(stderr, "lan: %s\n", message);
}

static void ignore(void *opaque) {
}

static void ignore_descriptor(int descriptor, void *opaque) {
}

static void take_frames(Slirp *slirp) {
    static unsigned char in[2 * (2 + FRAME)];
    static size_t have;
    ssize_t n = read(STDIN_FILENO, in + have, sizeof in - have);
    if (n <= 0) {
        exit(0);
    }
    have += n;
    size_t at = 0, length;
    while (have - at >= 2 && have - at >= 2 + (length = in[at] << 8 | in[at + 1])) {
        slirp_input(slirp, in + at + 2, length);
        at += 2 + length;
    }
    memmove(in, in + at, have -= at);
}

int main(void) {
    static const SlirpCb calls = {
        .send_packet = send_frame, .guest_error = complain, .clock_get_ns = nanoseconds, .timer_new = timer_new,
        .timer_free = timer_free, .timer_mod = timer_set, .register_poll_fd = ignore_descriptor,
        .unregister_poll_fd = ignore_descriptor, .notify = ignore,
    };
    SlirpConfig config = {.version = 1, .in_enabled = true};
    inet_aton("10.0.2.0", &config.vnetwork);
    inet_aton("255.255.255.0", &config.vnetmask);
    inet_aton("10.0.2.2", &config.vhost);
    inet_aton("10.0.2.3", &config.vnameserver);
    inet_aton("10.0.2.15", &config.vdhcp_start);
    signal(SIGPIPE, SIG_IGN);
    Slirp *slirp = slirp_new(&config, &calls, NULL);
    for (;;) {
        uint32_t timeout = 1000;
        used = 0;
        slirp_pollfds_fill(slirp, &timeout, wait_for, NULL);
        for (struct timer *t = timers; t; t = t->next) {
            if (t->due >= 0) {
                int64_t left = t->due - milliseconds();
                timeout = left < 0 ? 0 : left < timeout ? left : timeout;
            }
        }
        int frames = wait_for(STDIN_FILENO, SLIRP_POLL_IN, NULL);
        int failed = poll(descriptors, used, timeout) < 0;
        slirp_pollfds_poll(slirp, failed, came, NULL);
        call_timer();
        if (descriptors[frames].revents) {
            take_frames(slirp);
        }
    }
}
