"""Callbacks that raise, coroutines that are cancelled at any await: the client goes on, and nothing is left behind."""

import re
import socket
import threading

import pytest
from fixtures.client import end
from fixtures.ports import HOST

# check() fails unless the client works and has as many tasks, files and requests as in the beginning.
SCRIPT = """
    import probe

    got = []
    def callback(topic, msg, retained, *properties):
        if topic == b"echo":
            got.append(bytes(msg))
    config["subs_cb"] = callback
    probes = 0
    base = None

    def used():
        return probe.tasks(), probe.files()

    async def check(client):
        global probes, base
        for _ in range(3):
            try:
                await client.connect()
                break
            except OSError:
                pass
        probes += 1
        for qos in range(3):
            got.clear()
            want = b"%d %d" % (probes, qos)
            await client.subscribe("echo", 2)
            await client.publish("echo", want, qos=qos)
            try:
                await until(lambda: got)
            except AssertionError:
                print("deaf at QoS", qos)
                raise
            await asyncio.sleep_ms(2)
            assert got == [want], (got, want)
        base = base or used()
        try:
            await until(lambda: used() == base and not client.rcv_pids, 10)
        except AssertionError:
            print("left behind: tasks and files", used(), "not", base, "requests", client.rcv_pids)
            raise
"""

VERSIONS = pytest.mark.parametrize("v5", [False, True], ids=["3.1.1", "5"])


@pytest.fixture
def start(clients, probe):
    def start(server, script, *args, config=None, **how):
        return clients.start(server, SCRIPT + script, *args, config={"response_time": 3, **(config or {})}, env=probe, **how)

    return start


def intact(broker):
    """No packet was cut, put in the wrong place or made up."""
    wrong = [line for line in broker.log.splitlines() if re.search("(?i)protocol|malformed|invalid|corrupt", line)]
    assert not wrong, wrong


# --- what the application raises

EXCEPTIONS = ["ValueError", "OSError", "MemoryError", "StopIteration", "RuntimeError", "asyncio.TimeoutError"]
CANCELLED = "asyncio.CancelledError"  # no Exception


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize(
    "exception",
    [*EXCEPTIONS, CANCELLED],
)
def test_callback_raises(start, broker, observer, exception, qos, v5):
    """The message counts as delivered, those behind it are, and the connection stays."""
    script = f"""
    def raising(topic, msg, retained, *properties):
        callback(topic, msg, retained, *properties)
        if topic == b"t":
            got.append(int(msg))
            if int(msg) % 3 == 0:
                raise {exception}("raised")

    async def main(client):
        client._cb = raising
        await client.connect()
        await client.subscribe("t", {qos})
        await check(client)
        got.clear()
        print("ready")
        await until(lambda: len(got) >= 10, 5)
        await asyncio.sleep_ms(100)
        print("got", got == list(range(10)), "connections", client._connections)
        await check(client)
        print("works")
    """
    p = start(broker, script, config={"mqttv5": v5})
    p.expect("ready")
    for n in range(10):
        observer.publish("t", str(n), qos)
    p.expect("got True connections 1")
    p.expect("works")
    r = end(p, tracebacks=True)
    assert len(re.findall("raised$", r.out, re.M)) == 4, r
    intact(broker)


@VERSIONS
@pytest.mark.parametrize("exception", [*EXCEPTIONS, CANCELLED])
@pytest.mark.parametrize("place", ["wifi up", "wifi down", "connect"])
def test_coroutine_raises(start, proxy, broker, place, exception, v5):
    """wifi_coro and connect_coro, at once or after a while, at each of three connections."""
    script = f"""
    raised = 0
    def fail(place):
        global raised
        if place == "{place}":
            raised += 1
            raise {exception}("raised")
    async def wifi(state):
        if connections & 1:
            await asyncio.sleep_ms(10)
        fail("wifi up" if state else "wifi down")
    connections = 0
    async def up(client):
        global connections
        connections += 1
        if connections & 1:
            await client.subscribe("t", 1)
        fail("connect")
    config.update(wifi_coro=wifi, connect_coro=up)

    async def main(client):
        await client.connect()
        await asyncio.sleep_ms(100)
        await check(client)
        for n in range(2, 4):
            print("ready")
            await until(lambda: connections == n)
            await asyncio.sleep_ms(100)
            await check(client)
        print("raised", raised)
    """
    p = start(proxy, script, config={"mqttv5": v5})
    for _ in range(2):
        p.expect("ready")
        proxy.cut()
    p.expect(f"raised {2 if place == 'wifi down' else 3}")
    end(p, tracebacks=True)
    intact(broker)


