"""MQTT 5: how a connection begins and ends. Will properties, DISCONNECT with a reason, sessions, what the broker says."""

import time

import pytest
from fixtures.client import end
from fixtures.peer import encode
from fixtures.v5 import accept, answer, are, connected, pid, publish, start

# Evaluates what the test sends and prints what comes of it.
CALLS = """
    async def main(client):
        await outcome(client.connect())
        print("connected", client.isconnected())
        while call := await told():
            try:
                r = eval(call, {"client": client})
                print("result", await r if hasattr(r, "send") else r)
            except Exception as e:
                print("raised", type(e).__name__, getattr(e, "reason_code", None), e)
"""

# Has a will and waits; prints at each connection.
WAIT = """
    async def up(client):
        print("up", client.session_present)
    config["connect_coro"] = up

    async def main(client):
        await client.connect()
        print("connected")
        await told()
        if len(sys.argv) > 1:
            await client.disconnect(*eval(sys.argv[1]))
"""

LAST_ERROR = """
    def show():
        e = client.last_error
        code, properties = getattr(e, "reason_code", None), getattr(e, "properties", None)
        print("last", type(e).__name__, code, properties and sorted(properties.items()), e)

    async def up(_):
        show()
    config["connect_coro"] = up

    async def main(client):
        print("connect", await outcome(client.connect()))
        show()
        await told()
"""


# --- the will (3.1.3.2)

WILL_PROPERTIES = {
    "{0x18: 5}": ["18 00 00 00 05"],
    "{0x18: 0}": ["18 00 00 00 00"],
    "{0x18: 0xffffffff}": ["18 ff ff ff ff"],
    "{0x01: 1}": ["01 01"],
    "{0x02: 3600}": ["02 00 00 0e 10"],
    "{0x03: 'text/plain'}": ['03 "text/plain"'],
    "{0x08: 'ant/wört'}": ['08 "ant/wört"'],
    "{0x09: b'\\0\\xff'}": ["09 00 02 00 ff"],
    "{0x26: {'k': 'v'}}": ['26 "k" "v"'],
    "{0x26: [('k', '2'), ('k', '1'), ('ü', '')]}": ['26 "k" "2" 26 "k" "1" 26 "ü" ""'],
    "{0x18: 1, 0x01: 0, 0x02: 2, 0x03: '', 0x08: 'r', 0x09: b'', 0x26: {'k': 'v'}}": [
        "18 00 00 00 01",
        "01 00",
        "02 00 00 00 02",
        '03 ""',
        '08 "r"',
        "09 00 00",
        '26 "k" "v"',
    ],
    "{}": [],
    "None": [],
}


@pytest.mark.parametrize("properties", WILL_PROPERTIES)
def test_will_properties(clients, peer, properties):
    """In each CONNECT, between client identifier and will topic."""
    script = f'config["will"] = ("w", "gone", True, 1, {properties})\n' + WAIT.replace("\n    ", "\n")
    p = start(clients, peer, script, config={"mqttv5_con_props": {0x21: 128}})
    for _ in range(2):
        c = peer.accept()
        packet = c.accept_connect("20 03 00 00 00")
        head = encode('"MQTT" 05 2e 00 3c 03 21 00 80 "id"')
        assert packet[2 : 2 + len(head)] == head
        at = 2 + len(head)
        block = packet[at + 1 : at + 1 + packet[at]]
        assert are(block, *WILL_PROPERTIES[properties])
        assert packet[at + 1 + packet[at] :] == encode("\"w\" 00 04 'gone'")
        p.expect("^up False")
        c.reset()
    accept(peer)
    end(p)


def test_will_as_a_list_and_as_bytes(clients, peer):
    script = 'config["will"] = [b"w", bytearray(b"gone"), 0, 0, {0x18: 5}]\n' + WAIT.replace("\n    ", "\n")
    p = start(clients, peer, script, config={"mqttv5_con_props": {0x21: 128}})
    c = peer.accept()
    c.expect('10 # "MQTT" 05 06 00 3c 03 21 00 80 "id" 05 18 00 00 00 05 "w" "gone"')
    c.send("20 03 00 00 00")
    end(p)


