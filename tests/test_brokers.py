"""The same scenarios with two brokers that have nothing in common: what one forgives, the other may not.

Where a broker is not there or lacks what a scenario needs, the test is skipped and says so.
"""

import signal
import socket
import textwrap
import threading
import time

import pytest
from fixtures.broker import Broker
from fixtures.client import end
from fixtures.ejabberd import Ejabberd
from fixtures.proxy import Proxy

HEAD = """\
    def show(topic, msg, retained, properties=None):
        print("message", (bytes(topic), bytes(msg), retained))
    config["subs_cb"] = show
"""

# Subscribes to the filter it is told, with QoS 2, and prints what comes.
SUBSCRIBER = """
    async def main(client):
        await client.connect()
        print("granted", await client.subscribe(sys.argv[1], 2))
        await told()
        await client.disconnect()
"""


@pytest.fixture(params=[Broker, Ejabberd], ids=lambda kind: kind.NAME)
def server(request, tmp_path):
    kind = request.param
    if reason := kind.absent():
        pytest.skip(reason)
    broker = kind(tmp_path / kind.NAME).start()
    yield broker
    broker.kill()


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def version(request):
    return request.param


# for what 3.1.1 has not
only_5 = pytest.mark.parametrize("version", [5], ids=["5"])


@pytest.fixture
def start(clients, server, version):
    """Start a script: start(script, *args, config={...})."""

    def start(script, *args, config=None, to=server, **how):
        config = {"mqttv5": version == 5, **server.ACCOUNT, **(config or {})}
        return clients.start(to, textwrap.dedent(HEAD) + textwrap.dedent(script), *args, config=config, **how)

    return start


@pytest.fixture
def other(observers, server, version):
    """Connect a paho client of the same version."""

    def other(**how):
        return observers(server, version=version, **server.ACCOUNT, **how)

    return other


@pytest.fixture
def line(server):
    """A proxy in front of the broker."""
    p = Proxy(server)
    yield p
    p.close()


def messages(process):
    """(topic, payload, retained) of what a script has printed."""
    return [eval(line[8:]) for line in process.out.splitlines() if line.startswith("message ")]


def numbers(count):
    return [str(n).encode() for n in range(count)]


# --- subscriptions


def test_subscribe_and_unsubscribe(start, other):
    script = """
        async def main(client):
            await client.connect()
            for qos in range(3):
                print("granted", await client.subscribe("grün/+/#", qos))
                await told()
                print("gone", await client.unsubscribe("grün/+/#"))
                print("never was", await client.unsubscribe("other"))
                await client.subscribe("end", 1)
                print("again")
                await told()
            await client.disconnect()
    """
    p = start(script)
    o = other()
    for qos in range(3):
        p.expect(f"^granted {qos}$")
        o.publish("grün/€/a/b", f"{qos}", 2)
        o.publish("grün", "no", 2)
        p.expect(f"^message .* b'{qos}', False")
        p.send("go on")
        p.expect("^gone (0|None)$")
        p.expect("^never was (0|17|None)$")
        p.expect("^again$")
        o.publish("grün/€/a/b", "no", 2)
        o.publish("end", "2", 1)
        p.expect(r"^message \(b'end', b'2'")
        p.send("go on")
    assert "b'no'" not in end(p).out


def test_subscribed_twice(start, other):
    """The second subscription takes the first one's place."""
    script = """
        async def main(client):
            await client.connect()
            for qos in (0, 2, 1):
                print("granted", await client.subscribe("t", qos))
            print("ready")
            await told()
    """
    p = start(script)
    p.expect("^ready$")
    o = other()
    o.publish("t", "1", 1)
    o.publish("t", "end", 1)
    p.expect("b'end'")
    assert [m[1] for m in messages(p)] == [b"1", b"end"]
    end(p)


# --- publications


def test_publications(start, other):
    """In order, each once, with their QoS; then by many tasks at the same time."""
    script = """
        async def main(client):
            await client.connect()
            for qos in range(3):
                for n in range(50):
                    await client.publish("a/ü", str(n), qos=qos)
                await asyncio.gather(*[client.publish("b", str(n), qos=qos) for n in range(50)])
            print("done")
            await told()
            await client.disconnect()
    """
    o = other()
    o.subscribe("#", 2)
    p = start(script)
    p.expect("^done$")
    o.wait(300)
    for qos in range(3):
        got = [m for m in o.messages if m.qos == qos]
        assert [m.payload for m in got if m.topic == "a/ü"] == numbers(50)
        assert sorted(int(m.payload) for m in got if m.topic == "b") == list(range(50))
    o.quiet(0.2)
    end(p)


