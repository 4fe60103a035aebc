"""What an instruction set can get wrong: run on every architecture.

Sizes and order of integers, unaligned data, calls into the runtime and exceptions out of the module, relocation and garbage
collection of its code, soft floats; and a session with a real broker that uses all of it.
"""

from itertools import permutations

import pytest
from fixtures.client import end
from fixtures.peer import varint
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

pytestmark = [pytest.mark.core, pytest.mark.firmware("x64", "x86", "rv32imc", "xtensa", "xtensawin")]

SLOW = 60  # seconds: emulated, on a machine that has other work too


def settings(version=5, config=None):
    return {"mqttv5": version == 5, "response_time": 30, **(config or {})}


def connected(clients, peer, script, *args, version=5, config=None, **how):
    p = clients.start(peer, script, *args, config=settings(version, config), **how)
    return p, accept(peer, version)


def accept(peer, version=5):
    c = peer.accept(SLOW)
    c.accept_connect("20 # 00 00" + " 00" * (version == 5))
    return c


# --- the wire, byte by byte

# PUBLISH as it is on the wire, and what an application gets of it
RECEIVED = [
    ('30 # "t" 00', (b"t", b"", False, None)),
    ("31 # \"t\" 00 'm'", (b"t", b"m", True, None)),
    ("30 # \"t\" 02 01 01 'm'", (b"t", b"m", False, [(1, 1)])),
    ('30 # "t" 05 02 00 00 00 00', (b"t", b"", False, [(2, 0)])),
    ('30 # "t" 05 02 12 34 56 78', (b"t", b"", False, [(2, 305419896)])),
    ('30 # "t" 05 02 3f ff ff ff', (b"t", b"", False, [(2, 1073741823)])),
    ('30 # "t" 05 02 40 00 00 00', (b"t", b"", False, [(2, 1073741824)])),
    ('30 # "t" 05 02 7f ff ff ff', (b"t", b"", False, [(2, 2147483647)])),
    ('30 # "t" 05 02 80 00 00 00', (b"t", b"", False, [(2, 2147483648)])),
    ('30 # "t" 05 02 ff ff ff ff', (b"t", b"", False, [(2, 4294967295)])),
    ('30 # "t" 02 0b 7f', (b"t", b"", False, [(11, 127)])),
    ('30 # "t" 03 0b 80 01', (b"t", b"", False, [(11, 128)])),
    ('30 # "t" 05 0b ff ff ff 7f', (b"t", b"", False, [(11, 268435455)])),
    ('30 # "t" 04 0b 01 0b 02', (b"t", b"", False, [(11, [1, 2])])),
    ('30 # "t" 05 03 00 02 c3 bc', (b"t", b"", False, [(3, "ü")])),
    ('30 # "t" 07 08 00 04 f0 9f 98 80', (b"t", b"", False, [(8, "😀")])),
    ('30 # "t" 08 09 00 05 00 01 7f 80 ff', (b"t", b"", False, [(9, b"\x00\x01\x7f\x80\xff")])),
    ('30 # "t" 0e 26 "k" "v" 26 "k" "w"', (b"t", b"", False, [(38, [("k", "v"), ("k", "w")])])),
    ('30 # "t" 0d 26 "k" "v" 03 "a" 01 00', (b"t", b"", False, [(1, 0), (3, "a"), (38, {"k": "v"})])),
    ("30 # \"a/b/c\" 00 'abc'", (b"a/b/c", b"abc", False, None)),
    ("30 # 00 02 c3 bc 00 'm'", (b"\xc3\xbc", b"m", False, None)),
]


