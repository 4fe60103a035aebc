# Run under MicroPython by soak.py: several clients in one program, each of which sends numbered messages to the next one.
# argv[1]: ms between two messages. The first line on stdin are the clients as JSON: [{"name": , "client": what config is to
# have, "tls": bool}, ...], the next one ends the sending, the last one the program. Prints lines "WORD JSON": ready, sample
# (four a second), sent, result, end.
import asyncio
import gc
import json
import sys
import time
from random import getrandbits, seed

import probe
from mqtt_as import MQTTClient, config

SLOT = 100  # ms between two echoes
LATE = 1000  # ms after which an echo does not count
SIZES = (0, 10, 60, 300, 1500, 20_000)  # bytes of a message, beside its numbers
STATE = "_isconnected", "_draining", "_requests", "_error", "_tasks", "_sock"
PATIENCE = 30  # s without a message until those that are missing count as lost


def tell(word, what):
    print(word, json.dumps(what))


class Flow:
    """Messages of one sender at one QoS, counted where they arrive."""

    def __init__(self, qos):
        self.qos = qos
        self.sent = self.received = self.twice = self.disordered = self.damaged = 0
        self.next = 0  # all before it came
        self.ahead = set()

    def take(self, n):
        if n < self.next or n in self.ahead:
            self.twice += 1
            return
        self.received += 1
        if self.qos == 0:  # some are lost
            self.next = n + 1
            return
        self.disordered += n != self.next
        self.ahead.add(n)
        while self.next in self.ahead:
            self.ahead.remove(self.next)
            self.next += 1

    def complete(self):
        return self.qos == 0 or self.next == self.sent

    def result(self):
        missing = [n for n in range(self.next, min(self.sent, self.next + 20)) if n not in self.ahead]
        names = "qos", "sent", "received", "twice", "disordered", "damaged"
        return dict([(name, getattr(self, name)) for name in names] + [("missing", missing if self.qos else [])])


class Station:
    """A client, what it sends, and how it fares."""

    def __init__(self, number, settings):
        self.number = number
        self.name = settings["name"]
        self.flows = [Flow(qos) for qos in range(3)]
        c = dict(config)
        c.update(settings["client"])
        c.update(subs_cb=self.message, clean=False, ssl=settings["tls"])
        if c["mqttv5"]:
            c["mqttv5_con_props"] = {0x11: 3600}
        self.client = MQTTClient(c)
        self.slots = self.echoes = self.moments = self.up = 0
        self.answered = -1
        self.begun = 0

    def message(self, topic, msg, retained, properties=None):
        fields = bytes(msg[:60]).split(b" ", 3)
        if topic.startswith(b"echo"):
            slot = int(fields[0])
            if slot > self.answered and time.ticks_diff(time.ticks_ms(), self.begun) < slot * SLOT + LATE:
                self.answered = slot
                self.echoes += 1
            return
        qos, n, size = map(int, fields[:3])
        flow = self.source.flows[qos]
        if len(msg) != len(b"%d %d %d " % (qos, n, size)) + size or (size and msg[-1] != n & 0xFF):
            flow.damaged += 1
        flow.take(n)

    async def begin(self, source):
        self.source = source
        await self.client.connect()
        await self.client.subscribe("soak/%d" % source.number, 2)
        await self.client.subscribe("echo/%d" % self.number, 0)

    async def send(self, qos, period):
        flow = self.flows[qos]
        while not stopping:
            size = SIZES[getrandbits(8) % len(SIZES)] if getrandbits(3) == 0 else 20
            n = flow.sent
            flow.sent += 1
            message = b"%d %d %d " % (qos, n, size) + bytes([n & 0xFF]) * size
            await self.client.publish("soak/%d" % self.number, message, qos=qos)
            await asyncio.sleep_ms(period)

    async def echo(self):
        self.begun = time.ticks_ms()
        while not stopping:
            self.slots = time.ticks_diff(time.ticks_ms(), self.begun) // SLOT
            await self.client.publish("echo/%d" % self.number, b"%d" % self.slots)
            await asyncio.sleep_ms(self.slots * SLOT + SLOT - time.ticks_diff(time.ticks_ms(), self.begun))

    async def watch(self):
        while not stopping:
            self.moments += 1
            self.up += self.client.isconnected()
            await asyncio.sleep_ms(20)

    def result(self):
        return {
            "name": self.name,
            "connections": self.client._connections,
            "up": self.up / max(1, self.moments),
            "echo": self.echoes / (self.slots + 1),
            "flows": [flow.result() for flow in self.flows],
            "open": len(self.client.rcv_pids),
            "state": repr([(k, v) for k, v in self.client.__dict__.items() if k in STATE]),
        }


def sample():
    gc.collect()
    return {"heap": gc.mem_alloc(), "tasks": probe.tasks(), "files": probe.files()}


async def sampling():
    while not stopping:
        await asyncio.sleep_ms(250)
        tell("sample", sample())


async def main():
    global stopping
    stdin = asyncio.StreamReader(sys.stdin)
    stations = [Station(i, settings) for i, settings in enumerate(json.loads(await stdin.readline()))]
    period = int(sys.argv[1])
    for s in stations:
        await s.begin(stations[s.number - 1])
    await asyncio.sleep(1)
    flows = [flow for s in stations for flow in s.flows]
    tell("ready", sample())

    work, names = [sampling()], ["sampling"]
    for s in stations:
        work += [s.echo(), s.watch()] + [s.send(qos, period) for qos in range(3)]
        names += ["%s: %s" % (s.name, what) for what in ("echo", "watch", "publish, QoS 0", "publish, QoS 1", "publish, QoS 2")]
    work = [asyncio.create_task(coro) for coro in work]
    await stdin.readline()
    stopping = True
    stuck = []
    for t, name in zip(work, names):
        try:
            await asyncio.wait_for(t, PATIENCE)
        except asyncio.TimeoutError:
            stuck.append(name)
    work = t = None
    tell("sent", sum(flow.sent for flow in flows))
    quiet = 0  # tenths of a second
    while quiet < 10 * PATIENCE and not all(flow.complete() for flow in flows):
        received = sum(flow.received for flow in flows)
        await asyncio.sleep_ms(100)
        quiet = quiet + 1 if received == sum(flow.received for flow in flows) else 0
    await asyncio.sleep(2)  # what comes twice may still come
    result = sample()
    result["stuck"] = stuck
    result["stations"] = [s.result() for s in stations]
    tell("result", result)
    result = None
    await stdin.readline()
    for s in stations:
        await s.client.disconnect()
    await asyncio.sleep_ms(500)
    tell("end", sample())


seed(1)
stopping = False
asyncio.run(main())