def test_reception(start, other):
    p = start(SUBSCRIBER, "a/#")
    p.expect("^granted 2")
    o = other()
    tokens = [o.client.publish(f"a/{qos}", str(n), qos) for n in range(100) for qos in range(3)]
    for t in tokens:
        t.wait_for_publish(10)
    for qos in range(3):  # the order holds for each QoS (4.6)
        o.publish(f"a/{qos}", "end", qos)
        p.expect("b'end'")
    for qos in range(3):
        assert [m[1] for m in messages(p) if m[0] == b"a/%d" % qos] == [*numbers(100), b"end"]
    end(p)


def test_empty_and_large(start, other):
    """There and back."""
    script = """
        message = b""

        def show(topic, msg, retained, properties=None):
            print("same", bytes(msg) == message)
        config["subs_cb"] = show

        async def main(client):
            global message
            await client.connect()
            await client.subscribe("there", 2)
            for size in (0, 200_000):
                message = bytearray(size)
                for i in range(size):
                    message[i] = i % 251
                for qos in range(3):
                    await client.publish("there", message, qos=qos)
                    await client.publish("out", message, qos=qos)
                    await told()
    """
    o = other()
    o.subscribe("out", 2)
    p = start(script, options=("-X", "heapsize=4m"))
    count = 0
    for size in (0, 200_000):
        for qos in range(3):
            p.expect("^same True$")
            count += 1
            assert o.wait(count)[-1] == bytes(i % 251 for i in range(size))
            assert o.messages[-1].qos == qos
            o.publish("there", o.messages[-1].payload, qos)
            p.expect("^same True$")
            p.send("go on")
    end(p)


def test_retained(start, other):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("a/mine", "kept", True, 1)
            await client.publish("a/gone", "x", True, 1)
            await client.publish("a/gone", "", True, 1)
            print("published")
            await told()
            await client.subscribe("a/#", 1)
            await told()
    """
    p = start(script)
    p.expect("^published$")
    o = other()
    o.publish("a/theirs", "kept", 1, True)
    o.subscribe("a/#", 1)
    o.wait(2)
    p.send("go on")
    p.expect("^message")
    p.expect("^message")
    o.publish("a/live", "end", 1, True)
    p.expect("end")
    assert sorted(messages(p)) == [(b"a/live", b"end", False), (b"a/mine", b"kept", True), (b"a/theirs", b"kept", True)]
    o.wait(3)
    assert sorted((m.topic, m.retain) for m in o.messages) == [("a/live", False), ("a/mine", True), ("a/theirs", True)]
    end(p)


@only_5
def test_several_clients(start, other):
    """Both versions in one program, each publishing to the next at every QoS."""
    script = """
        async def main(client):
            everyone, got = [], []

            def callback(i):
                return lambda topic, msg, retained, properties=None: got.append((i, bytes(topic), bytes(msg)))
            for i in range(6):
                config.update(client_id="client%d" % i, mqttv5=bool(i & 1), subs_cb=callback(i))
                everyone.append(MQTTClient(config))
            try:
                for c in everyone:
                    await c.connect()
                for i, c in enumerate(everyone):
                    await c.subscribe("to/%d" % i, 2)
                jobs = []
                for i, c in enumerate(everyone):
                    for n in range(9):
                        jobs.append(c.publish("to/%d" % ((i + 1) % 6), "%d" % n, qos=n % 3))
                await asyncio.gather(*jobs)
                await until(lambda: len(got) >= 54)
                await asyncio.sleep_ms(200)
                want = [(i, b"to/%d" % i, b"%d" % n) for i in range(6) for n in range(9)]
                print("all", sorted(got) == want, len(got), gc.collect())
                for c in everyone:
                    await c.disconnect()
            finally:
                for c in everyone:
                    c.close()
    """
    p = start(script)
    p.expect("^all True 54")
    end(p)


# --- MQTT 5


@only_5
def test_properties(start, other, server):
    """Every property that a broker hands on, in both directions."""
    script = """
        config["subs_cb"] = lambda *message: print("properties", sorted(message[3].items()))
        properties = {
            0x01: 1, 0x02: 3600, 0x03: "text/ü", 0x08: "ant/wort", 0x09: b"\\0\\xff",
            0x26: [("k", "1"), ("k", "2"), ("ü", "")],
        }

        async def main(client):
            await client.connect()
            await client.subscribe("theirs", 2, {0x0B: 300})
            for qos in range(3):
                await client.publish("mine", "m", False, qos, properties)
            await told()
    """
    o = other()
    o.subscribe("mine", 2)
    p = start(script)
    o.wait(3)
    user = [("k", "1"), ("k", "2"), ("ü", "")]
    for qos, message in enumerate(o.messages):
        got = message.properties
        assert got.PayloadFormatIndicator == 1 and 3590 <= got.MessageExpiryInterval <= 3600, got
        assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/ü", "ant/wort", b"\0\xff")
        assert got.UserProperty == user
        o.publish("theirs", "m", qos, properties=got)
        received = dict(eval(p.expect("^properties (.*)")[1]))
        assert 3590 <= received.pop(2) <= 3600
        assert received == {1: 1, 3: "text/ü", 8: "ant/wort", 9: b"\0\xff", 11: 300, 38: user}
    end(p)


@only_5
def test_topic_aliases(start, other, server):
    """One of the client's for two topics, and whatever the broker makes of 10 that it may use."""
    script = """
        async def main(client):
            await client.connect()
            print("maximum", client.topic_alias_maximum)
            await client.subscribe("in/#", 1)
            for topic in ("out/a", "out/a", "out/b", "out/b"):
                await client.publish(topic, "m", qos=1, properties={0x23: 1})
            print("ready")
            await told()
    """
    o = other()
    o.subscribe("out/#", 1)
    p = start(script, config={"mqttv5_con_props": {0x22: 10}})
    p.expect("^maximum [1-9]")
    o.wait(4)
    assert [m.topic for m in o.messages] == ["out/a", "out/a", "out/b", "out/b"]
    p.expect("^ready$")
    for n in range(60):
        o.publish(f"in/{n % 15}", str(n), 1)
    p.expect("b'59'")
    assert messages(p) == [(b"in/%d" % (n % 15), b"%d" % n, False) for n in range(60)]
    end(p)


