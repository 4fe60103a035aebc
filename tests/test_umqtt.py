"""umqtt.simple: the API, the bytes on the wire, and what programs rely on beside it."""

import threading
import time

import pytest
from fixtures.peer import encode

SLOW = 60  # seconds: emulated, on a machine that has other work too


def core(test):
    """Runs on every architecture, and in a firmware."""
    return pytest.mark.core(pytest.mark.firmware("x64", "x86", "rv32imc", "xtensa", "xtensawin")(test))


def start(umqtt, peer, script, connack="20 02 00 00", **how):
    """A script and the connection it makes, CONNECT answered."""
    p = umqtt.start(peer, script, **how)
    c = peer.accept(SLOW)
    c.accept_connect(connack)
    return p, c


# --- attributes and CONNECT


def test_attributes(umqtt, peer):
    script = """
        from umqtt import robust, simple
        for Client in simple.MQTTClient, robust.MQTTClient:
            c = Client("id", "host")
            print(c.client_id, c.sock, c.server, c.port, c.ssl, c.ssl_params, c.pid, c.cb, c.user, c.pswd, c.keepalive)
            print(c.lw_topic, c.lw_msg, c.lw_qos, c.lw_retain)
        print(Client("id", "host", ssl=True).port, Client("id", "host", 1, ssl=True).port)
        c = Client(b"id", "host", 5, "u", b"p", 60, True, {"a": 1})
        c.set_last_will("t", "m", True, 1)
        c.set_callback(print)
        print(c.client_id, c.port, c.user, c.pswd, c.keepalive, c.ssl, c.ssl_params, c.cb is print)
        print(c.lw_topic, c.lw_msg, c.lw_qos, c.lw_retain)
        print(MQTTException(5).args[0], issubclass(MQTTException, OSError), Client.DELAY, Client.DEBUG)
        for will in ("", "m"), ("t", "m", False, 3):
            print(outcome(c.set_last_will, *will)[0])
    """
    assert umqtt(peer, script).lines == [
        *["id None host 1883 None {} 0 None None None 0", "None None 0 False"] * 2,
        "8883 1",
        "b'id' 5 u b'p' 60 True {'a': 1} True",
        "t m 1 True",
        "5 False 2 False",
        "ValueError",
        "ValueError",
    ]


CONNECTS = [
    ({}, "", True, '10 # "MQTT" 04 02 00 00 "id"'),
    ({}, "", False, '10 # "MQTT" 04 00 00 00 "id"'),
    ({"keepalive": 300}, "", True, '10 # "MQTT" 04 02 01 2c "id"'),
    ({"user": "u", "password": "p"}, "", True, '10 # "MQTT" 04 c2 00 00 "id" "u" "p"'),
    ({}, "c.set_last_will('w', b'm', True, 1)", True, '10 # "MQTT" 04 2e 00 00 "id" "w" "m"'),
    ({}, "c.set_last_will('w', '', False, 2)", True, '10 # "MQTT" 04 16 00 00 "id" "w" 00 00'),
    ({"password": "p"}, "", True, '10 # "MQTT" 04 02 00 00 "id"'),
    ({"user": "ü"}, "c.keepalive = 1", True, '10 # "MQTT" 04 82 00 01 "id" "ü"'),
]


@pytest.mark.parametrize("how, before, clean, packet", CONNECTS)
def test_connect(umqtt, peer, how, before, clean, packet):
    script = f"""
        c = new()
        {before}
        print(c.connect({clean}), c.sock is not None)
        c.disconnect()
    """
    p = umqtt.start(peer, script, how=how)
    c = peer.accept()
    c.expect(packet)
    c.send("20 02 00 00")
    p.expect("^0 True$")
    assert c.closed() == b"\xe0\0"
    p.wait()


@pytest.mark.parametrize(
    "connack, outcome",
    [
        ("20 02 01 00", "1"),
        *((f"20 02 00 0{code}", f"('MQTTException', {code})") for code in range(1, 6)),
        ("", "('MQTTException', -1)"),
        ("20 02", "('MQTTException', -1)"),
        ("20 02 00", "('MQTTException', -1)"),
        ("d0 00", "('OSError', -1)"),
        ("20 03 00 00 00", "('OSError', -1)"),
        ("ff ff ff ff ff", "('OSError', -1)"),
    ],
)
def test_connack(umqtt, peer, connack, outcome):
    p = umqtt.start(peer, "c = new()\nprint(outcome(c.connect, False))")
    c = peer.accept()
    c.accept_connect(connack)
    c.close()
    assert p.wait().lines == [outcome]


