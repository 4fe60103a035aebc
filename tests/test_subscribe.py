"""Subscriptions: options of MQTT 5, several topics at once, what comes back."""

import pytest
from fixtures.client import end
from fixtures.peer import encode
from fixtures.v5 import accept, answer, are, connected, pid, start

pytestmark = pytest.mark.firmware("x64")

# Evaluates what the test sends and prints what comes of it.
CALLS = """
    async def main(client):
        await client.connect()
        print("connected")
        while call := await told():
            try:
                print("result", await eval(call, {"client": client}))
            except Exception as e:
                print("raised", type(e).__name__, getattr(e, "reason_code", None))
"""

SUBSCRIBE = """
    async def main(client):
        await client.connect()
        print("result", await outcome(client.subscribe({})))
        await told()
"""

versions = pytest.mark.parametrize("version", [4, 5])


def call(p, text, expected):
    p.send(text)
    p.expect(expected)


def connected_as(clients, peer, version, script, config=None, **how):
    if version == 5:
        return connected(clients, peer, script, config=config, **how)
    p = clients.start(peer, script, config=config, **how)
    c = peer.accept()
    c.accept_connect()
    return p, c


def accept_as(peer, version):
    c = peer.accept()
    c.accept_connect("20 02 00 00" if version == 4 else "20 03 00 00 00")
    return c


def suback(c, packet, *codes, version=5, first=0x90):
    body = pid(packet) + b"\0" * (version == 5) + bytes(codes)
    c.send(bytes((first, len(body))) + body)


# --- options (3.8.3.1)


@pytest.mark.parametrize(
    "arguments, options",
    [
        ("", "00"),
        (", 2", "02"),
        (", no_local=True", "04"),
        (", no_local=1", "04"),
        (", retain_as_published=True", "08"),
        (", retain_handling=1", "10"),
        (", 1, retain_handling=2", "21"),
        (", 2, None, no_local=True, retain_as_published=True, retain_handling=2", "2e"),
        (", no_local=False, retain_as_published=None, retain_handling=False", "00"),
    ],
)
def test_options(clients, peer, arguments, options):
    p, c = connected(clients, peer, SUBSCRIBE.format(f"'t'{arguments}"))
    suback(c, c.expect(f'82 # .. .. 00 "t" {options}'), int(options, 16) & 3)
    p.expect(f"^result {int(options, 16) & 3}$")
    end(p)


def test_options_hold_for_all_topics_and_beside_properties(clients, peer):
    script = SUBSCRIBE.format("['a', ('b', 0)], 1, {0x0B: 7}, no_local=True, retain_handling=1")
    p, c = connected(clients, peer, script)
    suback(c, c.expect('82 # .. .. 02 0b 07 "a" 15 "b" 14'), 1, 0)
    p.expect(r"^result \[1, 0\]")
    end(p)


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("'t', retain_handling=3", "ValueError"),
        ("'t', retain_handling=4", "ValueError"),
        ("'t', retain_handling=16", "ValueError"),
        ("'t', retain_handling=-1", "ValueError"),
        ("'t', retain_handling=1 << 40", "ValueError|OverflowError"),
        ("'t', retain_handling='1'", "TypeError"),
        ("'t', retain_handling=None", "TypeError"),
        ("'$share/g/t', 1, no_local=True", "ValueError"),
        ("['a', '$share/g/t'], no_local=True", "ValueError"),
        ("'t', 3", "ValueError"),
        ("'t', -1", "ValueError"),
        ("'t', '1'", "TypeError"),
        ("'t', 0, None, True", "TypeError"),  # by name only
    ],
)
def test_wrong_options(clients, peer, arguments, error):
    """Not a byte is sent and the connection stays."""
    script = """
        async def main(client):
            await client.connect()
            try:
                print("raised", await outcome(client.subscribe({})))
            except TypeError:
                print("raised TypeError")
            await client.publish("t", "end")
    """
    p, c = connected(clients, peer, script.format(arguments))
    c.expect("30 # \"t\" 00 'end'")
    p.expect(f"^raised ({error})$")
    end(p)


def test_options_are_ignored_in_3_1_1(clients, peer):
    script = SUBSCRIBE.format("['a', ('b', 2)], 1, {0x0B: 7}, no_local=True, retain_as_published=True, retain_handling=2")
    p, c = connected_as(clients, peer, 4, script)
    suback(c, c.expect('82 # .. .. "a" 01 "b" 02'), 1, 2, version=4)
    p.expect(r"^result \[1, 2\]")
    end(p)