@only_5
def test_assigned_identifier(start, server, line):
    script = """
        config["connect_coro"] = lambda client: show_up(client)

        async def show_up(client):
            print("up", client.connack_properties)

        async def main(client):
            await client.connect()
            await told()
    """
    p = start(script, config={"client_id": ""}, to=line)
    assert eval(p.expect("^up (.*)")[1]).get(0x12)
    line.cut()
    assert not (eval(p.expect("^up (.*)")[1]) or {}).get(0x12)  # it says the one it got
    end(p)


@only_5
def test_session_taken_over(start, other, server):
    """MQTT 5 says who did it, and the client leaves it at that."""
    if server.NAME == "mosquitto":
        pytest.skip("mosquitto 2.0.11 does not tell a client that its session was taken over")
    script = """
        async def main(client):
            await client.connect()
            print("connected")
            await until(lambda: not client.isconnected())
            print("new", await outcome(client.publish("t", "m", qos=1)))
            await told()
    """
    p = start(script, config={"client_id": "same"})
    p.expect("^connected$")
    o = other(client_id="same")
    p.expect("^new OSError")
    time.sleep(1)
    assert o.client.is_connected()
    end(p)


# --- sessions and connections


def test_will(start, other, line):
    script = """
        async def main(client):
            await client.connect()
            print("connected")
            await told()
            await client.disconnect()
            print("disconnected")
            await told()
    """
    o = other()
    o.subscribe("will/ü", 2)

    def run():
        p = start(script, config={"will": ("will/ü", "gone", True, 1)}, to=line)
        p.expect("^connected$")
        return p

    p = run()
    p.send("go on")
    p.expect("^disconnected$")
    o.publish("will/ü", "none")
    assert o.wait(1) == [b"none"]
    end(p)

    p = run()
    line.cut()
    assert o.wait(2)[1] == b"gone"
    end(p)
    p = run()
    p.kill()
    assert o.wait(3)[2] == b"gone"
    assert [m.qos for m in o.messages] == [0, 1, 1]

    late = other()
    late.subscribe("will/ü", 1)
    late.wait(1)
    assert late.messages[0].retain and late.messages[0].payload == b"gone"


