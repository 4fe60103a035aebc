"""Publishing: packets, repeats, concurrency, cancellation."""

import socket
import time

import pytest
from fixtures.client import end

pytestmark = pytest.mark.firmware("x64")

PUBACK = b"\x40\x02"


def pid(packet):
    """The packet identifier of a PUBLISH whose topic is "t"."""
    assert packet[0] & 6
    return packet[packet.index(b"\0\x01t") + 3 :][:2]


# --- packets


@pytest.mark.parametrize(
    "arguments, packet",
    [
        ("'t', 'm'", "30 # \"t\" 'm'"),
        ("b't', b'm'", "30 # \"t\" 'm'"),
        ("bytearray(b't'), bytearray(b'm')", "30 # \"t\" 'm'"),
        ("memoryview(b't'), memoryview(b'xmx')[1:2]", "30 # \"t\" 'm'"),
        ("'t', ''", '30 # "t"'),
        ("'t', b''", '30 # "t"'),
        ("'t', 'm', True", "31 # \"t\" 'm'"),
        ("'t', 'm', retain=True", "31 # \"t\" 'm'"),
        ("'t', 'm', False, 1", "32 # \"t\" .. .. 'm'"),
        ("'t', 'm', True, 1", "33 # \"t\" .. .. 'm'"),
        ("'t', 'm', qos=1", "32 # \"t\" .. .. 'm'"),
        ("'t', 'm', False, 2", "34 # \"t\" .. .. 'm'"),
        ("'t', 'm', 0, 0", "30 # \"t\" 'm'"),
        ("topic='t', msg='m', retain=False, qos=0", "30 # \"t\" 'm'"),
        ("'t', 'm', properties={0x26: {'a': 'b'}}", "30 # \"t\" 'm'"),  # ignored in 3.1.1, says 3.6.1 of the manual
        ("'grün/\\u20ac', 'ä\\u20ac\\U0001f600'", "30 # \"grün/€\" 'ä€😀'"),
        ("'t', b'\\0\\xff\\xfe'", '30 # "t" 00 ff fe'),
        ("'a b/$c//d', 'm'", "30 # \"a b/$c//d\" 'm'"),
        ("'" + "t" * 65535 + "', 'm'", '30 # "' + "t" * 65535 + "\" 'm'"),
    ],
    ids=lambda text: text[:40].encode("ascii", "replace").decode(),
)
def test_packet(clients, peer, arguments, packet):
    script = f"""
        async def main(client):
            await client.connect()
            print("result", await client.publish({arguments}))
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    came = c.expect(packet)
    if came[0] & 2:
        c.send(PUBACK + came[5:7])
    elif came[0] & 4:
        c.send(b"\x50\x02" + came[5:7])
        c.expect(b"\x62\x02" + came[5:7])
        c.send(b"\x70\x02" + came[5:7])
    p.expect("result None|result 0")
    c.quiet(0.1)
    end(p)


@pytest.mark.parametrize("size", [0, 1, 121, 122, 123, 124, 1000, 1437, 1438, 1450, 16378, 16379, 16380, 100_000, 600_000])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_sizes(clients, broker, observer, qos, size):
    script = """
        async def main(client):
            await client.connect()
            size, qos = int(sys.argv[1]), int(sys.argv[2])
            message = bytearray(size)
            for i in range(size):
                message[i] = i % 251
            await client.publish("t", message, qos=qos)
            await client.publish("t", "end", qos=qos)
            await told()
    """
    observer.subscribe("t", 2)
    p = clients.start(broker, script, size, qos, options=("-X", "heapsize=4m"))
    message, last = observer.wait(2)
    assert message == bytes(i % 251 for i in range(size))
    assert last == b"end"
    assert broker.log.count("New client connected") == 2
    end(p)


@pytest.mark.parametrize("size", [0, 10, 1000, 1400])
@pytest.mark.parametrize("qos", [0, 1])
def test_one_write_per_packet(clients, peer, qos, size):
    script = """
        async def main(client):
            await client.connect()
            for _ in range(5):
                await told()
                task = asyncio.create_task(client.publish("t", bytes(int(sys.argv[1])), qos=int(sys.argv[2])))
            await told()
    """
    p = clients.start(peer, script, size, qos)
    c = peer.accept()
    c.accept_connect()
    lengths = set()
    for _ in range(5):
        p.send("next")
        c.sock.settimeout(10)
        lengths.add(len(c.sock.recv(65536)))
    header = 2 + (size > 120)
    assert lengths == {header + 3 + 2 * qos + size}
    end(p)


@pytest.mark.parametrize(
    "call",
    [
        "publish(1, 'm')",
        "publish(None, 'm')",
        "publish('t', None)",
        "publish('t', 5)",
        "publish('t', 1.5)",
        "publish('t', ['m'])",
        "publish('', 'm')",
        "publish('a/+/b', 'm')",
        "publish('a/#', 'm')",
        "publish('a\\0b', 'm')",
        "publish(b'\\xff', 'm')",
        "publish(b'\\xed\\xa0\\x80', 'm')",
        "publish('t' * 65536, 'm')",
        "publish('t', 'm', qos=3)",
        "publish('t', 'm', qos=-1)",
        "publish('t', 'm', qos='1')",
        "publish('t', 'm', qos=None)",
        "publish('t', 'm', qos=1.0)",
        "publish(1, 'm', qos=1)",
        "publish('t', None, qos=1)",
        "publish('', 'm', qos=2)",
        "subscribe(1)",
        "subscribe(None)",
        "subscribe('')",
        "subscribe('a/#/b')",
        "subscribe('a+')",
        "subscribe('a\\0')",
        "subscribe(b'\\xff')",
        "subscribe('t' * 65536)",
        "subscribe('t', 3)",
        "subscribe('t', -1)",
        "subscribe('t', '1')",
        "subscribe([])",
        "subscribe([1])",
        "subscribe(['t', ('t',)])",
        "subscribe([('t', 3)])",
        "subscribe(('t', 'a/#/b'))",
        "subscribe(['t'] * 256)",
        "unsubscribe([])",
        "unsubscribe(1)",
        "unsubscribe('')",
        "unsubscribe('a/#/b')",
        "unsubscribe(b'\\xff')",
        "unsubscribe('t' * 65536)",
    ],
)
def test_wrong_argument(clients, peer, call):
    script = f"""
        async def main(client):
            await client.connect()
            for _ in range(40):  # more often than there are identifiers in flight
                try:
                    await client.{call}
                    print("taken")
                except (ValueError, TypeError) as e:
                    assert len(str(e)) > 3
            await client.publish("t", "fine")
            print("done", client.isconnected())
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("30 # \"t\" 'fine'")
    p.expect("^done True")
    assert "taken" not in end(p).out