def test_connect_closes_the_older_socket(umqtt, peer):
    p, first = start(umqtt, peer, "c = connected()\nprint(c.connect())\ntold()")
    p.expect("connected")
    second = peer.accept()
    second.accept_connect()
    p.expect("^0$")
    assert first.closed() == b""
    p.wait()


def test_nobody_listens(umqtt, peer):
    peer.listener.close()
    assert umqtt(peer, "c = new()\nprint(outcome(c.connect)[0], outcome(c.publish, 't', 'm')[0])").lines == ["OSError OSError"]


# --- a session with a broker


@core
@pytest.mark.parametrize("module", ["simple", "robust"])
def test_broker(umqtt, broker, module):
    script = """
        c = connected()
        for qos in 0, 1, 2:
            print(c.subscribe("in/%d" % qos, qos), c.pid)
            for sent in 0, 1, 2:
                print(c.publish("in/%d" % qos, "ü %d" % sent, False, sent))
                while len(messages) < 3 * qos + sent + 1:
                    c.wait_msg()
        c.unsubscribe("in/2")
        c.publish(b"in/2", b"unseen", qos=1)
        c.publish("in/1", bytes(3000), True, 1)
        while len(messages) < 10:
            c.wait_msg()
        print(len(messages[9][1]), c.check_msg())
        c.publish("in/1", "", True)
        c.disconnect()
    """
    r = umqtt(broker, script, module=module)
    shown = [line for line in r.lines if line.startswith("message") and len(line) < 100]
    assert shown == [f"message b'in/{qos}' b'\\xc3\\xbc {sent}'" for qos in (0, 1, 2) for sent in (0, 1, 2)]
    assert r.lines[-1] == "3000 None"
    assert "rotocol error" not in broker.log


@core
def test_wire(umqtt, peer):
    """One write for a packet; `pid` is that of the last request."""
    script = """
        c = connected()
        print(c.publish("t", "m"), c.publish(b"t", b"m", True), c.pid)
        print(c.publish("t", bytearray(b"m"), qos=1), c.pid)
        print(c.subscribe(b"a/b", 1), c.pid)
        print(c.unsubscribe("a/b"), c.pid)
        print(c.ping())
        print(c.publish("t", "m", False, 2), c.pid)
        print(c.disconnect(), c.sock is None)
    """
    p, c = start(umqtt, peer, script)
    c.expect("30 # \"t\" 'm'")
    c.expect("31 # \"t\" 'm'")
    p.expect("None None 0")
    c.expect("32 # \"t\" 00 01 'm'")
    c.send("40 02 00 01")
    p.expect("None 1")
    c.expect('82 # 00 02 "a/b" 01')
    c.send("90 03 00 02 01")
    p.expect("None 2")
    c.expect('a2 # 00 03 "a/b"')
    c.send("b0 02 00 03")
    p.expect("None 3")
    c.expect("c0 00")
    p.expect("None")
    c.expect("34 # \"t\" 00 04 'm'")
    c.send("50 02 00 04")
    c.expect("62 02 00 04")
    c.send("70 02 00 04")
    p.expect("None 4")
    c.expect("e0 00")
    assert c.closed() == b""
    p.expect("None False")
    p.wait()


def test_refused(umqtt, peer):
    p, c = start(umqtt, peer, "c = connected()\nprint(outcome(c.subscribe, 't'))\nc.publish('t', 'm')\ntold()")
    c.expect('82 # 00 01 "t" 00')
    c.send("90 03 00 01 80")
    p.expect(r"\('MQTTException', 128\)")
    c.expect("30 # *")
    p.wait()


def test_arguments(umqtt, peer):
    """Refused before a byte is written; the connection stays."""
    script = """
        c = connected()
        for args in ("", "m"), ("t#", "m"), (None, "m"), ("t", None), ("t", "m", False, 3), ("t" * 65536, "m"):
            print(outcome(c.publish, *args)[0])
        print(outcome(c.subscribe, "a#")[0])
        c.cb = None
        print(outcome(c.subscribe, "t")[0])
        c.publish("t", "m")
        told()
    """
    p, c = start(umqtt, peer, script)
    c.expect("30 # \"t\" 'm'")
    errors = ["ValueError", "ValueError", "TypeError", "TypeError", "ValueError", "ValueError", "ValueError", "AssertionError"]
    assert p.wait().lines == ["connected", *errors]


