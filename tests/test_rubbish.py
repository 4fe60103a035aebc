"""A broker that sends what a fuzzer would: valid packets with bytes changed, left out, doubled and made up. The client gives up
each connection and makes the next one; in the end it works, and nothing has piled up. RUBBISH_SECONDS says for how long.
"""

import os
import random
import select
import time

import pytest
from fixtures.client import end
from fixtures.peer import encode

SECONDS = float(os.environ.get("RUBBISH_SECONDS", 15))

SCRIPT = """
    mqtt_as.client._backoff = lambda n: 1
    mqtt_as.MSG_BYTES = {bytes}
    taken = 0

    def callback(topic, msg, retained, *properties):
        global taken
        taken += len(bytes(topic)) + len(bytes(msg)) > 0
        if msg == b"alive":
            print("alive", taken)
        if taken % 7 == 0:
            raise ValueError("raised")

    config["subs_cb"] = callback

    async def publisher(client, qos):
        while True:
            try:
                await client.publish("t", bytes(20 * qos), qos=qos, timeout=0.05)
            except (asyncio.TimeoutError, MQTTException):
                pass
            await asyncio.sleep_ms(1)

    async def subscriber(client):
        while True:
            try:
                await asyncio.wait_for_ms(client.subscribe(["a", "b/#"], 2), 50)
            except (asyncio.TimeoutError, MQTTException):
                pass

    def state():
        gc.collect()
        gc.collect()
        return gc.mem_alloc()

    async def main(client):
        while await outcome(client.connect()):
            pass
        tasks = [asyncio.create_task(publisher(client, n % 3)) for n in range(3)]
        tasks.append(asyncio.create_task(subscriber(client)))
        while line := await told():
            if line == b"state":
                print("state", state())
        for task in tasks:
            task.cancel()
"""


def packets(version, rng):
    """Packets of a server, most of them right."""
    pid = lambda: bytes((0, rng.randrange(1, 40)))  # noqa: E731
    reason = lambda: rng.choice([b"", b"", bytes([rng.choice([0, 0x10, 0x80, 0x92])])]) if version == 5 else b""  # noqa: E731
    block = b""
    if version == 5:
        block = rng.choice(["00", "02 01 01", "05 02 00 00 00 09", '07 26 "a" "b"', "03 23 00 01", "02 0b 07"])
        block = encode(block)
    while True:
        kind = rng.randrange(10)
        if kind < 4:
            qos = rng.randrange(3)
            head = encode(rng.choice(['"t"', '"topic/of/some/length"', '"x"'])) + (pid() if qos else b"")
            body = head + block + rng.randbytes(rng.choice([0, 1, 20, 60, 200, 3000]))
            yield 0x30 | qos << 1 | rng.randrange(2), body
        elif kind < 8:
            yield (0x40, 0x50, 0x62, 0x70)[kind - 4], pid() + reason()
        elif kind == 8:
            yield rng.choice([0x90, 0xB0]), pid() + (b"\0" if version == 5 else b"") + bytes(rng.choices([0, 1, 2, 0x80], k=2))
        else:
            yield 0xD0, b""


def rubbish(version, rng):
    """A stream of packets, damaged."""
    source = packets(version, rng)
    data = bytearray()
    for _ in range(rng.randrange(1, 30)):
        first, body = next(source)
        n, length = len(body), b""
        while n > 0x7F:
            length, n = length + bytes([n & 0x7F | 0x80]), n >> 7
        data += bytes([first]) + length + bytes([n]) + body
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        at = rng.randrange(len(data))
        n = rng.randrange(1, 9)
        damage = rng.randrange(6)
        if damage == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif damage == 1:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif damage == 2:
            del data[at : at + n]
        elif damage == 3:
            data[at:at] = rng.randbytes(n)
        elif damage == 4:
            data[at:at] = data[at : at + 10 * n]
        else:
            del data[at:]
        if not data:
            data += b"\0"
    return bytes(data)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("copy", [True, False])
def test_rubbish(clients, peer, version, copy):
    rng = random.Random(f"{version} {copy}")
    connack = "20 02 00 00" if version == 4 else "20 06 00 00 03 22 00 05"
    config = {"mqttv5": version == 5, "max_packet": 100_000, "response_time": 2}
    if version == 5:
        config["mqttv5_con_props"] = {0x22: 3}
    p = clients.start(peer, SCRIPT.format(bytes=copy), config=config)
    until = time.monotonic() + SECONDS
    connections, states = 0, []
    while True:
        c = peer.accept()
        connections += 1
        refused = connections % 9 == 0
        c.accept_connect(rng.randbytes(rng.randrange(1, 9)) if refused else connack)
        if connections == 50 or time.monotonic() > until and not refused:
            p.send("state")
            states.append(int(p.expect("^state (.*)")[1]))
            if connections != 50:
                break
        data = rubbish(version, rng)
        try:
            while data:
                n = rng.choice([1, 5, 50, 2000, len(data)])
                c.sock.sendall(data[:n])
                data = data[n:]
            # what it says is of no interest; what ends it is either side
            readable, _, _ = select.select([c.sock], [], [], 0.02)
            if rng.randrange(2):
                c.reset()
            else:
                c.close()
        except OSError:
            c.close()
    c.send("30 # \"t\" 'alive'" if version == 4 else "30 # \"t\" 00 'alive'")
    taken = int(p.expect("^alive (.*)")[1])
    end(p, tracebacks=True)
    assert connections > 40 * SECONDS and taken > connections, (connections, taken)
    assert states[-1] - states[0] < 30_000, states
