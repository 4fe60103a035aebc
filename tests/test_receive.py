"""Subscribing and receiving, through callbacks and through the queue."""

import time

import pytest
from fixtures.client import end

pytestmark = pytest.mark.firmware("x64")

# Subscribes to t with a callback and prints what comes.
SUBSCRIBE = """
    config["subs_cb"] = show

    async def main(client):
        await client.connect()
        print("granted", await client.subscribe("t", 2))
        await told()
"""

# Only prints what comes.
RECEIVE = """
    config["subs_cb"] = show

    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""

QUEUE = """
    async def main(client):
        await client.connect()
        await client.subscribe("t", 1)
        print("ready")
        await told()
        for _ in range(int(sys.argv[1])):
            topic, msg, retained = await client.queue.__anext__()
            print("message", topic, msg, retained)
        print("discards", client.queue.discards)
"""


def connected(clients, peer, script, *args, **how):
    p = clients.start(peer, script, *args, **how)
    c = peer.accept()
    c.accept_connect()
    return p, c


# --- subscribe, unsubscribe


@pytest.mark.parametrize(
    "arguments, packet",
    [
        ("'t'", '82 # .. .. "t" 00'),
        ("'t', 0", '82 # .. .. "t" 00'),
        ("'t', 1", '82 # .. .. "t" 01'),
        ("'t', qos=2", '82 # .. .. "t" 02'),
        ("topic=b't', qos=1", '82 # .. .. "t" 01'),
        ("bytearray(b'a/+/b/#')", '82 # .. .. "a/+/b/#" 00'),
        ("'#'", '82 # .. .. "#" 00'),
        ("'+'", '82 # .. .. "+" 00'),
        ("'/'", '82 # .. .. "/" 00'),
        ("'grün/+'", '82 # .. .. "grün/+" 00'),
    ],
)
def test_subscribe_packet(clients, peer, arguments, packet):
    script = f"""
        async def main(client):
            await client.connect()
            await client.subscribe({arguments})
            print("subscribed")
            await told()
    """
    p, c = connected(clients, peer, script)
    came = c.expect(packet)
    c.send("b0 02", came[2:4])  # an UNSUBACK is no answer to it
    c.quiet(0.2)
    assert "subscribed" not in p.out
    c.send("90 03", came[2:4], "00")
    p.expect("subscribed")
    end(p)


def test_unsubscribe_packet(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            for topic in ("t", b"a/#", bytearray(b"never/subscribed")):
                await client.unsubscribe(topic)
            print("unsubscribed")
            await told()
    """
    p, c = connected(clients, peer, script)
    for topic in ("t", "a/#", "never/subscribed"):
        c.send("b0 02", c.expect(f'a2 # .. .. "{topic}"')[2:4])
    p.expect("unsubscribed")
    end(p)


def test_subscribe_on_a_broker(clients, broker, observer):
    script = """
        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            await client.subscribe("a/+", 1)
            await client.subscribe("b", 0)
            print("ready")
            await told()
            await client.unsubscribe("a/+")
            await client.unsubscribe("not there")
            print("unsubscribed")
            await told()
    """
    observer.publish("a/kept", "old", 1, retain=True)
    p = clients.start(broker, script)
    p.expect("message b'a/kept' b'old' True")
    p.expect("ready")
    observer.publish("a/1", "x", 1)
    observer.publish("b", "y", 1)
    observer.publish("c", "z", 1)
    observer.publish("a/1", "", 1)
    for line in ("b'a/1' b'x'", "b'b' b'y'", "b'a/1' b''"):
        p.expect(f"message {line} False")
    p.send("go")
    p.expect("unsubscribed")
    observer.publish("a/1", "gone", 1)
    observer.publish("b", "last", 1)
    p.expect("message b'b' b'last'")
    out = end(p).out
    assert "gone" not in out and "b'c'" not in out


