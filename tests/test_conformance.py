"""Statements of the specification that no other test shows, see CONFORMANCE.md. Sections are those of MQTT 5.

What fails here is a row marked `open` there; such a test is strict, so that it fails once the client conforms.
"""

import time

import pytest
from fixtures.client import end
from fixtures.peer import encode, varint

# Prints what comes.
RECEIVE = """
    def show(topic, msg, retained, properties=None):
        print("message", bytes(topic), bytes(msg), properties)
    config["subs_cb"] = show

    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""

# Whatever happens, publications that fail included.
PUBLISH = """
    async def publish(client, n, qos):
        print("published", n, await outcome(client.publish("t", str(n), qos=qos)))

    async def main(client):
        await client.connect()
        for n, qos in enumerate(map(int, sys.argv[1])):
            asyncio.create_task(publish(client, n, qos))
            await asyncio.sleep_ms(0)
        await told()
"""

KEEP = {"clean": False, "clean_init": False}

both = pytest.mark.parametrize("version", [4, 5])


def settings(version, config=None):
    own = {"mqttv5": True, "mqttv5_con_props": {0x11: 600}} if version == 5 else {}
    return {**own, **(config or {})}


def accept(peer, version=5, present=0, announced=""):
    """The next connection, accepted; `announced`: properties."""
    c = peer.accept()
    c.accept_connect(f"20 # {present:02x} 00" + f" # {announced}" * (version == 5))
    return c


def connected(clients, peer, version, script, *args, config=None, announced="", **how):
    p = clients.start(peer, script, *args, config=settings(version, config), **how)
    return p, accept(peer, version, 0, announced)


def publish(c, version, message="'m'", topic='"t"', first=0x30, pid="", properties=""):
    """Send a PUBLISH."""
    block = encode(properties)
    block = varint(len(block)) + block if version == 5 else b""
    body = encode(topic) + encode(pid) + block + encode(message)
    c.send(bytes((first,)) + varint(len(body)) + body)


def pid(packet):
    """The packet identifier of a PUBLISH to "t", or of an acknowledgement."""
    return packet[5:7] if packet[0] >> 4 == 3 else packet[2:4]


def only_pings(data):
    assert not data.replace(b"\xc0\0", b""), data


# --- strings (1.5)


@both
def test_byte_order_mark(clients, peer, version):
    """U+FEFF is a character like others, at the front too (1.5.4)."""
    script = RECEIVE.replace('print("connected")', 'await client.publish("\\ufefft", "m")')
    p, c = connected(clients, peer, version, script)
    c.expect(b"\x30" + bytes((7 + (version == 5),)) + b"\0\4\xef\xbb\xbft" + b"\0" * (version == 5) + b"m")
    publish(c, version, topic='"\ufefft"')
    p.expect(r"^message b'\\xef\\xbb\\xbft' b'm'")
    end(p)


# --- bad packets in MQTT 5 (2.1.3, 2.2.2, 4.13.1)


@pytest.mark.parametrize(
    "packet, reason",
    [
        # 2.1.3: flags
        ("41 02 00 01", 0x81),
        ("52 02 00 01", 0x81),
        ("60 02 00 01", 0x81),
        ("72 02 00 01", 0x81),
        ("91 04 00 01 00 00", 0x81),
        ("b2 04 00 01 00 00", 0x81),
        ("d8 00", 0x81),
        ("e1 00", 0x81),
        ("f4 00", 0x81),
        # 1.5: strings, integers
        ("30 # 00 01 00 00 'm'", 0x81),
        ("30 # 00 03 ed a0 80 00 'm'", 0x81),
        ("30 # \"t\" 04 03 00 01 ff 'm'", 0x81),
        ("30 # \"t\" 06 26 00 01 00 00 00 'm'", 0x81),
        ("30 # \"t\" 06 26 00 00 00 01 ff 'm'", 0x81),
        ("30 84 00 \"t\" 00 'm'", 0x81),
        ("30 # \"t\" 80 00 'm'", 0x81),
        # 2.2.2.2: properties
        ('40 # 00 01 00 # 1f "a" 1f "b"', 0x82),
        ('50 # 00 01 00 # 1f "a" 1f "b"', 0x82),
        ('62 # 00 01 00 # 1f "a" 1f "b"', 0x82),
        ('70 # 00 01 00 # 1f "a" 1f "b"', 0x82),
        ('90 # 00 01 08 1f "a" 1f "b" 00', 0x82),
        ('b0 # 00 01 08 1f "a" 1f "b" 00', 0x82),
        ('e0 # 80 # 1c "a" 1c "b"', 0x82),
        ("e0 # 80 # 11 00 00 00 01", 0x81),
        ("30 # \"t\" 02 0b 00 'm'", 0x82),
        ('30 # "t" 08 03 "a" 03 "b" \'m\'', 0x82),
        ("30 # \"t\" 08 09 00 01 01 09 00 01 02 'm'", 0x82),
        # 3.3.4: an alias, where none was allowed
        ("30 # \"t\" 03 23 00 01 'm'", 0x94),
        # 3.15, 4.12: who has asked for no method of authentication
        ('f0 # 18 # 15 "m"', 0x82),
    ],
)
def test_bad_packets(clients, peer, packet, reason):
    """The server is told why, with nothing after it, and nothing is delivered."""
    p, c = connected(clients, peer, 5, RECEIVE)
    p.expect("connected")
    c.send(packet, "32 # \"t\" 00 02 00 'late'")
    c.expect(f"e0 01 {reason:02x}")
    assert c.closed() == b""
    publish(accept(peer), 5, "'good'")
    p.expect("^message b't' b'good'")
    assert end(p).out.count("message") == 1


def test_wrong_number_of_reason_codes(clients, peer):
    """One for each topic filter (3.9.3, 3.11.3)."""
    script = """
        async def main(client):
            await client.connect()
            print("answered", await client.subscribe("t"), await client.unsubscribe("t"))
    """
    p, c = connected(clients, peer, 5, script)
    c.send("90 05", pid(c.expect("82 *")), "00 00 00")
    c.expect("e0 01 82")
    assert c.closed() == b""
    c = accept(peer)
    c.send("90 04", pid(c.expect("82 *")), "00 00")
    c.send("b0 05", pid(c.expect("a2 *")), "00 00 00")
    c.expect("e0 01 82")
    assert c.closed() == b""
    c = accept(peer)
    c.send("b0 04", pid(c.expect("a2 *")), "00 00")
    p.expect("answered 0 0")
    end(p)


@pytest.mark.parametrize(
    "answer",
    [
        "20 03 02 00 00",  # reserved flags
        "20 03 01 00 00",  # a session, after Clean Start
        "20 03 01 87 00",
        "20 03 00 01 00",  # no such reason
        "20 02 00 00",  # no property length
        "21 03 00 00 00",
        "20 # 00 00 # 21 00 00",
        "20 # 00 00 # 24 02",
        "20 # 00 00 # 25 02",
        "20 # 00 00 # 27 00 00 00 00",
        "20 # 00 00 # 28 02",
        "20 # 00 00 # 29 02",
        "20 # 00 00 # 2a 02",
        "20 # 00 00 # 11 00 00 00 01 11 00 00 00 01",
        "20 # 00 00 # 21 00 01 21 00 01",
        "20 # 00 00 # 24 01 24 01",
        "20 # 00 00 # 25 01 25 01",
        "20 # 00 00 # 27 00 00 00 ff 27 00 00 00 ff",
        '20 # 00 00 # 12 "a" 12 "b"',
        "20 # 00 00 # 22 00 01 22 00 01",
        '20 # 00 00 # 1f "a" 1f "b"',
        "20 # 00 00 # 28 01 28 01",
        "20 # 00 00 # 29 01 29 01",
        "20 # 00 00 # 2a 01 2a 01",
        "20 # 00 00 # 13 00 01 13 00 01",
        '20 # 00 00 # 1a "a" 1a "b"',
        '20 # 00 00 # 1c "a" 1c "b"',
        '20 # 00 00 # 15 "a" 15 "b"',
        '20 # 00 00 # 15 "a" 16 00 00 16 00 00',
        "20 # 00 00 # 23 00 01",  # a property of other packets
        "30 # \"t\" 00 'm'",
        "d0 00",
        "e0 00",
        "e0 01 87",
        'f0 # 18 # 15 "m"',
    ],
)
def test_bad_connack(clients, peer, answer):
    """3.2: it is no connection, and nothing is sent over it."""
    p, c = connected(clients, peer, 5, RECEIVE)
    p.expect("connected")
    c.close()
    c = peer.accept()
    c.accept_connect(answer)
    assert c.closed() == b""
    publish(accept(peer), 5, "'good'")
    p.expect("^message b't' b'good'")
    assert end(p).out.count("message") == 1


# --- what may not be sent (2.2.2.2, 3.1.2.11, 3.8.2)


@pytest.mark.parametrize(
    "properties",
    [
        "{0x21: 0}",
        "{0x27: 0}",
        "{0x17: 2}",
        "{0x19: 2}",
        "{0x16: b'x'}",  # no method
        "{0x11: [1, 1]}",
        "{0x22: [1, 1]}",
        "{0x15: ['a', 'b']}",
        "{0x01: 1}",  # of other packets
        "{0x18: 1}",
        "{0x1f: 'x'}",
        "{0x24: 1}",
        "{0x26: {b'\\xff': 'v'}}",
        "{0x26: {'k': 'a\\0b'}}",
        "{0x15: b'\\xff'}",
        "{0x26: {'k': 'v' * 65536}}",
    ],
)
def test_wrong_connect_properties(mp, properties):
    script = f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({{"server": "localhost", "mqttv5": True, "mqttv5_con_props": {properties}}})
            print("taken")
        except (ValueError, TypeError) as e:
            print("refused")
    """
    assert mp(script).lines == ["refused"]


