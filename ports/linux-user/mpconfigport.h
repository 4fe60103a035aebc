// Close to what the ports of the real chips set, where it matters to native modules; all else as far as the tests need it.
#include <alloca.h>
#include <stddef.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#if defined(__XTENSA_CALL0_ABI__) // as ports/esp8266
#define MICROPY_EMIT_XTENSA (1)
#define MICROPY_OBJ_REPR (MICROPY_OBJ_REPR_C)
#define MICROPY_HW_MCU_NAME "xtensa"
#elif defined(__XTENSA_WINDOWED_ABI__) // as ports/esp32
#define MICROPY_EMIT_XTENSAWIN (1)
#define MICROPY_NLR_SETJMP (1)
#define MICROPY_HW_MCU_NAME "xtensawin"
#else
#define MICROPY_EMIT_RV32 (1)
#define MICROPY_HW_MCU_NAME "rv32imc"
#endif

// Xtensa chips execute no code from their heap: it moves to memory of its own, for good.
#if defined(__xtensa__)
void *commit_code(const void *code, size_t len, void *reloc);
#define MP_PLAT_COMMIT_EXEC(code, len, reloc) commit_code(code, len, reloc)
#endif

#define MICROPY_ENABLE_GC (1)
#define MICROPY_STACK_CHECK (1)
#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_ENABLE_EXTERNAL_IMPORT (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_HAS_FILE_READER (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_HELPER_REPL (0)
#define MICROPY_KBD_EXCEPTION (0)
#define MICROPY_VFS (0)
#define MICROPY_USE_INTERNAL_ERRNO (1) // Linux's numbers; the C library has others
#define MICROPY_USE_INTERNAL_PRINTF (1)

#define MICROPY_PY_ASYNCIO (1)
#define MICROPY_PY_OS (1)
#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_SELECT_SELECT (0)
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (1)
#define MICROPY_PY_SYS_PLATFORM "linux"
#define MICROPY_PY_SYS_STDFILES (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (0)
#define MICROPY_PY_TIME_INCLUDEFILE "porttime.h"
#define MICROPY_PY_BUILTINS_INPUT (0)
#define MICROPY_PY_CRYPTOLIB (0)
#define MICROPY_PY_MACHINE (0)
#define MICROPY_PY_SSL (0)
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (random_seed())

uint32_t random_seed(void);

#define MICROPY_HW_BOARD_NAME "linux-user"

#define MP_NEED_LOG2 (1)
#define MP_SSIZE_MAX (0x7fffffff)
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;

#define MP_STATE_PORT MP_STATE_VM
