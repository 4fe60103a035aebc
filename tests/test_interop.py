"""With clients that are not ours, mosquitto's, and with copies of itself, through mosquitto."""

import json
import os
import subprocess

import pytest
from fixtures.client import end
from fixtures.micropython import Process

TOPIC = "grün/€/a b/😀"
LARGE = bytes(i % 251 for i in range(200_000))

# Every property that a PUBLISH of a client may have, but for a topic alias: as this client takes them, as mosquitto_pub and
# as mosquitto_sub prints them.
PROPERTIES = {
    0x01: 1,
    0x02: 3600,
    0x03: "text/ü",
    0x08: "ant/wört",
    0x09: b"a-b",
    0x26: [("k", "1"), ("k", "2"), ("ü", "")],
}
NAMES = {
    0x01: "payload-format-indicator",
    0x02: "message-expiry-interval",
    0x03: "content-type",
    0x08: "response-topic",
    0x09: "correlation-data",
    0x0B: "subscription-identifier",
    0x26: "user-property",
}

SUBSCRIBE = """
    def show(topic, msg, retained, properties=None):
        print("message", [bytes(topic), bytes(msg), retained, sorted(properties.items()) if properties else None])
    config["subs_cb"] = show

    async def main(client):
        await client.connect()
        print("granted", await client.subscribe(sys.argv[1], 2, eval(sys.argv[2]) if len(sys.argv) > 2 else None))
        await told()
        await client.disconnect()
"""


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def version(request):
    return request.param


only_5 = pytest.mark.parametrize("version", [5], ids=["5"])


@pytest.fixture
def start(clients, broker, version):
    def start(script, *args, config=None, **how):
        return clients.start(broker, script, *args, config={"mqttv5": version == 5, **(config or {})}, **how)

    return start


def common(broker, version):
    return ["-h", broker.host, "-p", str(broker.port), "-V", "5" if version == 5 else "311"]


@pytest.fixture
def pub(broker, version):
    """Run mosquitto_pub."""

    def pub(topic, *options, qos=0, input=None):
        command = ["mosquitto_pub", *common(broker, version), "-t", topic, "-q", str(qos), *options]
        subprocess.run(command, input=input, check=True, timeout=20)

    return pub


class Sub(Process):
    """mosquitto_sub, subscribed: `message()` is the next one."""

    def __init__(self, broker, version, folder, topic, *options, qos=2):
        count = broker.log.count("Sending SUBACK")
        command = ["mosquitto_sub", *common(broker, version), "-t", topic, "-q", str(qos), "-F", "%j\t%x", *options]
        super().__init__(command, os.environ, folder)
        broker.wait_log("Sending SUBACK", count=count + 1)

    def message(self):
        """(topic, payload, QoS, retained, properties); user properties are a list of pairs."""
        text, payload = self.expect("^({.*})\t(.*)$").groups()
        fields = dict(json.loads(text, object_pairs_hook=list))
        properties = dict(fields.get("properties", []))
        return fields["topic"], bytes.fromhex(payload), fields["qos"], fields["retain"] == 1, properties


@pytest.fixture
def sub(broker, version, tmp_path):
    """Start mosquitto_sub and wait until it is subscribed."""
    started = []

    def sub(topic, *options, **how):
        started.append(Sub(broker, version, tmp_path, topic, *options, **how))
        return started[-1]

    yield sub
    for s in started:
        if s.running():
            s.kill()


def message(process):
    """The next one a script prints: [topic, payload, retained, properties]."""
    return eval(process.expect("^message (.*)")[1])


# --- messages