@pytest.mark.parametrize(
    "call",
    [
        "subscribe('t', 1, {0x0b: 0})",
        "subscribe('t', 1, {0x0b: [1, 2]})",
        "subscribe('t', 1, {0x0b: 1 << 28})",
        "subscribe('t', 1, {0x1f: 'x'})",
        "subscribe('$share/a', 1)",
        "subscribe('$share//t', 1)",
        "subscribe('$share/a+/t', 1)",
        "subscribe('$share/a/', 1)",
        "unsubscribe('t', {0x0b: 1})",
        "publish('t', 'm', properties={0x1f: 'x'})",
        "publish('t', 'm', properties={0x03: ['a', 'b']})",
        "publish('t', 'm', properties={0x08: b'\\xff'})",
        "publish('', 'm', properties={0x01: 1})",
    ],
)
def test_wrong_properties_of_requests(clients, peer, call):
    script = f"""
        async def main(client):
            await client.connect()
            print("raised", await outcome(client.{call}))
            await client.publish("t", "end")
    """
    p, c = connected(clients, peer, 5, script, announced="22 00 05")
    c.expect("30 # \"t\" 00 'end'")
    assert end(p).lines in (["raised ValueError"], ["raised TypeError"])


# --- CONNECT, CONNACK (3.1, 3.2)


