// network.WLAN for the emulated board: the interface of ../emulator.mjs under lwIP, in the way and with the status codes
// in which MicroPython has the CYW43 of a Pico W: frames come in at the level of PendSV, DHCP gives the address.
#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modnetwork.h"
#include "shared/netutils/netutils.h"
#include "hardware/irq.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/netif.h"
#include "netif/ethernet.h"
#include "pendsv.h"

static volatile struct {
    int32_t state;
    uint32_t rx_length, rx_address, tx_address, tx_length, join;
} *const chip = (void *)0x60000000;

#define INTERRUPT 26
#define FRAME 1514
#define JOINED 3
#define WITHOUT_ADDRESS 2

typedef struct {
    mp_obj_base_t base;
    bool active;
    uint32_t dropped; // frames for which lwIP had no buffer
    struct netif netif;
    struct dhcp dhcp;
} wlan_t;

const mp_obj_type_t wlan_type;
static wlan_t wlan = {.base = {&wlan_type}};

static void take_frames(void) {
    static uint8_t frame[FRAME];
    bool joined = chip->state == JOINED;
    if (joined && !netif_is_link_up(&wlan.netif)) {
        netif_set_link_up(&wlan.netif);
    } else if (!joined && netif_is_link_up(&wlan.netif)) {
        netif_set_link_down(&wlan.netif);
    }
    for (size_t length; (length = chip->rx_length);) {
        chip->rx_address = (uintptr_t)frame;
        struct pbuf *p = pbuf_alloc(PBUF_RAW, length, PBUF_POOL);
        if (p == NULL) {
            wlan.dropped++;
            continue;
        }
        pbuf_take(p, frame, length);
        if (wlan.netif.input(p, &wlan.netif) != ERR_OK) {
            pbuf_free(p);
        }
    }
}

static void interrupt(void) {
    pendsv_schedule_dispatch(PENDSV_DISPATCH_WLAN, take_frames);
}

static err_t send_frame(struct netif *netif, struct pbuf *p) {
    static uint8_t frame[FRAME];
    chip->tx_address = (uintptr_t)frame;
    chip->tx_length = pbuf_copy_partial(p, frame, sizeof frame, 0);
    return ERR_OK;
}

static err_t begin(struct netif *netif) {
    netif->linkoutput = send_frame;
    netif->output = etharp_output;
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, "\x02\0\0\0\0\x01", ETH_HWADDR_LEN);
    memcpy(netif->name, "w0", sizeof netif->name);
    return ERR_OK;
}

static mp_obj_t make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    return &wlan;
}

static mp_obj_t active(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1 || mp_obj_is_true(args[1]) == wlan.active) {
        return mp_obj_new_bool(wlan.active);
    }
    MICROPY_PY_LWIP_ENTER
    wlan.active = !wlan.active;
    if (wlan.active) {
        netif_add(&wlan.netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, begin, ethernet_input);
        netif_set_hostname(&wlan.netif, mod_network_hostname_data);
        netif_set_default(&wlan.netif);
        netif_set_up(&wlan.netif);
        dhcp_set_struct(&wlan.netif, &wlan.dhcp);
        dhcp_start(&wlan.netif);
        irq_set_exclusive_handler(INTERRUPT, interrupt);
        irq_set_enabled(INTERRUPT, true);
    } else {
        irq_set_enabled(INTERRUPT, false);
        irq_remove_handler(INTERRUPT, interrupt);
        chip->join = 0;
        dhcp_stop(&wlan.netif);
        netif_remove(&wlan.netif);
    }
    MICROPY_PY_LWIP_EXIT
    return mp_obj_new_bool(wlan.active);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(active_obj, 1, 2, active);

static mp_obj_t connect(size_t n_args, const mp_obj_t *args) {
    if (!wlan.active) {
        mp_raise_OSError(MP_EPERM);
    }
    chip->join = 1;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(connect_obj, 1, 3, connect);

static mp_obj_t disconnect(mp_obj_t self) {
    chip->join = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(disconnect_obj, disconnect);

static int current(void) {
    int state = wlan.active ? chip->state : 0;
    return state == JOINED && ip4_addr_isany_val(*netif_ip4_addr(&wlan.netif)) ? WITHOUT_ADDRESS : state;
}

static mp_obj_t status(size_t n_args, const mp_obj_t *args) {
    return MP_OBJ_NEW_SMALL_INT(current());
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(status_obj, 1, 2, status);

static mp_obj_t isconnected(mp_obj_t self) {
    return mp_obj_new_bool(current() == JOINED);
}
static MP_DEFINE_CONST_FUN_OBJ_1(isconnected_obj, isconnected);

static mp_obj_t ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&wlan.netif, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ifconfig_obj, 1, 2, ifconfig);

// Power saving and the like are taken and not modelled
static mp_obj_t config(size_t n_args, const mp_obj_t *args, mp_map_t *named) {
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(config_obj, 1, config);

static mp_obj_t dropped(mp_obj_t self) {
    return mp_obj_new_int(wlan.dropped);
}
static MP_DEFINE_CONST_FUN_OBJ_1(dropped_obj, dropped);

static const mp_rom_map_elem_t locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&active_obj)},
    {MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&connect_obj)},
    {MP_ROM_QSTR(MP_QSTR_disconnect), MP_ROM_PTR(&disconnect_obj)},
    {MP_ROM_QSTR(MP_QSTR_status), MP_ROM_PTR(&status_obj)},
    {MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&isconnected_obj)},
    {MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&ifconfig_obj)},
    {MP_ROM_QSTR(MP_QSTR_config), MP_ROM_PTR(&config_obj)},
    {MP_ROM_QSTR(MP_QSTR_dropped), MP_ROM_PTR(&dropped_obj)},
    {MP_ROM_QSTR(MP_QSTR_IF_STA), MP_ROM_INT(0)},
    {MP_ROM_QSTR(MP_QSTR_PM_NONE), MP_ROM_INT(0)},
};
static MP_DEFINE_CONST_DICT(locals_dict, locals_table);
MP_DEFINE_CONST_OBJ_TYPE(wlan_type, MP_QSTR_WLAN, MP_TYPE_FLAG_NONE, make_new, make_new, locals_dict, &locals_dict);
