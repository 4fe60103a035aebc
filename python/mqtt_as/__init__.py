# mqtt_as: a resilient asyncio MQTT client. Packets and protocol state are the
# native module _mqtt_as; here are tasks, the link, waiting and callbacks.
# MIT licence: see LICENSE.
import asyncio

VERSION = (0, 9, 0)
IBUFSIZE = 50  # Bytes: the receive buffer's size at rest
MSG_BYTES = True  # False: callbacks get a memoryview of the receive buffer

try:
    from .client import MQTT_base, MQTTClient, MQTTException, eliza

    from . import settings

    config = settings.defaults()
    settings.let_go()
except (ImportError, MemoryError, ValueError) as e:
    if "_mqtt_as" in __import__("sys").modules and not isinstance(e, MemoryError):
        raise
    from .explain import import_error

    raise import_error(e)


def __getattr__(name):  # What few applications ask for
    if name == "MsgQueue":
        from .queue import MsgQueue

        return MsgQueue
    if name in ("ESP32", "ESP8266", "PYBOARD", "RP2"):
        from .link import platform

        return platform == name.lower()
    try:  # A module of the package: who imports one asks here first
        return __import__(name, None, None, (name,), 1)
    except ImportError:
        raise AttributeError(name)