@both
def test_connect_comes_first_and_alone(clients, peer, version):
    """Nothing follows it before CONNACK (3.1.0, 3.1.2.11.9), and never a second one (3.1.0)."""
    script = """
        async def main(client):
            for qos in (0, 1):
                asyncio.create_task(client.publish("t", "m", qos=qos))
            asyncio.create_task(client.subscribe("t"))
            asyncio.create_task(client.unsubscribe("t"))
            await asyncio.sleep_ms(0)
            asyncio.create_task(client.connect())
            await told()
            await client.connect()
            await told()
    """
    p = clients.start(peer, script, config=settings(version))
    c = peer.accept()
    c.expect("10 # *")
    c.quiet(0.5)
    c.send("20 02 00 00" if version == 4 else "20 03 00 00 00")
    assert sorted(c.packet()[0] for _ in range(4)) == [0x30, 0x32, 0x82, 0xA2]
    p.send("go")
    c.quiet(0.3)
    p.kill()


@pytest.mark.parametrize(
    "config, flags, payload",
    [
        ({}, "02", '"id"'),
        ({"user": "me"}, "82", '"id" "me"'),
        ({"password": b"\1\xff"}, "42", '"id" 00 02 01 ff'),
        ({"user": "me", "password": "x"}, "c2", '"id" "me" "x"'),
        ({"will": ("last", "words", True, 2)}, "36", '"id" 00 "last" "words"'),
        ({"will": ("last", "", False, 0), "user": "me", "password": "x"}, "c6", '"id" 00 "last" "" "me" "x"'),
        ({"clean": False}, "00", '"id"'),
    ],
)
def test_connect_packet(clients, peer, config, flags, payload):
    """Flags and what they announce, in the order of 3.1.3."""
    p = clients.start(peer, RECEIVE, config={"mqttv5": True, **config})
    c = peer.accept()
    connect = c.accept_connect("20 03 00 00 00")
    assert connect[2:12] == encode(f'"MQTT" 05 {flags} 00 3c')
    assert connect[13 + connect[12] :] == encode(payload)
    p.expect("connected")
    end(p)


