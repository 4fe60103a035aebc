// What names.h lists, as objects of C.
#include "names.h"

// Words, since the flash of some chips cannot be read by less.
#define NAME(name) extern const mp_uint_t mqtt_as_name_##name __asm__("MP_QSTR_" #name); \
    const mp_uint_t mqtt_as_name_##name = MP_QSTR_##name;

#define FUNCTION(name) { MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_PTR(&mqtt_as_##name##_obj) },
#define DECLARE(name) extern const mp_obj_base_t mqtt_as_##name##_obj;

#define METHOD(class, name) { MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_PTR(&mqtt_as_##class##_##name##_obj) },
#define DECLARE_METHOD(class, name) DECLARE(class##_##name)
#define CLASS(class) \
    METHODS_##class(DECLARE_METHOD) \
    mp_obj_t mqtt_as_##class##_make_new(const mp_obj_type_t *, size_t, size_t, const mp_obj_t *); \
    static const mp_rom_map_elem_t class##_locals_dict_table[] = { METHODS_##class(METHOD) }; \
    static MP_DEFINE_CONST_DICT(class##_locals_dict, class##_locals_dict_table); \
    extern const mp_obj_type_t mqtt_as_##class##_type; \
    MP_DEFINE_CONST_OBJ_TYPE(mqtt_as_##class##_type, MP_QSTR_##class, MP_TYPE_FLAG_NONE, \
    make_new, mqtt_as_##class##_make_new, locals_dict, &class##_locals_dict);

#define TYPE(class) { MP_ROM_QSTR(MP_QSTR_##class), MP_ROM_PTR(&mqtt_as_##class##_type) },
