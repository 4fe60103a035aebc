# config["gateway"]: ESP-NOW beside the station, on the channel of its access
# point. It is client._espnow, and always active: what saves power costs frames,
# and a station that is taken down takes it along.
from .link import platform


class Gateway:
    def __init__(self, station):
        try:
            from aioespnow import AIOESPNow
        except ImportError:
            raise ImportError("config['gateway'] needs the module aioespnow: mpremote mip install aioespnow")
        self._station = station
        self.interface = station.interface
        self.isconnected = station.isconnected
        self.espnow = AIOESPNow()
        self._keep_awake()

    def _keep_awake(self):
        sta = self.interface
        sta.active(True)
        if platform == "esp32":
            sta.config(pm=sta.PM_NONE)
        self.espnow.active(True)

    async def connect(self, quick):
        self._keep_awake()
        await self._station.connect(quick)
        self._keep_awake()  # Drivers begin to save power when they connect

    def disconnect(self):
        pass

    def close(self):
        self.espnow.active(False)
        self._station.close()