@pytest.mark.parametrize("version", [4, 5])
def test_received(clients, peer, version):
    script = """
        def show(topic, msg, retained, properties=None):
            print("message", (bytes(topic), bytes(msg), retained, properties and sorted(properties.items())))
        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script, version=version)
    vectors = [v for v in RECEIVED if version == 5 or v[1][3] is None]
    for packet, message in vectors:
        c.send(packet if version == 5 else packet.replace('" 00', '"').replace("bc 00", "bc"))
        assert eval(p.expect("^message (.*)", SLOW)[1]) == message
    end(p, SLOW)


# The length of a payload, its packet's remaining length at the edge of one byte more: 2 bytes each of topic length and topic
LENGTHS = [0, 1, 123, 124, 125, 126, 16379, 16380, 16381]


@pytest.mark.parametrize("copy", [True, False])
def test_lengths(clients, peer, copy):
    script = """
        def show(topic, msg, retained):
            ok = all(byte == n % 251 for n, byte in enumerate(msg))
            print("message", len(msg), ok)
        config["subs_cb"] = show
        Client.MSG_BYTES = len(sys.argv) > 1

        async def main(client):
            await client.connect()
            for n in eval(await told()):
                await client.publish("to", bytes(k % 251 for k in range(n)))
            await told()
    """
    p, c = connected(clients, peer, script, *["copy"] * copy, version=4)
    p.send(str(LENGTHS))
    for n in LENGTHS:
        payload = bytes(k % 251 for k in range(n))
        packet = b"\x30" + varint(n + 4) + b"\0\2to" + payload
        assert c.packet(SLOW) == packet
        c.send(packet)
        p.expect(f"^message {n} True$", SLOW)
    end(p, SLOW)


# Arguments of publish, and the packet; `..` is of the identifier
SENT = [
    ("'t', ''", '30 # "t" 00'),
    ("'t', 'm', True", "31 # \"t\" 00 'm'"),
    ("'ü', '😀'", "30 # 00 02 c3 bc 00 f0 9f 98 80"),
    ("b't', bytearray(b'abc')", "30 # \"t\" 00 'abc'"),
    ("'t', 'm', False, 1", "32 # \"t\" .. .. 00 'm'"),
    ("'t', 'm', True, 2", "35 # \"t\" .. .. 00 'm'"),
    ("'t', '', properties={1: 1}", '30 # "t" 02 01 01'),
    ("'t', '', properties={2: 0}", '30 # "t" 05 02 00 00 00 00'),
    ("'t', '', properties={2: 0x12345678}", '30 # "t" 05 02 12 34 56 78'),
    ("'t', '', properties={2: 0x40000000}", '30 # "t" 05 02 40 00 00 00'),
    ("'t', '', properties={2: 0x7fffffff}", '30 # "t" 05 02 7f ff ff ff'),
    ("'t', '', properties={2: 0x80000000}", '30 # "t" 05 02 80 00 00 00'),
    ("'t', '', properties={2: 0xffffffff}", '30 # "t" 05 02 ff ff ff ff'),
    ("'t', '', properties={3: 'text'}", '30 # "t" 07 03 "text"'),
    ("'t', '', properties={8: 'a/b'}", '30 # "t" 06 08 "a/b"'),
    ("'t', '', properties={9: b'\\x00\\xff'}", '30 # "t" 05 09 00 02 00 ff'),
    ("'t', '', properties={0x26: [('k', 'v'), ('k', 'w')]}", '30 # "t" 0e 26 "k" "v" 26 "k" "w"'),
    ("'t', '', properties={0x26: {'k': 'v'}}", '30 # "t" 07 26 "k" "v"'),
]
# Arguments that are refused, and how: the exception leaves Rust by a jump over its frames
REFUSED = [
    ("'a/+', ''", "ValueError"),
    ("'', ''", "ValueError"),
    ("5, ''", "TypeError"),
    ("'t', 5", "TypeError"),
    ("'t', '', False, 3", "ValueError"),
    ("'t', '', False, -1", "ValueError"),
    ("'t', '', False, 1 << 40", "ValueError"),
    ("'t', '', properties={2: 1 << 32}", "ValueError"),
    ("'t', '', properties={2: -1}", "ValueError"),
    ("'t', '', properties={2: 1 << 70}", "ValueError"),
    ("'t', '', properties={2: 1.5}", "TypeError"),
    ("'t', '', properties={0x7f: 1}", "ValueError"),
    ("'t', '', properties=5", "TypeError"),
    ("'t' * 70000, ''", "ValueError"),
]


def test_sent(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            while line := await told():
                kept = [bytearray(b"kept"), 1.5, "kept"]
                try:
                    call = eval("client.publish(" + line.decode() + ")")
                    await asyncio.wait_for(call, 0.1)
                except asyncio.TimeoutError:
                    pass
                except Exception as e:
                    print("raised", type(e).__name__)
                assert kept == [bytearray(b"kept"), 1.5, "kept"]
                gc.collect()
    """
    p, c = connected(clients, peer, script)
    for n, (call, packet) in enumerate(SENT):
        p.send(call)
        c.expect(packet, SLOW)
        wrong, error = REFUSED[n % len(REFUSED)]
        p.send(wrong)
        p.expect(f"^raised {error}$", SLOW)
    end(p, SLOW)


