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

// A Python module: functions, and dicts of methods by the names of classes. By way of the context, which is the only
// variable here, they find the module's other names.
typedef struct {
    const char *module;
    mp_module_context_t *context;
    const mp_obj_dict_t *names;
} mqtt_as_frozen_t;

extern const mqtt_as_frozen_t mqtt_as_frozen[]; // The last one's module is NULL