# --- several topics (3.8, 3.10)


@versions
@pytest.mark.parametrize(
    "topics, payload",
    [
        ("['a', 'b']", '"a" {q} "b" {q}'),
        ("('a', 'b')", '"a" {q} "b" {q}'),
        ("[('a', 2), ('b', 0), 'c']", '"a" 02 "b" 00 "c" {q}'),
        ("[['a', 2], ('b', 0)]", '"a" 02 "b" 00'),
        ("(b'a', bytearray(b'b'), memoryview(b'c'), 'ä')", '"a" {q} "b" {q} "c" {q} "ä" {q}'),
        ("['a']", '"a" {q}'),
        ("('a',)", '"a" {q}'),
        ("[('a', True)]", '"a" 01'),
        ("['a', 'a']", '"a" {q} "a" {q}'),
    ],
)
def test_several_topics(clients, peer, version, topics, payload):
    """They go into one packet, and a list of codes comes back."""
    p, c = connected_as(clients, peer, version, CALLS)
    p.send(f"client.subscribe({topics}, 1)")
    packet = c.expect("82 # .. .. " + "00 " * (version == 5) + payload.format(q="01"))
    count = payload.count('"') // 2
    suback(c, packet, *[1] * count, version=version)
    assert eval(p.expect("^result (.*)")[1]) == [1] * count
    if "(" in topics[1:] or "[[" in topics:  # pairs are for subscribing
        topics = f"[pair[0] if isinstance(pair, (list, tuple)) else pair for pair in {topics}]"
    p.send(f"client.unsubscribe({topics})")
    names = " ".join(item for item in payload.split() if item[0] == '"')
    packet = c.expect("a2 # .. .. " + "00 " * (version == 5) + names)
    suback(c, packet, *[0x11] * count * (version == 5), version=version, first=0xB0)
    assert eval(p.expect("^result (.*)")[1]) == [0x11 if version == 5 else 0] * count
    end(p)


def test_codes_come_back_in_order_and_raise_nothing(clients, peer):
    p, c = connected(clients, peer, CALLS)
    p.send("client.subscribe(list('abcde'), 2)")
    suback(c, c.expect("82 *"), 2, 0x87, 0, 0x80, 1)
    p.expect(r"^result \[2, 135, 0, 128, 1\]")
    p.send("client.subscribe(['a'])")
    suback(c, c.expect("82 *"), 0x97)
    p.expect(r"^result \[151\]")
    p.send("client.unsubscribe(('a', 'b'))")
    suback(c, c.expect("a2 *"), 0x87, 0, first=0xB0)
    p.expect(r"^result \[135, 0\]")
    p.send("client.subscribe('a')")
    suback(c, c.expect("82 *"), 0x87)
    p.expect("^raised MQTTException 135")
    p.send("client.unsubscribe('a')")
    suback(c, c.expect("a2 *"), 0x8F, first=0xB0)
    p.expect("^raised MQTTException 143")
    end(p)


def test_a_failure_among_several_in_3_1_1(clients, peer):
    p, c = connected_as(clients, peer, 4, CALLS)
    p.send("client.subscribe(list('abc'), 2)")
    suback(c, c.expect("82 *"), 2, 0x80, 0, version=4)
    p.expect(r"^result \[2, 128, 0\]")
    end(p)


@versions
@pytest.mark.parametrize(
    "topics, error",
    [
        ("[]", "ValueError"),
        ("()", "ValueError"),
        ("['a', '']", "ValueError"),
        ("['a', 'b/#/c']", "ValueError"),
        ("['a', b'\\xff']", "ValueError"),
        ("['a', None]", "TypeError"),
        ("['a', 1]", "TypeError"),
        ("['a', ('b',)]", "ValueError"),
        ("['a', ('b', 1, 2)]", "ValueError"),
        ("['a', ('b', 3)]", "ValueError"),
        ("['a', ('b', '1')]", "TypeError"),
        ("['a', (1, 1)]", "TypeError"),
        ("['a', ['b', ['c', 1]]]", "TypeError"),
        ("('a', 1)", "TypeError"),  # a pair is no list of topics
        ("['a'] * 256", "ValueError"),
        ("None", "TypeError"),
        ("1", "TypeError"),
    ],
)
def test_wrong_topics(clients, peer, version, topics, error):
    """Not a byte is sent, whether they are the first ones or not."""
    p, c = connected_as(clients, peer, version, CALLS)
    p.send(f"client.subscribe({topics})")
    p.expect(f"^raised {error}")
    p.send(f"client.unsubscribe({topics})")
    p.expect("^raised (TypeError|ValueError)")
    p.send("client.publish('t', 'end')")
    c.expect('30 # "t" *')
    end(p)


