"""MQTT 5: properties, what client and server announce, reason codes."""

import pytest
from fixtures.client import end
from fixtures.peer import encode, varint
from fixtures.v5 import accept, answer, connected, publish, start

# Prints what comes.
RECEIVE = """
    def show(topic, msg, retained, properties):
        print("message", bytes(topic), bytes(msg), retained, properties and sorted(properties.items()))
    config["subs_cb"] = show

    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""


# --- properties


def test_properties_through_a_broker(clients, broker, observers):
    """Every property of a PUBLISH, in both directions."""
    script = """
        config["subs_cb"] = lambda *message: print("message", message[:3], sorted(message[3].items()))
        properties = {
            0x01: 1, 0x02: 3600, 0x03: "text/plain", 0x08: "ant/wort", 0x09: b"\\0\\xff",
            0x26: [("k", "1"), ("k", "2"), ("ü", "")],
        }

        async def main(client):
            await client.connect()
            await client.subscribe("theirs", 1, {0x0B: 300, 0x26: {"k": "v"}})
            await client.publish("mine", "m", False, 1, properties=properties)
            await told()
            await client.unsubscribe("theirs", {0x26: {"k": "v"}})
    """
    observer = observers(broker, version=5)
    observer.subscribe("mine", 1)
    p = start(clients, broker, script)
    observer.wait(1)
    got = observer.messages[0].properties
    assert got.PayloadFormatIndicator == 1 and 3590 <= got.MessageExpiryInterval <= 3600
    assert got.ContentType == "text/plain" and got.ResponseTopic == "ant/wort" and got.CorrelationData == b"\0\xff"
    assert got.UserProperty == [("k", "1"), ("k", "2"), ("ü", "")]
    observer.publish("theirs", "m", 1, properties=got)
    received = p.expect(r"^message \(b'theirs', b'm', False\) (.*)")[1]
    user = [("k", "1"), ("k", "2"), ("ü", "")]
    expected = {1: 1, 2: 3600, 3: "text/plain", 8: "ant/wort", 9: b"\0\xff", 11: 300, 38: user}
    received = dict(eval(received))
    assert 3590 <= received.pop(2) <= expected.pop(2)
    assert received == expected
    end(p)
    assert "Protocol error" not in broker.log


@pytest.mark.parametrize(
    "properties, seen",
    [
        ("", None),
        ("01 00", [(1, 0)]),
        ("02 ff ff ff ff", [(2, 0xFFFFFFFF)]),
        ('03 "a" 08 "b"', [(3, "a"), (8, "b")]),
        ("09 00 00", [(9, b"")]),
        ("0b ff ff ff 7f", [(11, 0x0FFFFFFF)]),
        ("0b 01 0b 02", [(11, [1, 2])]),
        ('26 "k" "v" 26 "l" "v"', [(38, {"k": "v", "l": "v"})]),
        ('26 "k" "2" 03 "x" 26 "k" "1" 26 "" ""', [(3, "x"), (38, [("k", "2"), ("k", "1"), ("", "")])]),
    ],
)
def test_properties_received(clients, peer, properties, seen):
    p, c = connected(clients, peer, RECEIVE)
    publish(c, properties)
    assert eval(p.expect(r"^message b't' b'm' False (.*)")[1]) == seen
    end(p)


# Properties of messages and what a callback sees of them: the same again, one value, a length or the order changed, a name
# that repeats, and more than is kept.
SEQUENCE = [
    ('01 01 03 "text" 26 "k" "v"', [(1, 1), (3, "text"), (38, {"k": "v"})]),
    ('01 00 03 "text" 26 "k" "v"', [(1, 0), (3, "text"), (38, {"k": "v"})]),
    ('01 00 03 "tex2" 26 "k" "v"', [(1, 0), (3, "tex2"), (38, {"k": "v"})]),
    ('01 00 03 "longer" 26 "k" ""', [(1, 0), (3, "longer"), (38, {"k": ""})]),
    ('26 "k" "" 01 00 03 "longer"', [(1, 0), (3, "longer"), (38, {"k": ""})]),
    ('26 "a" "1" 26 "b" "2" 26 "a" "3"', [(38, [("a", "1"), ("b", "2"), ("a", "3")])]),
    ('26 "a" "1" 26 "b" "2" 26 "c" "3" 09 "x"', [(9, b"x"), (38, {"a": "1", "b": "2", "c": "3"})]),
    ("0b 01 0b 02 0b 03 02 00 00 00 00", [(2, 0), (11, [1, 2, 3])]),
    ('0b 01 26 "a" "1" 0b 02 26 "a" "1"', [(11, [1, 2]), (38, [("a", "1"), ("a", "1")])]),
    ("02 ff ff ff ff 0b 7f", [(2, 0xFFFFFFFF), (11, 127)]),
    ("", None),
    (f'03 "{"x" * 200}" 26 "k" "{"y" * 100}"', [(3, "x" * 200), (38, {"k": "y" * 100})]),
]


@pytest.mark.core
@pytest.mark.parametrize("times", [1, 2, 5])
def test_properties_that_come_again(clients, peer, times):
    """Each message has a dict of its own, whatever the application does to it."""
    script = """
        kept = []

        def show(topic, msg, retained, properties):
            print("message", properties and sorted(properties.items()))
            if properties:
                for v in properties.values():
                    if isinstance(v, dict):
                        v["k"] = "own"
                    elif isinstance(v, list):
                        v.append(4)
                properties[3] = properties.pop(1, "own")
                kept.append((properties, str(properties)))
            gc.collect()
            kept.append((b"over" * 20,) * 2)  # What is given back too early does not stay as it was

        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            print("connected")
            await told()
            print("kept", len(kept), all(str(a) == str(b) for a, b in kept))
    """
    p, c = connected(clients, peer, script)
    p.expect("connected")
    messages = [message for message in SEQUENCE + SEQUENCE[::-1] for _ in range(times)]
    for properties, _ in messages:
        publish(c, properties)
    for _, seen in messages:
        assert eval(p.expect(r"^message (.*)")[1]) == seen
    p.send("")
    p.expect(r"^kept \d+ True")
    end(p)


def test_heap_for_properties_that_come_again(clients, peer):
    """Text that a message has in common with the one before takes none."""
    script = """
        n = before = 0

        def show(topic, msg, retained, properties):
            global n, before
            n += 1
            if n % 60 == 10:
                before = gc.mem_alloc()
            elif n % 60 == 0:
                print("heap", gc.mem_alloc() - before)

        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            gc.collect()
            gc.disable()
            print("connected")
            await told()
    """
    p, c = connected(clients, peer, script)
    p.expect("connected")
    for other in "a", "b":
        for n in range(60):
            publish(c, f'03 "{"x" * 240}{other if n % 2 else "a"}"')
    same, changing = (int(p.expect(r"^heap (\d+)")[1]) for _ in range(2))
    assert changing - same > 50 * 240
    end(p)


def test_properties_through_the_queue(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for _ in range(2):
                print("message", await client.queue.__anext__())
    """
    p, c = connected(clients, peer, script, config={"queue_len": 2})
    publish(c, "")
    publish(c, "01 01")
    p.expect(r"^message \(b't', b'm', False, None\)")
    p.expect(r"^message \(b't', b'm', False, {1: 1}\)")
    end(p)


