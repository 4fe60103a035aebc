// What the objects that `freeze` makes are made of, beside MicroPython's headers, and how mqtt_as.c finds them.
#include "py/bc.h"
#include "py/emitglue.h"
#include "py/objfun.h"
#include "py/objint.h"
#include "py/objstr.h"
#include "py/objtuple.h"

#if MICROPY_PY_SYS_SETTRACE
#error "mqtt_as: functions in flash cannot be traced: leave MICROPY_PY_SYS_SETTRACE off"
#endif
#if !MICROPY_PY_BUILTINS_FLOAT
#error "mqtt_as: the client waits for fractions of a second: MICROPY_FLOAT_IMPL must not be MICROPY_FLOAT_IMPL_NONE"
#endif

// The hash of a text, given in 16 bits, in those that the port has for it. Not 0, which is none: an exception sets that of
// its message, which would be written to flash.
#define TEXT_HASH(hash) (MICROPY_QSTR_BYTES_IN_HASH != 1 ? (hash) : (hash) & 0xff ? (hash) & 0xff : 1)

typedef struct { // As py/objproperty.c has it
    mp_obj_base_t base;
    mp_rom_obj_t get_set_delete[3];
} property_t;

typedef struct { // As py/objfloat.c has it
    mp_obj_base_t base;
    mp_float_t value;
} mp_obj_float_t;

typedef struct { // As py/objclosure.c has it
    mp_obj_base_t base;
    mp_rom_obj_t function;
    size_t closed;
    mp_rom_obj_t cell[1];
} closure_t;

extern const mp_obj_type_t mp_type_closure;

// The methods of a class, and where those look for it that call super(): NULL if none does. To Python it is a dict.
typedef struct {
    mp_obj_dict_t methods;
    mp_obj_cell_t *cell;
} class_t;

#define METHODS(entries) { \
    .base = { &mp_type_dict }, \
    .map = { \
        .all_keys_are_qstrs = 1, .is_fixed = 1, .is_ordered = 1, \
        .used = MP_ARRAY_SIZE(entries), .alloc = MP_ARRAY_SIZE(entries), \
        .table = (mp_map_elem_t *)(mp_rom_map_elem_t *)entries, \
    }, \
}

// A Python module: functions and classes by their names. By way of the context, which is a variable, they find the
// module's other names.
typedef struct {
    const char *module;
    mp_module_context_t *context;
    const mp_obj_dict_t *names;
} mqtt_as_frozen_t;

extern const mqtt_as_frozen_t mqtt_as_frozen[]; // The last one's module is NULL
