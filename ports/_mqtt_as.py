# Frozen beside the client, and found only where the firmware lacks the C module of this name
raise ImportError("mqtt_as is frozen without _mqtt_as: build with USER_C_MODULES, see docs/FIRMWARE.md")