@pytest.mark.parametrize("codes, outcome", [("00", "0"), ("01", "1"), ("02", "2"), ("80", "128")])
def test_suback(clients, peer, codes, outcome):
    script = """
        async def main(client):
            await client.connect()
            try:
                print("granted", await client.subscribe("t", 2))
            except MQTTException as e:
                print("granted", e.reason_code, isinstance(e, Exception), len(str(e)) > 5)
            await client.publish("t", "still there")
            print("connected", client.isconnected())
            await told()
    """
    p, c = connected(clients, peer, script)
    packet = c.expect("82 # *")
    c.send("90 03", packet[2:4], codes)
    assert p.expect("granted (\\d+)")[1] == outcome
    c.expect("30 # \"t\" 'still there'")
    p.expect("connected True")
    end(p)


def test_subscribe_without_an_answer(clients, peer):
    """No SUBACK within response_time: the connection is made anew and the request with it."""
    p, c = connected(clients, peer, SUBSCRIBE, config={"response_time": 1})
    c.expect('82 # .. .. "t" 02')
    assert b"\x82" not in c.closed()
    c = peer.accept()
    c.accept_connect()
    packet = c.expect('82 # .. .. "t" 02')
    c.send(b"\x90\x03" + packet[2:4] + b"\x02")
    p.expect("granted 2")
    end(p)


def test_many_requests_at_once(clients, broker):
    script = """
        async def main(client):
            await client.connect()
            await asyncio.gather(*(client.subscribe("t/%d" % n, n % 3) for n in range(60)))
            await asyncio.gather(*(client.unsubscribe("t/%d" % n) for n in range(60)))
            print("done", client.isconnected(), len(client.rcv_pids))
    """
    assert "done True 0" in clients(broker, script).out
    assert broker.log.count("New client connected") == 1


# --- callbacks


def test_what_callbacks_get(clients, peer):
    script = """
        def callback(*args):
            print(len(args), *(type(a).__name__ for a in args), *args)
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("30 # \"t\" 'm'", "31 # \"a/b\" 'n'", '30 # "grün"')
    p.expect("^3 bytes bytes bool b't' b'm' False")
    p.expect("^3 bytes bytes bool b'a/b' b'n' True")
    p.expect(r"^3 bytes bytes bool b'gr\\xc3\\xbcn' b'' False")
    end(p)


def test_callback_with_properties(clients, peer):
    script = """
        def callback(topic, msg, retained, properties=None):
            print("got", topic, msg, retained, properties)
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("30 # \"t\" 'm'")
    p.expect("got b't' b'm' False None")
    end(p)


