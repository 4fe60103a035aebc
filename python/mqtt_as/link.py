# The link below the connection. An object with these four methods may be given
# as config["link"]: LAN, PPP, anything that has sockets.
#   async connect(quick)  bring it up; OSError if that fails
#   isconnected()         is it up?
#   disconnect()          take it down before it is brought up again
#   close()               switch the interface off
# and an attribute interface, which client._sta_if shows to applications.
import asyncio
from sys import platform
from time import ticks_diff, ticks_ms

ESP32 = platform == "esp32"
ESP8266 = platform == "esp8266"
RP2 = platform == "rp2"
PYBOARD = platform == "pyboard"

try:
    if platform == "linux":
        raise ImportError
    import network
except ImportError:
    network = None


def unique_id():
    from binascii import hexlify

    try:
        from machine import unique_id

        return hexlify(unique_id())
    except ImportError:
        from random import getrandbits

        return b"mqtt_as%08x%08x" % (getrandbits(30), ticks_ms() & 0x3FFFFFFF)


# Where the system keeps up the network, and the answers that applications
# expect of an interface
class NoLink:
    def __init__(self):
        self.interface = self

    async def connect(self, quick):
        pass

    def isconnected(self):
        return True

    def disconnect(self):
        pass

    close = disconnect

    def active(self, *_):
        return True

    def ifconfig(self, *_):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def config(self, *_, **__):
        return b"\0\0\0\0\0\0"

    def status(self, *_):
        return 0


# Wi-Fi as the ports know it; network and platform can be given for tests
class WiFi:
    TIMEOUT = 60_000  # ms in which a station must have an address
    STABLE = 5_000  # ms for which the link must then hold, unless quick

    def __init__(self, config, network=network, platform=platform):
        self._ssid = config.get("ssid")
        self._pw = config.get("wifi_pw")
        self._network = network
        self._platform = platform
        self._gateway = config.get("gateway")
        self.interface = network.WLAN(network.STA_IF)
        self.interface.active(True)
        self._full_power()

    # Power saving costs packets and connections
    def _full_power(self):
        sta = self.interface
        p = self._platform
        if p == "esp8266":
            import esp

            esp.sleep_type(0)
        elif p == "rp2":
            sta.config(pm=0xA11140)
        elif p == "esp32" and self._gateway:
            sta.config(pm=sta.PM_NONE)

    def isconnected(self):
        return self.interface.isconnected()

    def disconnect(self):
        if not self._gateway:
            self.interface.disconnect()

    def close(self):
        self.interface.active(False)

    # Has the station given up? Ports with a status that says so end the wait
    def _failed(self):
        status = self.interface.status()
        p = self._platform
        if p == "esp8266":
            return 2 <= status <= 4  # Wrong password, no access point, failed
        # An ESP32 shows errors and yet goes on trying
        return p != "esp32" and status < 0

    async def connect(self, quick):
        sta = self.interface
        if sta.isconnected():
            return
        sta.active(True)
        self._full_power()
        if self._ssid:
            sta.connect(self._ssid, self._pw)
        elif self._platform == "esp8266":
            if not sta.isconnected():
                sta.connect()  # With what the chip has stored
        else:
            raise OSError(-1, "Wi-Fi is down: set config['ssid'] and config['wifi_pw']")
        t = ticks_ms()
        await asyncio.sleep_ms(200)  # Until then the status may be an old one
        while not sta.isconnected():
            if ticks_diff(ticks_ms(), t) > self.TIMEOUT or self._failed():
                status = sta.status()
                sta.disconnect()  # Or it goes on trying, and the next attempt fails
                raise OSError(-1, "Wi-Fi does not connect: status %s" % status)
            await asyncio.sleep_ms(200)
        if not quick:
            t = ticks_ms()
            while ticks_diff(ticks_ms(), t) < self.STABLE:
                await asyncio.sleep_ms(200)
                if not sta.isconnected():
                    raise OSError(-1, "Wi-Fi does not stay up")


def make_link(config):
    return config.get("link") or (WiFi(config) if hasattr(network, "WLAN") else NoLink())
