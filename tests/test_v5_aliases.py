"""Topic aliases that the client gives by itself: config["topic_aliases"] (MQTT 5, 3.3.2.3.4)."""

import time

import pytest
from fixtures.client import end
from fixtures.v5 import accept, answer, are, connected, pid, start

# Publishes to each of the topics it is sent; a number behind a colon is the QoS.
PUBLISH = """
    async def main(client):
        await client.connect()
        print("connected")
        n = 0
        while words := (await told()).decode().split():
            for word in words:
                topic, _, qos = word.partition(":")
                n += 1
                print("published", n, await outcome(client.publish(topic, str(n), qos=int(qos or 0))))
"""


def expect(c, message, topic, alias=None, qos=0, more=""):
    """The next packet is that PUBLISH; returns it."""
    block = (f"23 00 {alias:02x}" if alias else "") + more
    flags = 0x30 | qos << 1
    return c.expect(f"{flags:02x} # \"{topic}\" {'.. .. ' if qos else ''}{len(block.split()):02x} {block} '{message}'")


def test_alias_in_place_of_a_topic(clients, peer):
    p, c = connected(clients, peer, PUBLISH, announced="22 00 0a", config={"topic_aliases": 5})
    p.send("long/topic other long/topic other long/topic:1 other:2")
    expect(c, 1, "long/topic", 1)
    expect(c, 2, "other", 2)
    expect(c, 3, "", 1)
    expect(c, 4, "", 2)
    answer(c, expect(c, 5, "", 1, 1))
    answer(c, expect(c, 6, "", 2, 2))
    answer(c, c.expect("62 02 .. .."))
    p.expect("^published 6 0")
    end(p)


@pytest.mark.parametrize("own, server, given", [(2, 10, 2), (10, 2, 2), (1, 1, 1), (65535, 2, 2), (3, 65535, 3)])
def test_as_many_as_both_agree_to(clients, peer, own, server, given):
    """The first topics keep theirs, the others do without."""
    announced = f"22 {server >> 8:02x} {server & 255:02x}"
    p, c = connected(clients, peer, PUBLISH, announced=announced, config={"topic_aliases": own})
    topics = ["a/a", "b/b", "c/c", "d/d"]
    p.send(" ".join(topics * 2))
    for n in range(8):
        alias = n % 4 + 1
        known = n >= 4
        if alias > given:
            expect(c, n + 1, topics[n % 4])
        else:
            expect(c, n + 1, "" if known else topics[n % 4], alias)
    end(p)


@pytest.mark.parametrize("own, announced", [(0, "22 00 0a"), (5, ""), (5, "22 00 00")])
def test_no_aliases(clients, peer, own, announced):
    p, c = connected(clients, peer, PUBLISH, announced=announced, config={"topic_aliases": own})
    p.send("t t")
    expect(c, 1, "t")
    expect(c, 2, "t")
    end(p)


def test_none_in_3_1_1(clients, peer):
    p = clients.start(peer, PUBLISH, config={"topic_aliases": 5})
    c = peer.accept()
    c.accept_connect()
    p.send("t t")
    for n in (1, 2):
        c.expect(f"30 # \"t\" '{n}'")
    end(p)


@pytest.mark.parametrize("n", ["'1'", "None", "1.5"])
def test_wrong_number(mp, n):
    r = mp(f"""
        from mqtt_as import MQTTClient, config
        try:
            MQTTClient({{"server": "localhost", "mqttv5": True, "topic_aliases": {n}}})
        except (TypeError, ValueError) as e:
            print("raised")
    """)
    assert r.out == "raised\n"


def test_kinds_of_topics(clients, peer):
    """What counts is the bytes, as they are at the time."""
    script = """
        async def main(client):
            await client.connect()
            changing = bytearray(b"grün")
            changing[:] = "grün".encode()
            for topic in ("grün", "grün".encode(), changing, memoryview(changing)):
                await client.publish(topic, "m")
            changing[0:1] = b"G"
            gc.collect()
            for topic in (changing, "grün", "Grün"):
                await client.publish(topic, "m")
    """
    p, c = connected(clients, peer, script.replace('b"grün"', 'b""'), announced="22 00 0a", config={"topic_aliases": 5})
    expect(c, "m", "grün", 1)
    for _ in range(3):
        expect(c, "m", "", 1)
    expect(c, "m", "Grün", 2)
    expect(c, "m", "", 1)
    expect(c, "m", "", 2)
    end(p)


