# A Raspberry Pi Pico, beside whose RP2040 there is an interface to a network that only ../emulator.mjs has.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_PY_LWIP ON)
set(MICROPY_SOURCE_BOARD ${MICROPY_BOARD_DIR}/wlan.c)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
# Where micropython-lib would be, of which nothing is frozen here: a folder with a README.md
set(MICROPY_LIB_DIR ${MICROPY_DIR}/lib)
