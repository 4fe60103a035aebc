SRC_USERMOD_C += $(USERMOD_DIR)/failalloc.c
LDFLAGS_USERMOD += -Wl,--wrap=gc_alloc,--wrap=gc_realloc
