# Wi-Fi: joins a network and says whether the station is connected. Drivers
# differ in what they tell and in what they forgive: a class for each kind.
import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .link import platform

TIMEOUT = 60_000  # ms in which a station must have an address
STABLE = 5_000  # ms for which the link must then hold, unless quick
SETTLE = 500  # ms in which a driver learns that it has been disconnected

_SECRET = const(("ssid=",))  # From there on what a module says has the key in it

_owner = None  # Who connects the station, which several clients share,
_owned_until = 0  # and until when he has not to be heard of


# Without codes for what goes wrong: NINA and esp-hosted, whose status is a bool
class Station:
    def __init__(self, config, interface):
        self._ssid = config["ssid"]
        self._pw = config["wifi_pw"]
        self._address = config["ifconfig"]
        self._leaving = self._closed = self._elsewhere = False
        self.interface = interface
        self._activate()

    # Power saving is switched off where it costs packets and connections
    def _activate(self):
        self.interface.active(True)

    def isconnected(self):
        return self.interface.isconnected()

    def disconnect(self):
        if not self._is_taken():
            self._leave()

    # Does another client connect the station?
    def _is_taken(self):
        return _owner not in (None, self) and ticks_diff(ticks_ms(), _owned_until) < 1000

    def _leave(self):
        self._leaving = True
        try:
            self.interface.disconnect()
        except Exception:
            pass  # It is not active

    def close(self):
        self._closed = True
        self.interface.active(False)

    async def _pause(self, ms):
        global _owner, _owned_until
        _owner = self
        _owned_until = ticks_add(ticks_ms(), ms)
        await asyncio.sleep_ms(ms)
        if self._closed:
            raise OSError(-1, "Wi-Fi is closed")

    # What disconnect() began comes to its end: an ESP32 says that it is
    # connected until then, a CYW43 would forget a join
    async def _settle(self):
        if self._leaving:
            await self._pause(SETTLE)
            self._leaving = False

    # Has the driver given up? Then there is no sense in waiting
    def _has_given_up(self, status):
        return False

    async def connect(self, quick):
        global _owner
        self._closed = False
        while self._is_taken():
            await asyncio.sleep_ms(100)
        try:
            await self._settle()
            if not self.interface.isconnected():
                self._activate()
                if self._address:
                    self.interface.ifconfig(self._address)
                await self._connect(quick)
        finally:
            if _owner is self:
                _owner = None

    async def _connect(self, quick):
        try:
            await self._join_network()
            if not quick:
                t = ticks_ms()
                while ticks_diff(ticks_ms(), t) < STABLE:
                    await self._pause(200)
                    if not self.interface.isconnected():
                        raise OSError(-1, "Wi-Fi does not stay up")
        except:
            if not self._closed:
                self._leave()  # Or it goes on trying, and the next attempt fails
            raise

    async def _join_network(self):
        if not self._ssid:
            raise OSError(-1, "Wi-Fi is down: set config['ssid'] and config['wifi_pw']")
        await self._join(self._ssid, self._pw)

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
            if ticks_diff(ticks_ms(), t) > TIMEOUT or self._has_given_up(status):
                raise OSError(-1, "Wi-Fi does not connect: status %s %s" % (status, _name_of(status)))
            await self._pause(200)


class CYW43(Station):
    def _has_given_up(self, status):
        return status <= 0  # 0: it does nothing any more


class PicoW(CYW43):
    def _activate(self):
        self.interface.active(True)
        self.interface.config(pm=0xA11140)


# Shows errors and yet goes on trying. It always has a station: without ssid the
# way to the broker may be another interface of the application's
class ESP32(Station):
    async def connect(self, quick):
        self._elsewhere = not self._ssid and not self.interface.isconnected() and has_route()
        if not self._elsewhere:
            await Station.connect(self, quick)

    def isconnected(self):
        return self._elsewhere or self.interface.isconnected()


# Joins the network that it has stored before the one in config
class ESP8266(Station):
    def _activate(self):
        import esp

        self.interface.active(True)
        esp.sleep_type(0)

    def _has_given_up(self, status):
        return 2 <= status <= 4  # Wrong password, no access point, failed

    async def _join_network(self):
        stored = self.interface.config("ssid")
        if not self._ssid and stored != "":
            return await self._join()
        if self._ssid and stored and stored != self._ssid:
            try:
                return await self._join()
            except OSError:
                pass
        await Station._join_network(self)


# Is there a way out? An empty datagram to nowhere (RFC 5737) cannot leave if not
def has_route():
    import socket

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.sendto(b"", socket.getaddrinfo("192.0.2.1", 9)[0][-1])
        return True
    except OSError:
        return False
    finally:
        s.close()


def _name_of(status):  # The driver's: STAT_WRONG_PASSWORD
    try:
        import network
    except ImportError:
        return ""
    return next((n for n in dir(network) if n[:5] == "STAT_" and getattr(network, n) == status), "")


def make_station(config, network):
    if config["hostname"]:  # Before the station is active
        network.hostname(config["hostname"])
    wlan = network.WLAN
    # MicroPython 2 has the constant in the class only
    interface = wlan(wlan.IF_STA if hasattr(wlan, "IF_STA") else network.STA_IF)
    if platform == "esp8266":
        kind = ESP8266
    elif platform == "esp32":
        kind = ESP32
    elif not hasattr(interface, "PM_NONE"):
        kind = Station
    elif platform == "rp2":
        kind = PicoW
    else:
        kind = CYW43
    return kind(config, interface)
