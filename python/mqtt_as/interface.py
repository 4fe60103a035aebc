# The link of link.Interface(): a network that the application has set up
import asyncio

from .link import NoLink


class Interface(NoLink):
    def __init__(self, interface, timeout=60):
        self.interface = interface
        self._timeout = timeout

    async def connect(self, quick):
        for _ in range(self._timeout * 5 + 1):
            if self.interface.isconnected():
                return
            await asyncio.sleep_ms(200)
        raise OSError(-1, "the network interface does not come up")

    def isconnected(self):
        return self.interface.isconnected()