@both
@pytest.mark.parametrize("topic", ["b'\\xff'", "'a\\0'", "'a/+'", "''", "'t' * 65536"])
def test_wrong_topic_of_the_will(mp, version, topic):
    script = f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({{"server": "localhost", "mqttv5": {version == 5}, "will": ({topic}, "m", False, 0)}})
            print("taken")
        except ValueError:
            print("refused")
    """
    assert mp(script).lines == ["refused"]


@pytest.mark.parametrize(
    "properties",
    [
        "{0x18: [1, 1]}",
        "{0x01: [1, 1]}",
        "{0x02: [1, 1]}",
        "{0x03: ['a', 'b']}",
        "{0x08: ['a', 'b']}",
        "{0x09: [b'a', b'b']}",
        "{0x08: 'a/+'}",
        "{0x01: 2}",
        "{0x11: 1}",
        "{0x23: 1}",
        "{0x26: {'k': b'\\xff'}}",
    ],
)
def test_wrong_properties_of_the_will(mp, properties):
    script = f"""
        from mqtt_as import MQTTClient
        MQTTClient({{"server": "localhost", "mqttv5": True, "will": ("t", "m", False, 0, {{0x18: 5}})}})
        try:
            MQTTClient({{"server": "localhost", "mqttv5": True, "will": ("t", "m", False, 0, {properties})}})
            print("taken")
        except (ValueError, TypeError):
            print("refused")
    """
    assert mp(script).lines == ["refused"]


@pytest.mark.parametrize("answer", ["PINGRESP", "PINGRESP behind a long message"])
@both
def test_keep_alive_while_an_answer_is_awaited(clients, peer, version, answer):
    """3.1.2.10: the interval between packets keeps to the keep alive, also where the server takes its time."""
    p = clients.start(peer, RECEIVE, config=settings(version, {"keepalive": 2, "response_time": 20}))
    c = peer.accept()
    c.expect("10 # *")
    c.send("20 02 00 00" if version == 4 else "20 03 00 00 00")
    c.expect("c0 00", timeout=3)
    if "long" in answer:
        c.send(b"\x30\xff\x7f")
    last = time.monotonic()
    pings = 0
    while pings < 2:
        assert time.monotonic() - last < 3, "one and a half times the keep alive: the server hangs up"
        if "long" in answer:
            c.send("00")
        c.sock.settimeout(0.1)
        try:
            assert c.sock.recv(2) == b"\xc0\0"
            last = time.monotonic()
            pings += 1
        except TimeoutError:
            pass
    p.kill()


# --- sessions (3.1.2.4, 3.1.2.11.2, 4.1, 4.4)


def take_one(c, version, again):
    """A message of QoS 2 up to PUBREC."""
    publish(c, version, first=0x3C if again else 0x34, pid="00 07")
    c.expect("50 02 00 07")


@both
@pytest.mark.parametrize("end_it", ["fault", "disconnect"])
def test_received_messages_are_remembered(clients, peer, version, end_it):
    """4.3.3: a message that came before the connection ended does not come twice."""
    script = """
        config["subs_cb"] = lambda topic, msg, retained, *_: print("message", msg)

        async def main(client):
            await client.connect()
            print("connected")
            if await told():
                await client.disconnect()
                await client.connect()
                await told()
    """
    p, c = connected(clients, peer, version, script, config=KEEP)
    p.expect("connected")
    take_one(c, version, False)
    p.expect("message")
    if end_it == "fault":
        c.close()
    else:
        p.send("disconnect")
        c.expect("e0 *")
        c.close()
    c = accept(peer, version, 1)
    take_one(c, version, True)
    c.send("62 02 00 07")
    c.expect("70 02 00 07")
    assert end(p).out.count("message") == 1


@both
def test_a_session_that_is_gone(clients, peer, version):
    """3.2.2.2: the server kept nothing, so nothing of it holds here: identifiers mean new messages, in both directions."""
    script = """
        config["subs_cb"] = lambda topic, msg, retained, *_: print("message", msg)

        async def main(client):
            await client.connect()
            asyncio.create_task(client.publish("t", "one", qos=1))
            asyncio.create_task(client.publish("t", "two", qos=2))
            await told()
    """
    p, c = connected(clients, peer, version, script, config=KEEP)
    sent = [c.packet() for _ in range(2)]
    c.send(b"\x50\x02" + pid(sent[1]))
    c.expect(b"\x62\x02" + pid(sent[1]))
    take_one(c, version, False)
    c.close()
    c = accept(peer, version, 0)
    anew = [c.packet() for _ in range(2)]
    assert [(packet[0], packet[-3:]) for packet in anew] == [(0x32, b"one"), (0x34, b"two")]
    assert len({pid(packet) for packet in sent + anew}) == 4
    take_one(c, version, False)
    p.expect("message")
    p.expect("message")
    p.kill()


@both
@pytest.mark.parametrize("end_it", ["fault", "disconnect"])
def test_released_messages_are_completed(clients, peer, version, end_it):
    """4.4: PUBREL is sent again where PUBCOMP has not come."""
    script = """
        async def main(client):
            await client.connect()
            task = asyncio.create_task(outcome(client.publish("t", "m", qos=2)))
            await told()
            await client.disconnect()
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, version, script, config=KEEP)
    n = pid(c.expect('34 # "t" *'))
    c.send(b"\x50\x02" + n)
    c.expect(b"\x62\x02" + n)
    if end_it == "fault":
        c.close()
    else:
        p.send("disconnect")
        c.expect("e0 *")
        c.close()
    c = accept(peer, version, 1)
    c.expect(b"\x62\x02" + n, timeout=3)
    c.send(b"\x70\x02" + n)
    p.kill()


@both
def test_resumed_in_order(clients, peer, version):
    """4.4, 4.6: all that is not acknowledged, with its identifier, DUP and its contents, in the order it was sent."""
    p, c = connected(clients, peer, version, PUBLISH, "121212", config=KEEP)
    sent = [c.packet() for _ in range(6)]
    assert [packet[-1:] for packet in sent] == [b"%d" % n for n in range(6)]
    assert len({pid(packet) for packet in sent}) == 6 and b"\0\0" not in map(pid, sent)
    c.send(b"\x40\x02" + pid(sent[2]), b"\x50\x02" + pid(sent[3]))
    c.expect(b"\x62\x02" + pid(sent[3]))
    for _ in range(2):
        c.close()
        c = accept(peer, version, 1)
        again = [c.packet() for _ in range(5)]
        duplicates = [bytes((packet[0] | 8,)) + packet[1:] for packet in sent]
        assert [packet for packet in again if packet[0] != 0x62] == [duplicates[n] for n in (0, 1, 4, 5)]
        assert b"\x62\x02" + pid(sent[3]) in again
        c.quiet(0.3)
    p.kill()


def test_refused_messages_are_not_sent_again(clients, peer):
    """4.4: an acknowledgement is one, also if it refuses."""
    p, c = connected(clients, peer, 5, PUBLISH, "121", config=KEEP)
    one, two, three = (c.packet() for _ in range(3))
    c.send(b"\x40\x03" + pid(one) + b"\x97", b"\x50\x03" + pid(two) + b"\x97")
    for n in range(2):
        p.expect(f"^published {n} MQTTException")
    c.close()
    c = accept(peer, 5, 1)
    assert pid(c.expect("3a *")) == pid(three)
    c.quiet(0.5)
    p.kill()


def test_expired_messages_are_sent_again(clients, peer):
    """4.3.3: once it was sent, its expiry is no concern of the sender's."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", False, 2, {0x02: 1})
    """
    p, c = connected(clients, peer, 5, script, config=KEEP)
    first = c.expect('34 # "t" *')
    time.sleep(1.5)
    c.close()
    c = accept(peer, 5, 1)
    c.expect(b"\x3c" + first[1:])
    p.kill()