def test_to_mosquitto_sub(start, sub):
    script = f"""
        async def main(client):
            await client.connect()
            large = bytearray(200_000)
            for i in range(len(large)):
                large[i] = i % 251
            for payload in ("ä€😀", b"", b"\\0\\xff\\xfe", large):
                for qos in range(3):
                    await client.publish({TOPIC!r}, payload, qos=qos)
            await told()
            await client.disconnect()
    """
    s = sub("grün/+/#")
    p = start(script, options=("-X", "heapsize=4m"))
    got = [s.message()[:4] for _ in range(12)]
    for qos in range(3):  # one at QoS 0 may overtake one at QoS 2
        payloads = ("ä€😀".encode(), b"", b"\0\xff\xfe", LARGE)
        assert [m for m in got if m[2] == qos] == [(TOPIC, payload, qos, False) for payload in payloads]
    end(p)


def test_from_mosquitto_pub(start, pub):
    p = start(SUBSCRIBE, "grün/+/#", options=("-X", "heapsize=8m"))
    p.expect("^granted 2")
    for payload in ("ä€😀".encode(), b"", b"\0\xff\xfe", LARGE):
        for qos in range(3):
            pub(TOPIC, *(["-s"] if payload else ["-n"]), qos=qos, input=payload)
            assert message(p) == [TOPIC.encode(), payload, False, None]
    end(p)


def test_many_from_mosquitto_pub(start, pub):
    """A message to each line of its input."""
    p = start(SUBSCRIBE, "t")
    p.expect("^granted 2")
    for qos, count in ((0, 1000), (1, 1000), (2, 100)):
        lines = [str(n).encode() for n in range(count)]
        pub("t", "-l", qos=qos, input=b"\n".join(lines) + b"\n")
        assert [message(p)[1] for _ in lines] == lines
    end(p)