@pytest.mark.parametrize("server", [Ejabberd], ids=["ejabberd"], indirect=True)
def test_wrong_account(start):
    script = """
        async def main(client):
            print(await outcome(client.connect()))
    """
    p = start(script, config={"user": "", "password": ""})
    p.expect("^OSError$")
    end(p)


def test_idle(start, other):
    """Pings keep the connection, longer than the keep alive."""
    script = """
        config["wifi_coro"] = lambda state: changed(state)

        async def changed(state):
            print("state", state)

        async def main(client):
            await client.connect()
            await client.subscribe("t", 1)
            await asyncio.sleep(4)
            print("slept")
            await told()
    """
    p = start(script, config={"keepalive": 1})
    p.expect("^slept$")
    other().publish("t", "still there", 1)
    p.expect("still there")
    assert "state False" not in end(p).out


def test_session_kept(start, other, line, version):
    """What comes during an outage, at QoS 1 and 2, is handed on after it, without subscribing again."""
    script = """
        async def main(client):
            await client.connect()
            await client.subscribe("t", 2)
            print("ready")
            await told()
    """
    config = {"clean": False, "clean_init": True, "client_id": "kept"}
    if version == 5:
        config["mqttv5_con_props"] = {0x11: 300}
    p = start(script, config=config, to=line)
    p.expect("^ready$")
    o = other()
    line.refuse()
    line.cut()
    time.sleep(0.3)
    for n in range(20):
        o.publish("t", str(n), 1 + n % 2)
    assert not messages(p)
    line.listen()
    o.publish("t", "end", 2)
    p.expect("b'end'")
    # the order holds for each QoS (3.1.1: 4.6)
    got = [m[1] for m in messages(p)]
    assert got.pop() == b"end" or b"end" in got
    for of in (0, 1):
        assert [g for g in got if g != b"end" and int(g) % 2 == of] == numbers(20)[of::2]
    end(p)


def test_session_not_kept(start, other, line):
    """Neither the client nor the broker knows anything of an earlier connection."""
    script = """
        config["connect_coro"] = lambda client: again(client)

        async def again(client):
            print("up")

        async def main(client):
            await client.connect()
            await client.subscribe("t", 2)
            print("ready")
            await told()
            await client.subscribe("end", 1)
            print("again")
            await told()
    """
    p = start(script, to=line)
    p.expect("^ready$")
    line.cut()
    p.expect("^up$")
    o = other()
    o.publish("t", "no", 1)
    p.send("go on")
    p.expect("^again$")
    o.publish("end", "end", 1)
    p.expect("b'end'")
    assert "b'no'" not in end(p).out


@pytest.mark.parametrize("qos", [1, 2])
def test_cut_in_every_exchange(start, other, server, line, version, qos):
    """A session that is kept, and a line that breaks five times a second: of 100 publications in each direction none is lost,
    and at QoS 2 none comes twice.
    """
    script = """
        async def main(client):
            await client.connect()
            await client.subscribe("in", 2)
            print("ready")
            await told()
            for n in range(100):
                await client.publish("out", str(n), qos=int(sys.argv[1]))
            print("done")
            await told()
    """
    config = {"clean": False, "client_id": "kept", "response_time": 2}
    if version == 5:
        config["mqttv5_con_props"] = {0x11: 300}
    o = other()
    o.subscribe("out", 2)
    p = start(script, qos, config=config, to=line)
    p.expect("^ready$")
    p.send("go")
    ended = threading.Event()

    def cut():
        while not ended.wait(0.05):
            line.cut()
            ended.wait(0.15)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        for n in range(100):
            o.publish("in", str(n), qos)
            time.sleep(0.02)
        p.expect("^done$", 60)
    finally:
        ended.set()
        cutter.join()
    o.publish("in", "end", qos)
    p.expect("b'end'")
    o.wait(100)
    time.sleep(0.5)  # what may come twice, may come late
    for got in ([m.payload for m in o.messages], [m[1] for m in messages(p) if m[1] != b"end"]):
        assert set(got) == set(numbers(100))
        assert len(got) == 100 or qos == 1
    end(p)