@both
def test_a_cancelled_message_is_released(clients, peer, version):
    """It is not sent again, but the server must not take the next one with its identifier for it (4.4)."""
    script = """
        async def main(client):
            await client.connect()
            task = asyncio.create_task(client.publish("t", "m", qos=2))
            await told()
            task.cancel()
            await told()
    """
    p, c = connected(clients, peer, version, script, config=KEEP)
    first = c.expect('34 # "t" *')
    p.send("cancel")
    time.sleep(0.2)
    c.close()
    c = accept(peer, version, 1)
    c.expect(b"\x62\x02" + pid(first), timeout=2)
    c.send(b"\x70\x02" + pid(first))
    c.quiet(0.3)
    p.kill()


@both
def test_a_repeated_message_without_dup(clients, peer, version):
    """4.3.3: it is the identifier that tells."""
    p, c = connected(clients, peer, version, RECEIVE)
    for _ in range(3):
        publish(c, version, first=0x34, pid="00 07")
        c.expect("50 02 00 07")
    c.send("62 02 00 07")
    c.expect("70 02 00 07")
    publish(c, version, "'n'", first=0x3C, pid="00 07")  # a new one, whatever DUP says
    c.expect("50 02 00 07")
    assert [line.split()[2] for line in end(p).lines if "message" in line] == ["b'm'", "b'n'"]


@both
def test_qos_1_again_is_a_new_message(clients, peer, version):
    """4.3.2: once it is acknowledged, whatever DUP says."""
    p, c = connected(clients, peer, version, RECEIVE)
    for first in (0x32, 0x3A, 0x32):
        publish(c, version, first=first, pid="00 07")
        c.expect("40 02 00 07")
    p.expect("connected")
    assert end(p).out.count("message") == 3


def test_pubcomp_in_a_resumed_session(clients, peer):
    """3.7.2.1: the server has had PUBREL before, and PUBCOMP was lost."""
    p, c = connected(clients, peer, 5, PUBLISH, "2", config=KEEP)
    n = pid(c.packet())
    c.send(b"\x50\x02" + n)
    c.expect(b"\x62\x02" + n)
    c.close()
    c = accept(peer, 5, 1)
    c.expect(b"\x62\x02" + n)
    c.send(b"\x70\x03" + n + b"\x92")
    p.expect("^published 0 0", 3)
    end(p)


# --- order (4.6)


@both
@pytest.mark.parametrize("resumed", [False, True])
def test_order_of_pubrels(clients, peer, version, resumed):
    """That of the PUBRECs."""
    p, c = connected(clients, peer, version, PUBLISH, "222", config=KEEP)
    pids = [pid(c.packet()) for _ in range(3)]
    order = [pids[n] for n in (2, 0, 1)]
    c.send(*(b"\x50\x02" + n for n in order))
    for n in order:
        c.expect(b"\x62\x02" + n)
    if resumed:
        c.close()
        c = accept(peer, version, 1)
        for n in order:
            c.expect(b"\x62\x02" + n)
    p.kill()


@both
def test_order_of_acknowledgements(clients, peer, version):
    """That of the messages, of each QoS; there is one for each message, wanted or not (4.5)."""
    p, c = connected(clients, peer, version, RECEIVE.replace("show\n", "lambda *_: 1 / 0\n"))
    for n in range(1, 51):
        publish(c, version, first=0x32 + n % 2 * 2, pid=f"00 {n:02x}")
    for n in range(1, 51):
        c.expect(bytes((0x40 + n % 2 * 0x10, 2, 0, n)))
    p.kill()


@both
def test_messages_without_room_are_acknowledged(clients, peer, version):
    """4.5: also those that a full queue discards."""
    script = """
        async def main(client):
            await client.connect()
            await told()
            print("discards", client.queue.discards)
    """
    p, c = connected(clients, peer, version, script, config={"queue_len": 1})
    for n in range(1, 7):
        publish(c, version, first=0x32 + n % 2 * 2, pid=f"00 {n:02x}")
    for n in range(1, 7):
        c.expect(bytes((0x40 + n % 2 * 0x10, 2, 0, n)))
    p.send("go")
    p.expect("discards 5")
    end(p)


# --- what the server announced (3.2.2.3, 4.9)

# Publications first; each line told is then evaluated in a task.
DO = """
    async def main(client):
        await client.connect()
        for n in range(int(sys.argv[1])):
            asyncio.create_task(outcome(client.publish("t", str(n), qos=1 + n % 2)))
            await asyncio.sleep_ms(0)
        while line := await told():
            asyncio.create_task(outcome(eval(line, {"client": client})))
"""


def all_but_publications(p, c):
    """Each of them goes out while the quota is used up."""
    p.send("client.subscribe('t', 1)")
    c.send("90 04", pid(c.expect("82 *", 3)), "00 01")
    p.send("client.unsubscribe('t')")
    c.send("b0 04", pid(c.expect("a2 *", 3)), "00 00")
    c.send("32 # \"t\" 00 01 00 'm'", "34 # \"t\" 00 02 00 'm'", "62 02 00 02")
    c.expect("40 02 00 01")
    c.expect("50 02 00 02")
    c.expect("70 02 00 02")
    c.quiet(0.3)