def test_retained(start, sub, pub):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("a/mine", "kept", True, 1)
            await client.publish("a/gone", "gone", True, 2)
            await client.publish("a/gone", "", True, 0)
            print("published")
            await told()
    """
    p = start(script)
    p.expect("^published$")
    pub("a/theirs", "-m", "kept", "-r", qos=2)
    pub("a/gone2", "-m", "gone", "-r", qos=1)
    pub("a/gone2", "-n", "-r", qos=1)
    end(p)
    s = sub("a/#")
    assert sorted(s.message()[:4] for _ in range(2)) == [("a/mine", b"kept", 1, True), ("a/theirs", b"kept", 2, True)]
    p = start(SUBSCRIBE, "a/#")
    assert sorted(message(p)[:3] for _ in range(2)) == [[b"a/mine", b"kept", True], [b"a/theirs", b"kept", True]]
    pub("a/theirs", "-m", "live", "-r", qos=1)
    assert message(p)[:3] == [b"a/theirs", b"live", False]
    assert s.message()[:4] == ("a/theirs", b"live", 1, False)
    end(p)


def test_wills(start, sub):
    s = sub("will/#", "--will-topic", "will/theirs", "--will-payload", "ä", "--will-qos", "2", "--will-retain")
    gone = start(SUBSCRIBE, "x", config={"will": ("will/mine", "ö", True, 1), "client_id": "gone"})
    gone.expect("^granted")
    gone.kill()
    assert s.message()[:4] == ("will/mine", "ö".encode(), 1, False)
    p = start(SUBSCRIBE, "will/#")
    assert message(p)[:3] == [b"will/mine", "ö".encode(), True]
    s.kill()
    assert message(p)[:3] == [b"will/theirs", "ä".encode(), False]
    end(p)
    assert [sub("will/theirs").message()[:4]] == [("will/theirs", "ä".encode(), 2, True)]


def test_session_of_mosquitto_sub(start, sub, version):
    """It was away, and gets what was published meanwhile."""
    options = ["-i", "kept", "-c", *(["-x", "60"] if version == 5 else [])]
    sub("t", *options).kill()
    script = """
        async def main(client):
            await client.connect()
            for qos in range(3):
                await client.publish("t", str(qos), qos=qos)
            print("published")
            await told()
    """
    p = start(script)
    p.expect("^published$")
    s = sub("t", *options)
    assert [s.message()[1:3] for _ in range(2)] == [(b"1", 1), (b"2", 2)]
    end(p)


# --- MQTT 5: properties


@only_5
def test_properties_to_mosquitto_sub(start, sub):
    script = f"""
        async def main(client):
            await client.connect()
            for qos in range(3):
                await client.publish("t", "m", False, qos, {PROPERTIES!r})
            await client.publish("t", "kept", True, 1, {{0x02: 3600, 0x26: {{"k": "v"}}}})
            await told()
    """
    s = sub("t", "-D", "subscribe", "subscription-identifier", "268435455")
    p = start(script)
    for m in [m for m in (s.message() for _ in range(4)) if m[1] == b"m"]:  # they may overtake each other
        got = m[4]
        assert 3590 <= got.pop("message-expiry-interval") <= 3600
        assert got.pop("user-properties") == [("k", "1"), ("k", "2"), ("ü", "")]
        assert got == {
            "payload-format-indicator": 1,
            "content-type": "text/ü",
            "response-topic": "ant/wört",
            "correlation-data": "a-b",
            "subscription-identifier": 268435455,
        }
    # kept with the message
    got = sub("t").message()
    assert got[3] and got[4].pop("message-expiry-interval") <= 3600 and got[4] == {"user-properties": [("k", "v")]}
    end(p)


@only_5
def test_properties_from_mosquitto_pub(start, pub):
    p = start(SUBSCRIBE, "t", "{0x0B: 268435455, 0x26: {'k': 'v'}}")
    p.expect("^granted 2")
    options = []
    for code, value in PROPERTIES.items():
        for one in value if code == 0x26 else [value]:
            words = one if isinstance(one, tuple) else [one.decode() if isinstance(one, bytes) else str(one)]
            options += ["-D", "publish", NAMES[code], *words]
    for qos in range(3):
        pub("t", "-m", "m", *options, qos=qos)
        got = dict(message(p)[3])
        assert 3590 <= got.pop(0x02) <= 3600
        assert got == {0x0B: 268435455, **{k: v for k, v in PROPERTIES.items() if k != 0x02}}
    end(p)


@only_5
def test_several_subscription_identifiers(start, pub):
    """mosquitto sends a message to each of the subscriptions that overlap; each names its own."""
    script = """
        def show(topic, msg, retained, properties):
            print("identifier", properties[0x0B])
        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            for n, topic in enumerate(("a/b", "a/+", "#"), 1):
                await client.subscribe(topic, 1, {0x0B: n})
            print("ready")
            await told()
    """
    p = start(script)
    p.expect("^ready$")
    pub("a/b", "-m", "m", qos=1)
    got = []
    while len(got) < 3:
        one = eval(p.expect("^identifier (.*)")[1])
        got += one if isinstance(one, list) else [one]
    assert sorted(got) == [1, 2, 3]
    end(p)


@only_5
def test_expired(start, sub, pub):
    """A message that waits longer than its expiry interval is not delivered, in neither direction."""
    options = ["-i", "kept", "-c", "-x", "60"]
    sub("t", *options).kill()
    config = {"clean": False, "client_id": "mine", "mqttv5_con_props": {0x11: 60}}
    away = start(SUBSCRIBE, "t", config=config)
    away.expect("^granted")
    away.kill()
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "short", False, 1, {0x02: 1})
            await client.publish("t", "long", False, 1, {0x02: 60})
            await asyncio.sleep(2.5)
            print("slept")
            await told()
    """
    p = start(script)
    p.expect("^slept$")
    s = sub("t", *options)
    got = s.message()
    assert got[1] == b"long" and got[4]["message-expiry-interval"] < 59
    back = start(SUBSCRIBE, "t", config={**config, "clean_init": False})
    got = message(back)
    assert got[1] == b"long" and dict(got[3])[0x02] < 59
    end(back)
    end(p)


# --- MQTT 5: request and response (4.10)

