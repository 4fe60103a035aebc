"""Memory that runs out: each allocation that the client makes fails in its turn, and the client lives."""

import socket

import pytest
from fixtures.client import end
from fixtures.peer import encode
from fixtures.ports import HOST

# An allocation counts if it is made by a task of the client or by one that such a task has made.
SCRIPT = """
    import failalloc
    import probe

    mqtt_as.client._backoff = lambda n: 10 if n else 0  # ms
    TIMES = int(sys.argv[1])  # allocations that fail in a row

    def begin():
        failalloc.window(True)

    def finish():
        failalloc.window(False)

    WAIT_FOR = False  # count in the runner of wait_for(), too: asyncio then cancels who waits

    def inherit(coro):
        counted = failalloc.window(False)
        if counted and (WAIT_FOR or "'_run'" not in str(coro)):
            coro = probe.steps(coro, begin, finish)
        failalloc.window(counted)
        return coro

    probe.wrap(inherit)

    # What MicroPython itself does not survive is not counted: select.poll.register() says so ("This case is not handled"),
    # socket.socket() loses a file.
    from asyncio import core

    def uncounted(call):
        def called(*args):
            counted = failalloc.window(False)
            try:
                return call(*args)
            finally:
                failalloc.window(counted)
        return called

    core._io_queue._enqueue = uncounted(core._io_queue._enqueue)
    sockets = mqtt_as.transport.socket
    class Sockets:
        def __getattr__(self, name):
            return getattr(sockets, name)
    mqtt_as.transport.socket = Sockets()
    mqtt_as.transport.socket.socket = uncounted(sockets.socket)

    async def counted(coro):  # Its result, or the exception
        try:
            return await asyncio.create_task(probe.steps(coro, begin, finish))
        except (MemoryError, OSError, MQTTException) as e:
            return type(e).__name__

    async def soon(ready, seconds):  # until() for what is done very often
        t = time.ticks_ms()
        while not ready():
            await asyncio.sleep_ms(1)
            assert time.ticks_diff(time.ticks_ms(), t) < seconds * 1000, "waited in vain"

    got = []
    def callback(topic, msg, retained, properties=None):
        counted = failalloc.window(False)
        got.append((bytes(topic), bytes(msg)))
        failalloc.window(counted)
    config["subs_cb"] = callback

    base = None
    probes = 0

    async def check(client, what):
        global base, probes
        probes += 1
        await soon(client.isconnected, 10)
        for topic in b"echo", b"t":
            await client.subscribe(topic, 2)
        for qos in range(3):
            want = b"%d %d" % (probes, qos)
            for _ in range(1 if qos else 3):  # what is sent at QoS 0 may be lost with a connection that ends
                del got[:]
                await client.publish("echo", want, qos=qos)
                try:
                    await soon(lambda: any(m[1] == want for m in got), 10 if qos else 3)
                    break
                except AssertionError:
                    if qos:
                        raise
            await asyncio.sleep_ms(1)
            assert [m[1] for m in got if m[0] == b"echo"] == [want], (got, want)
        used = lambda: (probe.tasks(), probe.files(), len(client.rcv_pids))
        base = base or used()
        try:
            await soon(lambda: used() == base, 5)
        except AssertionError:
            print("left behind by", what, "tasks, files, requests", used(), "not", base)
            raise

    # Does it with the first allocation that fails, with the second one and so on, until none does
    async def walk(client, name, do):
        n = 0
        while True:
            n += 1
            failalloc.arm(n, TIMES)
            t = time.ticks_ms()
            try:
                await asyncio.wait_for(do(client), 6)
            except asyncio.TimeoutError:
                print(name, "hangs at allocation", n, "failed", failalloc.failed())
                raise
            failed = failalloc.failed()
            failalloc.arm(0, 0)
            try:
                await check(client, "allocation %d" % n)
            except AssertionError:
                print(name, "does not recover from allocation", n)
                raise
            if not failed:
                break
            assert n < 2000
        print(name, "allocations", n - 1)
"""

VERSIONS = pytest.mark.parametrize("v5", [False, True], ids=["3.1.1", "5"])
ONCE = pytest.mark.parametrize("times", [1])
MORE = pytest.mark.parametrize("times", [1, 4])


@pytest.fixture
def run(clients, probe, arch, v5, times):
    if arch != "x64":
        pytest.skip("the module failalloc is in the runtime for x64 only")

    def run(server, script, **config):
        config = {"mqttv5": v5, "response_time": 3, **config}
        how = {"env": probe, "options": ("-X", "heapsize=8m")}
        p = clients.start(server, SCRIPT + script, times, config=config, **how)
        allocations = int(p.expect(r" allocations (\d+)", timeout=110)[1])
        assert allocations > 0
        end(p, tracebacks=True)

    return run


