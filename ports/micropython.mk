# The module _mqtt_as as a part of a firmware, for MicroPython's ports that are built by make:
#     make USER_C_MODULES=/path/to/the/checkout FROZEN_MANIFEST=... (see manifest.py)
# With MQTT=3.1.1 it is a fifth smaller and without MQTT 5. MQTT_PACKAGES="mqtt_as umqtt": what of python/ is frozen.
# With TLS=1 it has _mqtt_tls and mqtt_as.tls13, too: TLS 1.3, see docs/TLS13.md; TLS=p256 a smaller one.
SRC_USERMOD_C += $(USERMOD_DIR)/mqtt_as.c
ifeq ($(MQTT),3.1.1)
CFLAGS_USERMOD += -DMQTT_AS_3_1_1=1
endif

ifneq ($(filter 1 p256,$(TLS)),)
SRC_USERMOD_C += $(USERMOD_DIR)/mqtt_tls.c
endif

MQTT_AS_DIR := $(USERMOD_DIR)
# in a folder of this name, which the linker script of the ESP8266 puts into flash
MQTT_AS_O = $(BUILD)/mqtt_as/extmod/module.o
PY_O += $(MQTT_AS_O)

# The Python layer's objects. `freeze` knows what of them is out of date: of which packages they are may change.
export MQTT_PACKAGES TLS
MQTT_AS_FROZEN = $(BUILD)/mqtt_as/frozen.c
SRC_QSTR += $(MQTT_AS_FROZEN)
PY_O += $(MQTT_AS_FROZEN:.c=.o)
$(MQTT_AS_FROZEN): MQTT_AS_FORCE | $(MICROPY_MPYCROSS_DEPENDENCY)
	$(Q)MICROPY_MPYCROSS=$(MICROPY_MPYCROSS) $(MQTT_AS_DIR)/freeze $(TOP) $@

# cargo knows what is out of date: ask it each time
$(MQTT_AS_O): MQTT_AS_FORCE
	$(Q)MQTT=$(MQTT) TLS=$(TLS) $(MQTT_AS_DIR)/library $@ $(CC) $(CFLAGS)
.PHONY: MQTT_AS_FORCE
MQTT_AS_FORCE:
