// The network of this runtime: an Ethernet interface of lwIP, and libslirp at the other end of its cable, in one process.
//
// 127.0.0.1 is the host, so that scripts reach what the tests start there, and localhost its name. 127.0.0.15 is this end,
// 127.0.0.3 a resolver that asks the host's.
//
// The module `lan`:
//
// cable(*, delay=0, drop=False, hold=False, delayed_ack=0)
//     What the cable does from now on: it adds `delay` ms to a round trip; it loses all frames, those under way too; it
//     stands still until it is let go, and loses nothing. `delayed_ack`: ms for which the host puts off to acknowledge what
//     it does not answer, as Linux does for 40 ms (libslirp: 2).
// sent()
//     TCP segments with data in them that have been sent by lwIP.
#include <poll.h>
#include <slirp/libslirp.h>
#include <string.h>
#include <time.h>

// or both lwIP and the system define htonl()
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "py/mphal.h"
#include "py/runtime.h"

#define MILLISECOND (1000000LL)
#define MTU (1500)

int mp_mod_network_prefer_dns_use_ip_version = 4;  // modlwip.c asks for it

u32_t sys_now(void) {
    return mp_hal_ticks_ms();
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 * MILLISECOND + t.tv_nsec;
}

// --- the cable

typedef struct _frame_t {
    struct _frame_t *next;
    int64_t due;  // ns
    bool put_off;  // an acknowledgement and nothing else
    size_t len;
    uint8_t data[];
} frame_t;

typedef struct {
    frame_t *first;  // in order of their arrival
    void (*deliver)(const uint8_t *data, size_t len);
} lane_t;

static int64_t one_way, acknowledgement;  // ns
static bool dropping, holding;
static mp_uint_t segments_sent;

static void to_host(const uint8_t *data, size_t len);
static void to_board(const uint8_t *data, size_t len);
static lane_t outbound = {NULL, to_host};
static lane_t inbound = {NULL, to_board};

// TCP over IPv4: bytes of data in the frame; below 0: it is something else, or has other flags than ACK and PSH.
static int tcp_data(const uint8_t *frame, size_t len) {
    if (len < 54 || frame[12] != 8 || frame[13] != 0 || frame[23] != IPPROTO_TCP) {
        return -1;
    }
    size_t ip = (frame[14] & 15) * 4, tcp = (frame[14 + ip + 12] >> 4) * 4;
    return (frame[14 + ip + 13] & ~8) == 16 ? (frame[16] << 8 | frame[17]) - (int)(ip + tcp) : -1;
}

// Of the same connection: both have a header of 20 bytes, since libslirp sends no IP options.
static bool same_ports(const frame_t *a, const frame_t *b) {
    return memcmp(a->data + 34, b->data + 34, 4) == 0;
}