def test_properties_sent(clients, peer):
    sent = {
        "None": "",
        "{}": "",
        "{0x01: 1}": "01 01",
        "{0x01: b'\\1'}": "01 01",
        "{0x01: True}": "01 01",
        "{0x02: 0xffffffff}": "02 ff ff ff ff",
        "{0x03: ''}": '03 ""',
        "{0x08: 'grün'}": '08 "grün"',
        "{0x09: b'\\0\\xff'}": "09 00 02 00 ff",
        "{0x09: bytearray(200)}": f"09 00 c8 {'00 ' * 200}",
        "{0x23: 5}": "23 00 05",
        "{0x26: {'k': 'v'}}": '26 "k" "v"',
        "{0x26: (('k', b'v'), ['k', 'w'])}": '26 "k" "v" 26 "k" "w"',
        "{0x26: []}": "",
    }
    script = f"""
        async def main(client):
            await client.connect()
            for properties in ({", ".join(sent)}):
                await client.publish("t", "m", properties=properties)
            for n in range(1, 3):
                await client.subscribe("t", n, {{0x0B: 200, 0x26: {{"k": "v"}}}})
            await client.unsubscribe("t", {{0x26: {{"k": "v"}}}})
    """
    p, c = connected(clients, peer, script, announced="22 00 05")
    for properties in sent.values():
        block = encode(properties)
        body = encode('"t"') + varint(len(block)) + block + b"m"
        c.expect(b"\x30" + varint(len(body)) + body)
    for n in (1, 2):
        packet = c.packet()
        assert packet[5 : 5 + packet[4]] in (encode('0b c8 01 26 "k" "v"'), encode('26 "k" "v" 0b c8 01'))
        assert packet[5 + packet[4] :] == encode(f'"t" 0{n}')
        c.send(b"\x90\x04" + packet[2:4] + bytes((0, n)))
    packet = c.expect('a2 # .. .. 07 26 "k" "v" "t"')
    c.send(b"\xb0\x04" + packet[2:4] + b"\0\0")
    end(p)