# Packets that end the connection, and the reason the server is given
MALFORMED = [
    ("30 # 00 01 ff 00 'm'", 0x81),
    ("40 03 00 01 01", 0x82),
    ("30 80 80 80 80 01", 0x81),
    ("30 ff ff ff 7f", 0x95),
]


def test_malformed(clients, peer):
    script = """
        async def up(client):
            print("up")
        config["connect_coro"] = up

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script, config={"max_packet": 1000})
    for packet, reason in MALFORMED:
        p.expect("up", SLOW)
        c.send(packet)
        c.expect(f"e0 01 {reason:02x}", SLOW)
        c.closed()
        c = accept(peer)
    end(p, SLOW)


# --- unaligned data


def test_offsets_of_what_is_sent(clients, peer):
    """Topic, message and properties in memory at every offset."""
    script = """
        async def main(client):
            await client.connect()
            memory = memoryview(bytearray(b"0123456789abcdefghijklmnop"))
            for at in range(9):
                for size in range(9):
                    topic, msg = memory[at + 1 : at + 4], memory[at : at + size]
                    text = memory[at + 2 : at + 2 + size]
                    properties = {2: 0x01020304 << at & 0xffffffff, 9: text, 0x26: [(topic, msg)]}
                    await client.publish(topic, msg, properties=properties)
            await told()
    """
    p, c = connected(clients, peer, script)
    memory = b"0123456789abcdefghijklmnop"
    for at in range(9):
        for size in range(9):
            topic, msg, text = (memory[i:j] for i, j in ((at + 1, at + 4), (at, at + size), (at + 2, at + 2 + size)))
            properties = [  # in any order
                b"\2" + (0x01020304 << at & 0xFFFFFFFF).to_bytes(4, "big"),
                b"\x09\0" + bytes([size]) + text,
                b"\x26\0\3" + topic + b"\0" + bytes([size]) + msg,
            ]
            bodies = [b"\0\3" + topic + varint(16 + 2 * size) + b"".join(p) + msg for p in permutations(properties)]
            assert c.packet(SLOW) in [b"\x30" + varint(len(body)) + body for body in bodies]
    end(p, SLOW)


def test_offsets_of_what_is_received(clients, peer):
    """A packet at every offset of the buffer, its integers at every offset of their own."""
    script = """
        def show(topic, msg, retained, properties):
            if retained:
                print("message", bytes(topic), bytes(msg), sorted(properties.items()))
        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    for before in range(9):
        for n in range(9):
            topic, pid = "t" * (n + 1), f"{before + 0x80:02x} {n + 0xF0:02x}"
            c.send(f"30 # \"-\" 00 '{'-' * before}'", f'33 # "{topic}" {pid} 0a 02 81 82 83 84 26 "" "" \'{n}\'')
            p.expect(rf"^message b'{topic}' b'{n}' \[\(2, 2172814212\), \(38, {{'': ''}}\)\]$", SLOW)
            c.expect(f"40 02 {pid}", SLOW)
    end(p, SLOW)


# --- its code in memory


def test_loaded_again(mp):
    """Each copy goes on working while memory is collected and used again."""
    script = """
        import gc, sys
        properties = {1: 1, 2: 0x80000000, 3: "text", 9: b"\\0\\xff", 11: 300, 0x26: [("k", "1"), ("k", "2")]}
        copies = []
        for n in range(20):
            import _mqtt_as
            copies.append(_mqtt_as)
            sys.modules.pop("_mqtt_as", None)  # Not there in a firmware
            del _mqtt_as
            gc.collect()
            junk = [bytearray(b"\\xaa" * k) for k in range(0, 2000, 37)]
            for copy in copies:
                block = copy.encode_properties(properties)
                for _ in range(20):
                    assert copy.decode_properties(block, len(block)) == properties
                    try:
                        copy.decode_properties(block, len(block) - 1)
                        print("taken")
                    except ValueError:
                        pass
                gc.collect()
        print(len(copies))
    """
    assert mp(script, timeout=SLOW, options=("-X", "heapsize=2m")).out == "20\n"