@VERSIONS
@pytest.mark.parametrize("how", ["raises", "is cancelled", "leaves"])
def test_consumer_ends(start, broker, observer, how, v5):
    """The one that reads the queue; another one takes its place and gets what came meanwhile."""
    script = f"""
    taken = []
    async def consume(client):
        async for message in client.queue:
            if message[0] == b"echo":
                got.append(message[1])
                continue
            taken.append(int(message[1]))
            if taken[-1] % 3 == 2:
                if "{how}" == "raises":
                    raise ValueError("raised")
                elif "{how}" == "leaves":
                    return
                await asyncio.sleep(60)

    async def main(client):
        await client.connect()
        await client.subscribe("t", 2)
        print("ready")
        for n in range(3):
            task = asyncio.create_task(consume(client))
            await until(lambda: len(taken) == 3 * (n + 1))
            await asyncio.sleep_ms(20)
            task.cancel()
            print(await outcome(ended(task)))
        task = asyncio.create_task(consume(client))
        await until(lambda: len(taken) == 11)
        await check(client)
        print("taken", taken == list(range(11)), "discarded", client.queue.discards, "connections", client._connections)

    async def ended(task):
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
    """
    p = start(broker, script, config={"mqttv5": v5, "queue_len": 20})
    p.expect("ready")
    for n in range(11):
        observer.publish("t", str(n), 2)
    p.expect("taken True discarded 0 connections 1")
    end(p, tracebacks=how == "raises")
    intact(broker)


# --- cancelled

WALK = """
    async def walk(client, name, make, ready=None, settle=check):
        n = 0
        while True:
            n += 1
            if ready:
                await ready(client)
            cancel = probe.Cancel(n)
            try:
                await cancel.of(make(client))
            except (asyncio.CancelledError, OSError):
                pass
            await settle(client)
            if cancel.awaits < n:
                break
            assert n < 300
        print(name, "awaits", n - 1)

    # The same, cancelled after 0, 1, 2... turns of all tasks: between the steps of tasks that it started, too
    async def wait_and_walk(client, make, ready=None, settle=check):
        for n in range(25):
            if ready:
                await ready(client)
            task = asyncio.create_task(make(client))
            for _ in range(n):
                await asyncio.sleep_ms(0)
            task.cancel()
            try:
                await task
            except (asyncio.CancelledError, OSError):
                pass
            await settle(client)
"""


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [10, 2_000, 12_000_000])
def test_publish_cancelled(start, broker, v5, qos, size):
    """A packet that is begun goes out whole. The identifier of a request is free again once it is answered."""
    script = f"""
    message = bytes({size})
    async def main(client):
        await client.connect()
        await check(client)
        for _ in range({1 if size > 10_000 else 20}):  # more often than there is room for requests
            await walk(client, "publish", lambda client: client.publish("t", message, qos={qos}))
        await wait_and_walk(client, lambda client: client.publish("t", message, qos={qos}))
        print("connections", client._connections)
    """
    p = start(broker, WALK + script, config={"mqttv5": v5, "response_time": 10}, options=("-X", "heapsize=64m"))
    awaits = int(p.expect(r"publish awaits (\d+)", timeout=60)[1])
    assert awaits >= (qos > 0)  # At QoS 0 none, where the broker takes it all at once
    p.expect("connections 1", timeout=60)
    end(p)
    intact(broker)


@VERSIONS
@pytest.mark.parametrize("call", ["subscribe('t', 1)", "unsubscribe('t')"])
def test_subscribe_cancelled(start, broker, v5, call):
    script = f"""
    async def main(client):
        await client.connect()
        await check(client)
        for _ in range(40):
            await walk(client, "call", lambda client: client.{call})
        await wait_and_walk(client, lambda client: client.{call})
        print("connections", client._connections)
    """
    p = start(broker, WALK + script, config={"mqttv5": v5})
    assert int(p.expect(r"call awaits (\d+)")[1]) >= 1
    p.expect("connections 1")
    end(p)
    intact(broker)


@pytest.mark.core(few=True)
@VERSIONS
@pytest.mark.parametrize(
    "call",
    ["publish('t', 'm')", "publish('t', 'm', qos=1)", "publish('t', 'm', qos=2)", "subscribe('t', 1)", "unsubscribe('t')"],
)
def test_request_cancelled_in_an_outage(start, broker, v5, call):
    """Before and after it was sent once, over the connection that breaks and over the next one."""
    script = f"""
    async def broken(client):
        client._reconnect()

    async def begun(client):  # it breaks while the request waits for its answer
        asyncio.create_task(breaking(client))

    async def breaking(client):
        client._reconnect()

    async def main(client):
        await client.connect()
        await check(client)
        for _ in range(3):
            await walk(client, "broken", lambda client: client.{call}, broken)
            await walk(client, "begun", lambda client: client.{call}, begun)
        await wait_and_walk(client, lambda client: client.{call}, broken)
        print("done")
    """
    p = start(broker, "\n    mqtt_as.client._backoff = lambda n: 5\n" + WALK + script, config={"mqttv5": v5})
    assert int(p.expect(r"broken awaits (\d+)", timeout=60)[1]) >= 1
    p.expect("done", timeout=60)
    end(p)
    intact(broker)