# --- QoS 1


def test_repeats_then_a_new_connection(clients, peer):
    """4.2 of the manual: DUP with the same identifier max_repubs times, then anew with another."""
    script = """
        async def main(client):
            before = MQTTClient.REPUB_COUNT
            await client.connect()
            await client.publish("t", "m", qos=1)
            print("repeats", MQTTClient.REPUB_COUNT - before, mqtt_as.MQTT_base.REPUB_COUNT - before)
            await told()
    """
    p = clients.start(peer, script, config={"max_repubs": 2, "response_time": 1})
    c = peer.accept()
    c.accept_connect()
    first = c.expect("32 # \"t\" .. .. 'm'")
    t = time.monotonic()
    for _ in range(2):
        again = c.expect("3a # \"t\" .. .. 'm'")
        assert again[1:] == first[1:]
    assert time.monotonic() - t > 1.5
    assert c.closed() == b""
    c = peer.accept()
    c.accept_connect()
    anew = c.expect("32 # \"t\" .. .. 'm'")
    assert pid(anew) != pid(first)
    c.send(PUBACK + pid(anew))
    p.expect("repeats 2 2")
    end(p)


def test_session_present_repeats_with_the_same_identifier(clients, peer):
    """3.1.1, 4.4: what was not acknowledged is sent again with its identifier and DUP."""
    script = """
        async def main(client):
            await client.connect()
            await asyncio.gather(*(client.publish("t", str(n), qos=1) for n in range(3)))
            print("done")
            await told()
    """
    p = clients.start(peer, script, config={"clean": False, "clean_init": False})
    c = peer.accept()
    c.accept_connect()
    first = [c.expect('32 # "t" .. .. \'' + str(n) + "'") for n in range(3)]
    c.send(PUBACK + pid(first[1]))
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    for n in (0, 2):
        assert c.packet()[1:] == first[n][1:]
        c.send(PUBACK + pid(first[n]))
    p.expect("done")
    end(p)


