"""MQTT 5: what the client announced and a server breaks, what the server announced and the client keeps."""

import pytest
from fixtures.client import end
from fixtures.v5 import accept, answer, connected, pid, publish, start

RECEIVE = """
    config["subs_cb"] = lambda topic, msg, retained, properties: print("message", bytes(topic).decode(), len(msg))

    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""


def numbered(c, qos, n):
    publish(c, first=0x30 | qos << 1, pid=f"00 {n:02x}", message=f"'{'m' * n}'")


def is_told(peer, c, reason):
    """DISCONNECT with that reason, and a new connection on which all is well."""
    c.expect(f"e0 01 {reason:02x}")
    assert c.closed() == b""
    c = accept(peer)
    publish(c, topic='"good"')
    return c


# --- receive maximum (3.1.2.11.3)


def test_receive_maximum_at_qos_1(clients, peer):
    """Acknowledgements that no write has taken yet do not count."""
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x21: 2}})
    p.expect("connected")
    body = b"\0\1t"
    c.send(b"".join(b"\x32\x07" + body + bytes((0, n)) + b"\0m" for n in (1, 2, 3)))
    c.expect("40 02 00 01")
    c.expect("40 02 00 02")
    is_told(peer, c, 0x93)
    p.expect("^message good")
    assert end(p).out.count("message t") == 2


def test_receive_maximum_at_qos_2(clients, peer):
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x21: 2}})
    for n in (1, 2):
        numbered(c, 2, n)
        c.expect(f"50 02 00 {n:02x}")
    c.send("62 02 00 01")
    c.expect("70 02 00 01")
    numbered(c, 2, 3)  # there is room again
    c.expect("50 02 00 03")
    publish(c, message="'mmmm'")  # QoS 0 does not count
    c.send("3c # \"t\" 00 02 00 'mm'")  # nor does one that it has
    c.expect("50 02 00 02")
    numbered(c, 1, 5)
    is_told(peer, c, 0x93)
    p.expect("^message good")
    lines = [line for line in end(p).lines if line.startswith("message t")]
    assert lines == [f"message t {n}" for n in (1, 2, 3, 4)]


def test_receive_maximum_of_a_server_that_keeps_it(clients, peer):
    """At the limit all the time, for long."""
    p, c = connected(clients, peer, RECEIVE, config={"mqttv5_con_props": {0x21: 1}})
    for n in range(1, 100):
        qos = 1 + n % 2
        numbered(c, qos, n)
        if qos == 1:
            c.expect(f"40 02 00 {n:02x}")
        else:
            c.expect(f"50 02 00 {n:02x}")
            c.send(f"62 02 00 {n:02x}")
            c.expect(f"70 02 00 {n:02x}")
    p.expect("^message t 99")
    end(p)


@pytest.mark.parametrize("present", [0, 1])
def test_receive_maximum_over_a_reconnection(clients, peer, present):
    """It is that of a connection: what was in flight over an earlier one does not count (3.1.2.11.3, 4.9)."""
    config = {"clean": False, "mqttv5_con_props": {0x21: 2, 0x11: 60}}
    p, c = connected(clients, peer, RECEIVE, config=config)
    for n in (1, 2):
        numbered(c, 2, n)
        c.expect(f"50 02 00 {n:02x}")
    c.reset()
    c = accept(peer, present=present)
    if present:
        c.send("62 02 00 01")
        c.expect("70 02 00 01")
    for n in (3, 4):
        numbered(c, 2, n)
        c.expect(f"50 02 00 {n:02x}")
    numbered(c, 2, 5)
    is_told(peer, c, 0x93)
    p.expect("^message good")
    assert "message t 5" not in end(p).out


def test_burst_of_a_broker(clients, brokers, observers):
    """As it comes while the client is busy for a moment. No message is lost, all over the one connection."""
    script = """
        config["subs_cb"] = lambda topic, msg, *_: print("message", msg.decode())

        async def main(client):
            await client.connect()
            print("granted", await client.subscribe("t", 2))
            time.sleep(2)
            await told()
    """
    broker = brokers("max_queued_messages 1000")
    p = start(clients, broker, script)
    p.expect("^granted 2")
    sender = observers(broker)
    for n in range(500):
        sent = sender.client.publish("t", str(n), 2)
    sent.wait_for_publish(10)
    p.expect("^message 499$", 5)
    assert end(p).out.count("message") == 500
    assert broker.log.count(" as id (") == 1


# --- maximum packet size (3.1.2.11.4)


@pytest.mark.parametrize(
    "config",
    [
        {"mqttv5_con_props": {0x27: 50}},
        {"max_packet": 50},
        {"max_packet": 60, "mqttv5_con_props": {0x27: 50}},
        {"max_packet": 50, "mqttv5_con_props": {0x27: 60}},
    ],
)
def test_packet_size(clients, peer, config):
    p, c = connected(clients, peer, RECEIVE, config=config)
    p.expect("connected")
    publish(c, message="'" + "m" * 44 + "'")  # 50 bytes
    p.expect("^message t 44")
    publish(c, message="'" + "m" * 45 + "'")
    is_told(peer, c, 0x95)
    p.expect("^message good")
    end(p)


@pytest.mark.parametrize("size", [0, -1, 1 << 32, "'x'"])
def test_wrong_packet_size(mp, size):
    r = mp(f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({{"server": "localhost", "mqttv5": True, "mqttv5_con_props": {{0x27: {size}}}}})
        except (TypeError, ValueError):
            print("raised")
    """)
    assert r.out == "raised\n"


