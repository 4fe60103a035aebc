#define MICROPY_HW_BOARD_NAME "Raspberry Pi Pico (emulated)"
#define MICROPY_HW_FLASH_STORAGE_BYTES (1408 * 1024)
#define MICROPY_PY_NETWORK (1)

// ../wlan/wlan.c
extern const struct _mp_obj_type_t wlan_type;
#define MICROPY_BOARD_NETWORK_INTERFACES {MP_ROM_QSTR(MP_QSTR_WLAN), MP_ROM_PTR(&wlan_type)},
#define MICROPY_BOARD_PENDSV_ENTRIES PENDSV_DISPATCH_WLAN,