def test_max_repubs_0(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", qos=1)
            print("done")
            await told()
    """
    p = clients.start(peer, script, config={"max_repubs": 0, "response_time": 1})
    c = peer.accept()
    c.accept_connect()
    c.expect("32 # *")
    assert c.closed() == b""
    c = peer.accept()
    c.accept_connect()
    c.send(PUBACK + pid(c.expect("32 # *")))
    p.expect("done")
    end(p)


def test_late_repeated_and_unknown_pubacks(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for n in range(2):
                await client.publish("t", str(n), qos=1)
                print("done", n)
            await told()
    """
    p = clients.start(peer, script, config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    c.send("40 02 12 34")
    first = c.expect("32 # *")
    c.expect("3a # *")
    c.send(PUBACK + pid(first), PUBACK + pid(first), "50 02 12 34", "70 02 12 34")
    p.expect("done 0")
    packets = {c.packet()[0]: 1 for _ in range(2)}
    assert set(packets) == {0x32, 0x62}, "an unknown PUBREC is answered, the rest is passed over"
    c.quiet(0.2)
    p.kill()


def test_puback_of_a_repeat(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", qos=1)
            print("done", client.isconnected())
            await told()
    """
    p = clients.start(peer, script, config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    c.expect("32 # *")
    c.send(PUBACK + pid(c.expect("3a # *")))
    p.expect("done True")
    c.quiet(1.5)
    end(p)


def test_acks_in_another_order(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            async def publish(n):
                await client.publish("t", str(n), qos=1)
                print("done", n)
            await asyncio.gather(*(publish(n) for n in range(5)))
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    packets = [c.expect("32 # *") for _ in range(5)]
    assert len({pid(packet) for packet in packets}) == 5
    for n in (3, 0, 4, 1, 2):
        c.send(PUBACK + pid(packets[n]))
        p.expect(f"done {packets[n][-1:].decode()}")
    end(p)


@pytest.mark.parametrize("qos", [1, 2])
def test_many_at_once(clients, broker, observer, qos):
    script = f"""
        async def main(client):
            await client.connect()
            await asyncio.gather(*(client.publish("t", str(n), qos={qos}) for n in range(150)))
            print("done", client.isconnected(), len(client.rcv_pids))
    """
    observer.subscribe("t", 2)
    r = clients(broker, script)
    assert "done True 0" in r.out
    assert sorted(map(int, observer.wait(150))) == list(range(150))
    assert broker.log.count("New client connected") == 2


def test_qos_2_is_completed(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m", qos=2)
            print("done")
            await told()
    """
    p = clients.start(peer, script, config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    first = c.expect("34 # \"t\" .. .. 'm'")
    again = c.expect("3c # \"t\" .. .. 'm'")
    assert pid(again) == pid(first)
    c.send(b"\x50\x02" + pid(first))
    c.expect(b"\x62\x02" + pid(first))
    c.expect(b"\x62\x02" + pid(first))  # once more after response_time, not the PUBLISH
    assert "done" not in p.out
    c.send(b"\x70\x02" + pid(first))
    p.expect("done")
    end(p)


def test_publish_waits_for_the_connection(clients, broker, observer):
    script = """
        async def main(client):
            tasks = [asyncio.create_task(client.publish("t", str(qos), qos=qos)) for qos in (0, 1, 2)]
            await asyncio.sleep_ms(200)
            print("waiting", [t.done() for t in tasks])
            await client.connect()
            await asyncio.gather(*tasks)
    """
    observer.subscribe("t", 2)
    r = clients(broker, script)
    assert "waiting [False, False, False]" in r.out
    assert sorted(observer.wait(3)) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("how", ["await client.disconnect()", "client.close()"])
def test_end_of_the_client_ends_what_waits(clients, peer, how):
    script = f"""
        async def main(client):
            await client.connect()
            tasks = [
                asyncio.create_task(outcome(coro))
                for coro in (client.publish("t", "m", qos=1), client.subscribe("t"), client.unsubscribe("t"))
            ]
            await told()
            {how}
            for t in tasks:
                print("ended", await t)
            print(await outcome(client.publish("t", "m")), await outcome(client.publish("t", "m", qos=1)))
            tasks = [asyncio.create_task(outcome(client.publish("t", "m", qos=1)))]
            await client.connect()
            print("again")
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    for first in ("32", "82", "a2"):
        c.expect(first + " # *")
    p.send("end")
    for _ in range(3):
        p.expect("ended OSError")
    p.expect("OSError OSError")
    peer.accept().accept_connect()
    p.expect("again")
    end(p)


def test_disconnect_and_connect_with_a_publication_under_way(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            task = asyncio.create_task(outcome(client.publish("t", "m", qos=1)))
            await told()
            await client.disconnect()
            await client.connect()
            print(await task)
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("32 # *")
    p.send("go")
    c.expect("e0 00")
    c.close()
    c = peer.accept()
    c.accept_connect()
    p.expect("OSError")
    c.quiet(0.3)
    end(p)


# --- cancellation


def test_cancelled_at_any_time(clients, broker, observer):
    script = """
        async def main(client):
            await client.connect()
            for n in range(300):
                task = asyncio.create_task(client.publish("t", "%04d" % n * 100, qos=n % 3))
                for _ in range(n % 7):
                    await asyncio.sleep_ms(0)
                if n % 5 == 0:
                    await asyncio.sleep_ms(1)
                task.cancel()
            await client.publish("t", "end", qos=1)
            print("done", client.isconnected(), len(client.rcv_pids))
    """
    observer.subscribe("t", 2)
    r = clients(broker, script)
    assert "done True 0" in r.out
    deadline = time.monotonic() + 10
    while b"end" not in (payloads := [m.payload for m in observer.messages]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    payloads.remove(b"end")
    assert all(payload == payload[:4] * 100 for payload in payloads)
    assert broker.log.count("New client connected") == 2


def test_timeouts(clients, peer):
    """wait_for() around a publication whose PUBACK never comes."""
    script = """
        async def main(client):
            await client.connect()
            for n in range(3):
                try:
                    await asyncio.wait_for_ms(client.publish("t", str(n), qos=1), 200)
                except asyncio.TimeoutError:
                    print("timeout", n)
            await client.publish("t", "end")
            await told()
    """
    p = clients.start(peer, script, config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    pids = {pid(c.expect('32 # "t" .. .. \'' + str(n) + "'")) for n in range(3)}
    assert len(pids) == 3
    c.expect("30 # \"t\" 'end'")
    c.quiet(1.5)  # nobody waits for them, so nobody repeats them
    end(p)


def slow(peer):
    """Let the next connection's receive buffer be small, so that the client cannot write all at once."""
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


BIG = 6_000_000
HEAP = ("-X", "heapsize=64m")


@pytest.mark.parametrize("qos", [0, 1])
def test_cancelled_in_mid_write(clients, peer, qos):
    """A packet is written whole, whatever becomes of who wanted it written."""
    script = f"""
        async def main(client):
            await client.connect()
            message = bytearray({BIG})
            message[-3:] = b"end"
            task = asyncio.create_task(client.publish("t", message, qos={qos}))
            await asyncio.sleep_ms(300)
            print("done", task.done())
            task.cancel()
            del message, task
            gc.collect()
            junk = [bytes(1000) for _ in range(100)]
            next = asyncio.create_task(client.publish("t", "next"))
            await told()
            await next
            print("next")
            await told()
    """
    slow(peer)
    p = clients.start(peer, script, options=HEAP)
    c = peer.accept()
    c.accept_connect()
    p.expect("done False")
    packet = c.packet()
    assert packet == packet[:5] + b"\0\x01t" + packet[8 : 8 + 2 * qos] + bytes(BIG - 3) + b"end"
    c.expect("30 # \"t\" 'next'")
    p.send("go")
    p.expect("next")
    end(p)


@pytest.mark.parametrize("change", ["message.extend(b'more')", "message[:] = b'short'"], ids=["longer", "shorter"])
def test_payload_changed_in_mid_write(clients, peer, change):
    """It is the application's fault, but must not put the stream out of step."""
    script = f"""
        async def main(client):
            await client.connect()
            message = bytearray({BIG})
            task = asyncio.create_task(client.publish("t", message))
            await asyncio.sleep_ms(300)
            {change}
            next = asyncio.create_task(client.publish("t", "next"))
            print("changed", task.done())
            await told()
    """
    slow(peer)
    p = clients.start(peer, script, options=HEAP, config={"keepalive": 0})
    c = peer.accept()
    c.accept_connect()
    p.expect("changed False")
    try:
        assert len(c.packet(5)) == BIG + 8
        c.expect("30 # \"t\" 'next'", 5)
    except AssertionError as e:
        assert "the client closed" in str(e)  # this will do, too
    p.kill()


def test_peer_that_does_not_read(clients, peer):
    """Bytes that nobody takes within response_time: the connection is dead, and the publication is sent over a new one."""
    script = f"""
        async def main(client):
            await client.connect()
            await client.publish("t", bytes({BIG}))
            print("done")
            await told()
    """
    slow(peer)
    p = clients.start(peer, script, options=HEAP, config={"response_time": 1})
    peer.accept().accept_connect()
    c = peer.accept()
    c.accept_connect()
    assert len(c.packet()) == BIG + 8
    p.expect("done")
    end(p)


@pytest.mark.parametrize("answers", [True, False])
def test_publications_go_on_after_many_were_cancelled(clients, peer, answers):
    """An application with time-outs of its own, and a broker that is slow, or deaf, to publications alone."""
    script = """
        async def main(client):
            await client.connect()
            tasks = [asyncio.create_task(client.publish("t", str(n), qos=1)) for n in range(16)]
            await asyncio.sleep_ms(100)
            last = asyncio.create_task(client.publish("t", "last", qos=1))
            await told()
            for t in tasks:
                t.cancel()
            print("cancelled")
            await last
            print("done")
            await told()
    """
    p = clients.start(peer, script, config={"response_time": 1, "max_repubs": 1, "keepalive": 0})
    c = peer.accept()
    c.accept_connect()
    pids = [pid(c.expect("32 # *")) for _ in range(16)]
    p.send("go")
    p.expect("cancelled")
    if answers:
        for n in pids:
            c.send(PUBACK + n)
    else:
        c = peer.accept()
        c.accept_connect()
    c.send(PUBACK + pid(c.expect("32 # \"t\" .. .. 'last'")))
    p.expect("done")
    end(p)


def test_many_slow_writes_leave_nothing_behind(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            message = bytes(400_000)
            used = []
            for _ in range(2):
                for _ in range(25):
                    await client.publish("t", message)
                gc.collect()
                used.append(gc.mem_alloc())
            print("grown by", used[1] - used[0])
            await told()
    """
    slow(peer)
    p = clients.start(peer, script, options=HEAP)
    c = peer.accept()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.accept_connect()
    for _ in range(50):
        assert len(c.packet()) == 400_007
    assert int(p.expect("grown by (.*)")[1]) < 1500
    end(p)