def test_default_callback(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("32 # \"t\" 00 07 'm'")
    c.expect("40 02 00 07")
    end(p)


def test_puback_after_the_callback(clients, peer):
    """What the callback could not finish is not acknowledged."""
    script = """
        def callback(topic, msg, retained):
            print("callback")
            time.sleep_ms(700)
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("32 # \"t\" 00 01 'm'")
    p.expect("callback")
    c.quiet(0.3)
    c.expect("40 02 00 01")
    end(p)


@pytest.mark.parametrize("error", ["ValueError('oh')", "OSError(5)", "MemoryError()", "StopIteration()", "MQTTException('oh')"])
def test_raising_callback(clients, peer, error):
    script = f"""
        def callback(topic, msg, retained):
            if msg == b"bad":
                raise {error}
            show(topic, msg, retained)
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await told()
            await client.publish("t", "alive")
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("32 # \"t\" 00 01 'bad'", "32 # \"t\" 00 02 'good'", "32 # \"t\" 00 03 'bad'", "32 # \"t\" 00 04 'last'")
    p.expect("message b't' b'good'")
    p.expect("message b't' b'last'")
    for n in range(1, 5):
        c.expect(f"40 02 00 0{n}")
    p.send("go")
    c.expect("30 # \"t\" 'alive'")
    r = end(p, tracebacks=True)
    assert (r.out + r.err).count("Traceback") == 2 and error.partition("(")[0] in r.out + r.err


def test_callback_of_wrong_arity(clients, peer):
    script = """
        config["subs_cb"] = lambda topic, msg: print("never")
        async def main(client):
            await client.connect()
            await told()
            client._cb = show
            await told()
    """
    p, c = connected(clients, peer, script)
    c.send("32 # \"t\" 00 01 'm'")
    c.expect("40 02 00 01")
    p.send("go")
    c.quiet(0.2)
    c.send("32 # \"t\" 00 02 'm'")
    p.expect("message b't' b'm'")
    assert "TypeError" in end(p, tracebacks=True).out


def test_callback_that_publishes(clients, broker, observer):
    script = """
        def callback(topic, msg, retained):
            asyncio.create_task(client.publish("answer", msg, qos=1))
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await client.subscribe("t", 1)
            print("ready")
            await told()
    """
    observer.subscribe("answer", 1)
    p = clients.start(broker, script)
    p.expect("ready")
    for n in range(100):
        observer.client.publish("t", str(n), 1)
    assert sorted(map(int, observer.wait(100))) == list(range(100))
    end(p)


@pytest.mark.parametrize("how", ["client.close()", "asyncio.create_task(client.disconnect())"])
def test_callback_that_ends_the_client(clients, peer, how):
    script = f"""
        def callback(topic, msg, retained):
            show(topic, msg, retained)
            {how}
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            print("connected")
            await told()
            print("and now", client.isconnected())
            client._cb = show
            await client.connect()
            await told()
    """
    p, c = connected(clients, peer, script)
    p.expect("connected")
    c.send("32 # \"t\" 00 01 'm'")
    p.expect("message b't' b'm'")
    c.closed()
    p.send("go")
    p.expect("and now False")
    c = peer.accept()
    c.accept_connect()
    c.send("32 # \"t\" 00 01 'n'")
    p.expect("message b't' b'n'")
    end(p)


# --- QoS


def test_qos_2_is_delivered_once(clients, peer):
    p, c = connected(clients, peer, RECEIVE)
    c.send("34 # \"t\" 00 01 'm'")
    c.expect("50 02 00 01")
    c.send("3c # \"t\" 00 01 'm'", "34 # \"t\" 00 02 'n'")
    c.expect("50 02 00 01")
    c.expect("50 02 00 02")
    c.send("62 02 00 01", "62 02 00 01", "62 02 00 02")
    for n in (1, 1, 2):
        c.expect(f"70 02 00 0{n}")
    c.send("34 # \"t\" 00 01 'another'")
    c.expect("50 02 00 01")
    p.expect("another")
    assert [line.split()[2] for line in end(p).lines if "message" in line] == ["b'm'", "b'n'", "b'another'"]


def test_qos_2_over_a_reconnection(clients, peer):
    p, c = connected(clients, peer, RECEIVE, config={"clean": False, "clean_init": False})
    p.expect("connected")
    c.send("34 # \"t\" 00 01 'm'")
    c.expect("50 02 00 01")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    c.send("3c # \"t\" 00 01 'm'")
    c.expect("50 02 00 01")
    c.send("62 02 00 01")
    c.expect("70 02 00 01")
    assert end(p).out.count("message") == 1


def test_qos_2_of_a_session_that_is_gone(clients, peer):
    p, c = connected(clients, peer, RECEIVE)
    p.expect("connected")
    c.send("34 # \"t\" 00 01 'm'")
    c.expect("50 02 00 01")
    c.close()
    c = peer.accept()
    c.accept_connect()
    c.send("34 # \"t\" 00 01 'new'")
    c.expect("50 02 00 01")
    p.expect("message b't' b'new'")
    end(p)


def test_many_open_exchanges_of_qos_2(clients, peer):
    """3.1.1 does not bound what a server has under way, and mosquitto 2.0.11 has been seen with 58."""
    p, c = connected(clients, peer, RECEIVE)
    c.send(*(f"34 # \"t\" 00 {n:02x} '{n}'" for n in range(1, 101)))
    for n in range(1, 101):
        c.expect(f"50 02 00 {n:02x}")
    c.send(*(f"62 02 00 {n:02x}" for n in range(1, 101)))
    for n in range(1, 101):
        c.expect(f"70 02 00 {n:02x}")
    assert end(p).out.count("message") == 100


def test_qos_1_again_is_delivered_again(clients, peer):
    p, c = connected(clients, peer, RECEIVE)
    c.send("32 # \"t\" 00 01 'm'", "3a # \"t\" 00 01 'm'")
    c.expect("40 02 00 01")
    c.expect("40 02 00 01")
    assert end(p).out.count("message") == 2


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_burst(clients, broker, observer, qos):
    script = """
        got = []
        config["subs_cb"] = lambda topic, msg, retained: got.append(int(msg))

        async def main(client):
            await client.connect()
            await client.subscribe("t", 2)
            print("ready")
            try:
                await until(lambda: len(got) >= 1000, 20)
            finally:
                print("in order", got == list(range(1000)), len(got), set(range(1000)) - set(got))
    """
    p = clients.start(broker, script)
    p.expect("ready")
    last = None
    for n in range(1000):
        last = observer.client.publish("t", str(n), qos)
        if n % 100 == 99:
            last.wait_for_publish(10)
    p.expect("in order True")
    end(p)
    assert broker.log.count("New client connected") == 2


# --- sizes, splits, memory


@pytest.mark.parametrize("ibufsize", [1, 2, 50, 5000])
@pytest.mark.parametrize("msg_bytes", [True, False])
def test_sizes(clients, broker, observer, ibufsize, msg_bytes):
    script = f"""
        mqtt_as.IBUFSIZE = {ibufsize}
        mqtt_as.MSG_BYTES = {msg_bytes}
        def callback(topic, msg, retained):
            assert isinstance(msg, bytes if {msg_bytes} else memoryview), type(msg)
            good = all(byte == i % 251 for i, byte in enumerate(msg))
            print("size", len(msg), topic, good)
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            await client.subscribe("#", 1)
            print("ready")
            await told()
    """
    p = clients.start(broker, script, options=("-X", "heapsize=2m"))
    p.expect("ready")
    sizes = [0, 1, 47, 48, 49, 50, 51, 126, 127, 128, 129, 2000, 5000, 100_000, 3, 16_383, 16_384, 7]
    for qos in (0, 1):
        for n, size in enumerate(sizes):
            observer.publish(f"topic/{n}", bytes(i % 251 for i in range(size)), qos)
    for _ in (0, 1):
        for n, size in enumerate(sizes):
            assert p.expect("size (.*)")[1] == f"{size} b'topic/{n}' True"
    end(p)


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_split_stream(clients, proxy, observer, piece):
    script = """
        config["subs_cb"] = show
        async def main(client):
            await client.connect()
            await client.subscribe("t", 2)
            print("ready")
            for n in range(5):
                await client.publish("t", "x" * 40 + str(n), qos=n % 3)
            await told()
    """
    proxy.piece = piece
    p = clients.start(proxy, script)
    p.expect("ready")
    seen = {p.expect("message b't' b'x{40}(.)'")[1] for _ in range(5)}
    assert seen == set("01234")
    end(p)
    assert proxy.accepted == 1


def test_packet_beyond_max_packet(clients, peer):
    """A bound by policy, not by MemoryError."""
    p, c = connected(clients, peer, RECEIVE, config={"max_packet": 1000})
    p.expect("connected")
    c.send('30 # "t" \'' + "x" * 994 + "'")
    p.expect("message b't' b'x{994}'")
    c.send('30 # "t" \'' + "x" * 995 + "'")
    c.closed()
    c = peer.accept()
    c.accept_connect()
    c.send("30 # \"t\" 'after'")
    p.expect("message b't' b'after'")
    end(p)


@pytest.mark.parametrize("length", ["ff ff ff 7f", "80 80 80 08", "80 80 80 01"])
def test_packet_beyond_memory(clients, peer, length):
    p, c = connected(clients, peer, RECEIVE, config={"keepalive": 4, "response_time": 1})
    p.expect("connected")
    c.send(f"30 {length} 00 01 't' 'x'")
    c.closed()
    c = peer.accept()
    c.accept_connect()
    c.send("30 # \"t\" 'after'")
    p.expect("message b't' b'after'")
    end(p)


def test_buffer_shrinks(clients, peer):
    script = """
        sizes = []
        def callback(topic, msg, retained):
            sizes.append(len(msg))
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            for n in range(3):
                await told()
                await asyncio.sleep_ms(200)
                gc.collect()
                print("used", gc.mem_alloc(), len(sizes))
            await told()
    """
    p, c = connected(clients, peer, script)
    used = []
    for message in ("small", "x" * 200_000, ""):
        c.send(f"30 # \"t\" '{message}'", "30 # \"t\" 'small'", "30 # \"t\" 'small'")
        time.sleep(0.3)
        p.send("go")
        used.append(int(p.expect("used (\\d+)")[1]))
    assert used[2] < used[0] + 5000, used
    end(p)


def test_memoryview_keeps_no_large_buffer(clients, peer):
    """Once the callback has returned, nothing holds the memory of a large message any more."""
    script = """
        mqtt_as.MSG_BYTES = False
        config["subs_cb"] = lambda topic, msg, retained: print("got", len(msg))

        async def main(client):
            await client.connect()
            gc.collect()
            used = gc.mem_alloc()
            print("connected")
            await told()
            gc.collect()
            print("kept", gc.mem_alloc() - used)
    """
    p, c = connected(clients, peer, script)
    p.expect("connected")
    c.send(f"30 # \"t\" '{'x' * 60_000}'")
    p.expect("got 60000")
    for _ in range(10):
        c.send("d0 00")
        time.sleep(0.05)
    p.send("go")
    assert int(p.expect("kept (.*)")[1]) < 20_000
    end(p)


@pytest.mark.parametrize("msg_bytes", [True, False])
def test_receiving_leaves_no_garbage_behind(clients, peer, msg_bytes):
    script = f"""
        mqtt_as.MSG_BYTES = {msg_bytes}
        count = 0
        def callback(topic, msg, retained):
            global count
            count += 1
        config["subs_cb"] = callback

        async def main(client):
            await client.connect()
            print("ready")
            await until(lambda: count >= 100)
            gc.collect()
            gc.disable()
            before = gc.mem_alloc()
            print("go")
            while count < 1100:
                await asyncio.sleep_ms(20)
            print("allocated", gc.mem_alloc() - before)
    """
    p, c = connected(clients, peer, script)
    p.expect("ready")
    packet = '30 # "t" \'' + "x" * 30 + "'"
    c.send(*[packet] * 100)
    p.expect("go")
    for _ in range(100):
        c.send(*[packet] * 10)
        time.sleep(0.002)
    allocated = int(p.expect("allocated (\\d+)")[1])
    # a bytes object costs its header and its bytes: 96 bytes here
    assert allocated < (130_000 if msg_bytes else 20_000)
    end(p)


def test_idle_costs_next_to_nothing(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await asyncio.sleep_ms(200)
            gc.collect()
            gc.disable()
            before = gc.mem_alloc()
            await asyncio.sleep(3)
            print("allocated", gc.mem_alloc() - before)
            await told()
    """
    p, c = connected(clients, peer, script)
    assert int(p.expect("allocated (\\d+)")[1]) < 3000
    end(p)


# --- the queue


def test_queue(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            print("up", client.up.is_set(), client.down.is_set())
            async for topic, msg, retained in client.queue:
                print(type(topic).__name__, type(msg).__name__, topic, msg, retained)
                if msg == b"end":
                    break
            print("discards", client.queue.discards)
    """
    p, c = connected(clients, peer, script, config={"queue_len": 1})
    p.expect("up True False")
    c.send("30 # \"t\" 'a'")
    p.expect("bytes bytes b't' b'a' False")
    c.send("31 # \"t\" 'b'")
    p.expect("bytes bytes b't' b'b' True")
    c.send("30 # \"t\" 'end'")
    p.expect("discards 0")
    end(p)


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("excess", [0, 1, 3])
def test_queue_holds_as_many_as_configured(clients, broker, observer, length, excess):
    """The oldest go first, and are counted (3.5 of the manual)."""
    p = clients.start(broker, QUEUE, length, config={"queue_len": length})
    p.expect("ready")
    for n in range(length + excess):
        observer.publish("t", str(n), 1)
    time.sleep(0.3)
    p.send("go")
    for n in range(excess, length + excess):
        p.expect(f"message b't' b'{n}' False")
    p.expect(f"discards {excess}")
    end(p)


def test_queue_copies_also_without_msg_bytes(clients, peer):
    script = """
        mqtt_as.MSG_BYTES = False
        async def main(client):
            await client.connect()
            await told()
            for _ in range(2):
                print("message", *await client.queue.__anext__())
    """
    p, c = connected(clients, peer, script, config={"queue_len": 5})
    c.send("30 # \"t\" 'first'", "30 # \"t\" 'other'")
    time.sleep(0.2)
    p.send("go")
    p.expect("message b't' b'first' False")
    p.expect("message b't' b'other' False")
    end(p)


def test_queue_of_one_loses_nothing_while_a_consumer_keeps_up(clients, peer):
    script = """
        async def ready():
            print("ready")

        async def main(client):
            await client.connect()
            n = 0
            asyncio.create_task(ready())
            async for topic, msg, retained in client.queue:
                assert int(msg) == n, (msg, n)
                n += 1
                if n == 200:
                    break
            print("all", client.queue.discards)
    """
    p, c = connected(clients, peer, script, config={"queue_len": 1})
    p.expect("ready")
    c.send(*(f"30 # \"t\" '{n}'" for n in range(200)))
    p.expect("all 0")
    end(p)


def test_two_consumers_share_round_robin(clients, peer):
    script = """
        got = [[], []]
        async def messages(client, mine):
            async for topic, msg, retained in client.queue:
                await asyncio.sleep(0)
                mine.append(int(msg))

        async def main(client):
            tasks = [asyncio.create_task(messages(client, mine)) for mine in got]
            await client.connect()
            await until(lambda: sum(map(len, got)) == 100)
            print("all", sorted(got[0] + got[1]) == list(range(100)), min(map(len, got)) >= 30)
            for t in tasks:
                t.cancel()
    """
    p, c = connected(clients, peer, script, config={"queue_len": 20})
    for ten in range(0, 100, 10):
        c.send(*(f"30 # \"t\" '{n}'" for n in range(ten, ten + 10)))
        time.sleep(0.01)
    p.expect("all True True")
    end(p)


def test_cancelled_consumer_loses_nothing(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            try:
                await asyncio.wait_for_ms(client.queue.__anext__(), 100)
            except asyncio.TimeoutError:
                print("timeout")
            print("message", *await client.queue.__anext__())
    """
    p, c = connected(clients, peer, script, config={"queue_len": 2})
    p.expect("timeout")
    c.send("30 # \"t\" 'a'")
    p.expect("message b't' b'a' False")
    end(p)


def test_callbacks_are_not_used_with_a_queue(clients, peer):
    script = """
        def never(*args):
            print("never")
        async def never_either(*args):
            print("never")
        config.update(subs_cb=never, wifi_coro=never_either, connect_coro=never_either)

        async def main(client):
            await client.connect()
            print("message", *await client.queue.__anext__())
            await told()
    """
    p, c = connected(clients, peer, script, config={"queue_len": 2})
    c.send("30 # \"t\" 'a'")
    p.expect("message")
    assert "never" not in end(p).out
