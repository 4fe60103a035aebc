// The configuration of a native module, as tools/mpy_ld.py of MicroPython writes it, less the qstrs:
// those are link-time symbols here.
#include <stdint.h>
typedef uintptr_t mp_uint_t;
typedef intptr_t mp_int_t;
typedef uintptr_t mp_off_t;