# --- request problem information (3.1.2.11.7)


@pytest.mark.parametrize("property", ['1f "why"', "26 00 00 00 01 76"])
@pytest.mark.parametrize(
    "call, first, acknowledgement",
    [
        ("publish('t', 'm', qos=1)", "32 *", "40 # {pid} 00 # {property}"),
        ("publish('t', 'm', qos=2)", "34 *", "50 # {pid} 00 # {property}"),
        ("publish('t', 'm', qos=2)", "34 *", "50 # {pid} 87 # {property}"),
        ("subscribe('t')", "82 *", "90 # {pid} 06 {property} 00"),
        ("unsubscribe('t')", "a2 *", "b0 # {pid} 06 {property} 00"),
    ],
)
def test_problem_information_that_was_declined(clients, peer, call, first, acknowledgement, property):
    """The request is made again over the next connection."""
    script = f"""
        async def main(client):
            await client.connect()
            print("result", await client.{call})
            await told()
    """
    p, c = connected(clients, peer, script, config={"mqttv5_con_props": {0x17: 0}})
    packet = c.expect(first)
    c.send(acknowledgement.format(pid=pid(packet).hex(" "), property=property))
    c.expect("e0 01 82")
    assert c.closed() == b""
    c = accept(peer)
    packet = c.expect(first)
    answer(c, packet)
    if packet[0] == 0x34:
        answer(c, c.expect("62 02 *"))
    p.expect("^result 0")
    end(p)


def test_problem_information_in_pubrel_and_pubcomp(clients, peer):
    script = RECEIVE.replace("await told()", 'print("result", await client.publish("t", "m", qos=2)); await told()')
    p, c = connected(clients, peer, script, config={"mqttv5_con_props": {0x17: 0}})
    packet = c.expect("34 *")
    answer(c, packet)
    packet = c.expect("62 02 *")
    answer(c, packet, 0, '1f "why"')
    c.expect("e0 01 82")
    c.closed()
    c = accept(peer)
    packet = c.expect("34 *")
    numbered(c, 2, 1)
    c.expect("50 02 00 01")
    c.send('62 # 00 01 00 # 1f "why"')
    c.expect("e0 01 82")
    c.closed()
    c = accept(peer)
    answer(c, c.expect("34 *"))
    answer(c, c.expect("62 02 *"))
    p.expect("^result 0")
    end(p)


@pytest.mark.parametrize("asked", [None, 1, 0])
def test_where_problem_information_is_fine(clients, peer, asked):
    """In CONNACK, PUBLISH and DISCONNECT whatever was asked for."""
    script = RECEIVE.replace('print("connected")', "print(client.connack_properties)")
    config = {"mqttv5_con_props": {0x17: asked}} if asked is not None else {}
    p, c = connected(clients, peer, script, config=config, announced='1f "hello"')
    p.expect("{31: 'hello'}")
    publish(c, '26 "k" "v"')
    p.expect("^message")
    c.send('e0 # 8b # 1f "bye"')
    assert c.closed() == b""
    accept(peer)
    end(p)


