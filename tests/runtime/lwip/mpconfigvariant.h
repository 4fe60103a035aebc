#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#include "variants/mpconfigvariant_common.h"

// As on a board, what is polled has no file descriptor: nothing waits in the system's poll().
#undef MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (0)

// On a board lwIP goes on in interrupts. Here it does where Python waits, and between the turns of its loops.
void lan_step(void);
void lan_wait(void);
#define MICROPY_INTERNAL_EVENT_HOOK lan_step()
#define MICROPY_EVENT_POLL_HOOK mp_handle_pending(true); lan_wait();
#define MICROPY_VM_HOOK_LOOP lan_step();