@versions
def test_255_topics(clients, peer, version):
    p, c = connected_as(clients, peer, version, CALLS)
    p.send("client.subscribe([(str(n), n % 3) for n in range(255)])")
    packet = c.expect("82 *")
    body = b"".join(encode(f'"{n}" 0{n % 3}') for n in range(255))
    assert packet.endswith(b"\0" * (version == 5) + body)
    codes = bytes(n % 3 for n in range(255))
    at = 2 if packet[1] < 0x80 else 3
    body = packet[at : at + 2] + b"\0" * (version == 5) + codes
    c.send(b"\x90" + bytes((len(body) & 0x7F | 0x80, len(body) >> 7)) + body)
    assert eval(p.expect("^result (.*)")[1]) == list(codes)
    end(p)


@versions
@pytest.mark.parametrize("codes", [(0,), (0, 0, 0), tuple([0] * 100)])
def test_wrong_number_of_codes(clients, peer, version, codes):
    """It ends the connection, and the request is made again over the next (3.9.3)."""
    p, c = connected_as(clients, peer, version, CALLS)
    p.send("client.subscribe(['a', 'b'])")
    suback(c, c.expect("82 *"), *codes, version=version)
    if version == 5:
        c.expect("e0 01 82")
    assert c.closed() == b""
    c = accept_as(peer, version)
    suback(c, c.expect("82 *"), 0, 1, version=version)
    p.expect(r"^result \[0, 1\]")
    end(p)


@pytest.mark.parametrize("codes", [(0,), (0, 0, 0)])
def test_wrong_number_of_codes_in_an_unsuback(clients, peer, codes):
    p, c = connected(clients, peer, CALLS)
    p.send("client.unsubscribe(['a', 'b'])")
    suback(c, c.expect("a2 *"), *codes, first=0xB0)
    c.expect("e0 01 82")
    assert c.closed() == b""
    c = accept(peer)
    suback(c, c.expect("a2 *"), 0, 0x11, first=0xB0)
    p.expect(r"^result \[0, 17\]")
    end(p)


def test_one_topic_and_two_codes(clients, peer):
    p, c = connected(clients, peer, CALLS)
    p.send("client.subscribe('a')")
    suback(c, c.expect("82 *"), 0, 0)
    c.expect("e0 01 82")
    c.closed()
    c = accept(peer)
    suback(c, c.expect("82 *"), 0)
    p.expect("^result 0$")
    end(p)


def test_codes_for_nobody(clients, peer):
    """A SUBACK that answers nothing, or another kind of request, is harmless whatever number of codes it has."""
    p, c = connected(clients, peer, CALLS)
    p.expect("connected")
    c.send("90 05 00 63 00 00 00")
    p.send("client.unsubscribe('a')")
    packet = c.expect("a2 *")
    suback(c, packet, 0, 0)
    c.quiet(0.3)
    suback(c, packet, 0x11, first=0xB0)
    p.expect("^result 17")
    end(p)


def test_answers_out_of_order(clients, peer):
    script = """
        async def one(name, coro):
            print(name, await outcome(coro))

        async def main(client):
            await client.connect()
            asyncio.create_task(one("first", client.subscribe(["a", "b"], 1)))
            asyncio.create_task(one("second", client.subscribe("c", 2)))
            asyncio.create_task(one("third", client.unsubscribe(["d", "e"])))
            await told()
    """
    p, c = connected(clients, peer, script)
    packets = [c.packet() for _ in range(3)]
    suback(c, packets[2], 0, 0x11, first=0xB0)
    p.expect(r"^third \[0, 17\]")
    suback(c, packets[1], 2)
    p.expect("^second 2$")
    suback(c, packets[0], 1, 0x80)
    p.expect(r"^first \[1, 128\]")
    end(p)