@VERSIONS
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("secure", [False, True], ids=["TCP", "TLS"])
def test_connect_cancelled(start, broker, tls_broker, v5, clean, secure):
    script = """
    async def disconnected(client):
        await client.disconnect()

    async def main(client):
        await check(client)
        for _ in range(3):
            await walk(client, "connect", lambda client: client.connect(), disconnected)
        await wait_and_walk(client, lambda client: client.connect(), disconnected)
        print("done")
    """
    server = tls_broker if secure else broker
    config = {"mqttv5": v5, "clean": clean, "ssl": secure}
    p = start(server, WALK + script, config=config, options=("-X", "heapsize=4m"))
    assert int(p.expect(r"connect awaits (\d+)", timeout=60)[1]) >= 2
    p.expect("done", timeout=60)
    end(p)
    if not secure:  # a broken handshake is no sin
        intact(server)


@pytest.mark.core(few=True)
@VERSIONS
def test_connect_cancelled_in_an_outage(start, broker, v5):
    """The client goes on to reconnect by itself."""
    script = """
    async def broken(client):
        client._reconnect()

    async def settle(client):
        await until(client.isconnected)
        await check(client)

    async def main(client):
        await check(client)
        for _ in range(3):
            await walk(client, "connect", lambda client: client.connect(), broken, settle)
        await wait_and_walk(client, lambda client: client.connect(), broken, settle)
        print("done")
    """
    p = start(broker, "\n    mqtt_as.client._backoff = lambda n: 20\n" + WALK + script, config={"mqttv5": v5})
    assert int(p.expect(r"connect awaits (\d+)", timeout=60)[1]) >= 2
    p.expect("done", timeout=60)
    end(p)
    intact(broker)


@VERSIONS
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_disconnect_cancelled(start, broker, v5, busy):
    """It can be called again, and so can connect()."""
    script = f"""
    async def publish(client):
        await outcome(client.publish("t", "m", qos=2))

    async def requests(client):
        if {busy}:
            for _ in range(10):
                asyncio.create_task(publish(client))

    async def settle(client):
        await client.disconnect()
        assert not client.isconnected()
        await check(client)

    async def main(client):
        await check(client)
        for _ in range(3):
            await walk(client, "disconnect", lambda client: client.disconnect(), requests, settle)
            await walk(client, "disconnect", lambda client: client.disconnect(), requests)
        await wait_and_walk(client, lambda client: client.disconnect(), requests)
        print("done")
    """
    p = start(broker, WALK + script, config={"mqttv5": v5})
    assert int(p.expect(r"disconnect awaits (\d+)", timeout=60)[1]) >= 1
    p.expect("done", timeout=60)
    end(p)
    intact(broker)


@VERSIONS
def test_broker_up_and_wan_ok_cancelled(start, broker, v5):
    """The query goes to 8.8.8.8, here by way of the loopback interface."""
    script = """
    import socket
    class Sockets:  # all of socket, but for the one address
        def __getattr__(self, name):
            return getattr(socket, name)
        def getaddrinfo(self, host, port, *args):
            if host == "8.8.8.8":
                host, port = "127.0.0.1", int(sys.argv[1])
            return socket.getaddrinfo(host, port, *args)
    mqtt_as.transport.socket = Sockets()

    async def silence(client):
        await asyncio.sleep_ms(1050)

    async def main(client):
        await check(client)
        await walk(client, "broker_up", lambda client: client.broker_up(), silence)
        await walk(client, "wan_ok", lambda client: client.wan_ok(), silence)
        await walk(client, "wan_ok at once", lambda client: client.wan_ok())
        print(await client.broker_up(), await client.wan_ok(), "connections", client._connections)
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
        dns.bind((HOST, 0))

        def answer():
            try:
                while True:
                    query, address = dns.recvfrom(512)
                    dns.sendto(query[:2] + b"\x81\x80" + query[4:], address)
            except OSError:
                pass  # the end

        threading.Thread(target=answer, daemon=True).start()
        p = start(broker, WALK + script, dns.getsockname()[1], config={"mqttv5": v5})
        assert int(p.expect(r"broker_up awaits (\d+)", timeout=60)[1]) >= 1
        assert int(p.expect(r"wan_ok at once awaits (\d+)", timeout=60)[1]) >= 1
        p.expect("True True connections 1")
        end(p)
    intact(broker)