def test_beside_other_properties(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for _ in range(2):
                await client.publish("t", "m", properties={0x26: {"k": "v"}, 0x01: 1})
            await client.publish("t", "m", properties={0x09: bytes(200)})
    """
    p, c = connected(clients, peer, script, announced="22 00 0a", config={"topic_aliases": 5})
    for topic in (b"\0\1t", b"\0\0"):
        packet = c.expect("30 *")
        assert packet[2 : 2 + len(topic)] == topic and packet.endswith(b"m")
        at = 2 + len(topic)
        assert are(packet[at + 1 : -1], '26 "k" "v"', "01 01", "23 00 01")
    packet = c.expect("30 # 00 00 ce 01 * 'm'")
    assert are(packet[7:-1], "09 00 c8" + " 00" * 200, "23 00 01")
    end(p)


def test_long_messages_and_long_topics(clients, peer):
    """Messages that are written in parts; lengths that take two bytes."""
    script = """
        async def main(client):
            await client.connect()
            for _ in range(3):
                await client.publish("t" * 300, bytes(100000), qos=1)
            await client.publish("t" * 300, "end")
    """
    p, c = connected(clients, peer, script, announced="22 00 01", config={"topic_aliases": 5})
    for n in range(3):
        topic = b"\x01\x2c" + b"t" * 300 if n == 0 else b"\0\0"
        packet = c.expect("32 *")
        assert packet[4 : 4 + len(topic)] == topic
        number = packet[4 + len(topic) :][:2]
        assert packet[6 + len(topic) :] == b"\x03\x23\0\1" + bytes(100000)
        c.send(b"\x40\x02" + number)
    expect(c, "end", "", 1)
    end(p)


# --- aliases of the application


def test_alias_of_the_application(clients, peer):
    """It goes out as it is; nothing is added to it."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "1", properties={0x23: 7})
            await client.publish("", "2", properties={0x23: 7})
            await client.publish("t", "3")
            await client.publish("t", "4")
    """
    p, c = connected(clients, peer, script, announced="22 00 0a", config={"topic_aliases": 2})
    expect(c, 1, "t", 7)
    expect(c, 2, "", 7)
    expect(c, 3, "t", 1)
    expect(c, 4, "", 1)
    end(p)


@pytest.mark.parametrize("order", ["before", "after"])
def test_alias_taken_over_by_the_application(clients, peer, order):
    """No message may end up with another topic."""
    script = """
        async def main(client):
            await client.connect()
            if sys.argv[1] == "after":
                await client.publish("mine", "m")
            await client.publish("theirs", "m", properties={0x23: 1})
            for _ in range(2):
                await client.publish("mine", "m")
            await client.publish("theirs", "m")
            await client.publish("theirs", "m", properties={0x23: 1})
            await client.publish("mine", "m")
            await client.publish("", "end", properties={0x23: 1})
    """
    p, c = connected(clients, peer, script, order, announced="22 00 01", config={"topic_aliases": 1})
    expected = ["mine"] * (order == "after") + ["theirs", "mine", "mine", "theirs", "theirs", "mine"]
    known, seen = {}, []
    while (packet := c.packet())[-3:] != b"end":
        topic, block = packet[4 : 4 + packet[3]], packet[5 + packet[3] : -1]
        if block:
            alias = block[-1]
            topic = known[alias] if not topic else topic
            known[alias] = topic
        seen.append(topic.decode())
    assert seen == expected
    end(p)


def test_alias_without_a_topic(clients, peer):
    """Empty topics are for who gives the alias."""
    p, c = connected(clients, peer, PUBLISH, announced="22 00 0a", config={"topic_aliases": 2})
    p.send("t :0 t")
    expect(c, 1, "t", 1)
    expect(c, 3, "", 1)
    assert "published 2 ValueError" in end(p).lines


# --- what fails


def test_a_publication_that_was_never_sent_sets_nothing(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for wrong in (
                client.publish("t", "m", properties={0x7f: 1}),
                client.publish("t", bytes(100)),
                client.publish("t", "m", True),
                client.publish("t", "m", qos=2),
                client.publish("t", "m", qos=3),
                client.publish("t", 1),
            ):
                print("raised", await outcome(wrong))
            await client.publish("t", "1")
            await client.publish("t", "2")
    """
    p, c = connected(clients, peer, script, announced="22 00 0a 24 01 25 00 27 00 00 00 40", config={"topic_aliases": 2})
    expect(c, 1, "t", 1)
    expect(c, 2, "", 1)
    r = end(p)
    errors = ["ValueError", "MQTTException", "MQTTException", "MQTTException", "ValueError", "TypeError"]
    assert r.lines == [f"raised {e}" for e in errors]


def test_a_publication_that_is_cancelled_while_it_waits(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            first = asyncio.create_task(client.publish("a", "1", qos=1))
            second = asyncio.create_task(client.publish("b", "2", qos=1))
            await told()
            second.cancel()
            await asyncio.sleep_ms(0)
            third = asyncio.create_task(client.publish("b", "3", qos=1))
            print("cancelled")
            await first
            await third
            await client.publish("b", "4")
    """
    p, c = connected(clients, peer, script, announced="22 00 0a 21 00 01", config={"topic_aliases": 2})
    first = expect(c, 1, "a", 1, 1)
    p.send("go")
    p.expect("cancelled")
    answer(c, first)
    answer(c, expect(c, 3, "b", 2, 1))
    expect(c, 4, "", 2)
    end(p)


def test_a_publication_that_the_server_refuses(clients, peer):
    """The alias holds: it was in the packet (3.3.2.3.4)."""
    p, c = connected(clients, peer, PUBLISH, announced="22 00 0a", config={"topic_aliases": 2})
    p.send("t:1 t:1")
    answer(c, expect(c, 1, "t", 1, 1), 0x87)
    p.expect("^published 1 MQTTException")
    answer(c, expect(c, 2, "", 1, 1))
    p.expect("^published 2 0")
    end(p)


@pytest.mark.parametrize("length", [14, 12, 11])
def test_packet_size_of_the_server(clients, peer, length):
    """What fits without an alias is sent, with or without one."""
    script = """
        async def main(client):
            await client.connect()
            for _ in range(3):
                print("published", await outcome(client.publish("t", bytes(int(sys.argv[1])))))
    """
    p, c = connected(clients, peer, script, length, announced="22 00 0a 27 00 00 00 14", config={"topic_aliases": 2})
    for _ in range(3):
        p.expect("^published None")
        assert len(c.expect("30 *")) <= 20
    end(p)


# --- over reconnections


def test_anew_after_each_connection(clients, peer):
    """With as many as the next server takes (3.3.2.3.4)."""
    p, c = connected(clients, peer, PUBLISH, announced="22 00 02", config={"topic_aliases": 2})
    p.send("a b a b")
    expect(c, 1, "a", 1)
    expect(c, 2, "b", 2)
    expect(c, 3, "", 1)
    expect(c, 4, "", 2)
    c.reset()
    c = accept(peer, "22 00 01")
    p.send("b:1 a:1 b:1")
    answer(c, expect(c, 5, "b", 1, 1))
    answer(c, expect(c, 6, "a", None, 1))
    answer(c, expect(c, 7, "", 1, 1))
    p.expect("^published 7")
    c.reset()
    c = accept(peer)
    p.send("b:1 b:1")
    for n in (8, 9):
        answer(c, expect(c, n, "b", None, 1))
    p.expect("^published 9")
    c.reset()
    c = accept(peer, "22 00 0a", present=0)
    p.send("b:1 a:1 b:1")
    answer(c, expect(c, 10, "b", 1, 1))
    answer(c, expect(c, 11, "a", 2, 1))
    answer(c, expect(c, 12, "", 1, 1))
    p.expect("^published 12")
    end(p)


@pytest.mark.parametrize("present", [0, 1])
def test_publications_in_flight_when_the_connection_ends(clients, peer, present):
    """Sent again with topics that the next connection knows, in the order in which they were sent first."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("a", "0")
            tasks = [
                asyncio.create_task(client.publish(topic, str(n), qos=qos))
                for n, (topic, qos) in enumerate([("b", 1), ("a", 2), ("b", 2), ("a", 1)], 1)
            ]
            for t in tasks:
                await t
            print("done")
            await client.publish("b", "5")
            await told()
    """
    config = {"topic_aliases": 2, "clean": False, "mqttv5_con_props": {0x11: 60}}
    p, c = connected(clients, peer, script, announced="22 00 02", config=config)
    expect(c, 0, "a", 1)
    first = [expect(c, 1, "b", 2, 1), expect(c, 2, "", 1, 2), expect(c, 3, "", 2, 2), expect(c, 4, "", 1, 1)]
    answer(c, first[1])  # it is half way through
    c.expect(b"\x62\x02" + pid(first[1]))
    c.reset()
    c = accept(peer, "22 00 02", present)
    dup = 8 * present

    def again(message, topic, alias, qos):
        packet = c.expect(f"{0x30 | dup | qos << 1:02x} # \"{topic}\" .. .. 03 23 00 {alias:02x} '{message}'")
        if present:
            assert pid(packet) == pid(first[message - 1])
        return packet

    packets = [again(1, "b", 1, 1)]
    if present:
        packets.append(c.expect(b"\x62\x02" + pid(first[1])))
    else:
        packets.append(again(2, "a", 2, 2))
    packets.append(again(3, "", 1, 2))
    packets.append(again(4, "a" if present else "", 2, 1))
    for packet in packets:
        answer(c, packet)
        if packet[0] & 0xF6 == 0x34:
            answer(c, c.expect(b"\x62\x02" + pid(packet)))
    p.expect("^done")
    expect(c, 5, "", 1)
    p.send("end")
    end(p)


def test_sent_again_where_there_are_no_aliases_any_more(clients, peer):
    config = {"topic_aliases": 2, "clean": False, "mqttv5_con_props": {0x11: 60}}
    p, c = connected(clients, peer, PUBLISH, announced="22 00 02", config=config)
    p.send("a a:1")
    expect(c, 1, "a", 1)
    number = pid(expect(c, 2, "", 1, 1))
    c.reset()
    c = accept(peer, present=1)
    assert pid(c.expect("3a # \"a\" .. .. 00 '2'")) == number
    c.send(b"\x40\x02" + number)
    p.expect("^published 2 0")
    end(p)


def test_connection_that_ends_before_connack(clients, peer):
    """Nothing of the connection that never was is kept."""
    p, c = connected(clients, peer, PUBLISH, announced="22 00 02", config={"topic_aliases": 2})
    p.send("a")
    expect(c, 1, "a", 1)
    p.expect("^published 1")
    c.reset()
    c = peer.accept()
    c.expect("10 *")
    p.send("a:1 a:1")
    c.reset()
    c = accept(peer, "22 00 02")
    answer(c, expect(c, 2, "a", 1, 1))
    answer(c, expect(c, 3, "", 1, 1))
    p.expect("^published 3 0")
    end(p)


def test_cut_in_the_middle_of_the_packet_that_sets_the_alias(clients, peer):
    """QoS 0, of which the first part has been written: once more, and with its topic."""
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", bytes(8000000))
            await client.publish("t", "end")
            print("done")
            await told()
    """
    heap = ("-X", "heapsize=32M")
    p, c = connected(clients, peer, script, announced="22 00 02", config={"topic_aliases": 2}, options=heap)
    c.read(10000)
    c.reset()
    c = accept(peer, "22 00 02")
    assert c.packet().startswith(b"\x30\x87\xa4\xe8\x03\0\1t\x03\x23\0\1\0")
    expect(c, "end", "", 1)
    p.expect("done")
    end(p)


# --- mosquitto


@pytest.mark.broker("max_topic_alias 2")
def test_through_a_broker(clients, broker, observer, proxy):
    """Topics arrive as they were given, also over a new connection."""
    script = """
        async def main(client):
            await client.connect()
            print("maximum", client.topic_alias_maximum)
            n = 0
            while await told():
                for topic in ("a", "b/b", "c", "ü"):
                    for qos in (1, 2):
                        await client.publish(topic, str(n), qos=qos)
                    n += 1
                print("published")
    """
    observer.subscribe("#", 2)
    p = start(clients, proxy, script, config={"topic_aliases": 3})
    p.expect("^maximum 2")
    topics = ["a", "b/b", "c", "ü"]
    count = 0
    for _ in range(3):
        for _ in range(2):
            p.send("go")
            p.expect("published")
            count += 8
        observer.wait(count)
        proxy.cut()
    for qos in (1, 2):
        seen = [(m.topic, int(m.payload)) for m in observer.messages if m.qos == qos]
        assert seen == [(topics[n % 4], n) for n in range(count // 2)]
    assert "rotocol error" not in broker.log
    end(p)


def test_on_a_failing_network(clients, broker, observers, proxy):
    """The network fails while it publishes: no message with a wrong topic, none lost, QoS 2 once."""
    script = """
        async def main(client):
            await client.connect()
            async def one(topic, qos):
                for n in range(60):
                    await client.publish(topic, "%s %d" % (topic, n), qos=qos)
                    await asyncio.sleep_ms(10)
            tasks = [asyncio.create_task(one("t%d" % i, 1 + i % 2)) for i in range(4)]
            for t in tasks:
                await t
            print("done")
    """
    observer = observers(broker, version=5)
    observer.subscribe("#", 2)
    config = {"topic_aliases": 3, "clean": False, "mqttv5_con_props": {0x11: 100}}
    p = start(clients, proxy, script, config=config)
    for n in range(4):
        observer.wait(30 * (n + 1), 20)
        proxy.cut()
    p.expect("done")
    end(p)
    observer.wait(240)
    for _ in range(100):  # those of QoS 1 may come twice, and count
        if len({m.payload for m in observer.messages}) == 240:
            break
        time.sleep(0.1)
    assert all(m.payload.split()[0].decode() == m.topic for m in observer.messages)
    for i in range(4):
        seen = [int(m.payload.split()[1]) for m in observer.messages if m.topic == f"t{i}"]
        if i % 2:
            assert seen == list(range(60))
        else:
            assert sorted(set(seen)) == list(range(60))