def test_properties_of_the_answer(clients, peer):
    script = """
        async def one(name, coro):
            await outcome(coro)
            print(name, client.ack_properties)

        async def main(client):
            await client.connect()
            print("before", client.ack_properties)
            asyncio.create_task(one("first", client.subscribe(["a", "b"])))
            asyncio.create_task(one("second", client.unsubscribe("c")))
            await told()
            await one("third", client.subscribe("d"))
    """
    p, c = connected(clients, peer, script)
    p.expect("^before None")
    subscribe, unsubscribe = c.expect("82 *"), c.expect("a2 *")
    # in one segment: each task finds its own
    c.send(b"\xb0\x08" + pid(unsubscribe) + encode('04 1f "u" 00'), b"\x90\x0b" + pid(subscribe) + encode('06 1f "sub" 00 00'))
    p.expect("^second {31: 'u'}")
    p.expect("^first {31: 'sub'}")
    p.send("go")
    answer(c, c.expect("82 *"), 0x87)
    p.expect("^third None")
    end(p)


# --- over outages


@versions
def test_list_is_made_again_after_a_reconnection(clients, peer, version):
    """As it was when subscribe() was called, options, properties and all."""
    script = """
        async def main(client):
            await client.connect()
            topics = ["a", ("b", 0)]
            t = asyncio.create_task(
                client.subscribe(topics, 2, {0x0B: 5}, no_local=True, retain_as_published=True, retain_handling=1)
            )
            await told()
            topics[:] = ["x"] * 40
            gc.collect()
            print("result", await t)
    """
    block, options = ("02 0b 05", 0x1C) if version == 5 else ("", 0)
    packet = f'82 # .. .. {block} "a" {2 | options:02x} "b" {options:02x}'
    p, c = connected_as(clients, peer, version, script)
    c.expect(packet)
    p.send("go")
    c.reset()
    c = accept_as(peer, version)
    c.expect(packet)
    c.close()
    c = accept_as(peer, version)
    suback(c, c.expect(packet), 2, 0, version=version)
    p.expect(r"^result \[2, 0\]")
    end(p)


@versions
def test_lost_suback(clients, peer, version):
    """Over the next connection it is a new packet; the old answer is not for it."""
    p, c = connected_as(clients, peer, version, CALLS, config={"response_time": 1})
    p.send("client.subscribe(['a', 'b'], 1)")
    first = c.expect("82 *")
    assert not c.closed(5).replace(b"\xc0\0", b"")
    c = accept_as(peer, version)
    second = c.expect("82 *")
    assert pid(second) != pid(first) and second[4:] == first[4:]
    suback(c, first, 0, 0, 0, version=version)  # nobody waits for that
    suback(c, second, 1, 1, version=version)
    p.expect(r"^result \[1, 1\]")
    end(p)


def test_subscribing_without_a_connection(clients, peer):
    """It waits for one; limits are those of the server that it then is."""
    p, c = connected(clients, peer, CALLS)
    p.expect("connected")
    c.reset()
    p.send("client.subscribe(['a', 'b/#'])")
    c = accept(peer, "28 00")
    p.expect("^raised MQTTException 162")
    p.send("client.subscribe(['a', 'b'])")
    suback(c, c.expect('82 # .. .. 00 "a" 00 "b" 00'), 0, 0)
    p.expect(r"^result \[0, 0\]")
    end(p)


def test_next_server_takes_no_wildcards(clients, peer):
    p, c = connected(clients, peer, CALLS)
    p.send("client.subscribe(['a', 'b/#'])")
    c.expect("82 *")
    c.reset()
    c = accept(peer, "28 00")
    p.expect("^raised MQTTException 162")
    c.quiet(0.3)
    end(p)