static uint32_t acknowledged(const frame_t *f) {
    const uint8_t *p = f->data + 42;
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void enqueue(lane_t *lane, const void *data, size_t len) {
    if (dropping) {
        return;
    }
    frame_t *f = malloc(sizeof(*f) + len), **last = &lane->first;
    *f = (frame_t) {.due = now_ns() + one_way, .len = len};
    memcpy(f->data, data, len);
    f->put_off = lane == &inbound && acknowledgement > 0 && tcp_data(f->data, len) == 0;
    if (f->put_off) {
        f->due += acknowledgement;
    }
    while (*last != NULL) {
        frame_t *earlier = *last;
        if (earlier->put_off && same_ports(earlier, f)) {
            if (!f->put_off) {
                earlier->put_off = false;  // data takes it along
                earlier->due = f->due;
            } else if (acknowledged(f) - acknowledged(earlier) >= 2 * TCP_MSS) {
                f->due -= acknowledgement;
                f->put_off = false;
            } else {
                f->due = earlier->due;  // and takes its place
                *last = earlier->next;
                free(earlier);
                continue;
            }
        }
        last = &earlier->next;
    }
    *last = f;
}

// All that is due; ns until more is.
static int64_t deliver(lane_t *lane) {
    int64_t now = now_ns(), next = INT64_MAX;
    frame_t **at = &lane->first;
    while (*at != NULL && !holding) {
        frame_t *f = *at;
        if (f->due > now) {
            next = MIN(next, f->due - now);
            at = &f->next;
            continue;
        }
        *at = f->next;
        lane->deliver(f->data, f->len);  // which may add others at the end of the lanes
        free(f);
    }
    return next;
}

static void lose(lane_t *lane) {
    while (lane->first != NULL) {
        frame_t *f = lane->first;
        lane->first = f->next;
        free(f);
    }
}

// --- the host's end

static Slirp *slirp;

static struct pollfd fds[64];
static nfds_t fds_used;

static int add_fd(int fd, int events, void *opaque) {
    if (fds_used == MP_ARRAY_SIZE(fds)) {
        return -1;
    }
    fds[fds_used] = (struct pollfd) {.fd = fd};
    if (events & SLIRP_POLL_IN) {
        fds[fds_used].events |= POLLIN;
    }
    if (events & SLIRP_POLL_OUT) {
        fds[fds_used].events |= POLLOUT;
    }
    if (events & SLIRP_POLL_PRI) {
        fds[fds_used].events |= POLLPRI;
    }
    return fds_used++;
}

static int events_of(int index, void *opaque) {
    int r = index < 0 ? 0 : fds[index].revents;
    return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) | (r & POLLPRI ? SLIRP_POLL_PRI : 0) |
           (r & POLLERR ? SLIRP_POLL_ERR : 0) | (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void to_host(const uint8_t *data, size_t len) {
    slirp_input(slirp, data, len);
}

static ssize_t slirp_sends(const void *data, size_t len, void *opaque) {
    enqueue(&inbound, data, len);
    return len;
}

static int64_t slirp_clock(void *opaque) {
    return now_ns();
}

static void slirp_complains(const char *message, void *opaque) {
    mp_printf(&mp_stderr_print, "lan: %s\n", message);
}

// Timers are for IPv6, and events of descriptors for who does not poll them.
static void *no_timer(SlirpTimerCb callback, void *argument, void *opaque) {
    return NULL;
}
static void no_timer_free(void *timer, void *opaque) {
}
static void no_timer_mod(void *timer, int64_t expires, void *opaque) {
}
static void no_fd(int fd, void *opaque) {
}
static void no_notice(void *opaque) {
}

static const SlirpCb slirp_calls = {
    .send_packet = slirp_sends,
    .guest_error = slirp_complains,
    .clock_get_ns = slirp_clock,
    .timer_new = no_timer,
    .timer_free = no_timer_free,
    .timer_mod = no_timer_mod,
    .register_poll_fd = no_fd,
    .unregister_poll_fd = no_fd,
    .notify = no_notice,
};

// --- the board's end

static struct netif netif;

static void to_board(const uint8_t *data, size_t len) {
    struct pbuf *p = pbuf_alloc(PBUF_RAW, len, PBUF_POOL);
    if (p == NULL) {
        return;  // lost, as on a board
    }
    pbuf_take(p, data, len);
    if (netif.input(p, &netif) != ERR_OK) {
        pbuf_free(p);
    }
}

static err_t lwip_sends(struct netif *netif, struct pbuf *p) {
    static uint8_t frame[MTU + 14];
    pbuf_copy_partial(p, frame, sizeof(frame), 0);
    if (tcp_data(frame, p->tot_len) > 0) {
        segments_sent++;
    }
    enqueue(&outbound, frame, p->tot_len);
    deliver(&outbound);
    return ERR_OK;
}

static err_t netif_begin(struct netif *netif) {
    netif->linkoutput = lwip_sends;
    netif->output = etharp_output;
    netif->mtu = MTU;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, "\x02\0\0\0\0\x0f", 6);
    return ERR_OK;
}

// --- both

static int64_t stepped;  // ns

// Waits for the host, ms at most, then lets both ends take what came.
static void advance(uint32_t ms) {
    fds_used = 0;
    slirp_pollfds_fill(slirp, &ms, add_fd, NULL);
    int error = poll(fds, fds_used, ms) < 0;
    slirp_pollfds_poll(slirp, error, events_of, NULL);
    deliver(&outbound);
    deliver(&inbound);
    sys_check_timeouts();
    stepped = now_ns();
}

// Looks whether something came, if that is not known anyway.
void lan_step(void) {
    if (now_ns() - stepped > MILLISECOND / 4) {
        advance(0);
    }
}

// Waits a millisecond at most, since who calls may wait for other things as well.
void lan_wait(void) {
    int64_t next = MIN(deliver(&outbound), deliver(&inbound));
    advance(next < MILLISECOND ? 0 : 1);
}

__attribute__((constructor)) static void lan_begin(void) {
    SlirpConfig config = {.version = 1, .in_enabled = true};
    config.vnetwork.s_addr = PP_HTONL(0x7f000000);
    config.vnetmask.s_addr = PP_HTONL(0xff000000);
    config.vhost.s_addr = PP_HTONL(0x7f000001);
    config.vnameserver.s_addr = PP_HTONL(0x7f000003);
    config.vdhcp_start.s_addr = PP_HTONL(0x7f00000f);
    slirp = slirp_new(&config, &slirp_calls, NULL);
    lwip_init();
    const ip4_addr_t address = {config.vdhcp_start.s_addr}, mask = {config.vnetmask.s_addr}, host = {config.vhost.s_addr};
    netif_add(&netif, &address, &mask, &host, NULL, netif_begin, ethernet_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    ip_addr_t resolver;
    ip_addr_set_ip4_u32_val(resolver, config.vnameserver.s_addr);
    dns_setserver(0, &resolver);
}

// --- the module

static mp_obj_t lan_cable(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_delay, ARG_drop, ARG_hold, ARG_delayed_ack };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_delay, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_drop, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false}},
        {MP_QSTR_hold, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false}},
        {MP_QSTR_delayed_ack, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    one_way = args[ARG_delay].u_int * MILLISECOND / 2;
    dropping = args[ARG_drop].u_bool;
    holding = args[ARG_hold].u_bool;
    acknowledgement = args[ARG_delayed_ack].u_int * MILLISECOND;
    if (dropping) {
        lose(&outbound);
        lose(&inbound);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(lan_cable_obj, 0, lan_cable);

static mp_obj_t lan_sent(void) {
    return mp_obj_new_int_from_uint(segments_sent);
}
static MP_DEFINE_CONST_FUN_OBJ_0(lan_sent_obj, lan_sent);

static const mp_rom_map_elem_t lan_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_lan)},
    {MP_ROM_QSTR(MP_QSTR_cable), MP_ROM_PTR(&lan_cable_obj)},
    {MP_ROM_QSTR(MP_QSTR_sent), MP_ROM_PTR(&lan_sent_obj)},
};
static MP_DEFINE_CONST_DICT(lan_globals, lan_globals_table);

const mp_obj_module_t lan_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&lan_globals,
};
MP_REGISTER_MODULE(MP_QSTR_lan, lan_module);