# --- receiving


@core
def test_wait_msg(umqtt, peer):
    """One packet at a time, its first byte or None; the acknowledgement follows the callback."""
    script = """
        c = connected()
        def slow(topic, msg):
            print("message", topic, msg)
            told()
        c.set_callback(slow)
        while True:
            print(outcome(c.wait_msg))
    """
    p, c = start(umqtt, peer, script)
    for packet, op in ("30 # \"t\" 'm'", 0x30), ('31 # "t"', 0x31), ("30 # \"ü\" 'm'", 0x30):
        c.send(packet)
        p.expect("message b'.*'")
        p.send("")
        p.expect(f"^{op}$")
    c.send("d0 00")
    p.expect("^None$")
    c.send("32 # \"t\" 00 07 'm'")
    p.expect("message b't' b'm'")
    c.quiet(0.1)
    p.send("")
    c.expect("40 02 00 07")
    p.expect("^50$")
    c.send("34 # \"t\" 00 08 'm'")
    p.expect("message b't' b'm'")
    c.quiet(0.1)
    p.send("")
    c.expect("50 02 00 08")
    p.expect("^52$")
    c.send("3c # \"t\" 00 08 'm'")  # Once more: it is there already
    c.expect("50 02 00 08")
    p.expect("^60$")
    c.send("62 02 00 08")
    c.expect("70 02 00 08")
    p.expect("^98$")
    c.close()
    p.expect(r"\('OSError', -1\)")
    p.kill()


@pytest.mark.parametrize("split", [1, 2, 3, 7, 1000])
def test_split(umqtt, peer, split):
    """However packets are cut, and whatever their lengths."""
    script = """
        c = connected()
        while True:
            if c.wait_msg() == 0x30:
                print(len(messages[-1][1]))
    """
    p, c = start(umqtt, peer, script)
    lengths = (0, 1, 122, 123, 124, 125, 126, 127, 300) if split < 1000 else (0, 125, 20000, 1, 70000)
    for n in lengths:
        data = b"\x30" + _length(n + 3) + b"\0\1t" + bytes(n)
        for at in range(0, len(data), split):
            c.send(data[at : at + split])
        p.expect(f"^{n}$")
    p.kill()


def test_many_pieces(umqtt, peer):
    """A message that takes longer than the reads of one turn is no timeout, whatever waits for what."""
    script = """
        c = connected(*(eval(sys.argv[1]) if sys.argv[1:] else ()))
        print(c.publish("t", "m", qos=1), len(messages))
        told()
        print(c.wait_msg(), len(messages))
    """
    for arguments in (), ("(MQTTClient, True, 20)",):
        p = umqtt.start(peer, script, *arguments)
        c = peer.accept()
        c.accept_connect()
        c.expect("32 # *")
        for data in b"\x30\x32\0\1t" + bytes(47) + b"\x40\2\0\1", b"\x30\x32\0\1t" + bytes(47):
            for at in range(len(data)):
                c.send(data[at : at + 1])
                time.sleep(0.005)
            p.expect("None 1" if data[-1] else "48 2")
            if data[-1]:
                p.send("")
        p.wait()