# --- what the server announced


def test_receive_maximum_of_1_keeps_the_order(clients, peer):
    """Of the calls, over an outage too, whatever the QoS."""
    script = """
        async def main(client):
            await client.connect()
            tasks = [asyncio.create_task(client.publish("t", str(n), qos=1 + n % 2)) for n in range(6)]
            for t in tasks:
                await t
            print("done")
    """
    p, c = connected(clients, peer, script, announced="21 00 01")
    for n in range(6):
        packet = c.expect(f"{0x32 + n % 2 * 2:02x} # \"t\" .. .. 00 '{n}'")
        c.quiet(0.1)
        if n == 3:
            c.reset()
            c = accept(peer, "21 00 01")
            packet = c.expect("34 # \"t\" .. .. 00 '3'")
            c.quiet(0.1)
        answer(c, packet)
        if n % 2:
            answer(c, c.expect("62 02 *"))
    p.expect("done")
    end(p)


def test_one_that_waits_is_not_overtaken(clients, peer):
    """Also not by who learns first that there is room."""
    script = """
        async def one_after_the_other(client):
            for message in ("first", "third"):
                await client.publish("t", message, qos=1)

        async def main(client):
            await client.connect()
            await asyncio.gather(one_after_the_other(client), client.publish("t", "second", qos=1))
            print("done")
    """
    p, c = connected(clients, peer, script, announced="21 00 01")
    for message in ("first", "second", "third"):
        answer(c, c.expect(f"32 # \"t\" .. .. 00 '{message}'"))
    p.expect("done")
    end(p)


def test_sent_again_as_soon_as_there_is_room(clients, peer):
    """On a new connection, then with each acknowledgement; it is not the clock that they wait for."""
    script = """
        class Client(MQTTClient):
            async def _tick(self):
                pass

        async def main(client):
            await client.connect()
            await asyncio.gather(*(client.publish("t", str(n), qos=1) for n in range(10)))
            print("done")
    """
    config = {"clean": False, "mqttv5_con_props": {0x11: 60}}
    p, c = connected(clients, peer, script, config=config)
    packets = [c.packet() for _ in range(10)]
    c.reset()
    c = accept(peer, "21 00 01", present=1)
    for packet in packets:
        assert c.packet() == bytes((packet[0] | 8,)) + packet[1:]
        answer(c, packet)
    p.expect("done")
    end(p)


def test_refused_publications_make_room(clients, peer):
    """A PUBACK or PUBREC with a failure ends its exchange (4.9)."""
    script = """
        async def main(client):
            await client.connect()
            tasks = [asyncio.create_task(outcome(client.publish("t", str(n), qos=1 + n % 2))) for n in range(4)]
            print("done", await asyncio.gather(*tasks))
    """
    p, c = connected(clients, peer, script, announced="21 00 01")
    for n in range(4):
        answer(c, c.expect(f"{0x32 + n % 2 * 2:02x} *"), 0x97)
    p.expect(r"^done \[('MQTTException'(, )?){4}\]")
    end(p)


# --- what an application changes while it waits


@pytest.mark.parametrize(
    "how",
    [
        "properties.update({0x7f: 1})",
        "properties[0x26] = 5",
        "message[:] = bytes(300)",
    ],
)
def test_arguments_that_turn_wrong_before_they_are_sent_again(clients, peer, how):
    """That request fails, with the error that it is; the client goes on."""
    script = f"""
        async def main(client):
            await client.connect()
            message, properties = bytearray(b"m"), {{0x01: 1}}
            t = asyncio.create_task(outcome(client.publish("t", message, qos=1, properties=properties)))
            await told()
            {how}
            print("changed")
            print("result", await t)
            await client.publish("t", "good")
    """
    p, c = connected(clients, peer, script, announced="27 00 00 01 00")
    c.expect("32 *")
    p.send("go")
    p.expect("changed")
    c.reset()
    c = accept(peer, "27 00 00 01 00")
    p.expect("^result (ValueError|TypeError|MQTTException)", 5)
    c.expect("30 # \"t\" 00 'good'")
    end(p)