@VERSIONS
@ONCE
@pytest.mark.parametrize("size", [10, 3000])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish(run, broker, qos, size, v5):
    properties = ", properties={0x26: {'a': 'b'}, 3: 'text', 9: b'c'}" if v5 else ""
    run(
        broker,
        f"""
    async def publish(client):
        await counted(client.publish("u", bytes({size}), qos={qos}{properties}))

    async def main(client):
        await counted(client.connect())
        await check(client, "connect")
        await walk(client, "publish", publish)
    """,
    )


@VERSIONS
@ONCE
@pytest.mark.parametrize("call", ["subscribe('u', 1)", "unsubscribe('u')", "broker_up()"])
def test_requests(run, broker, call, v5):
    run(
        broker,
        f"""
    async def request(client):
        if "{call}" == "broker_up()":
            await asyncio.sleep_ms(1020)
        await counted(client.{call})

    async def main(client):
        await counted(client.connect())
        await check(client, "connect")
        await walk(client, "request", request)
    """,
    )


@VERSIONS
@ONCE
@pytest.mark.parametrize("queue", [0, 8], ids=["callback", "queue"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_receive(run, broker, qos, queue, v5):
    """No message of QoS 1 or 2 is lost, though the reconnection that it may take is one to the same session."""
    properties = ", properties={0x26: {'a': 'b'}, 3: 'text', 9: b'c'}" if v5 else ""
    run(
        broker,
        f"""
    if config["mqttv5"]:
        config["mqttv5_con_props"] = {{0x11: 60}}

    async def consume(client):
        async for message in client.queue:
            callback(*message)

    async def receive(client):
        want = b"%d " % failalloc.counted() + bytes(3000)
        sent = []
        for n in range(3):
            sent.append(b"%d " % n + want)
            await client.publish("t", sent[-1], qos={qos}{properties})
        if {qos}:
            await soon(lambda: len([m for m in got if m[0] == b"t"]) >= 3, 3)
        else:
            await asyncio.sleep_ms(30)
        came = [m[1] for m in got if m[0] == b"t"]
        if {qos} == 2:
            assert came == sent, came
        elif {qos}:
            assert set(came) == set(sent), came

    async def main(client):
        await counted(client.connect())
        if client.queue:
            task = asyncio.create_task(consume(client))
        await check(client, "connect")
        await walk(client, "receive", receive)
    """,
        queue_len=queue,
        clean=False,
    )


@VERSIONS
@MORE
@pytest.mark.parametrize("queue", [0, 8], ids=["callback", "queue"])
@pytest.mark.parametrize("wait_for", [False, True])
def test_reconnect(run, broker, queue, wait_for, v5):
    run(
        broker,
        f"""
    WAIT_FOR = {wait_for}

    async def consume(client):
        async for message in client.queue:
            callback(*message)

    async def reconnect(client):
        n = client._connections
        client._reconnect()
        await soon(lambda: client._connections > n and client.isconnected(), 10)

    async def main(client):
        await counted(client.connect())
        if client.queue:
            task = asyncio.create_task(consume(client))
        await check(client, "connect")
        await walk(client, "reconnect", reconnect)
    """,
        queue_len=queue,
    )


@VERSIONS
@MORE
def test_reconnect_refused(run, broker, v5):
    run(
        broker,
        """
    async def reconnect(client):
        n = client._connections
        port, client.port = client.port, 1  # where nobody listens
        client._reconnect()
        await asyncio.sleep_ms(15)
        client.port = port
        await soon(lambda: client._connections > n and client.isconnected(), 10)

    async def main(client):
        await counted(client.connect())
        await check(client, "connect")
        await walk(client, "reconnect", reconnect)
    """,
    )


@VERSIONS
@ONCE
def test_requests_over_a_reconnection(run, broker, v5):
    """Each is answered, or raises."""
    run(
        broker,
        """
    async def requests(client):
        client._reconnect()
        calls = [client.publish("u", bytes(100), qos=qos) for qos in (0, 2)] + [client.subscribe("u", 1)]
        for task in [asyncio.create_task(counted(call)) for call in calls]:
            await task

    async def main(client):
        await counted(client.connect())
        await check(client, "connect")
        await walk(client, "requests", requests)
    """,
    )


@VERSIONS
@MORE
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("how", ["disconnect", "close"])
def test_connect(run, broker, how, clean, v5):
    """disconnect() and connect() may raise; they then can be called again."""
    run(
        broker,
        f"""
    async def close(client):
        client.close()

    async def again(client):
        await counted({"close(client)" if how == "close" else "client.disconnect()"})
        while await counted(client.connect()):
            pass

    async def main(client):
        await counted(client.connect())
        await check(client, "connect")
        await walk(client, "connect", again)
    """,
        clean=clean,
    )


@pytest.mark.parametrize("v5", [True])
@ONCE
def test_answer_without_memory(run, broker):
    """The request ends, whatever it then has of the answer."""
    run(
        broker,
        """
    n = 0
    finish_request = MQTTClient._end_request
    class Client(MQTTClient):
        def _end_request(self, pid, reason):
            failalloc.arm(n, 1)
            failalloc.window(True)
            try:
                finish_request(self, pid, reason)
            finally:
                failalloc.window(False)

    async def main(client):
        global n
        await client.connect()
        while True:
            n += 1
            await asyncio.wait_for(outcome(client.publish("t", "m", qos=1)), 5)
            if not failalloc.failed():
                break
        print(" allocations", n)
    """,
    )


@VERSIONS
@ONCE
def test_connected_without_memory(run, broker):
    """connect() may raise, but can be called again."""
    run(
        broker,
        """
    class Client(MQTTClient):
        async def _connect_once(self, quick):
            await super()._connect_once(quick)
            failalloc.window(True)

    async def main(client):
        n = 0
        while True:
            n += 1
            failalloc.arm(n, 1)
            try:
                await client.connect()
            except MemoryError:
                pass
            failalloc.window(False)
            if not failalloc.failed():
                break
            await asyncio.wait_for(client.connect(), 5)
            failalloc.window(False)
            await client.disconnect()
        print(" allocations", n)
    """,
    )


@pytest.mark.core(few=True)
def test_room_that_comes_late(clients, peer):
    """A message for which there is no memory at first costs no connection if there is soon."""
    script = """
        ballast = []
        collections = 0

        class Collector:
            @staticmethod
            def collect():
                global collections
                collections += 1
                if collections == 3:
                    ballast.clear()
                gc.collect()
        sys.modules["gc"] = Collector

        config["subs_cb"] = lambda topic, msg, retained: print("message", len(msg), client._connections)

        async def main(client):
            await client.connect()
            gc.collect()
            while gc.mem_free() > 40_000:
                ballast.append(bytearray(1000))
            print("connected")
            await told()
            print("collections", collections)
    """
    p = clients.start(peer, script, options=("-X", "heapsize=500k"))
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.send('32 # "t" 00 01 ' + bytes(50_000).hex(" "))
    p.expect("message 50000 1")
    c.expect("40 02 00 01")
    p.send("")
    p.expect("collections 3")
    end(p)


def test_requests_that_find_no_room(mp, arch):
    """The table of requests grows with them. Where it cannot, MemoryError, and neither a byte nor an identifier is used."""
    if arch != "x64":
        pytest.skip("the module failalloc is in the runtime for x64 only")
    script = """
        import failalloc, socket, sys
        from _mqtt_as import Session
        s = socket.socket()
        s.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
        session = Session(True, 50, 1 << 20, 0, 0, 100_000, 4, 0, 65535, None)
        session.open(s, False)
        session.connect(0, True, b"id", 60, None, None, None, None)
        while session.receive(0, None, 1, True) != 3:
            pass
        topics, errors = ["t"], 0
        publish = lambda: session.publish(0, 0, "t", "m", False, 1, None)
        subscribe = lambda: session.subscribe(0, 0, topics, bytes((1,)), None)
        for request, most in (publish, 32), (subscribe, 36):
            pid = 0
            while pid < most:
                failalloc.arm(1, 1)
                failalloc.window(True)
                try:
                    pid = request()
                except MemoryError:
                    errors += 1
                    failalloc.arm(0, 0)
                    pid = request()
                failalloc.window(False)
            print(pid, request())
        print("errors", errors)
    """
    with socket.create_server((HOST, 0)) as listener:
        p = mp.start(script, listener.getsockname()[1])
        listener.settimeout(10)
        c, _ = listener.accept()
        with c, c.makefile("rb") as sent:
            c.sendall(encode("20 03 00 00 00"))
            p.expect("32 -1")
            p.expect("36 -1")
            assert int(p.expect(r"errors (\d+)")[1]) > 8
            p.wait()
            sent.read(2 + sent.read(2)[1] - 2)
            for n in range(1, 33):
                assert sent.read(9) == encode(f"32 07 00 01 't' 00 {n:02x} 00 'm'")
            assert len(sent.read()) == 4 * 9


@pytest.mark.core(few=True)
def test_session_at_rest(mp):
    """With its receive buffer of 50 bytes; the tables take nothing as long as they are empty."""
    script = """
        import gc, sys
        from _mqtt_as import Session
        new = lambda: Session(True, 50, 1 << 20, 0, 0, 1000, 4, 0, 65535, None)
        kept = [new(), None]  # The first makes the class
        gc.collect()
        before = gc.mem_alloc()
        kept[1] = new()
        gc.collect()
        print((gc.mem_alloc() - before) // (8 if sys.maxsize >> 32 else 4))
    """
    assert int(mp(script).out) <= 96  # words