def test_receive_maximum_delays_publications_only(clients, peer):
    p, c = connected(clients, peer, 5, DO, 5, announced="21 00 02")
    one, two = c.packet(), c.packet()
    c.quiet(0.3)
    all_but_publications(p, c)
    c.send(b"\x50\x02" + pid(two))
    c.expect(b"\x62\x02" + pid(two))
    c.quiet(0.3)  # only PUBCOMP ends it
    c.send(b"\x70\x02" + pid(two))
    c.expect('32 # "t" *')
    c.quiet(0.3)
    c.send(b"\x40\x03" + pid(one) + b"\x97")  # a refusal counts as well
    four = c.expect('34 # "t" *')
    c.send(b"\x50\x03" + pid(four) + b"\x97")
    c.expect('32 # "t" *')
    p.send("client.publish('t', 'n')")
    c.expect("30 # \"t\" 00 'n'")
    p.kill()


def test_receive_maximum_of_the_size_of_the_table(clients, peer):
    """32 publications under way, as many as the server takes: nothing else has to wait for them."""
    p, c = connected(clients, peer, 5, DO, 32, announced="21 00 20")
    for _ in range(32):
        c.packet()
    all_but_publications(p, c)
    p.kill()


@pytest.mark.parametrize("what", ["PUBREL", "others"])
def test_receive_maximum_after_a_reconnection(clients, peer, what):
    """The new connection's is less than what is to be sent again."""
    p, c = connected(clients, peer, 5, DO, 3, config=KEEP)
    first, second, third = (c.packet() for _ in range(3))
    if what == "PUBREL":
        c.send(b"\x50\x02" + pid(second))
        c.expect(b"\x62\x02" + pid(second))
    c.close()
    c = accept(peer, 5, 1, "21 00 01")
    c.expect(b"\x3a" + first[1:])
    if what == "PUBREL":
        c.expect(b"\x62\x02" + pid(second), 3)
    else:
        all_but_publications(p, c)
    p.kill()


@pytest.mark.parametrize("first", [0x32, 0x34])
def test_receive_maximum_of_the_client(clients, peer, first):
    """3.3.4: more than that, and the server is told."""
    p, c = connected(clients, peer, 5, RECEIVE, config={"mqttv5_con_props": {0x21: 2}})
    p.expect("connected")
    for n in (1, 2):
        publish(c, 5, first=0x34, pid=f"00 0{n}")
        c.expect(f"50 02 00 0{n}")
    publish(c, 5, first=0x3C, pid="00 02")  # none more
    c.expect("50 02 00 02")
    publish(c, 5, "'many'", first=first, pid="00 03")
    c.expect("e0 01 93")
    assert c.closed() == b""
    accept(peer)
    assert "many" not in end(p).out


@pytest.mark.parametrize("config", [{"max_packet": 100}, {"mqttv5_con_props": {0x27: 100}}])
def test_maximum_packet_size_of_the_client(clients, peer, config):
    """3.1.2.11.4"""
    p = clients.start(peer, RECEIVE, config=settings(5, config))
    c = peer.accept()
    assert encode("27 00 00 00 64") in c.accept_connect("20 03 00 00 00")
    p.expect("connected")
    for size in (94, 95):  # 100 bytes, 101
        publish(c, 5, f"'{'x' * size}'")
    c.expect("e0 01 95")
    assert c.closed() == b""
    accept(peer)
    assert end(p).out.count("message") == 1


def test_receive_maximum_begins_anew(clients, peer):
    """4.9: with each connection. What waits for its PUBREL since an earlier one takes nothing of it."""
    config = {**KEEP, "mqttv5_con_props": {0x11: 600, 0x21: 1}}
    p, c = connected(clients, peer, 5, RECEIVE, config=config)
    p.expect("connected")
    publish(c, 5, first=0x34, pid="00 01")
    c.expect("50 02 00 01")
    c.close()
    c = accept(peer, 5, 1)
    publish(c, 5, "'n'", first=0x34, pid="00 02")
    c.send("62 02 00 01")
    c.expect("50 02 00 02")
    c.expect("70 02 00 01")
    end(p)


@pytest.mark.parametrize("size, packet, longest", [(4, "62 02 00 01", 4), (4, "50 02 00 01", 4), (2, "d0 01 00", 0)])
def test_small_maximum_packet_size(clients, peer, size, packet, longest):
    """3.2.2.3.6: it binds acknowledgements and DISCONNECT too."""
    p, c = connected(clients, peer, 5, RECEIVE, announced=f"27 00 00 00 {size:02x}")
    p.expect("connected")
    c.send(packet)
    if longest:
        assert len(c.packet()) == longest
    else:
        assert c.closed() == b""
    p.kill()


# --- topic aliases (3.3.2.3.4)


def test_all_aliases_up_to_the_maximum(clients, peer):
    p, c = connected(clients, peer, 5, RECEIVE, config={"mqttv5_con_props": {0x22: 300}})
    for n in (1, 255, 256, 300):
        publish(c, 5, topic=f'"t{n}"', properties=f"23 {n >> 8:02x} {n & 255:02x}")
    for n in (1, 255, 256, 300):
        publish(c, 5, f"'{n}'", '""', properties=f"23 {n >> 8:02x} {n & 255:02x}")
    for n in (1, 255, 256, 300):
        p.expect(f"^message b't{n}' b'{n}'")
    publish(c, 5, properties="23 01 2d")
    c.expect("e0 01 94")
    p.kill()