def test_disconnect_ends_it(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            t = asyncio.create_task(outcome(client.subscribe(["a", "b"])))
            await asyncio.sleep_ms(0)
            await client.disconnect()
            print("result", await t)
    """
    p, c = connected(clients, peer, script)
    c.expect("82 *")
    c.expect("e0 00")
    c.close()
    p.expect("^result OSError")
    end(p)


# --- limits of the server


@pytest.mark.parametrize(
    "limit, call, reason",
    [
        ("27 00 00 00 14", "subscribe(['aaaa', 'bbbbbb'])", 0x95),
        ("27 00 00 00 14", "unsubscribe(['aaaa', 'bbbbbbbb'])", 0x95),
        ("28 00", "subscribe(['a', 'b/+'])", 0xA2),
        ("2a 00", "subscribe([('a', 1), ('$share/g/t', 1)])", 0x9E),
        ("29 00", "subscribe(['a', 'b'], 0, {0x0b: 1})", 0xA1),
    ],
)
def test_one_of_several_is_beyond_the_limits(clients, peer, limit, call, reason):
    p, c = connected(clients, peer, CALLS, announced=limit)
    p.send(f"client.{call}")
    p.expect(f"^raised MQTTException {reason}")
    p.send("client.subscribe(['aaaa', 'bbbbb'])")  # 20 bytes
    suback(c, c.expect("82 12 .. .. 00 *"), 0, 0)
    p.expect(r"^result \[0, 0\]")
    end(p)


def test_unsubscribing_needs_no_permission(clients, peer):
    """What the server takes of subscriptions says nothing of the end of old ones."""
    p, c = connected(clients, peer, CALLS, announced="28 00 2a 00")
    p.send("client.unsubscribe(['a/#', '$share/g/t'])")
    suback(c, c.expect("a2 *"), 0, 0, first=0xB0)
    p.expect(r"^result \[0, 0\]")
    end(p)


# --- mosquitto

# As CALLS, and prints messages.
RECEIVE = (
    """
    def show(topic, msg, retained, properties=None):
        print("message", topic.decode(), msg.decode(), retained, properties and properties.get(0x0B))
    config["subs_cb"] = show
"""
    + CALLS
)


def test_no_local(clients, broker, observer):
    observer.subscribe("#")
    p = start(clients, broker, RECEIVE)
    call(p, "client.subscribe('own', 1, no_local=True)", "^result 1$")
    call(p, "client.subscribe('both', 1)", "^result 1$")
    for topic in ("own", "both"):
        call(p, f"client.publish('{topic}', 'mine', qos=1)", "^result")
        observer.publish(topic, "theirs", 1)
    observer.wait(4)
    call(p, "client.publish('both', 'last', qos=1)", "^message both last")
    out = end(p).out
    assert [line for line in out.splitlines() if line.startswith("message")] == [
        "message own theirs False None",
        "message both mine False None",
        "message both theirs False None",
        "message both last False None",
    ]


def test_retain_as_published(clients, broker, observer):
    p = start(clients, broker, RECEIVE)
    call(p, "client.subscribe('kept', retain_as_published=True)", "^result 0$")
    call(p, "client.subscribe('cleared')", "^result 0$")
    for topic in ("kept", "cleared"):
        observer.publish(topic, "m", 1, retain=True)
        p.expect(f"^message {topic} m {topic == 'kept'}")
    end(p)


@pytest.mark.parametrize("handling, comes", [(0, [True, True]), (1, [True, False]), (2, [False, False])])
def test_retain_handling(clients, broker, observer, handling, comes):
    """On a new subscription, and on one that there is."""
    observer.publish("t", "kept", 1, retain=True)
    p = start(clients, broker, RECEIVE)
    for n, kept in enumerate(comes):
        p.send(f"client.subscribe(['t'], 1, retain_handling={handling})")
        for _ in range(1 + kept):  # in either order
            p.expect(r"^(result \[1\]|message t kept True)")
        observer.publish("t", str(n), 1)
        p.expect(f"^message t {n} False")
    assert end(p).out.count("kept") == sum(comes)


@versions
def test_several_on_a_broker(clients, broker, observer, version):
    p = clients.start(broker, RECEIVE, config={"mqttv5": version == 5})
    call(p, "client.subscribe(['a', ('b/+', 1), ('c/#', 2)])", r"^result \[0, 1, 2\]")
    for topic in ("a", "b/x", "c/y/z"):
        observer.publish(topic, "m", 2)
        p.expect(f"^message {topic} m")
    call(p, "client.unsubscribe(['a', 'nothing', 'c/#'])", r"^result \[0, 17, 0\]" if version == 5 else r"^result \[0, 0, 0\]")
    for topic in ("a", "c/y/z", "b/end"):
        observer.publish(topic, "again", 2)
    p.expect("^message b/end again")
    assert end(p).out.count("again") == 1


def test_subscription_identifiers(clients, broker, observer):
    """A message that matches several subscriptions names them all, in whatever number of copies."""
    p = start(clients, broker, RECEIVE)
    call(p, "client.subscribe(['a/b', 'a/c'], 0, {0x0B: 268435455})", r"^result \[0, 0\]")
    call(p, "client.subscribe('a/#', 0, {0x0B: 2})", "^result 0")
    observer.publish("a/d", "m")
    p.expect("^message a/d m False 2$")
    observer.publish("a/c", "m")
    first = p.expect(r"^message a/c m False (.*)$")[1]
    seen = eval(first)
    seen = seen if isinstance(seen, list) else [seen, eval(p.expect(r"^message a/c m False (.*)$")[1])]
    assert sorted(seen) == [2, 268435455]
    end(p)


def test_shared_subscriptions(clients, broker, observer):
    """Each message comes to one of the group."""
    group = [start(clients, broker, RECEIVE, config={"client_id": f"id{n}", "queue_len": 0}) for n in range(2)]
    for p in group:
        call(p, "client.subscribe(['$share/g/t', 'end'], 1)", r"^result \[1, 1\]")
    for n in range(10):
        observer.publish("t", str(n), 1)
    observer.publish("end", "m", 1)
    seen = []
    for p in group:
        p.expect("^message end")
        lines = [line.split() for line in end(p).lines]
        own = [int(line[2]) for line in lines if line[:2] == ["message", "t"]]
        assert own == sorted(own) and own
        seen += own
    assert sorted(seen) == list(range(10))


def test_list_over_an_outage_of_a_broker(clients, proxy, observer):
    """Made while there is no broker, and made again by the application on each new connection."""
    script = """
        def show(topic, msg, *_):
            print("message", topic.decode(), msg.decode())

        async def up(client):
            print("up", client.session_present, await client.subscribe([("a", 1), "b"], 2, retain_handling=1))

        config["subs_cb"] = show
        config["connect_coro"] = up

        async def main(client):
            await client.connect()
            await told()
    """
    p = start(clients, proxy, script)
    for n in range(3):
        p.expect(r"^up False \[1, 2\]")
        observer.publish("b", str(n), 2)
        p.expect(f"^message b {n}")
        proxy.cut()
    end(p)


def test_a_session_keeps_its_subscriptions(clients, broker, proxy, observer):
    script = """
        def show(topic, msg, *_):
            print("message", topic.decode(), msg.decode())
        config["subs_cb"] = show
        config["connect_coro"] = lambda client: said(client)

        async def said(client):
            print("up", client.session_present)

        async def main(client):
            await client.connect()
            if not client.session_present:
                await client.subscribe(["a", "b"], 1)
            print("subscribed")
            await told()
    """
    config = {"clean": False, "mqttv5_con_props": {0x11: 100}}
    p = start(clients, proxy, script, config=config)
    p.expect("^up False")
    p.expect("^subscribed")
    proxy.refuse()
    proxy.cut()
    broker.wait_log("closed its connection")
    observer.publish("a", "while away", 1)
    proxy.listen()
    for _ in range(2):  # one comes before the other
        p.expect("^(up True|message a while away)$")
    end(p)


def test_resubscribing_with_a_disconnected_peer_in_between(clients, peer):
    """Requests one after the other: none is lost and none is doubled, in whatever state each was."""
    script = """
        async def main(client):
            await client.connect()
            for n in range(4):
                print("result", await client.subscribe(["a%d" % n, "b%d" % n], n % 3))
    """
    p, c = connected(clients, peer, script)
    for n in range(4):
        packet = f'82 # .. .. 00 "a{n}" 0{n % 3} "b{n}" 0{n % 3}'
        c.expect(packet)
        if n % 2:
            c.reset()
        else:
            c.send("e0 01 8b")
            assert c.closed() == b""
        c = accept(peer)
        suback(c, c.expect(packet), n % 3, 0x80)
        p.expect(rf"^result \[{n % 3}, 128\]")
    end(p)


def test_user_properties_of_a_subscription(clients, peer):
    script = SUBSCRIBE.format('["a", "b"], 0, {0x0B: 1, 0x26: [("k", "1"), ("k", "2")]}')
    p, c = connected(clients, peer, script)
    packet = c.packet()
    assert are(packet[5 : 5 + packet[4]], "0b 01", '26 "k" "1" 26 "k" "2"')
    suback(c, packet, 0, 0)
    p.expect(r"^result \[0, 0\]")
    end(p)