@pytest.mark.parametrize(
    "properties",
    [
        "[]",
        "'x'",
        "{'x': 1}",
        "{0x7f: 1}",  # no such property
        "{0x100: 1}",
        "{0x11: 1}",  # not in a PUBLISH
        "{0x0b: 1}",  # not in a client's PUBLISH (3.3.4)
        "{0x01: 2}",
        "{0x01: 'x'}",
        "{0x01: b''}",
        "{0x02: -1}",
        "{0x02: 1 << 32}",
        "{0x02: '1'}",
        "{0x02: None}",
        "{0x02: [1, 2]}",
        "{0x03: 1}",
        "{0x03: b'\\xff'}",
        "{0x03: 'x' * 65536}",
        "{0x08: 'a/#'}",
        "{0x23: 0}",
        "{0x26: 'text'}",
        "{0x26: 1}",
        "{0x26: [('k',)]}",
        "{0x26: {'k': 1}}",
        "{0x26: iter([('k', 'v')])}",
    ],
)
def test_wrong_properties(clients, peer, properties):
    """An error that is the application's fault, and not a byte is sent; an iterator gives what it has but once."""
    script = f"""
        async def main(client):
            await client.connect()
            for qos in (0, 1):
                print("raised", await outcome(client.publish("t", "m", False, qos, {properties})))
            await client.publish("t", "end")
    """
    p, c = connected(clients, peer, script)
    c.expect("30 # \"t\" 00 'end'")
    r = end(p)
    assert len(r.lines) == 2 and set(r.lines) <= {"raised ValueError", "raised TypeError"}, r


def test_buffers_that_shrink_while_properties_are_read(clients, peer):
    """Nothing of what has taken their memory's place goes out."""
    script = """
        keep = []
        topic, message = bytearray(), bytearray()

        class Pairs:
            def __iter__(self):
                topic[:] = message[:] = b"x"
                gc.collect()
                keep.extend(bytearray(b"SECRET" * 4) for _ in range(40))
                return iter([("k", "v")])

        def big():
            topic[:] = message[:] = b"A" * 400
            return {0x26: Pairs()}

        config.update(mqttv5_con_props=big(), will=(topic, message, False, 0))

        async def main(client):
            big()
            await client.connect()
            await client.publish(topic, message, properties=big())
            asyncio.create_task(client.subscribe(topic, properties=big()))
            await asyncio.sleep_ms(0)
            asyncio.create_task(client.unsubscribe(topic, properties=big()))
            await told()
    """
    p = start(clients, peer, script)
    c = peer.accept()
    c.expect('10 # "MQTT" 05 06 00 3c 07 .. .. .. .. .. .. .. "id" 00 "x" "x"')
    c.send("20 03 00 00 00")
    block = '07 26 "k" "v"'
    c.expect(f"30 # \"x\" {block} 'x'")
    c.expect(f'82 # .. .. {block} "x" 00')
    c.expect(f'a2 # .. .. {block} "x"')
    p.send("end")
    end(p)


# --- what the client announces


def announced(connect):
    """The properties of a CONNECT."""
    n = connect[12]
    return connect[13 : 13 + n]


