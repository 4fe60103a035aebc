"""The clients that are measured, and one run of one of them."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import peers
from fixtures.broker import Broker
from fixtures.micropython import Process
from load import COUNTED, Flood, Load

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
# Of mosquitto. Queues without bounds: none of what the load sends may be dropped. A line in its log for each message
# would halve its rate.
BROKER = "set_tcp_nodelay true", "max_queued_messages 0", "log_type none", "log_type error"
TIMEOUT = 60  # seconds a measurement may take


@dataclass(frozen=True)
class Client:
    """`name` is that of its adapter and of its files (see peers.py); `has`, what it can do beyond QoS 0 and 1."""

    title: str
    name: str
    has: tuple = ()
    settings: dict = field(default_factory=dict, hash=False)
    firmware: bool = False  # compiled in

    def command(self, arch="x64", heap="4m", mpy=False):
        """What runs it, and its environment. `mpy`: a folder of compiled files to take instead."""
        if self.name == "libmosquitto":
            return [peers.FOLDER / "libmosquitto"], os.environ
        folders = [mpy] if mpy else [HERE / "device", *self.files()]
        folders += [".frozen"] if self.firmware else [ROOT / "build" / "natmod" / arch, ".frozen"]
        script = ["-m", "measure"] if mpy else [HERE / "device" / "measure.py"]
        runtime = ROOT / "build" / "runtime" / (arch + "+firmware" * self.firmware) / "micropython"
        command = [runtime, "-X", f"heapsize={heap}", *script, self.name]
        return command, {**os.environ, "MICROPYPATH": ":".join(map(str, folders))}

    def files(self):
        """The folder of its Python files, if it has some."""
        if self.firmware:
            return []
        return [ROOT / "python" if self.ours else peers.fetch(self.name)]

    @property
    def ours(self):
        return self.name in ("mqtt_as", "umqtt")


OURS = ("mqtt 5", "qos 2", "tasks", "asyncio", "heap", "memoryview")
CLIENTS = [
    Client("mqtt_as, native", "mqtt_as", OURS),
    Client("IBUFSIZE 4096", "mqtt_as", OURS, {"ibufsize": 4096}),
    Client("in firmware", "mqtt_as", OURS, firmware=True),
    Client("umqtt, native", "umqtt", ("mqtt 5", "qos 2", "heap")),
    Client("umqtt.simple", "umqtt_simple", ("heap",)),
    Client("umqtt.simple2", "umqtt_simple2", ("heap",)),
    Client("umqtt.robust2", "umqtt_robust2", ("heap",)),
    Client("mqtt_async", "mqtt_async", ("tasks", "asyncio", "heap")),
    Client("chumicro-mqtt", "chumicro", ("heap",)),
    Client("aiomqttc", "aiomqttc", ("tasks", "asyncio", "heap")),
    Client("libmosquitto (C)", "libmosquitto", ("mqtt 5", "qos 2", "tasks")),
]


def once(script, client, *, flood=False, wrapper=(), arch="x64", heap="4m", mpy=None, **settings):
    """One run: the numbers that it gives. `wrapper`: a command that runs the client's. `flood`: messages come from
    load.Flood, faster than a broker hands them on."""
    settings = {**client.settings, **settings}
    count = settings.get("count")
    command, env = client.command(arch, heap, mpy)
    broker = Flood() if flood else Broker(BUILD / f"broker{threading.get_ident()}", *BROKER).start()
    if script == "fleet":
        settings["broker"] = broker.process.pid
    words = " ".join(f"{key}={value}" for key, value in settings.items())
    process = Process([str(c) for c in [*wrapper, *command, script, broker.host, broker.port, words]], env, BUILD)
    ended = threading.Event()
    try:
        if flood:
            kind = {key: settings[key] for key in ("qos", "size", "topics", "count", "v5", "stamped") if key in settings}
            threading.Thread(target=broker.serve, args=(ended.is_set,), kwargs=kind, daemon=True).start()
        elif script in ("receive", "echo", "count_received"):
            process.expect("^ready$", TIMEOUT)
            source = Load(broker)
            if script == "echo":
                return percentiles(source.echoes(settings["ms"] / 1e3))
            if script == "count_received":
                source.trickle(COUNTED + count, settings["qos"])
            else:
                threading.Thread(target=source.send, args=(ended.is_set, settings["qos"]), daemon=True).start()
        numbers = [float(value) for value in process.expect(r"^result (.+)$", TIMEOUT)[1].split()]
        if wrapper:
            process.wait(TIMEOUT, check=False)
        return numbers
    finally:
        ended.set()
        process.kill()
        broker.close() if flood else broker.kill()


def percentiles(values):
    """The median, what nine of ten stay below, what 99 of 100 do."""
    return [values[int(len(values) * part)] for part in (0.5, 0.9, 0.99)]
