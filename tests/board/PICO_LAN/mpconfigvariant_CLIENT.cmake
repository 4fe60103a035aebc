# With the client in it.
set(USER_C_MODULES ${MICROPY_BOARD_DIR}/../../../ports/micropython.cmake)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/client/manifest.py)
