# mqtt_as: a resilient asyncio MQTT client. Packets and protocol state are the
# native module _mqtt_as; here are tasks, the link, waiting and callbacks.
# MIT licence: see LICENSE.
import asyncio

VERSION = (0, 9, 0)
IBUFSIZE = 50  # Bytes: the receive buffer's size at rest
OBUFSIZE = 0  # Bytes: the send buffer's least, for a heap in pieces
MSG_BYTES = True  # False: callbacks get a memoryview of the receive buffer

try:
    __import__("_mqtt_as")  # First: it needs the most memory in one piece

    from . import settings
    from .client import MQTTClient
    from .requests import MQTT_base, MQTTException, eliza
except (ImportError, MemoryError, ValueError) as e:
    from .explain import import_error

    raise import_error(e)

config = settings.defaults()
settings.let_go()


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