@pytest.mark.parametrize(
    "config, properties",
    [
        ({}, []),
        ({"max_packet": 4096}, ["27 00 00 10 00"]),
        ({"mqttv5_con_props": {0x21: 1000}}, ["21 03 e8"]),
        ({"mqttv5_con_props": {0x21: 1, 0x11: 60}}, ["21 00 01", "11 00 00 00 3c"]),
        ({"mqttv5_con_props": {0x27: 100}, "max_packet": 4096}, ["27 00 00 00 64"]),
        ({"mqttv5_con_props": {0x27: 5000}, "max_packet": 4096}, ["27 00 00 10 00"]),
    ],
)
def test_announced(clients, peer, config, properties):
    p = start(clients, peer, RECEIVE, config=config)
    c = peer.accept()
    block = announced(c.accept_connect("20 03 00 00 00"))
    assert all(encode(one) in block for one in properties) and len(block) == len(encode(" ".join(properties))), block
    p.expect("connected")
    end(p)


def test_many_open_exchanges_of_qos_2(clients, peer):
    """As many as were announced, and the one too many is told of (4.9)."""
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x21: 128}})
    for n in range(1, 129):
        c.send(f"34 # \"t\" 00 {n:02x} 00 '{n}'")
    for n in range(1, 129):
        c.expect(f"50 02 00 {n:02x}")
    c.send("62 02 00 01", "34 # \"t\" 00 81 00 '129'")
    c.expect("70 02 00 01")
    c.expect("50 02 00 81")
    c.send("34 # \"t\" 00 82 00 'too many'")
    c.expect("e0 01 93")
    c.closed()
    accept(peer)
    out = end(p).out
    assert out.count("message") == 129 and "too many" not in out


# --- topic aliases


def test_inbound_topic_alias(clients, peer):
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x22: 2}})
    publish(c, "23 00 01", "'1'", '"a"')
    publish(c, "23 00 02", "'2'", '"b"')
    publish(c, "23 00 01", "'3'", '""')
    publish(c, "23 00 02", "'4'", '""')
    publish(c, "23 00 01", "'5'", '"c"')
    publish(c, "23 00 01", "'6'", '""')
    for n, topic in enumerate("ababcc", 1):
        p.expect(rf"^message b'{topic}' b'{n}'")
    end(p)


@pytest.mark.parametrize("alias, topic, reason", [(0, '"t"', 0x94), (3, '"t"', 0x94), (3, '""', 0x94), (2, '""', 0x82)])
def test_unknown_topic_alias(clients, peer, alias, topic, reason):
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x22: 2}})
    p.expect("connected")
    publish(c, "23 00 01", "'1'")
    publish(c, f"23 00 {alias:02x}", "'wrong'", topic)
    c.expect(f"e0 01 {reason:02x}")
    c.closed()
    c = accept(peer)
    publish(c, "23 00 01", "'wrong'", '""')  # that was another connection's (3.3.2.3.4)
    c.expect("e0 01 82")
    publish(accept(peer), "", "'good'")
    p.expect("good")
    assert "wrong" not in end(p).out


# --- what the server announces


