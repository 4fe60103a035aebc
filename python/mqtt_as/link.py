# The link below the connection. An object with these four methods may be given
# as config["link"]: LAN, PPP, anything that has sockets.
#   async connect(quick)  bring it up; OSError if that fails
#   isconnected()         is it up?
#   disconnect()          take it down before it is brought up again
#   close()               switch the interface off
# and an attribute interface, which client._sta_if shows to applications.
import asyncio
from sys import platform
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

_SETTLE = const(500)  # ms in which a driver learns that it has been disconnected
_SECRET = const(("ssid=",))  # From there on what a module says has the key in it

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

    def close(self):
        pass

    def active(self, *_):
        return True

    def ifconfig(self, *_):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def config(self, *_, **__):
        return b"\0\0\0\0\0\0"

    def status(self, *_):
        return 0


TIMEOUT = 60_000  # ms in which a station must have an address
STABLE = 5_000  # ms for which the link must then hold, unless quick
_owner = None  # Who connects the station, which several clients share,
_until = 0  # and until when it has not to be heard of


# Wi-Fi as the ports know it
class WiFi:
    def __init__(self, config, network, platform):
        self._ssid = config.get("ssid")
        self._pw = config.get("wifi_pw")
        self._platform = platform
        self._gateway = config.get("gateway")
        self._left = self._closed = False
        self.interface = network.WLAN(network.STA_IF)
        self._activate()

    # With full power: to save it costs packets and connections
    def _activate(self):
        sta = self.interface
        p = self._platform
        sta.active(True)
        if p == "esp8266":
            import esp

            esp.sleep_type(0)
        elif not hasattr(sta, "PM_NONE"):
            pass  # The NINA module of a Nano RP2040 Connect
        elif p == "rp2":
            sta.config(pm=0xA11140)
        elif p == "esp32" and self._gateway:
            sta.config(pm=sta.PM_NONE)

    def isconnected(self):
        return self.interface.isconnected()

    def disconnect(self):
        if not self._gateway and not self._busy():
            self._leave()

    def _busy(self):  # Does another client connect the station?
        return _owner not in (None, self) and ticks_diff(ticks_ms(), _until) < 1000

    def _leave(self):
        self._left = True
        try:
            self.interface.disconnect()
        except Exception:
            pass  # It is not active

    def close(self):
        self._closed = True
        self.interface.active(False)

    async def _pause(self, ms):
        global _owner, _until
        _owner = self
        _until = ticks_add(ticks_ms(), ms)
        await asyncio.sleep_ms(ms)
        if self._closed:
            raise OSError(-1, "Wi-Fi is closed")

    # What disconnect() began comes to its end: an ESP32 says that it is
    # connected until then, a CYW43 would forget a join
    async def _settle(self):
        if self._left:
            await self._pause(_SETTLE)
            self._left = False

    # Has the station given up? Ports with a status that says so end the wait
    def _failed(self, status):
        p = self._platform
        if p == "esp8266":
            return 2 <= status <= 4  # Wrong password, no access point, failed
        # An ESP32 shows errors and yet goes on trying. A module's status is a
        # bool; 0 is a CYW43 that does nothing any more
        return p != "esp32" and not isinstance(status, bool) and status <= 0

    async def connect(self, quick):
        global _owner
        self._closed = False
        while self._busy():
            await asyncio.sleep_ms(100)
        try:
            await self._connect(quick)
        finally:
            if _owner is self:
                _owner = None

    async def _connect(self, quick):
        await self._settle()
        sta = self.interface
        if sta.isconnected():
            return
        self._activate()
        stored = sta.config("ssid") if self._platform == "esp8266" else ""
        if not self._ssid and stored == "":
            raise OSError(-1, "Wi-Fi is down: set config['ssid'] and config['wifi_pw']")
        try:
            if not self._ssid:
                await self._join()
            elif not stored or stored == self._ssid or not await self._joined():
                await self._join(self._ssid, self._pw)
            if not quick:
                t = ticks_ms()
                while ticks_diff(ticks_ms(), t) < STABLE:
                    await self._pause(200)
                    if not sta.isconnected():
                        raise OSError(-1, "Wi-Fi does not stay up")
        except:
            if not self._closed:
                self._leave()  # Or it goes on trying, and the next attempt fails
            raise

    async def _joined(self):  # The network an ESP8266 has stored comes first
        try:
            await self._join()
            return True
        except OSError:
            return False

    async def _join(self, *network):
        sta = self.interface
        for again in (False, True):
            try:
                sta.connect(*network)
                break
            except (OSError, RuntimeError) as e:
                if again:
                    raise OSError(-1, "Wi-Fi does not connect: " + str(e).split(*_SECRET)[0])
            self._leave()  # An ESP32 that is connecting already
            await self._settle()
        t = ticks_ms()
        await self._pause(200)  # Until then the status may be an old one
        while not sta.isconnected():
            status = sta.status()
            if ticks_diff(ticks_ms(), t) > TIMEOUT or self._failed(status):
                raise OSError(-1, "Wi-Fi does not connect: status %s" % status)
            await self._pause(200)


def make_link(config):
    return config["link"] or (WiFi(config, network, platform) if hasattr(network, "WLAN") else NoLink())
