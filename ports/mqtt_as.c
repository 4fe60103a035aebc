// The module _mqtt_as of a firmware: what its object file, made by `library`, leaves to C. It is all constant.
//
// names.h lists what the object file wants and has. The functions of the runtime it calls through mp_fun_table, as a
// native module does.
#include <string.h>
#include "py/builtin.h"
#include "py/nativeglue.h"
#include "py/objfun.h"
#include "py/runtime.h"
#include "frozen.h"
#include "module.h"

#if MPY_VERSION != 6 || MPY_SUB_VERSION != 3
#error "mqtt_as: this MicroPython's function table is not that of 1.23 and later"
#endif
#if !MICROPY_EMIT_NATIVE
#error "mqtt_as: needs the function table of native code: define MICROPY_EMIT_THUMB or whatever emitter this CPU has as 1"
#endif
#if MICROPY_OBJ_REPR == MICROPY_OBJ_REPR_D
#error "mqtt_as: needs objects of one word, not MICROPY_OBJ_REPR_D"
#endif

NAMES(NAME)

CLASSES(CLASS)

// What the ESP8266's linker script does not find in the folders it knows goes into the RAM for code, of which little is left.
#if defined(__XTENSA_CALL0_ABI__)
#define IN_FLASH __attribute__((section(".irom0.text")))
#else
#define IN_FLASH
#endif

// from_flash(): the module that calls it has its functions then. A package and its modules may share one dict of names.
// from_flash(name, base, ...): gives a class of that module, which is made of its methods.
static mp_obj_t IN_FLASH from_flash(size_t n_args, const mp_obj_t *args) {
    mp_obj_dict_t *globals = mp_globals_get();
    const char *name = mp_obj_str_get_str(mp_obj_dict_get(MP_OBJ_FROM_PTR(globals), MP_OBJ_NEW_QSTR(MP_QSTR___name__)));
    bool found = false;
    for (size_t m = 0; mqtt_as_frozen[m].module != NULL; m++) {
        if (strcmp(mqtt_as_frozen[m].module, name) != 0) {
            continue;
        }
        found = true;
        mqtt_as_frozen[m].context->module.globals = globals;
        MP_STATE_VM(mqtt_as_globals)[m] = globals; // The collector does not see the context
        const mp_map_t *names = &mqtt_as_frozen[m].names->map;
        for (size_t i = 0; i < names->used; i++) {
            bool is_class = mp_obj_is_type(names->table[i].value, &mp_type_dict);
            if (n_args == 0 && !is_class) {
                mp_obj_dict_store(MP_OBJ_FROM_PTR(globals), names->table[i].key, names->table[i].value);
            } else if (n_args != 0 && is_class && mp_obj_equal(names->table[i].key, args[0])) {
                const class_t *methods = MP_OBJ_TO_PTR(names->table[i].value);
                mp_obj_t bases = mp_obj_new_tuple(n_args - 1, args + 1);
                mp_obj_t type = mp_obj_new_type(mp_obj_str_get_qstr(args[0]), bases, MP_OBJ_FROM_PTR(&methods->methods));
                if (methods->cell != NULL) {
                    methods->cell->obj = type;
                }
                return type;
            }
        }
    }
    if (!found || n_args != 0) {
        mp_raise_msg(&mp_type_ImportError, MP_ERROR_TEXT("frozen, but not in _mqtt_as: build both with the same MQTT_PACKAGES"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR(from_flash_obj, 0, from_flash);

FUNCTIONS(DECLARE)
static const mp_rom_map_elem_t mp_module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__mqtt_as) },
    { MP_ROM_QSTR(MP_QSTR_from_flash), MP_ROM_PTR(&from_flash_obj) },
    CLASSES(TYPE)
    FUNCTIONS(FUNCTION)
};
static MP_DEFINE_CONST_DICT(mp_module_globals, mp_module_globals_table);

const mp_obj_module_t mp_module_mqtt_as = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&mp_module_globals,
};
MP_REGISTER_MODULE(MP_QSTR__mqtt_as, mp_module_mqtt_as);

// What compilers call on their own, for the C libraries that lack it.
#define WEAK(type, name, ...) __attribute__((weak)) type name(__VA_ARGS__); \
    __attribute__((weak)) IN_FLASH type name(__VA_ARGS__)

WEAK(int, bcmp, const void *a, const void *b, size_t n) {
    return memcmp(a, b, n);
}

#if defined(__arm__)
#define COPY(name) WEAK(void, name, void *to, const void *from, size_t n) { memmove(to, from, n); }
#define SET(name) WEAK(void, name, void *to, size_t n, int byte) { memset(to, byte, n); }
#define CLEAR(name) WEAK(void, name, void *to, size_t n) { memset(to, 0, n); }
COPY(__aeabi_memcpy)
COPY(__aeabi_memcpy4)
COPY(__aeabi_memcpy8)
COPY(__aeabi_memmove)
COPY(__aeabi_memmove4)
COPY(__aeabi_memmove8)
SET(__aeabi_memset)
SET(__aeabi_memset4)
SET(__aeabi_memset8)
CLEAR(__aeabi_memclr)
CLEAR(__aeabi_memclr4)
CLEAR(__aeabi_memclr8)
#endif