def test_alias_0(clients, peer):
    """3.3.4 gives it a reason code of its own."""
    p, c = connected(clients, peer, 5, RECEIVE, config={"mqttv5_con_props": {0x22: 300}})
    p.expect("connected")
    publish(c, 5, properties="23 00 00")
    c.expect("e0 01 94")
    p.kill()


def test_alias_in_a_repeated_message(clients, peer):
    """A message that comes again is not delivered again, but its alias holds."""
    config = {**KEEP, "mqttv5_con_props": {0x22: 5, 0x11: 600}}
    p, c = connected(clients, peer, 5, RECEIVE, config=config)
    p.expect("connected")
    publish(c, 5, first=0x34, pid="00 01")
    c.expect("50 02 00 01")
    c.close()
    c = accept(peer, 5, 1)
    publish(c, 5, first=0x3C, pid="00 01", properties="23 00 01")
    c.expect("50 02 00 01")
    publish(c, 5, "'n'", '""', properties="23 00 01")
    p.expect("^message b't' b'n'", 3)
    assert end(p).out.count("message") == 2


def test_alias_of_an_earlier_connection(clients, peer):
    """An alias without its topic means nothing to a server that has not been told over this connection."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", properties={0x23: 1})
            await outcome(client.publish("", "n", qos=1, properties={0x23: 1}))
    """
    p, c = connected(clients, peer, 5, script, config=KEEP, announced="22 00 05")
    c.expect("30 # \"t\" 03 23 00 01 'm'")
    c.expect("32 # \"\" .. .. 03 23 00 01 'n'")
    c.close()
    c = accept(peer, 5, 1, "22 00 05")
    c.sock.settimeout(1)
    try:
        assert c.sock.recv(100)[1:4] != b"\x09\0\0"
    except TimeoutError:
        pass
    p.kill()


def test_aliases_of_the_application_beside_automatic_ones(clients, peer):
    """What the one sets, the other must not take for its own: the message would go to another topic."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "1")
            await client.publish("x", "2", properties={0x23: 1})
            await client.publish("t", "3")
            await told()
    """
    p, c = connected(clients, peer, 5, script, config={"topic_aliases": 2}, announced="22 00 02")
    topics = {}
    for n in range(3):
        packet = c.packet()
        length = packet[3]
        topic, block = packet[4 : 4 + length], packet[5 + length :]
        alias = block[:3] if block[:1] == b"\x23" else None
        topics[alias] = topic or topics[alias]
        assert topics[alias] == (b"x" if n == 1 else b"t")
    p.kill()


def test_automatic_aliases_begin_anew(clients, peer):
    """3.3.2.3.4: with each connection, those sent too; what is sent again brings its topic with it."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "1")
            await outcome(client.publish("t", "2", qos=1))
            await client.publish("t", "3")
    """
    p, c = connected(clients, peer, 5, script, config={**KEEP, "topic_aliases": 2}, announced="22 00 01")
    c.expect("30 # \"t\" 03 23 00 01 '1'")
    n = pid(b"\x30___" + c.expect("32 # \"\" .. .. 03 23 00 01 '2'")[3:])
    c.close()
    c = accept(peer, 5, 1, "22 00 01")
    c.expect(b"\x3a\x0a\0\1t" + n + encode("03 23 00 01 '2'"))
    c.send(b"\x40\x02" + n)
    c.expect("30 # \"\" 03 23 00 01 '3'")
    end(p)


# --- authentication (3.15, 4.12)

AUTH = """
    async def auth(reason, properties):
        print("auth", reason, properties)
        if reason is None:
            return {0x15: "other", 0x16: b"first"}
        if reason:
            return {0x15: "other", 0x16: b"next"}
        if (await told()) == b"no":
            raise ValueError("not content")
    config["auth_coro"] = auth
    config["mqttv5_con_props"] = {0x15: "m", 0x21: 5}
"""


def test_authentication(clients, peer):
    """Nothing but AUTH before CONNACK (3.1.2.11.9), with reason code 0x18 and the method of CONNECT (4.12)."""
    script = (
        AUTH
        + """
    async def main(client):
        asyncio.create_task(client.publish("t", "m"))
        await client.connect()
        await client.reauthenticate()
        print("done")
        await told()
"""
    )
    p = clients.start(peer, script, config={"mqttv5": True})
    c = peer.accept()
    connect = c.expect("10 # *")
    block = connect[13 : 13 + connect[12]]
    assert encode('15 "m"') in block and encode('16 "first"') in block and b"other" not in connect
    for _ in range(2):
        c.quiet(0.2)
        c.send('f0 # 18 # 15 "m" 16 "challenge"')
        packet = c.expect("f0 # 18 *")
        assert packet[4:] in (encode('15 "m" 16 "next"'), encode('16 "next" 15 "m"'))
    c.quiet(0.2)
    c.send('20 # 00 00 # 15 "m"')
    p.send("content")
    seen = [c.packet() for _ in range(2)]
    again = next(packet for packet in seen if packet[0] == 0xF0)  # 4.12.1: the same method
    assert again[2] == 0x19 and again[4:] in (encode('15 "m" 16 "first"'), encode('16 "first" 15 "m"'))
    c.send('f0 # 00 # 15 "m"')
    p.send("content")
    p.expect("done")
    end(p)