RESPONDER = """
    QOS = int(sys.argv[1])
    requests = []

    def show(topic, msg, retained, properties):
        requests.append((bytes(msg), properties))
    config["subs_cb"] = show

    async def subscribe(client):
        await client.subscribe("request/+", 2)
        print("ready")
    config["connect_coro"] = subscribe

    async def answer(client):
        while True:
            while requests:
                msg, properties = requests.pop(0)
                again = {k: properties[k] for k in (0x09, 0x26) if k in properties}
                await client.publish(properties[0x08], b"re: " + msg, qos=QOS, properties=again)
            await asyncio.sleep_ms(5)

    async def main(client):
        await client.connect()
        tasks = [asyncio.create_task(answer(client)) for _ in range(4)]
        await told()
        for t in tasks:
            t.cancel()
"""

REQUESTER = """
    QOS = int(sys.argv[1])
    waiting = {}

    def show(topic, msg, retained, properties):
        if QOS == 1 and properties[0x09] not in waiting:
            return  # it came before
        event, answer = waiting.pop(properties[0x09])
        answer.append((bytes(topic), bytes(msg), properties[0x26]))
        event.set()
    config["subs_cb"] = show

    mine = "response/" + config["client_id"]

    async def request(client, n):
        correlation = n.to_bytes(4, "big")
        event, answer = waiting[correlation] = asyncio.Event(), []
        text = "%s %d" % (config["client_id"], n)
        properties = {0x08: mine, 0x09: correlation, 0x26: {"n": str(n)}}
        await client.publish("request/%d" % (n % 3), text, qos=QOS, properties=properties)
        await asyncio.wait_for(event.wait(), 30)
        assert answer == [(mine.encode(), b"re: " + text.encode(), {"n": str(n)})], answer

    async def main(client):
        await client.connect()
        await client.subscribe(mine, 2)
        print("ready")
        await told()
        for first in range(0, 200, 20):
            await asyncio.gather(*[request(client, n) for n in range(first, first + 20)])
            print("answered", first + 20)
        assert not waiting
        print("all")
        await told()
"""


@only_5
def test_requests_and_responses(start):
    """One copy of the client answers three others; each gets its own answers, and none else."""
    responder = start(RESPONDER, 1, config={"client_id": "responder"})
    responder.expect("^ready$")
    others = [start(REQUESTER, qos, config={"client_id": f"c{qos}"}) for qos in range(3)]
    for p in others:
        p.expect("^ready$")
    for p in others:
        p.send("go")
    for p in others:
        p.expect("^all$", 40)
    for p in (*others, responder):
        end(p)


@only_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.broker("persistence true")
def test_requests_through_an_outage(start, broker, qos):
    """The broker is stopped in between and loses nothing of what it has; neither do they."""
    kept = {"clean": False, "mqttv5_con_props": {0x11: 300}, "response_time": 3}
    responder = start(RESPONDER, qos, config={**kept, "client_id": "responder"})
    responder.expect("^ready$")
    p = start(REQUESTER, qos, config={**kept, "client_id": "c"})
    p.expect("^ready$")
    p.send("go")
    for n in (20, 60, 120):
        p.expect(f"^answered {n}$")
        broker.restart()
    p.expect("^all$", 60)
    end(p)
    end(responder)


@only_5
def test_answer_to_mosquitto_rr(start, broker, version):
    responder = start(RESPONDER, 2, config={"client_id": "responder"})
    responder.expect("^ready$")
    for n in range(3):
        command = ["mosquitto_rr", *common(broker, version), "-t", "request/x", "-e", "response/rr", "-q", str(n), "-m", "ä?"]
        command += ["-W", "10", "-D", "publish", "correlation-data", "c", "-D", "publish", "user-property", "k", "v"]
        run = subprocess.run([*command, "-F", "%t %p %D %P"], capture_output=True, check=True, timeout=20)
        assert run.stdout.decode().strip() == "response/rr re: ä? c k:v"
    end(responder)