def _length(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + _length(n >> 7)


@pytest.mark.parametrize("how", ["check_msg", "poll"])
def test_none_unseen(umqtt, peer, how):
    """Five messages in one segment: poll tells of each, check_msg takes one at a time."""
    script = """
        import select
        c = connected()
        poller = select.poll()
        poller.register(c.sock, select.POLLIN)
        print(c.check_msg())
        told()
        for n in range(6):
            if not sys.argv[1:] or poller.poll(0):
                print(n, c.check_msg())
        print(len(messages))
        told()
    """
    p = umqtt.start(peer, script, *([how] if how == "poll" else []))
    c = peer.accept()
    c.accept_connect()
    p.expect("^None$")
    c.send(*(f"30 # \"t\" '{n}'" for n in range(5)))
    p.send("")
    for n in range(5):
        p.expect(f"^message b't' b'{n}'$")
        p.expect(f"^{n} 48$")
    if how == "check_msg":
        p.expect("^5 None$")
    p.expect("^5$")
    p.wait()


def test_check_msg_does_not_wait(umqtt, peer):
    """For the rest of a packet neither; and leaves the socket blocking."""
    p, c = start(umqtt, peer, "c = connected()\nwhile told():\n    print(c.check_msg())\nprint(c.wait_msg())")
    for part in "30", "05", "00", "01 't'":
        c.send(part)
        p.send("look")
        p.expect("^None$")
    c.send("'mm'")
    p.send("look")
    while p.expect("^(None|48|message)")[1] == "None":
        p.send("look")
    p.send("")
    c.send("d0 00")
    p.expect("^None$")
    p.wait()


def test_end_of_the_stream(umqtt, peer):
    """Seen in every call."""
    script = """
        calls = "wait_msg()", "check_msg()", "publish('t', 'm', qos=1)", "publish('t', 'm', qos=2)"
        for call in calls + ("subscribe('t')", "unsubscribe('t')"):
            c = connected()
            told()
            print(call, outcome(eval, "c." + call, {"c": c}))
    """
    p = umqtt.start(peer, script)
    for end in ("close",) * 3 + ("reset",) * 3:
        c = peer.accept()
        c.accept_connect()
        p.expect("connected")
        getattr(c, end)()
        p.send("")
        p.expect(r"\('OSError', (-1|104|32)\)" if end == "reset" else r"\('OSError', (-1|104)\)")
    p.wait()


BAD = ["00 00", "10 00", "36 # \"t\" 00 01 'm'", "30 00", "30 02 00 05", "30 05 ff ff 74 74 74", "32 03 00 01 74"]
BAD += ["32 # \"t\" 00 00 'm'", "30 ff ff ff ff 7f", "20 02 00 00", "61 02 00 01", "d1 00", "f0 00", "30 # 00 02 ff fe 'm'"]


@pytest.mark.parametrize("packet", BAD)
def test_malformed(umqtt, peer, packet):
    """The end of the connection, an OSError, again and again; never a message."""
    script = """
        c = connected()
        print(outcome(c.wait_msg)[0], end=" ")
        told()
        print(outcome(c.check_msg)[0])
        print(messages, outcome(c.publish, "t", "m", qos=1)[0])
    """
    p, c = start(umqtt, peer, script)
    c.send(packet, b"t" * 40)
    assert c.closed() == b""
    assert p.wait().lines == ["connected", "OSError OSError", "[] OSError"]


def test_callback_raises(umqtt, peer):
    """The exception reaches the caller, nothing is acknowledged, the connection goes on."""
    script = """
        c = connected()
        def bad(topic, msg):
            if msg == b"bad":
                raise ValueError("bad")
            print("message", msg)
        c.cb = bad
        for call in c.wait_msg, c.check_msg, c.wait_msg, c.wait_msg:
            told()
            print(outcome(call))
        told()
        print(outcome(c.publish, "t", "m", qos=1))
        print(outcome(c.publish, "t", "m", qos=1))
        told()
    """
    p, c = start(umqtt, peer, script)
    for packet in "32 # \"t\" 00 05 'bad'", "34 # \"t\" 00 06 'bad'":
        c.send(packet)
        p.send("")
        p.expect(r"\('ValueError', 'bad'\)")
    c.send("32 # \"t\" 00 07 'good'")
    p.send("")
    c.expect("40 02 00 07")
    p.expect("^50$")
    c.send("3c # \"t\" 00 06 'good'")  # Once more, since it was not acknowledged
    p.send("")
    p.expect("message b'good'")
    c.expect("50 02 00 06")
    p.send("")
    c.send("62 02 00 06")
    pid = c.expect("32 # \"t\" .. .. 'm'")[5:7]
    c.send("30 # \"t\" 'bad'", b"\x40\2" + pid)
    c.expect("70 02 00 06")
    p.expect("ValueError")
    pid = c.expect("32 # \"t\" .. .. 'm'")[5:7]
    c.send(b"\x40\2" + pid)
    p.expect("^None$")
    p.wait()


def test_callback_publishes(umqtt, peer):
    """At QoS 1, within wait_msg and within a publish that waits itself; answers come in any order."""
    script = """
        c = connected()
        def again(topic, msg):
            print("message", msg)
            c.publish("inner", msg, qos=1)
            print("done", msg)
        c.cb = again
        print(c.wait_msg())
        c.publish("outer", "x", qos=1)
        print("outer done")
    """
    p, c = start(umqtt, peer, script)
    c.send("32 # \"t\" 00 09 'a'")
    c.expect("32 # \"inner\" 00 01 'a'")
    c.send("40 02 00 01")
    p.expect("done b'a'")
    c.expect("40 02 00 09")
    p.expect("^50$")
    c.expect("32 # \"outer\" 00 02 'x'")
    c.send("30 # \"t\" 'b'")
    c.expect("32 # \"inner\" 00 03 'b'")
    c.send("40 02 00 02")
    c.quiet(0.1)
    c.send("40 02 00 03")
    p.expect("done b'b'")
    p.expect("outer done")
    p.wait()


def test_interrupted(umqtt, peer):
    """Ctrl-C while it waits, at first and within a packet: all goes on."""
    script = """
        c = connected()
        for n in range(2):
            try:
                print("wait")
                print(c.wait_msg())
            except KeyboardInterrupt:
                print("interrupted")
        print(c.wait_msg(), messages)
        c.publish("t", "m")
    """
    p, c = start(umqtt, peer, script)
    for part in "", "30 05 00 01":
        p.expect("wait")
        c.send(part)
        time.sleep(0.3)
        p.signal()
        p.expect("interrupted")
    c.send("'t' 'mm'")
    p.expect(r"48 \[\(b't', b'mm'\)\]")
    c.expect("30 # *")
    p.wait()


# --- timeouts


def test_timeouts(umqtt, peer):
    """Of connect(): each wait for an answer, and a packet that does not end; wait_msg ends without a message."""
    script = """
        c = connected(timeout=0.3)
        print("wait", c.wait_msg())
        for call in "publish('t', 'm', qos=1)", "publish('t', 'm', qos=2)", "subscribe('t')", "unsubscribe('t')":
            print(outcome(eval, "c." + call, {"c": c}))
        told()
        print(outcome(c.wait_msg))
        c.sock.close()
        print(outcome(c.connect, True, 0.3)[1])
    """
    p, c = start(umqtt, peer, script)
    p.expect("wait None")
    for first in "32", "34", "82", "a2":
        c.expect(f"{first} # *")
        p.expect(r"\('OSError', 110\)")
    c.send("30 05 00")
    p.send("")
    p.expect(r"\('OSError', 110\)")
    peer.accept().expect("10 # *")
    p.expect("^110$")
    p.wait()


def test_trickle(umqtt, peer):
    """A byte now and then does not prolong the wait for an answer."""
    script = """
        c = connected(timeout=0.4)
        print(outcome(c.publish, "t", "m", qos=1))
    """
    p, c = start(umqtt, peer, script)
    c.expect("32 # *")
    try:
        for byte in b"\x30\x40\0\1t" + bytes(40):
            c.send(bytes([byte]))
            time.sleep(0.08)
    except OSError:
        pass
    p.expect(r"\('OSError', 110\)", 3)
    p.wait()


def test_wait_msg_timeout(umqtt, peer):
    script = """
        c = connected()
        for t in 0.1, 0, 1e-3:
            print(c.wait_msg(timeout=t))
        print(c.wait_msg(timeout=10), c.wait_msg(10))
        c.sock.settimeout(0.1)
        print(c.wait_msg(), outcome(c.publish, "t", "m", qos=1))
        c.sock.setblocking(False)
        print(c.wait_msg(), outcome(c.publish, "t", "m", qos=1))
    """
    p, c = start(umqtt, peer, script)
    for _ in range(3):
        p.expect("^None$")
    c.send("30 # \"t\" 'm' ", "d0 00")
    p.expect("^48 None$")
    c.expect("32 # \"t\" 00 01 'm'")
    p.expect(r"None \('OSError', 110\)")
    c.expect("32 # \"t\" 00 02 'm'")
    c.send("40 02 00 01", "40 02 00 02")
    p.expect("^None None$")
    p.wait()


@pytest.mark.parametrize("how", [{}, {"keepalive": 60}, {"keepalive": 1}])
def test_timeout_of_the_application(umqtt, peer, how):
    """Or a socket that does not block: wait_msg returns, and once it has not blocked it does again."""
    script = """
        c = connected()
        c.sock.settimeout(0.05)
        print(c.wait_msg(), outcome(c.publish, "t", "m", qos=1))
        c.sock.settimeout(None)
        c.sock.setblocking(False)
        print(c.wait_msg(), c.keepalive == 1 or c.wait_msg())
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < 2000:
            c.sock.setblocking(False)
            c.wait_msg()
            time.sleep_ms(50)
        print("alive")
    """
    p, c = start(umqtt, peer, script, how=how)
    c.expect("32 # \"t\" 00 01 'm'")
    p.expect(r"^None \('OSError', 110\)$")
    if how.get("keepalive") == 1:
        p.expect("^None True$")
        c.expect("c0 00")
        c.send("d0 00")
    else:
        c.quiet(0.2)
        c.send("30 # \"t\" 'm'")
        p.expect("^None 48$")
    p.expect("^alive$")
    p.wait()


# --- keep alive

CLOCK = """
        import umqtt.simple as simple
        from umqtt import simple
        clock = [0]
        simple.ticks_ms = lambda: clock[0]
"""


def test_an_hour(umqtt, peer):
    """By a clock of its own: the broker hears of a client at least once in each keep alive."""
    script = (
        CLOCK
        + """
        c = connected(keepalive=60)
        told()
        for n in range(3600):
            clock[0] += 1000
            c.check_msg()
            if n % 100 == 0:
                time.sleep_ms(5)
            if simple.ticks_ms() % 53000 == 0:
                while c.wait_msg(0.5):
                    pass
        print("alive")
        told()
    """
    )
    p, c = start(umqtt, peer, script)
    p.send("")
    pings = 0

    def answer():
        nonlocal pings
        while c.packet(30) == b"\xc0\0":
            pings += 1
            c.send("d0 00")

    t = threading.Thread(target=lambda: _quietly(answer), daemon=True)
    t.start()
    p.expect("alive", 60)
    p.wait()
    assert 60 <= pings <= 75


def _quietly(f):
    try:
        f()
    except AssertionError:
        pass


def test_pings_by_itself(umqtt, peer):
    """With a keep alive, while it waits; and a broker that does not answer is dead."""
    p, c = start(umqtt, peer, "c = connected(keepalive=1, response_time=1)\nwhile True: print(outcome(c.wait_msg))")
    for _ in range(2):
        c.expect("c0 00")
        c.send("d0 00")
        p.expect("^None$")
    c.expect("c0 00")
    p.expect(r"\('OSError', 110\)")
    p.kill()


def test_no_pings_without(umqtt, peer):
    p, c = start(umqtt, peer, "c = connected()\nc.wait_msg()")
    c.quiet(1.5)
    p.kill()


# --- what programs do beside the API


@core
def test_own_packets(umqtt, peer):
    """A class that writes packets itself finds the answer in the stream behind its first byte."""
    script = """
        class Client(MQTTClient):
            def unsubscribe(self, topic):
                pkt = bytearray(b"\\xa2\\0\\0\\0")
                self.pid += 1
                pkt[1] = 2 + 2 + len(topic)
                pkt[2] = self.pid >> 8
                pkt[3] = self.pid & 255
                self.sock.write(pkt)
                self._send_str(topic)
                while True:
                    op = self.wait_msg()
                    if op == 0xB0:
                        return self.sock.read(3)
            def suback(self):
                while True:
                    op = self.wait_msg()
                    if op == 0x90:
                        return self._recv_len(), self.sock.read(2)
        c = connected(Client)
        print(c.unsubscribe(b"topic"))
        told()
        print(c.suback())
        told()
    """
    p, c = start(umqtt, peer, script)
    c.expect('a2 # 00 01 "topic"')
    c.send("30 # \"t\" 'm'", "b0 02 00 01")
    p.expect("message")
    p.expect(r"b'\\x02\\x00\\x01'")
    body = b"\x90\x82\x01" + bytes(130)
    c.send(body[:5])
    p.send("")
    p.expect(r"^\(130, b'\\x00\\x00'\)")
    p.wait()


def test_answers_nobody_waits_for(umqtt, peer):
    """Not read by the application: they are passed over."""
    script = """
        c = connected()
        print(c.wait_msg(), c.wait_msg(), c.wait_msg(), c.check_msg())
        c.publish("t", "m", qos=1)
        print("published", type(c.sock).__name__)
    """
    p, c = start(umqtt, peer, script)
    c.send("40 02 00 09", "90 03 00 09 00", "30 # \"t\" 'm'")
    c.expect("32 # *")
    p.expect("^64 144 48 None$")
    c.send("b0 02 00 09", "40 02 00 01")
    p.expect("published socket")
    p.wait()


DOUBLE = """
    class Double:
        def __init__(self, data):
            self.data = data
            self.log = []
        def read(self, n):
            if not self.data:
                return None
            part, self.data = self.data[:n], self.data[n:]
            return part
        def write(self, buf, n=None):
            self.log.append(bytes(buf))
        def setblocking(self, flag):
            self.log.append(flag)
        def close(self):
            self.log.append("closed")
"""


def test_another_sock(umqtt, peer):
    """Any object with read, write, setblocking and close."""
    script = (
        DOUBLE
        + """
    c = new()
    c.set_callback(show)
    d = c.sock = Double(b"\\x30\\x04\\0\\1tm\\x32\\x06\\0\\1t\\0\\7m\\xd0\\0\\x40\\x02\\0\\1")
    print(c.wait_msg(), c.check_msg(), c.wait_msg())
    print(c.publish("t", "m", qos=1), c.publish("t", "m"), c.check_msg())
    c.disconnect()
    print(d.log)
    """
    )
    assert umqtt(peer, script).lines == [
        "message b't' b'm'",
        "message b't' b'm'",
        "48 50 None",
        "None None None",
        str(
            [False, True, b"@\x02\x00\x07", b"2\x06\x00\x01t\x00\x01m", b"0\x04\x00\x01tm", False, True, b"\xe0\x00", "closed"]
        ),
    ]


def test_another_socket_module(umqtt, peer):
    """connect() takes what its sockets are."""
    script = (
        DOUBLE
        + """
    class Socket(Double):
        def __init__(self, *how):
            super().__init__(b"\\x20\\2\\0\\0\\x40\\2\\0\\1")
        def settimeout(self, seconds):
            pass
        def connect(self, address):
            self.log.append(address)
    class Module:
        SOCK_STREAM = 1
        socket = Socket
        def getaddrinfo(self, host, port, *more):
            return [(2, 1, 0, "", (host, 1))]
    from umqtt import simple
    simple.socket = Module()
    c = simple.MQTTClient("id", "host", keepalive=60)
    print(c.connect(), c.publish("t", "m", qos=1), c.check_msg())
    print(c.sock.log[0], b"".join(what for what in c.sock.log if type(what) is bytes))
    """
    )
    packets = encode('10 # "MQTT" 04 02 00 3c "id" 32 # "t" 00 01 \'m\''.replace("#", "0e", 1).replace("#", "06"))
    assert umqtt(peer, script).lines == ["0 None None", f"('host', 1) {packets}"]


@pytest.mark.parametrize("base", ["io.IOBase", "object"])
def test_sock_that_raises(umqtt, peer, base):
    script = f"""
        import io
        class Sock({base}):
            def read(self, n):
                raise OSError(5)
            def readinto(self, buf):
                raise OSError(5)
            def write(self, buf):
                raise OSError(6)
            def setblocking(self, flag):
                pass
            def close(self):
                pass
        c = new()
        c.set_callback(show)
        c.sock = Sock()
        print(outcome(c.wait_msg), outcome(c.check_msg), outcome(c.publish, "t", "m"), outcome(c.wait_msg)[0])
        c.sock = Sock()
        print(outcome(c.subscribe, "t"))
    """
    lines = umqtt(peer, script).lines
    assert lines[0].startswith("('OSError', 5) ('OSError', 5) ('OSError', 6)")
    assert lines[1] == "('OSError', 6)"


def test_overridden(umqtt, broker):
    """Methods that call those they replace; arguments by position."""
    script = """
        class Client(MQTTClient):
            def connect(self, clean_session=True):
                r = super().connect(clean_session)
                self.subscribe("a", 1)
                self.publish("a", "up", qos=1)
                return r
            def publish(self, topic, msg, retain=False, qos=0):
                MQTTClient.publish(self, "over/" + topic, msg, retain, qos)
            def subscribe(self, topic, qos=0):
                MQTTClient.subscribe(self, "over/" + topic, qos)
            def set_callback(self, f):
                MQTTClient.set_callback(self, lambda t, m: f(t, m, "over"))
        c = Client("id", HOST, PORT, None, None, 30, False, {})
        c.set_callback(show)
        print(c.connect())
        while not messages:
            c.wait_msg()
        c.disconnect()
    """
    for module in "simple", "robust":
        assert umqtt(broker, script, module=module).lines == ["message b'over/a' b'up' over", "0"]


def test_wait_msg_overridden(umqtt, peer):
    """check_msg() calls it, as the documentation says: "process the same way as wait_msg()"."""
    script = """
        class Client(MQTTClient):
            def wait_msg(self):
                op = super().wait_msg()
                print("op", op)
                return op
        c = Client("id", HOST, PORT, keepalive=60)
        print(outcome(c.check_msg))
        c = connected(Client)
        print(c.check_msg())
        told()
        print(c.check_msg(), c.wait_msg())
        c.set_callback(lambda topic, msg: c.disconnect())
        told()
        print(c.check_msg())
    """
    p, c = start(umqtt, peer, script)
    p.expect(r"^\('OSError', 107\)$")
    p.expect("^op None$")
    p.expect("^None$")
    c.send("30 # \"t\" 'm'")
    p.send("")
    p.expect("^op 48$")
    c.send("31 # \"t\" 'm'")
    p.expect("^op 49$")
    p.expect("^48 49$")
    c.send("30 # \"t\" 'm'")
    p.send("")
    p.expect("^48$")
    assert c.closed() == b"\xe0\0"
    p.wait()


def test_in_a_task(umqtt, broker):
    """check_msg() in an asyncio task."""
    script = """
        import asyncio
        c = connected()
        c.subscribe("t")
        async def main():
            c.publish("t", "m")
            while not messages:
                c.check_msg()
                await asyncio.sleep_ms(10)
        asyncio.run(main())
    """
    assert umqtt(broker, script).lines == ["connected", "message b't' b'm'"]


# --- TLS and MQTT 5


@pytest.mark.parametrize("context", [False, True])
def test_tls(umqtt, tls_broker, tmp_path, context):
    ssl = (
        "context()"
        if context
        else 'True, ssl_params={"server_hostname": "localhost", "cert_reqs": ssl.CERT_REQUIRED, "cadata": ca}'
    )
    script = f"""
        import ssl
        ca = open({str(tmp_path)!r} + "/cert.der", "rb").read()
        def context():
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.verify_mode = ssl.CERT_REQUIRED
            c.load_verify_locations(ca)
            return c
        HOST = "localhost"
        c = connected(ssl={ssl})
        c.subscribe("t", 1)
        print(c.check_msg())
        for n in range(5):
            c.publish("t", bytes(1000 * n), qos=1)
        while len(messages) < 5:
            c.check_msg()
        print([len(m) for _, m in messages], c.check_msg())
        c.disconnect()
    """
    lines = umqtt(tls_broker, script).lines
    assert (lines[1], lines[-1]) == ("None", "[0, 1000, 2000, 3000, 4000] None")


def test_version_5(umqtt, broker):
    script = """
        c = connected(version=5, properties={0x11: 60})
        print(sorted(c.properties)[:1] != [], c.subscribe("t", 1, properties={0x26: {"a": "b"}}))
        c.publish("t", "m", qos=2, properties={0x03: "text/plain"})
        while not messages:
            c.wait_msg()
        c.disconnect()
    """
    lines = umqtt(broker, script).lines
    assert lines[-1] == "message b't' b'm' False {3: 'text/plain'}"


def test_version_5_reasons(umqtt, peer):
    script = """
        c = connected(version=5)
        print(outcome(c.publish, "t", "m", qos=1), outcome(c.publish, "t", "m", qos=2))
        print(outcome(c.unsubscribe, "t"), outcome(c.wait_msg))
    """
    p, c = start(umqtt, peer, script, connack="20 # 00 00 00")
    c.expect("32 # \"t\" 00 01 00 'm'")
    c.send("40 03 00 01 87")
    c.expect("34 # \"t\" 00 02 00 'm'")
    c.send("50 04 00 02 10 00")
    c.expect("62 02 00 02")
    c.send("70 02 00 02")
    c.expect('a2 # 00 03 00 "t"')
    c.send("b0 04 00 03 00 11", "e0 01 8b")
    p.expect(r"^\('MQTTException', 135\) None$")
    p.expect(r"^None \('OSError', -1\)$")
    p.wait()
