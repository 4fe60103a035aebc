// The module _mqtt_tls of a firmware, whose object file has it beside _mqtt_as: see mqtt_as.c, which this is built with.
#include "py/builtin.h"
#include "py/runtime.h"
#include "module.h"

NAMES_TLS(NAME)

CLASSES_TLS(CLASS)

static const mp_rom_map_elem_t mp_module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__mqtt_tls) },
    { MP_ROM_QSTR(MP_QSTR_Connection), MP_ROM_PTR(&mqtt_as_tls_Connection_type) },
};
static MP_DEFINE_CONST_DICT(mp_module_globals, mp_module_globals_table);

const mp_obj_module_t mp_module_mqtt_tls = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&mp_module_globals,
};
MP_REGISTER_MODULE(MP_QSTR__mqtt_tls, mp_module_mqtt_tls);
