# The link below the connection. Any object with these methods may be given as
# config["link"]: a LAN, PPP, whatever has sockets.
#   async connect(quick)  brings it up; OSError if that fails
#   isconnected()         is it up?
#   disconnect()          takes it down before it is brought up again
#   close()               switches the interface off
# and perhaps an attribute interface, which client._sta_if shows to applications.
from sys import platform
from time import ticks_ms


def unique_id():
    from binascii import hexlify

    try:
        from machine import unique_id

        return hexlify(unique_id())
    except ImportError:
        from random import getrandbits

        return b"mqtt_as%08x%08x" % (getrandbits(30), ticks_ms() & 0x3FFFFFFF)


# For a network that somebody else keeps up, the operating system for example.
# It also answers what applications ask an interface for.
class NoLink:
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


# For one that the application has set up, and goes on looking after: any object
# of the module network, as LAN(...) or PPP(uart). It is waited for so many seconds
def Interface(interface, timeout=60):
    from .interface import Interface

    return Interface(interface, timeout)


def make_link(config):
    link = config["link"]
    if link:
        return link
    try:
        import network
    except ImportError:
        network = None
    if not hasattr(network, "WLAN"):
        return NoLink()
    from .wifi import make_station

    link = make_station(config, network)
    if config["gateway"]:
        from .gateway import Gateway

        link = Gateway(link)
    return link