@pytest.mark.parametrize("properties", ["{0x18: 5, 0x26: {'k': 'v'}}", "{0x7f: 1}", "None"])
def test_will_properties_are_ignored_in_3_1_1(clients, peer, properties):
    script = f'config["will"] = ("w", "gone", False, 2, {properties})\n' + WAIT.replace("\n    ", "\n")
    p = clients.start(peer, script)
    c = peer.accept()
    assert c.accept_connect() == encode('10 # "MQTT" 04 16 00 3c "id" "w" "gone"')
    p.expect("connected")
    end(p)


@pytest.mark.parametrize(
    "will",
    [
        *(
            f"('t', 'm', False, 0, {properties})"
            for properties in (
                "{0x18: -1}",
                "{0x18: 1 << 32}",
                "{0x18: '5'}",
                "{0x18: None}",
                "{0x11: 5}",  # of CONNECT
                "{0x0B: 1}",
                "{0x1F: 'x'}",
                "{0x23: 1}",
                "{0x7f: 1}",
                "{'x': 1}",
                "{0x01: 2}",
                "{0x08: 'a/#'}",
                "{0x03: b'\\xff'}",
                "{0x26: 'x'}",
                "[(0x18, 5)]",
                "'x'",
                "5",
            )
        ),
        "('t', 'm', False)",
        "('t', 'm', False, 0, None, None)",
        "()",
        "5",
    ],
)
def test_wrong_will(mp, will):
    """Told when the client is made, not when it connects."""
    r = mp(f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({{"server": "localhost", "mqttv5": True, "will": {will}}})
        except (TypeError, ValueError):
            print("raised")
    """)
    assert r.out == "raised\n"


def test_will_with_properties_from_a_broker(clients, broker, observers):
    observer = observers(broker, version=5)
    observer.subscribe("w", 1)
    will = (
        "w", "gone", False, 1,
        {1: 1, 2: 600, 3: "text/plain", 8: "ant/wort", 9: b"\0\xff", 0x26: [("k", "1"), ("k", "2")]},
    )  # fmt: skip
    p = start(clients, broker, WAIT, config={"will": will})
    p.expect("connected")
    p.kill()
    observer.wait(1)
    got = observer.messages[0].properties
    assert observer.messages[0].payload == b"gone"
    assert got.PayloadFormatIndicator == 1 and 590 <= got.MessageExpiryInterval <= 600
    assert got.ContentType == "text/plain" and got.ResponseTopic == "ant/wort" and got.CorrelationData == b"\0\xff"
    assert got.UserProperty == [("k", "1"), ("k", "2")]


def test_will_delay(clients, broker, observer):
    """Published once the delay is over, not before (3.1.3.2.2)."""
    observer.subscribe("w", 1)
    config = {"will": ("w", "gone", False, 1, {0x18: 3}), "clean": False, "mqttv5_con_props": {0x11: 60}}
    p = start(clients, broker, WAIT, config=config)
    p.expect("connected")
    p.kill()
    observer.quiet(1.5)
    observer.wait(1, 10)


def test_no_will_for_who_is_back_in_time(clients, broker, proxy, observer):
    observer.subscribe("w", 1)
    config = {"will": ("w", "gone", False, 1, {0x18: 3}), "clean": False, "mqttv5_con_props": {0x11: 60}}
    p = start(clients, proxy, WAIT, config=config)
    p.expect("^up False")
    for _ in range(2):
        proxy.cut()
        p.expect("^up True")
    observer.quiet(5)
    end(p)


# --- DISCONNECT from the client (3.14)


@pytest.mark.parametrize(
    "arguments, packet",
    [
        ("", "e0 00"),
        ("0", "e0 00"),
        ("0, {}", "e0 00"),
        ("0, None", "e0 00"),
        ("0x04", "e0 01 04"),
        ("reason=0x04", "e0 01 04"),
        ("0x80", "e0 01 80"),
        ("0x98, properties={0x1F: 'maintenance'}", 'e0 # 98 # 1f "maintenance"'),
        ("0, {0x1F: 'bye'}", 'e0 # 00 # 1f "bye"'),
        ("4, {0x26: [('k', '1'), ('k', '2')]}", 'e0 # 04 # 26 "k" "1" 26 "k" "2"'),
        ("0, {0x11: 0}", "e0 # 00 # 11 00 00 00 00"),
        ("0, {0x11: 5}", "e0 # 00 # 11 00 00 00 05"),
        ("0, {0x11: 0xffffffff}", "e0 # 00 # 11 ff ff ff ff"),
    ],
)
def test_disconnect(clients, peer, arguments, packet):
    p, c = connected(clients, peer, CALLS, config={"mqttv5_con_props": {0x11: 60}})
    p.send(f"client.disconnect({arguments})")
    c.expect(packet)
    assert c.closed() == b""
    p.expect("^result None")
    p.send("client.isconnected()")
    p.expect("^result False")
    end(p)


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("1", "ValueError"),
        ("0x8E", "ValueError"),  # only a server says so
        ("0x87", "ValueError"),
        ("0x100", "ValueError"),
        ("0x104", "ValueError"),
        ("-1", "ValueError"),
        ("1 << 40", "ValueError|OverflowError"),
        ("'x'", "TypeError"),
        ("None", "TypeError"),
        ("0, {0x11: 5}", "ValueError"),  # CONNECT had none
        ("0, {0x11: -1}", "ValueError"),
        ("0, {0x1C: 'elsewhere'}", "ValueError"),
        ("0, {0x23: 1}", "ValueError"),
        ("0, {0x7f: 1}", "ValueError"),
        ("0, {0x1F: 5}", "ValueError|TypeError"),
        ("0, {0x1F: b'\\xff'}", "ValueError"),
        ("0, {0x26: 'x'}", "ValueError|TypeError"),
        ("0, [1]", "TypeError"),
        ("0, 'x'", "TypeError"),
    ],
)
@pytest.mark.parametrize("expiry", [{}, {0x11: 0}])
def test_wrong_disconnect(clients, peer, arguments, error, expiry):
    """Nothing has happened: the connection stays, what is under way goes on, outages are mended."""
    script = (
        CALLS
        + """
    async def pending(client):
        await client.connect()
        print("pending", await outcome(client.publish("t", "m", qos=1)))

    both = main
    async def main(client):
        asyncio.create_task(pending(client))
        await both(client)
"""
    )
    p, c = connected(clients, peer, script, config={"mqttv5_con_props": expiry})
    packet = c.expect("32 # \"t\" .. .. 00 'm'")
    p.send(f"client.disconnect({arguments})")
    p.expect(f"^raised ({error}) ", 5)
    answer(c, packet)
    p.expect("^pending 0")
    p.send("client.isconnected()")
    p.expect("^result True")
    c.reset()
    c = accept(peer)
    p.send("client.publish('t', 'again')")
    c.expect("30 # \"t\" 00 'again'")
    end(p)


def test_session_expiry_of_0_needs_none_in_connect(clients, peer):
    p, c = connected(clients, peer, CALLS)
    p.send("client.disconnect(0, {0x11: 0})")
    c.expect("e0 # 00 # 11 00 00 00 00")
    c.closed()
    end(p)


@pytest.mark.parametrize("arguments", ["", "4", "0x80, {0x1F: 'bye'}", "0, {0x11: 5}", "0, {0x7f: 1}"])
def test_disconnect_in_3_1_1(clients, peer, arguments):
    p = clients.start(peer, CALLS)
    c = peer.accept()
    c.accept_connect()
    p.send(f"client.disconnect({arguments})")
    c.expect("e0 00")
    assert c.closed() == b""
    p.expect("^result None")
    end(p)


@pytest.mark.parametrize("arguments", ["1", "0, {0x7f: 1}", "0, {0x11: 5}"])
def test_wrong_disconnect_without_a_connection(clients, peer, arguments):
    """The application's fault, whatever the network does at that moment."""
    p, c = connected(clients, peer, CALLS)
    p.expect("^connected True")
    c.reset()
    c = peer.accept()
    c.expect("10 *")
    p.send(f"client.disconnect({arguments})")
    p.expect("^raised ValueError", 3)
    c.send("20 03 00 00 00")
    end(p)


def test_disconnect_with_a_reason_during_an_outage(clients, peer):
    """There is nobody to tell, or a server that has not answered yet."""
    p, c = connected(clients, peer, CALLS)
    p.expect("^connected True")
    c.reset()
    c = peer.accept()
    c.expect("10 *")
    p.send("client.disconnect(4, {0x1F: 'bye'})")
    p.expect("^result None")
    assert c.closed() in (b"", encode('e0 # 04 # 1f "bye"'))
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(1.5)
    end(p)


@pytest.mark.parametrize("arguments, published", [("(0x04,)", True), ("()", False)])
def test_will_after_disconnect(clients, broker, observer, arguments, published):
    """3.14.4: published for reason 0x04, discarded for 0."""
    observer.subscribe("w", 1)
    p = start(clients, broker, WAIT, arguments, config={"will": ("w", "gone", False, 1)})
    p.expect("connected")
    end(p)
    if published:
        assert observer.wait(1) == [b"gone"]
    else:
        observer.quiet(1)
    assert "rotocol error" not in broker.log


def test_will_delay_after_disconnect(clients, broker, observer):
    """The delay, or the end of the session if that comes first (3.1.3.2.2)."""
    observer.subscribe("w", 1)
    config = {"will": ("w", "gone", False, 1, {0x18: 2}), "clean": False, "mqttv5_con_props": {0x11: 60}}
    p = start(clients, broker, WAIT, "(0x04,)", config=config)
    p.expect("connected")
    end(p)
    observer.quiet(0.7)
    observer.wait(1)


# --- the session


def test_session_present(clients, peer):
    p = start(clients, peer, WAIT, config={"clean": False, "mqttv5_con_props": {0x11: 60}})
    for present in (0, 1, 0, 1):
        c = accept(peer, present=present)
        p.expect(f"^up {bool(present)}")
        c.reset()
    accept(peer)
    end(p)


def test_before_the_first_connection(clients, peer):
    script = """
        async def main(client):
            print(client.session_present, client.connack_properties, client.last_error, client.ack_properties)
    """
    assert end(start(clients, peer, script)).out == "False {} None None\n"


@pytest.mark.parametrize(
    "expiry, at_disconnect, kept",
    [
        (None, "()", False),
        (0, "()", False),
        (100, "()", True),
        (100, "(0, {0x11: 0})", False),
        (100, "(0, {0x11: 1})", False),
        (1, "(0, {0x11: 100})", True),
        (0xFFFFFFFF, "()", True),
    ],
)
def test_session_expiry(clients, broker, observer, expiry, at_disconnect, kept):
    """The last word on it is that of DISCONNECT (3.14.2.2.2)."""
    script = """
        config["subs_cb"] = lambda topic, msg, *_: print("message", msg.decode())

        async def main(client):
            await client.connect()
            print("connected", client.session_present)
            if not client.session_present:
                await client.subscribe("t", 1)
            print("subscribed")
            await told()
            await client.disconnect(*eval(sys.argv[1]))
    """
    config = {"clean": False, "mqttv5_con_props": {0x11: expiry} if expiry is not None else None}
    p = start(clients, broker, script, at_disconnect, config=config)
    p.expect("^connected False")
    p.expect("^subscribed")
    end(p)
    observer.publish("t", "while away", 1)
    time.sleep(2.5 if "1}" in at_disconnect else 0)  # mosquitto looks once a second
    p = start(clients, broker, script, "()", config=config)
    line = p.expect("^(connected|message) (.*)")[2]
    assert line == ("while away" if kept else "False") or kept and line == "True"
    if line == "True":
        p.expect("^message while away")
    end(p)


def test_clean_init_is_ignored(clients, peer):
    """One CONNECT: clean start and session expiry say it all."""
    config = {"clean": False, "clean_init": True, "mqttv5_con_props": {0x11: 60}}
    p = start(clients, peer, WAIT, config=config)
    c = peer.accept()
    c.accept_connect("20 03 01 00 00")
    p.expect("^up True")
    c.quiet(0.3)
    end(p)


# --- what the broker says


def test_no_error_yet(clients, peer):
    p, c = connected(clients, peer, LAST_ERROR)
    p.expect("^connect None")
    p.expect("^last NoneType None None None")
    end(p)


@pytest.mark.parametrize(
    "packet, reason, properties",
    [
        ("e0 00", 0, None),
        ("e0 01 8b", 0x8B, None),
        ("e0 02 8b 00", 0x8B, None),
        ('e0 # 9c # 1c "other.example:1884"', 0x9C, [(0x1C, "other.example:1884")]),
        ('e0 # 98 # 1f "maintenance"', 0x98, [(0x1F, "maintenance")]),
        (
            'e0 # 9d # 26 "k" "1" 1f "moved" 26 "k" "2" 1c "elsewhere"',
            0x9D,
            [(0x1C, "elsewhere"), (0x1F, "moved"), (0x26, [("k", "1"), ("k", "2")])],
        ),
    ],
)
def test_disconnected_by_the_broker(clients, peer, packet, reason, properties):
    p, c = connected(clients, peer, LAST_ERROR)
    p.expect("^last NoneType")
    c.send(packet)
    assert c.closed() == b""
    c = accept(peer)
    found = p.expect(rf"^last MQTTException {reason} (\[.*\]|None) (.*)")
    assert eval(found[1]) == properties
    for id, text in properties or []:
        assert id != 0x1F or text in found[2]
    end(p)


@pytest.mark.parametrize(
    "answer, reason, properties",
    [
        ("20 03 00 87 00", 0x87, None),
        ('20 # 00 9c # 1c "other" 1f "full"', 0x9C, [(0x1C, "other"), (0x1F, "full")]),
        ('20 # 00 89 # 26 "k" "v"', 0x89, [(0x26, {"k": "v"})]),
        ("20 02 00 01", 0x84, None),  # a server of 3.1.1
    ],
)
def test_refused_by_the_broker(clients, peer, answer, reason, properties):
    script = LAST_ERROR.replace(
        "show()\n        await told", 'show()\n        print("said", client.connack_properties)\n        await told'
    )
    p = start(clients, peer, script)
    c = peer.accept()
    c.accept_connect(answer)
    assert c.closed() == b""
    p.expect("^connect OSError")
    found = p.expect(rf"^last MQTTException {reason} (\[.*\]|None|{{}}) ")[1]
    assert eval(found) == properties or not eval(found) and not properties
    assert eval(p.expect("^said (.*)")[1]) == dict(properties or [])
    end(p)


def test_session_taken_over(clients, peer):
    """There is no fight over it, and what waited raises; the application may connect again."""
    script = """
        async def wifi(state):
            print("wifi", state)
        config["wifi_coro"] = wifi

        async def main(client):
            await client.connect()
            print("waited:", await outcome(client.publish("t", "m", qos=1)), hex(client.last_error.reason_code))
            await told()
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    p.expect("wifi True")
    c.expect('32 # "t" *')
    c.send("e0 01 8e")
    c.closed()
    p.expect("waited: OSError 0x8e")
    p.expect("wifi False")
    peer.listener.settimeout(1.5)
    with pytest.raises(TimeoutError):
        peer.listener.accept()
    p.send("again")
    accept(peer)
    p.expect("wifi True")
    end(p)


def test_refused_on_a_later_connection(clients, peer):
    """The error is that of the last connection, the properties those of the last CONNACK."""
    script = """
        async def up(_):
            print("up", type(client.last_error).__name__, getattr(client.last_error, "reason_code", None),
                  sorted(client.connack_properties.items()))
        config["connect_coro"] = up

        async def main(client):
            await client.connect()
            while await told():
                print("now", client.connack_properties, client.last_error.reason_code)
    """
    p, c = connected(clients, peer, script, announced="22 00 05")
    p.expect(r"^up NoneType None \[\(34, 5\)\]")
    c.send("e0 01 8b")
    c.closed()
    c = peer.accept()
    c.accept_connect('20 # 00 89 # 1f "busy"')
    c.closed()
    p.send("now")
    p.expect("^now {31: 'busy'} 137")
    accept(peer)
    p.expect(r"^up MQTTException 137 \[\]")
    end(p)


@pytest.mark.parametrize("how", ["close", "reset", "silent", "bad"])
def test_ends_without_a_word(clients, peer, how):
    config = {"response_time": 1, "keepalive": 1}
    p, c = connected(clients, peer, LAST_ERROR, config=config)
    p.expect("^last NoneType")
    if how == "bad":
        c.send("f0 00")
        c.expect("e0 01 82")
    elif how == "silent":
        c.closed()
    else:
        getattr(c, how)()
    c = accept(peer)
    expected = {"close": 104, "reset": 104, "silent": 110, "bad": "bad packet"}[how]
    p.expect(rf"^last OSError None None .*{expected}")
    end(p)


def test_a_later_error_takes_its_place(clients, peer):
    p, c = connected(clients, peer, LAST_ERROR)
    p.expect("^last NoneType")
    c.send("e0 01 8b")
    c.closed()
    c = accept(peer)
    p.expect("^last MQTTException 139")
    c.close()
    accept(peer)
    p.expect("^last OSError")
    end(p)


def test_disconnect_right_behind_connack(clients, peer):
    """In one segment: connect() fails, and the reason is there."""
    p = start(clients, peer, LAST_ERROR)
    c = peer.accept()
    c.expect("10 *")
    c.send("20 03 00 00 00", 'e0 # 9c # 1c "other"')
    assert c.closed() == b""
    p.expect("^connect OSError")
    p.expect(r"^last MQTTException 156 \[\(28, 'other'\)\]", 3)
    end(p)


# --- acknowledgements


def test_reason_of_an_acknowledgement(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            print("before", client.ack_properties)
            for qos in (1, 1, 2, 2):
                print("result", await client.publish("t", "m", qos=qos), client.ack_properties)
            print("result", await client.publish("t", "m"), client.ack_properties)
    """
    p, c = connected(clients, peer, script)
    p.expect("^before None")
    answer(c, c.expect('32 # "t" *'), 0x10, '1f "nobody"')
    p.expect("^result 16 {31: 'nobody'}")
    c.send(b"\x40\x02" + pid(c.expect('32 # "t" *')))
    p.expect("^result 0 None")
    answer(c, c.expect('34 # "t" *'))
    answer(c, c.expect("62 02 *"), 0, '26 "k" "v"')
    p.expect("^result 0 {38: {'k': 'v'}}")
    answer(c, c.expect('34 # "t" *'))
    answer(c, c.expect("62 02 *"))
    p.expect("^result 0 None")
    c.expect("30 *")
    p.expect("^result None None")
    end(p)


def test_publishing_in_3_1_1_and_at_qos_0(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for qos in (0, 1, 2):
                print("result", await client.publish("t", "m", qos=qos), client.ack_properties)
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect('30 # "t" *')
    p.expect("^result None None")
    c.send(b"\x40\x02" + pid(c.expect('32 # "t" *')))
    p.expect("^result 0 None")
    c.send(b"\x50\x02" + pid(c.expect('34 # "t" *')))
    c.send(b"\x70\x02" + pid(c.expect("62 02 *")))
    p.expect("^result 0 None")
    end(p)


@pytest.mark.parametrize("properties", ["", '1f "nobody"'])
def test_no_matching_subscribers_at_qos_2(clients, peer, properties):
    script = """
        async def main(client):
            await client.connect()
            print("result", await client.publish("t", "m", qos=2), client.ack_properties)
    """
    p, c = connected(clients, peer, script)
    answer(c, c.expect('34 # "t" *'), 0x10, properties)
    answer(c, c.expect("62 02 *"))
    p.expect("^result 16 " + ("{31: 'nobody'}" if properties else "None"), 3)
    end(p)


def test_no_matching_subscribers_on_a_broker(clients, broker, observer):
    p = start(clients, broker, CALLS)
    p.send("client.publish('t', 'm', qos=1)")
    p.expect("^result 16", 5)
    observer.subscribe("t", 2)
    p.send("client.publish('t', 'm', qos=1)")
    p.expect("^result 0")
    end(p)


def test_each_request_has_its_own_properties(clients, peer):
    """Answered in one segment and out of order."""
    script = """
        async def one(n, coro):
            r = await outcome(coro)
            print("result", n, r, client.ack_properties)

        async def main(client):
            await client.connect()
            for n in range(3):
                asyncio.create_task(one(n, client.publish("t", str(n), qos=1)))
            asyncio.create_task(one(3, client.subscribe("t")))
            await told()
    """
    p, c = connected(clients, peer, script)
    packets = [c.expect("32 *") for _ in range(3)] + [c.expect("82 *")]
    c.send(
        b"\x90\x08" + pid(packets[3]) + encode('04 1f "s" 01'),
        b"\x40\x08" + pid(packets[2]) + encode('10 04 1f "2"'),
        b"\x40\x02" + pid(packets[0]),
        b"\x40\x08" + pid(packets[1]) + encode('87 04 1f "1"'),
    )
    seen = {p.expect(r"^result (\d.*)")[1] for _ in range(4)}
    assert seen == {"0 0 None", "1 MQTTException {31: '1'}", "2 16 {31: '2'}", "3 1 {31: 's'}"}
    publish(c)
    end(p)