def test_connack(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            print(sorted(client.connack_properties.items()), client.topic_alias_maximum)
    """
    p, c = connected(clients, peer, script, announced='22 00 05 1f "hello" 26 "k" "v"')
    p.expect(r"^\[\(31, 'hello'\), \(34, 5\), \(38, {'k': 'v'}\)\] 5")
    end(p)


def test_refused_connection(clients, peer):
    script = """
        async def main(client):
            try:
                await client.connect()
            except OSError as e:
                print(e)
    """
    p = start(clients, peer, script)
    c = peer.accept()
    c.accept_connect('20 # 00 87 # 1f "go away"')
    c.closed()
    p.expect("135.*go away")
    end(p)


def test_assigned_client_identifier(clients, peer):
    """It is kept for later connections (3.2.2.3.7)."""
    p = start(clients, peer, RECEIVE, config={"client_id": ""})
    c = peer.accept()
    connect = c.accept_connect('20 # 00 00 # 12 "assigned"')
    assert connect[13 + connect[12] :] == encode('""')
    p.expect("connected")
    c.close()
    connect = peer.accept().accept_connect("20 03 00 00 00")
    assert connect[13 + connect[12] :] == encode('"assigned"')
    end(p)


def test_server_keep_alive(clients, peer):
    """It holds for the connection it was announced for."""
    p, c = connected(clients, peer, RECEIVE, announced="13 00 01", config={"keepalive": 60})
    for _ in range(2):
        c.expect("c0 00", timeout=5)
        c.send("d0 00")
    c.close()
    accept(peer).quiet(2)
    end(p)


@pytest.mark.parametrize(
    "limit, call, reason",
    [
        ("24 01", "publish('t', 'm', qos=2)", 0x9B),
        ("24 00", "publish('t', 'm', qos=1)", 0x9B),
        ("25 00", "publish('t', 'm', True)", 0x9A),
        ("25 00", "publish('t', 'm', True, 1)", 0x9A),
        ("27 00 00 00 14", "publish('t', bytes(15))", 0x95),
        ("27 00 00 00 14", "publish('t', bytes(1000), qos=1)", 0x95),
        ("27 00 00 00 14", "subscribe('a' * 13)", 0x95),
        ("27 00 00 00 14", "unsubscribe('a' * 14)", 0x95),
        ("22 00 05", "publish('t', 'm', properties={0x23: 6})", 0x94),
        ("", "publish('t', 'm', properties={0x23: 1})", 0x94),
        ("28 00", "subscribe('a/#')", 0xA2),
        ("28 00", "subscribe('+/a')", 0xA2),
        ("29 00", "subscribe('t', 1, {0x0B: 1})", 0xA1),
        ("2a 00", "subscribe('$share/g/t', 1)", 0x9E),
    ],
)
def test_limits_of_the_server(clients, peer, limit, call, reason):
    """An error that names the reason, and not a byte is sent (3.2.2.3)."""
    script = f"""
        async def main(client):
            await client.connect()
            try:
                await client.{call}
            except MQTTException as e:
                print("refused", e.reason_code)
            await client.publish("t", bytes(14))
    """
    p, c = connected(clients, peer, script, announced=limit)
    c.expect(b"\x30\x12\0\1t\0" + bytes(14))  # 20 bytes may be sent
    p.expect(f"^refused {reason}$")
    end(p)


def test_within_the_limits_of_the_server(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", qos=1)
            await client.subscribe("t", 2)
            print("done")
    """
    p, c = connected(clients, peer, script, announced="24 01 25 00 27 00 00 00 14 28 00 29 00 2a 00")
    c.send(b"\x40\x02" + c.expect("32 # \"t\" .. .. 00 'm'")[5:7])
    c.send(b"\x90\x04" + c.expect('82 # .. .. 00 "t" 02')[2:4] + b"\0\1")
    p.expect("done")
    end(p)


def test_limits_of_another_server(clients, peer):
    """What waits for its acknowledgement when the server changes, and the new one does not take it."""
    script = """
        async def main(client):
            await client.connect()
            try:
                await client.publish("t", "m", qos=2)
            except MQTTException as e:
                print("refused", e.reason_code)
            await client.publish("t", "end", qos=1)
    """
    p, c = connected(clients, peer, script)
    c.expect('34 # "t" *')
    c.close()
    c = accept(peer, "24 01")
    c.send(b"\x40\x02" + c.expect("32 # \"t\" .. .. 00 'end'")[5:7])
    p.expect("^refused 155$")
    end(p)


def test_receive_maximum(clients, peer):
    """Publications wait their turn (4.9); over a live connection nothing is sent twice (4.4)."""
    script = """
        async def main(client):
            await client.connect()
            tasks = [asyncio.create_task(client.publish("t", str(n), qos=1 + n % 2)) for n in range(4)]
            for t in tasks:
                await t
            print("done")
            await told()
    """
    config = {"response_time": 1, "max_repubs": 6, "keepalive": 0}
    p, c = connected(clients, peer, script, announced="21 00 01", config=config)
    left = set("0123")
    while left:
        packet = c.expect("*")
        assert packet[0] in (0x32, 0x34)
        left.remove(chr(packet[-1]))
        c.quiet(1.5 if len(left) == 3 else 0.2)
        pid = packet[5:7]
        if packet[0] == 0x34:
            c.send(b"\x50\x02" + pid)
            c.expect(b"\x62\x02" + pid)
            c.quiet(0.2)
            c.send(b"\x70\x02" + pid)
        else:
            c.send(b"\x40\x02" + pid)
    p.expect("done")
    end(p)


def test_sent_again_over_a_new_connection(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", False, 1, {0x02: 60})
            print("done")
    """
    config = {"response_time": 0.5, "max_repubs": 1, "clean": False, "mqttv5_con_props": {0x11: 60}}
    p, c = connected(clients, peer, script, config=config)
    pid = c.expect("32 # \"t\" .. .. 05 02 00 00 00 3c 'm'")[5:7]
    assert c.closed() in (b"", b"\xc0\0")
    c = peer.accept()
    c.accept_connect("20 03 01 00 00")
    c.expect(b"\x3a\x0c\0\1t" + pid + encode("05 02 00 00 00 3c 'm'"))
    c.send(b"\x40\x02" + pid)
    p.expect("done")
    end(p)


# --- reason codes


@pytest.mark.parametrize(
    "call, packet, answer, reason",
    [
        ("publish('t', 'm', qos=1)", '32 # "t" *', "40", 0x97),
        ("publish('t', 'm', qos=2)", '34 # "t" *', "50", 0x87),
        ("subscribe('t', 1)", "82 *", "90", 0x87),
        ("unsubscribe('t')", "a2 *", "b0", 0x87),
    ],
)
@pytest.mark.parametrize("properties", ["", '1f "because" 26 "k" "v"'])
def test_refused(clients, peer, call, packet, answer, reason, properties):
    script = f"""
        async def main(client):
            await client.connect()
            try:
                await client.{call}
            except MQTTException as e:
                print(e.reason_code, e.properties and sorted(e.properties.items()), e)
            await client.publish("t", "next", qos=1)
    """
    p, c = connected(clients, peer, script)
    at = 5 if call.startswith("publish") else 2
    pid = c.expect(packet)[at : at + 2].hex(" ")
    length = varint(len(encode(properties))).hex()
    if at == 5:
        c.send(f"{answer} # {pid} {reason:02x} {length} {properties}")
    else:
        c.send(f"{answer} # {pid} {length} {properties} {reason:02x}")
    p.expect(f"^{reason} " + (r"\[\(31, 'because'\), \(38, {'k': 'v'}\)\].*because" if properties else "None"))
    c.send(b"\x40\x02" + c.expect("32 # \"t\" .. .. 00 'next'")[5:7])
    end(p)


def test_reasons_that_are_no_failures(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for qos in (1, 2):
                await client.publish("t", "m", qos=qos)
            print("granted", await client.subscribe("t", 2))
            print("gone", await client.unsubscribe("t"))
    """
    p, c = connected(clients, peer, script)
    c.send(b"\x40\x03" + c.expect('32 # "t" *')[5:7] + b"\x10")  # no matching subscribers
    pid = c.expect('34 # "t" *')[5:7]
    c.send(b"\x50\x04" + pid + b"\x10\0")
    c.expect(b"\x62\x02" + pid)
    c.send(b"\x70\x02" + pid)
    c.send(b"\x90\x04" + c.expect("82 *")[2:4] + b"\0\1")
    p.expect("granted 1")
    c.send(b"\xb0\x04" + c.expect("a2 *")[2:4] + b"\0\x11")  # no subscription existed
    p.expect("gone 17")
    end(p)


@pytest.mark.parametrize(
    "packet, reason",
    [
        ("d0 01 00", 0x81),
        ("36 # \"t\" 00 01 00 'm'", 0x81),
        ("30 # \"t\" 05 01 00 'm'", 0x81),  # properties beyond the packet
        ("30 # \"t\" 02 7f 00 'm'", 0x81),  # no such property
        ("30 # \"t\" 05 11 00 00 00 01 'm'", 0x81),  # not in a PUBLISH
        ("30 # \"t\" 04 01 00 01 00 'm'", 0x82),  # twice
        ("30 # \"t\" 02 01 02 'm'", 0x82),  # out of range
        ("30 # 00 01 ff 00 'm'", 0x81),  # not UTF-8
        ("30 # \"a/+\" 00 'm'", 0x90),
        ("30 # \"\" 00 'm'", 0x82),
        ("32 # \"t\" 00 00 00 'm'", 0x82),
        ("40 03 00 01 01", 0x82),  # no such reason
        ("20 03 00 00 00", 0x82),
        ("f0 00", 0x82),
        ("10 00", 0x82),
        ("30 80 80 80 80 01", 0x81),
        ("30 80 08", 0x95),
    ],
)
def test_malformed(clients, peer, packet, reason):
    """The server is told why (4.13.1), and the connection is made anew."""
    p, c = connected(clients, peer, RECEIVE, config={"max_packet": 1000})
    p.expect("connected")
    c.send(packet)
    c.expect(f"e0 01 {reason:02x}")
    c.closed()
    publish(accept(peer), "", "'good'")
    p.expect("^message b't' b'good'")
    assert end(p).out.count("message") == 1


@pytest.mark.parametrize("packet", ["e0 00", "e0 01 8b", 'e0 # 9c # 1f "try another" 1c "elsewhere"'])
def test_disconnected_by_the_server(clients, peer, packet):
    p, c = connected(clients, peer, RECEIVE)
    p.expect("connected")
    c.send(packet)
    assert c.closed() == b""
    publish(accept(peer), "", "'again'")
    p.expect("again")
    end(p)


def test_session_taken_over(clients, peer):
    """No fight over it (4.13.2): the application decides."""
    script = """
        async def main(client):
            await client.connect()
            pending = asyncio.create_task(outcome(client.publish("t", "m", qos=1)))
            print("pending", await pending, client.isconnected())
            print("new", await outcome(client.publish("t", "m")))
            await told()
            await client.connect()
            await client.publish("t", "again")
            await told()
    """
    p, c = connected(clients, peer, script)
    c.expect('32 # "t" *')
    c.send("e0 01 8e")
    assert c.closed() == b""
    p.expect("pending OSError False")
    p.expect("new OSError")
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(1)
    p.send("go")
    accept(peer).expect("30 # \"t\" 00 'again'")
    end(p)


# --- 3.1.1 with what MQTT 5 has


def test_properties_are_ignored_in_3_1_1(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", properties={0x02: 60, 0x26: {"k": "v"}})
            await client.subscribe("t", 1, {0x0B: 1})
            await client.unsubscribe("t", properties={0x26: {"k": "v"}})
    """
    p = clients.start(peer, script, config={"mqttv5_con_props": {0x11: 60}})
    c = peer.accept()
    assert c.accept_connect() == encode('10 # "MQTT" 04 02 00 3c "id"')
    c.expect("30 # \"t\" 'm'")
    c.send(b"\x90\x03" + c.expect('82 # .. .. "t" 01')[2:4] + b"\1")
    c.send(b"\xb0\x02" + c.expect('a2 # .. .. "t"')[2:4])
    end(p)


def test_debug(clients, peer):
    """With DEBUG properties of what the broker answers are printed, without authentication data, and free RAM."""
    script = """
        MQTTClient.DEBUG = True

        async def main(client):
            await client.connect()
            await client.subscribe("t")
            await client.unsubscribe("t")
            await client.publish("t", "m", qos=1)
            await client.publish("t", "m", qos=2)
            mqtt_as.explain.print_properties(client, "AUTH", {0x15: "method", 0x16: b"secret"})
            await told()
    """
    p, c = connected(clients, peer, script, announced='12 "own"')
    assert eval(p.expect("^CONNACK: properties (.*)")[1]) == {0x12: "own"}
    p.expect(r"^RAM free \d+ alloc \d+")
    for first, name in (("82", "SUBACK"), ("a2", "UNSUBACK"), ("32", "PUBACK"), ("34", "PUBREC")):
        answer(c, c.expect(f"{first} # *"), properties=f'1f "why {name}"')
        p.expect(f"^{name}: properties {{31: 'why {name}'}}")
    c.send(b"\x70\x0a" + c.expect("62 02 .. ..")[2:] + encode('00 # 1f "why"'))
    p.expect("^PUBCOMP: properties {31: 'why'}")
    p.expect("^AUTH: properties {21: 'method'}$")
    c.send('e0 # 98 # 1f "bye"')
    p.expect("^DISCONNECT: properties {31: 'bye'}")
    peer.accept()
    assert "secret" not in p.out