@pytest.mark.parametrize("moment", ["connecting", "later"])
def test_failed_authentication(clients, peer, moment):
    """It ends the connection (4.12.1)."""
    script = (
        AUTH
        + """
    async def main(client):
        print("connect", await outcome(client.connect()))
        print("again", await outcome(client.reauthenticate()))
        await told()
"""
    )
    p = clients.start(peer, script, config={"mqttv5": True})
    c = peer.accept()
    c.accept_connect('20 # 00 00 # 15 "m"')
    if moment == "later":
        p.send("content")
        c.expect("f0 # 19 *")
        c.send('f0 # 00 # 15 "m"')
    p.send("no")
    assert c.closed()[:1] in (b"", b"\xe0")
    p.kill()


def test_authentication_by_another_method(clients, peer):
    """4.12: the server keeps to that of CONNECT."""
    p = clients.start(peer, AUTH + "    async def main(client):\n        await client.connect()", config={"mqttv5": True})
    c = peer.accept()
    c.accept_connect('f0 # 18 # 15 "n"')
    assert c.closed() == b""
    p.kill()


def test_no_authentication(clients, peer):
    """4.12: no AUTH where CONNECT had no method."""
    script = """
        async def main(client):
            await client.connect()
            print("again", await outcome(client.reauthenticate()))
            await client.publish("t", "end")
            await told()
    """
    p, c = connected(clients, peer, 5, script)
    c.expect("30 # \"t\" 00 'end'")
    p.expect("^again ValueError")
    end(p)


# --- DISCONNECT (3.14)


@pytest.mark.parametrize("properties", ["{0x1f: 'x' * 100}", "{0x26: {'k': 'v' * 100}}"])
@pytest.mark.parametrize("packet", ["DISCONNECT", "AUTH"])
def test_long_control_packets(clients, peer, packet, properties):
    """3.14.2.2.3, 3.15.2.2.4, 3.2.2.3.6: they keep to the server's maximum packet size too."""
    script = f"""
        async def auth(reason, properties):
            return {properties} if connected else {{}}
        connected = False
        config["mqttv5_con_props"] = {{0x15: "m"}}
        config["auth_coro"] = auth

        async def main(client):
            global connected
            await client.connect()
            connected = True
            if "{packet}" == "AUTH":
                await outcome(client.reauthenticate())
            else:
                try:
                    await client.disconnect(4, {properties})
                except Exception as e:
                    print(e)
            await told()
    """
    p = clients.start(peer, script, config={"mqttv5": True})
    c = accept(peer, 5, 0, '27 00 00 00 20 15 "m"')
    c.sock.settimeout(1)
    try:
        data = c.sock.recv(1000)
    except TimeoutError:
        data = b""
    p.kill()
    assert len(data) <= 32


@pytest.mark.parametrize(
    "reason, properties, error",
    [
        (4, "{0x11: 5}", "ValueError"),  # CONNECT had none
        (0, "{0x1f: ['a', 'b']}", "ValueError"),
        (0, "{0x1c: 'elsewhere'}", "ValueError"),
        (0, "{0x01: 1}", "ValueError"),
        (1, "None", "ValueError"),
        (0x8B, "None", "ValueError"),
        (256, "None", "ValueError"),
    ],
)
def test_wrong_disconnect(clients, peer, reason, properties, error):
    script = f"""
        async def main(client):
            await client.connect()
            print("raised", await outcome(client.disconnect({reason}, {properties})))
            await client.publish("t", "end")
            await told()
    """
    p, c = connected(clients, peer, 5, script, config={"mqttv5_con_props": {}})
    c.expect("30 # \"t\" 00 'end'")
    p.expect(f"^raised {error}")
    end(p)


# --- what was not asked for


@pytest.mark.parametrize("properties", ['1f "x"', '26 "k" "v"'])
def test_problem_information_that_was_not_requested(clients, peer, properties):
    """3.1.2.11.7"""
    p, c = connected(clients, peer, 5, PUBLISH, "1", config={"mqttv5_con_props": {0x17: 0}})
    c.send(f"40 # {pid(c.packet()).hex(' ')} 00 # {properties}")
    c.expect("e0 01 82", 2)
    p.kill()


@both
def test_nothing_follows_disconnect(clients, peer, version):
    """3.14.4, whatever comes and whoever wants to send; the client closes though the server does not."""
    script = """
        config["subs_cb"] = show = lambda topic, msg, *_: print("message", topic, msg)

        async def main(client):
            await client.connect()
            await told()
            task = asyncio.create_task(client.disconnect())
            await asyncio.sleep_ms(0)
            for qos in range(3):
                asyncio.create_task(outcome(client.publish("t", "m", qos=qos)))
            asyncio.create_task(outcome(client.subscribe("t")))
            asyncio.create_task(client.broker_up())
            await task
            await told()
    """
    p, c = connected(clients, peer, version, script)
    p.send("go")
    c.expect("e0 00")
    for qos in range(3):
        publish(c, version, first=0x30 + 2 * qos, pid=f"00 {qos:02x}" * (qos > 0))
    c.send("62 02 00 02", "50 02 00 09", "d0 01 00")
    assert c.closed() == b""
    assert "message" not in end(p).out
