// A MicroPython with what the crate micropython works on. The table of functions comes with the emitter.
#include <port/mpconfigport_common.h>

#define MICROPY_CONFIG_ROM_LEVEL            (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_ENABLE_COMPILER             (1)
#define MICROPY_ENABLE_GC                   (1)
#define MICROPY_LONGINT_IMPL                (MICROPY_LONGINT_IMPL_MPZ)
// The port for embedding sets no limit of the stack.
#define MICROPY_STACK_CHECK                 (0)
#if defined(__x86_64__)
#define MICROPY_EMIT_X64                    (1)
#endif
// AddressSanitizer knows of setjmp(), not of MicroPython's own.
#define MICROPY_NLR_SETJMP                  (1)
#define MICROPY_ERROR_REPORTING             (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_PY_SYS_PLATFORM             "tests"
#define MICROPY_CAN_OVERRIDE_BUILTINS       (1)

// Modules whose sources are no part of py/.
#define MICROPY_PY_ASYNCIO                  (0)
#define MICROPY_PY_BINASCII                 (0)
#define MICROPY_PY_CRYPTOLIB                (0)
#define MICROPY_PY_DEFLATE                  (0)
#define MICROPY_PY_FRAMEBUF                 (0)
#define MICROPY_PY_HASHLIB                  (0)
#define MICROPY_PY_HEAPQ                    (0)
#define MICROPY_PY_JSON                     (0)
#define MICROPY_PY_MACHINE                  (0)
#define MICROPY_PY_ONEWIRE                  (0)
#define MICROPY_PY_OS                       (0)
#define MICROPY_PY_PLATFORM                 (0)
#define MICROPY_PY_RANDOM                   (0)
#define MICROPY_PY_RE                       (0)
#define MICROPY_PY_SELECT                   (0)
#define MICROPY_PY_SSL                      (0)
#define MICROPY_PY_TIME                     (0)
#define MICROPY_PY_UCTYPES                  (0)
#define MICROPY_PY_WEBSOCKET                (0)
#define MICROPY_PY_LWIP                     (0)
#define MICROPY_PY_BUILTINS_INPUT           (0)
#define MICROPY_ENABLE_EXTERNAL_IMPORT      (0)
#define MICROPY_PY_SYS_STDFILES             (0)
#define MICROPY_PY_BUILTINS_EXECFILE        (0)
#define MICROPY_KBD_EXCEPTION               (0)
#define MICROPY_HELPER_REPL                 (0)
#define MICROPY_VFS                         (0)
#define MICROPY_ENABLE_SCHEDULER            (0)