def test_collections_all_the_time(clients, peer):
    """A collection for each KB, while messages of many sizes are received, acknowledged and sent back."""
    script = """
        def show(topic, msg, retained, properties):
            gc.collect()
            junk = [bytearray(b"\\xaa" * size) for size in (16, 50, 100, 2048)]
            kept = bytes(msg)
            asyncio.create_task(client.publish(topic, kept, retained, 1, properties))
        config["subs_cb"] = show

        async def main(client):
            gc.threshold(1024)
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script, options=("-X", "heapsize=256k"))
    for n in range(100):
        payload = bytes(n + k & 255 for k in range(n * n % 1500))
        properties = b"\x26\0\1n\0\2%02d" % n
        body = b"\0\1t" + n.to_bytes(2, "big") + bytes([len(properties)]) + properties + payload
        c.send(b"\x32" + varint(len(body)) + body if n else b"\x30\x04\0\1t\0")
        packets = [c.packet(SLOW) for _ in range(2 if n else 1)]
        if n:
            assert b"\x40\2" + n.to_bytes(2, "big") in packets
        sent = next(packet for packet in packets if packet[0] == 0x32)
        at = 2 if len(sent) < 130 else 3
        assert sent[at : at + 3] == body[:3] and (not n or sent[at + 5 :] == body[5:])
        c.send(b"\x40\2" + sent[at + 3 : at + 5])
    end(p, SLOW)


# --- all of it


@pytest.mark.parametrize("version", [4, 5])
def test_session(clients, broker, observers, version):
    """Hundred messages at each QoS in both directions with a restart of the broker between, and a DISCONNECT."""
    script = """
        def properties(n):
            return {1: 1, 2: 3600 + n, 3: "text/plain", 9: bytes([n]), 0x26: {"n": str(n)}} if config["mqttv5"] else None

        came = [0, 0, 0]

        def show(topic, msg, retained, got=None):
            qos = int(str(topic, "utf8")[-1])
            n = came[qos]
            if got:
                assert n + 3600 >= got.pop(2) > n + 3000
            expected = properties(n)
            if expected:
                del expected[2]
            assert msg == str(n).encode() and got == expected, (topic, msg, got, n)
            came[qos] += 1
            if came[qos] % 50 == 0:
                print("came", qos, came[qos])

        async def up(client):
            for qos in range(3):
                await client.subscribe("to/%d" % qos, qos)
            print("subscribed")
        config.update(subs_cb=show, connect_coro=up)

        async def main(client):
            await client.connect()
            while line := await told():
                for n in range(int(line), int(line) + 50):
                    for qos in range(3):
                        await client.publish("from/%d" % qos, str(n), False, qos, properties(n))
                    if n % 10 == 0:
                        gc.collect()
                print("sent")
            await client.disconnect()
    """
    p = clients.start(broker, script, config=settings(version))
    for start in (0, 50):
        p.expect("subscribed", SLOW)
        observer = observers(broker, version=version)
        observer.subscribe("from/+", 2)
        p.send(str(start))
        for n in range(start, start + 50):
            for qos in range(3):
                observer.publish(f"to/{qos}", str(n), qos, properties=sent_properties(n) if version == 5 else None)
        for _ in range(4):
            p.expect("^sent$|^came . (50|100)$", SLOW)
        observer.wait(150, SLOW)
        for qos in range(3):
            messages = [m for m in observer.messages if m.topic == f"from/{qos}"]
            assert [m.payload for m in messages] == [b"%d" % n for n in range(start, start + 50)]
            assert {m.qos for m in messages} == {qos}
            if version == 5:
                for n, m in enumerate(messages, start):
                    assert m.properties.UserProperty == [("n", str(n))] and m.properties.CorrelationData == bytes([n])
                    assert n + 3000 < m.properties.MessageExpiryInterval <= n + 3600
        observer.close()
        if not start:
            broker.restart()
    end(p, SLOW)
    broker.wait_log("Client id disconnected")
    assert "rotocol error" not in broker.log


def sent_properties(n):
    properties = Properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 3600 + n
    properties.ContentType = "text/plain"
    properties.CorrelationData = bytes([n])
    properties.UserProperty = ("n", str(n))
    return properties