@pytest.mark.parametrize("qos", [1, 2])
def test_broker_restarted(start, other, server, line, qos):
    """Publications under way and made while the broker is killed and started: all reach it."""
    script = """
        async def publish(client, n):
            await client.publish("t", str(n), qos=int(sys.argv[1]))
            print("acknowledged", n)

        async def main(client):
            await client.connect()
            tasks = []
            while True:
                line = await told()
                if line == b"end":
                    break
                first = len(tasks)
                for n in range(first, first + 10):
                    tasks.append(asyncio.create_task(publish(client, n)))
                print("begun", first + 10)
            for t in tasks:
                await t
            print("done")
            await told()
    """
    before = other()
    before.subscribe("t", 2)
    p = start(script, qos, to=line)
    p.send("more")
    for _ in range(10):
        p.expect("^acknowledged")
    before.wait(10)  # a broker may acknowledge before it hands on
    line.hold()  # the broker hears nothing of these
    p.send("more")
    p.expect("^begun 20")
    line.refuse()
    line.cut()
    server.kill()
    p.send("more")
    p.expect("^begun 30")
    time.sleep(0.5)
    server.start()
    after = other()
    after.subscribe("t", 2)
    line.release()
    line.listen()
    p.send("more")
    p.send("end")
    p.expect("^done$", 40)
    after.wait(30)
    after.quiet(0.5)
    assert set(before.wait(10)) | set(after.wait(30)) == set(numbers(40))
    assert len(after.messages) == 30
    end(p)


@pytest.mark.parametrize("clean", [True, False])
def test_burst(start, other, server, version, clean):
    """A client that was busy finds many messages of QoS 2. mosquitto 2.0.11 widens its window with each of them that is done,
    whatever the client has announced.
    """
    config = {"clean": clean, "client_id": "busy"}
    if version == 5:
        config["mqttv5_con_props"] = {0x11: 300}
    p = start(SUBSCRIBER, "t", config=config)
    p.expect("^granted 2")
    p.signal(signal.SIGSTOP)
    o = other()
    for t in [o.client.publish("t", str(n), 2) for n in range(600)]:
        t.wait_for_publish(20)
    p.signal(signal.SIGCONT)
    o.publish("t", "end", 2)
    p.expect("b'end'", 10)
    assert [m[1] for m in messages(p)] == [*numbers(600), b"end"]
    end(p)


# --- what brokers do, in bytes


def test_unknown_identifier_after_an_outage(clients, peer):
    """PUBCOMP with reason 0x92: it was done before, which is no error in recovery (MQTT 5, 3.7.2.1). So does ejabberd."""
    script = """
        async def main(client):
            await client.connect()
            print("outcome", await outcome(client.publish("t", "m", qos=2)))
            await told()
    """
    p = clients.start(peer, script, config={"mqttv5": True, "clean": False, "mqttv5_con_props": {0x11: 60}})
    c = peer.accept()
    c.accept_connect("20 03 00 00 00")
    pid = c.expect('34 # "t" *')[5:7]
    c.send(b"\x50\x02" + pid)
    c.expect(b"\x62\x02" + pid)
    c.close()
    c = peer.accept()
    c.accept_connect("20 03 01 00 00")
    c.expect(b"\x62\x02" + pid)
    c.send(b"\x70\x03" + pid + b"\x92")
    p.expect("^outcome (None|0)$", 5)
    end(p)


def test_broker_that_takes_few_at_one_time(clients, peer):
    """3.1.1 cannot say how many; rmqtt ends the connection at the 17th that is under way. Later ones must go on with fewer."""
    script = """
        async def main(client):
            await client.connect()
            await asyncio.gather(*[client.publish("t", str(n), qos=1) for n in range(30)])
            print("done")
            await told()
    """
    p = clients.start(peer, script)
    acknowledged = set()

    def serve(c):
        """Acknowledge what has come when nothing more does; True when all is."""
        c.accept_connect()
        under_way = []
        while len(acknowledged) < 30:
            c.sock.settimeout(0.2)
            try:
                c.sock.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                for packet in under_way:
                    c.send(b"\x40\x02" + packet[5:7])
                    acknowledged.add(packet[7:])
                under_way.clear()
                continue
            under_way.append(c.packet())
            if len(under_way) > 16:
                return c.close()
        return True

    assert any(serve(peer.accept(15)) for _ in range(6))
    p.expect("^done$")
    end(p)
