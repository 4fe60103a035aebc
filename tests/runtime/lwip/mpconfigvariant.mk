# The unix port with a board's sockets: extmod/modlwip.c over lwIP, see lan.c.
MICROPY_PY_LWIP = 1
MICROPY_PY_SOCKET = 0
MICROPY_PY_THREAD = 0
INC += -I$(VARIANT_DIR)
LDFLAGS += -lslirp
