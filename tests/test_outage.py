"""Outages: how they are noticed, what survives them, how the client ends."""

import os
import textwrap
import time

import pytest
from fixtures.client import end
from fixtures.peer import Peer
from fixtures.ports import HOST, free_port

# Prints what callbacks get to know; publishes what it is told to.
CALLBACKS = """
    async def wifi(state):
        print("wifi", state)
    async def up(client):
        print("up")
        await client.subscribe("t", 1)
        print("subscribed")
    config.update(subs_cb=show, wifi_coro=wifi, connect_coro=up)

    async def main(client):
        await client.connect()
        print("connected")
        while True:
            line = await told()
            if not line:
                break
            asyncio.create_task(publish(client, line))

    async def publish(client, line):
        await client.publish("mine", line, qos=1)
        print("published", line)
"""

EVENTS = """
    async def watch(event, name):
        while True:
            await event.wait()
            event.clear()
            print(name)

    async def main(client):
        tasks = [asyncio.create_task(watch(client.up, "up")), asyncio.create_task(watch(client.down, "down"))]
        await client.connect()
        print("connected")
        await told()
        for t in tasks:
            t.cancel()
"""


def subscribe(c):
    c.send(b"\x90\x03" + c.expect('82 # .. .. "t" 01')[2:4] + b"\x01")


@pytest.mark.core(few=True)
def test_broker_restarted(clients, broker, observers):
    p = clients.start(broker, CALLBACKS, config={"keepalive": 5})
    for line in ("wifi True", "^up", "subscribed"):
        p.expect(line)
    broker.kill()
    p.expect("wifi False")
    p.send("1")
    p.send("2")
    time.sleep(0.5)
    assert "published" not in p.out
    broker.start()
    for line in ("wifi True", "^up", "subscribed"):
        p.expect(line)
    observer = observers(broker)
    observer.publish("t", "back", 1)
    p.expect("message b't' b'back'")
    observer.subscribe("mine", 1)
    p.send("3")
    assert b"3" in observer.wait(1)
    for n in (1, 2):
        assert f"published b'{n}'" in p.out
    end(p)


def test_broker_stopped_and_started_with_events(clients, broker):
    p = clients.start(broker, EVENTS, config={"queue_len": 1})
    for _ in range(2):
        p.expect("^up")
        broker.stop()
        p.expect("^down")
        broker.start()
    p.expect("^up")
    r = end(p)
    assert [line for line in r.lines if line in ("up", "down")] == ["up", "down", "up", "down", "up"]


@pytest.mark.core(few=True)
@pytest.mark.parametrize("fault", ["close", "reset", "half a packet", "half a header", "end after a packet"])
def test_noticed_at_once(clients, peer, fault):
    """A connection that is closed is noticed without any traffic, long before keepalive and response_time."""
    p = clients.start(peer, CALLBACKS, config={"keepalive": 600, "response_time": 60})
    c = peer.accept()
    c.accept_connect()
    subscribe(c)
    p.expect("subscribed")
    if fault == "half a packet":
        c.send(b"\x30\x20\x00\x01tmuch")
    elif fault == "half a header":
        c.send(b"\x30\xff")
    elif fault == "end after a packet":
        c.send("30 # \"t\" 'last'")
    if fault == "reset":
        c.reset()
    else:
        c.close()
    p.expect("wifi False")
    c = peer.accept()
    c.accept_connect()
    subscribe(c)
    p.expect("^up")
    c.send("30 # \"t\" 'new'")
    p.expect("message b't' b'new' False")
    messages = [line for line in end(p).lines if "message" in line]
    assert len(messages) == 1 + (fault == "end after a packet")


def test_broker_that_falls_silent(clients, broker):
    p = clients.start(broker, CALLBACKS, config={"keepalive": 4, "response_time": 1})
    p.expect("subscribed")
    broker.freeze()
    p.expect("wifi False")
    broker.thaw()
    p.expect("^up")
    p.expect("subscribed")
    end(p)


def test_network_that_swallows_all(clients, proxy, observer):
    p = clients.start(proxy, CALLBACKS, config={"keepalive": 4, "response_time": 1})
    p.expect("subscribed")
    observer.subscribe("mine", 1)
    proxy.hold()
    p.send("kept")
    p.expect("wifi False")
    time.sleep(1.5)
    assert "published" not in p.out
    proxy.release()
    p.expect("published b'kept'")
    assert b"kept" in observer.wait(1)
    end(p)


def test_no_listener_for_a_while(clients, proxy):
    p = clients.start(proxy, CALLBACKS)
    p.expect("subscribed")
    proxy.refuse()
    proxy.cut()
    p.expect("wifi False")
    time.sleep(2)
    proxy.listen()
    p.expect("subscribed")
    end(p)


@pytest.mark.core(few=True)
def test_nothing_is_lost_or_left_behind(clients, proxy, observer, arch):
    """QoS 1 in both directions while the connection is reset again and again, and no socket or memory goes."""
    script = """
        got = set()
        config["subs_cb"] = lambda topic, msg, retained: got.add(int(msg))

        async def main(client):
            await client.connect()
            await client.subscribe("down", 1)
            print("ready")
            for n in range(150):
                await client.publish("up", str(n), qos=1)
                await asyncio.sleep_ms(20)
            await until(lambda: len(got) >= 150, 20)
            print("got", sorted(got) == list(range(150)))
            gc.collect()
            print("used", gc.mem_alloc(), len(client.rcv_pids))
            await told()
    """
    p = clients.start(proxy, script, config={"clean": False})
    observer.subscribe("up", 1)
    p.expect("ready")
    files = len(os.listdir(f"/proc/{p.pid}/fd"))
    for n in range(150):
        observer.publish("down", str(n), 1)
        if n % 30 == 20:
            proxy.cut()
        time.sleep(0.02)
    p.expect("got True", timeout=40)
    assert p.expect("used (\\d+) (\\d+)")[2] == "0"
    deadline = time.monotonic() + 10
    while {int(m.payload) for m in observer.messages} != set(range(150)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if arch != "x64+lwip":  # whose host keeps a closed socket for a while
        assert len(os.listdir(f"/proc/{p.pid}/fd")) == files
    assert proxy.accepted >= 5
    end(p)


def test_reconnections_leave_nothing_behind(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            while await told() == b"count":
                await asyncio.sleep_ms(100)
                gc.collect()
                print("used", gc.mem_alloc())
    """
    p = clients.start(peer, script)
    used = []
    for n in range(5):
        c = peer.accept()
        c.accept_connect()
        time.sleep(0.1)
        p.send("count")
        used.append(int(p.expect("used (\\d+)")[1]))
        files = len(os.listdir(f"/proc/{p.pid}/fd"))
        if n == 0:
            first = files
        c.reset()
    assert files == first
    assert used[4] - used[2] < 1500, used
    p.kill()


def test_back_off(clients, peer):
    """Connections that do not hold are not made anew without a pause that grows."""
    p = clients.start(peer, EVENTS, config={"queue_len": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    attempts = []
    t = time.monotonic()
    while time.monotonic() - t < 6:
        c.send("ff ff ff ff ff")
        try:
            c = peer.accept(timeout=6 - (time.monotonic() - t))
        except (AssertionError, ValueError):
            break
        attempts.append(time.monotonic() - t)
        c.accept_connect()
    assert 2 <= len(attempts) <= 8, attempts
    p.kill()


def test_first_retry_is_quick(clients, peer):
    """A connection that held is made anew at once: no seconds of pause, no Wi-Fi taken down."""
    p = clients.start(peer, EVENTS, config={"queue_len": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    time.sleep(2.5)
    t = time.monotonic()
    c.close()
    peer.accept().accept_connect()
    assert time.monotonic() - t < 3
    end(p)


@pytest.mark.parametrize("answer", [f"20 02 00 0{n}" for n in range(1, 6)] + ["20 02 00 06", "20 02 01 00", "d0 00", ""])
def test_refused_reconnection_is_tried_again(clients, peer, answer):
    p = clients.start(peer, EVENTS, config={"queue_len": 1, "response_time": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("^up")
    c.close()
    p.expect("^down")
    for _ in range(2):
        c = peer.accept()
        c.expect("10 # *")
        c.send(answer)
        assert c.closed() == b""
    peer.accept().accept_connect()
    p.expect("^up")
    assert end(p).lines.count("up") == 2


def test_attempt_that_fails_is_over_at_once(clients, peer):
    """Its connection is closed then, not when the next attempt begins."""
    script = "mqtt_as.client._backoff = lambda n: 60_000 if n else 0\n" + textwrap.dedent(CALLBACKS)
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    subscribe(c)
    p.expect("subscribed")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 00 03")
    c.closed()
    end(p)


def test_several_servers(clients, peer):
    """They are tried in turn, from the one that was good on."""
    second = Peer()
    servers = [(HOST, free_port()), (HOST, second.port), (HOST, peer.port)]
    p = clients.start(peer, CALLBACKS, config={"server": servers})

    def good(server):
        c = server.accept()
        c.accept_connect()
        subscribe(c)
        p.expect("subscribed")
        return c

    good(second).close()
    good(second).close()
    second.accept().accept_connect("20 02 00 03")
    good(peer)
    end(p)
    second.close()


def test_isconnected(clients, peer):
    script = """
        async def main(client):
            print("isconnected", client.isconnected())
            await client.connect()
            print("isconnected", client.isconnected(), client._isconnected, client._has_connected)
            await told()
            await until(lambda: not client.isconnected())
            print("isconnected", client.isconnected())
            await until(client.isconnected)
            print("isconnected", client.isconnected())
            await client.disconnect()
            print("isconnected", client.isconnected())
    """
    p = clients.start(peer, script)
    p.expect("isconnected False")
    c = peer.accept()
    c.accept_connect()
    p.expect("isconnected True True True")
    p.send("go")
    c.close()
    p.expect("isconnected False")
    c = peer.accept()
    c.accept_connect()
    p.expect("isconnected True")
    assert c.closed() == b"\xe0\0"
    p.expect("isconnected False")
    end(p)


@pytest.mark.core(few=True)
@pytest.mark.parametrize("request_", ["publish('t', 'm')", "publish('t', 'm', qos=1)", "subscribe('t')", "unsubscribe('t')"])
def test_requests_wait_out_an_outage(clients, peer, request_):
    script = f"""
        async def main(client):
            await client.connect()
            print("connected")
            await told()
            await until(lambda: not client.isconnected())
            print("down")
            print("result", await client.{request_})
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    p.send("go")
    c.close()
    p.expect("down")
    c = peer.accept()
    c.accept_connect()
    packet = c.packet()
    if packet[0] == 0x32:
        c.send(b"\x40\x02" + packet[5:7])
    elif packet[0] == 0x82:
        c.send(b"\x90\x03" + packet[2:4] + b"\0")
    elif packet[0] == 0xA2:
        c.send(b"\xb0\x02" + packet[2:4])
    p.expect("result")
    end(p)


def test_publication_right_after_the_end_was_noticed(clients, peer):
    """QoS 0 too: what is published once isconnected() is False goes over the next connection."""
    script = """
        async def main(client):
            await client.connect()
            print("connected")
            while client.isconnected():
                await asyncio.sleep_ms(0)
            await client.publish("t", "m")
            print("published")
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.close()
    c = peer.accept()
    c.accept_connect()
    c.expect("30 # \"t\" 'm'")
    p.expect("published")
    end(p)


@pytest.mark.parametrize("call", ["client.connect()", "asyncio.wait_for(client.connect(), 0.3)"])
def test_connect_during_an_outage(clients, proxy, call):
    """That attempt fails, or is given up, but the client goes on to reconnect."""
    script = f"""
        async def main(client):
            await client.connect()
            print("connected")
            await until(lambda: not client.isconnected())
            print("again", await outcome({call}))
            await until(client.isconnected)
            await client.publish("t", "m", qos=1)
            print("back")
    """
    p = clients.start(proxy, script, config={"response_time": 2})
    p.expect("connected")
    if "wait_for" in call:
        proxy.hold()
    else:
        proxy.refuse()
    proxy.cut()
    p.expect("again TimeoutError" if "wait_for" in call else "again OSError")
    if "wait_for" in call:
        proxy.release()
    else:
        proxy.listen()
    p.expect("back")
    end(p)


def test_order_of_callbacks(clients, peer):
    """wifi_coro comes before connect_coro; both may take their time; connect() waits for neither."""
    script = """
        async def wifi(state):
            print("wifi", state)
            await asyncio.sleep_ms(50)
        async def up(client):
            print("up", client is the_client, client.isconnected())
            while client.isconnected():
                await asyncio.sleep_ms(20)
            print("left")
        config.update(wifi_coro=wifi, connect_coro=up)

        async def main(client):
            global the_client
            the_client = client
            await client.connect()
            print("connected")
            await told()
    """
    p = clients.start(peer, script)
    for _ in range(2):
        c = peer.accept()
        c.accept_connect()
        p.expect("wifi True")
        p.expect("up True True")
        c.close()
        p.expect("wifi False")
        p.expect("left")
    p.kill()


def test_connect_coro_of_an_earlier_connection(clients, peer):
    """It is cancelled before that of the next one begins."""
    script = """
        n = 0
        async def up(client):
            global n
            n += 1
            m = n
            print("begins", m)
            try:
                await asyncio.Event().wait()
            finally:
                print("ends", m)
        config["connect_coro"] = up

        async def main(client):
            await client.connect()
            await told()
    """
    p = clients.start(peer, script)
    for _ in range(3):
        c = peer.accept()
        c.accept_connect()
        p.expect("begins")
        c.close()
    p.send("end")
    assert end(p).lines == ["begins 1", "ends 1", "begins 2", "ends 2", "begins 3"]


def test_raising_coroutines(clients, peer):
    script = """
        async def wifi(state):
            raise ValueError("wifi")
        async def up(client):
            raise OSError("up")
        config.update(wifi_coro=wifi, connect_coro=up)

        async def main(client):
            await client.connect()
            print("connected")
            await told()
    """
    p = clients.start(peer, script)
    for _ in range(2):
        c = peer.accept()
        c.accept_connect()
        p.expect("connected|Traceback")
        time.sleep(0.2)
        c.close()
    c = peer.accept()
    c.accept_connect()
    c.quiet(0.2)
    r = end(p, tracebacks=True)
    assert "ValueError: wifi" in r.out and "OSError: up" in r.out


def test_handlers_assigned_later(clients, peer):
    script = """
        async def up(client):
            print("up")

        async def main(client):
            client._cb = show
            client._connect_handler = up
            await client.connect()
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("^up")
    c.send("30 # \"t\" 'm'")
    p.expect("message b't' b'm'")
    end(p)


# --- the end, and again


@pytest.mark.core(few=True)
def test_nothing_follows_disconnect(clients, peer):
    """Neither publications nor acknowledgements are sent, no message is taken (3.14.4); with clean_init there are two ends."""
    script = """
        config["subs_cb"] = show

        async def publish(client):
            while True:
                asyncio.create_task(outcome(client.publish("t", "m")))
                await asyncio.sleep_ms(5)

        async def main(client):
            task = asyncio.create_task(publish(client))
            await client.connect()
            await told()
            await client.disconnect()
            task.cancel()
    """
    p = clients.start(peer, script, config={"clean": False})
    for last in (False, True):
        c = peer.accept()
        c.accept_connect()
        if last:
            c.expect("30 # \"t\" 'm'")
            p.send("go")
        while (packet := c.packet())[0] == 0x30:
            pass
        assert packet == b"\xe0\0"
        c.send("32 # \"t\" 00 01 'late'", "34 # \"t\" 00 02 'late'", "62 02 00 02")
        assert c.closed() == b""
    assert "late" not in end(p).out


def test_disconnect(clients, broker):
    script = """
        async def wifi(state):
            print("wifi", state)
        config["wifi_coro"] = wifi

        async def main(client):
            for n in range(5):
                await client.connect()
                await client.publish("t", "m", qos=1)
                await client.disconnect()
                print("disconnected", n, client.isconnected())
                await client.disconnect()
            await asyncio.sleep_ms(300)
            print("end")
    """
    r = clients(broker, script)
    assert r.out.count("disconnected") == 5 and "True" not in r.out.replace("wifi True", "")
    assert "wifi False" not in r.out  # that is for outages
    log = broker.log
    assert log.count("New client connected") == log.count("Received DISCONNECT from id") == 5


def test_disconnect_waits_for_the_broker_to_close(clients, peer):
    """To close first could undo what is on its way."""
    script = """
        class Client(MQTTClient):
            async def _ended(self, ms):
                return await super()._ended(10_000)  # not the half second that it would be

        async def main(client):
            await client.connect()
            await client.disconnect()
            print("disconnected")
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("e0 00")
    c.quiet(0.3)
    assert "disconnected" not in p.out
    c.close()
    p.expect("disconnected", timeout=8)
    end(p)


def test_disconnect_given_up(clients, peer):
    """The connection is closed, and who waits for the broker is told."""
    script = """
        async def main(client):
            await client.connect()
            publication = asyncio.create_task(outcome(client.publish("t", "m", qos=1)))
            print("disconnect", await outcome(asyncio.wait_for_ms(client.disconnect(), 50)))
            print("publish", await asyncio.wait_for(publication, 3))
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("disconnect TimeoutError")
    p.expect("publish OSError")
    c.closed()
    end(p)


def test_disconnect_is_no_outage(clients, peer):
    script = """
        async def main(client):
            await client.connect()
            await client.publish("t", "m")
            await client.disconnect()
            print("down", client.down.is_set())
            await told()
    """
    p = clients.start(peer, script, config={"queue_len": 1})
    c = peer.accept()
    c.accept_connect()
    c.expect("30 # \"t\" 'm'")
    c.expect("e0 00")
    c.closed()
    p.expect("down False")
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(timeout=1)
    end(p)


@pytest.mark.parametrize("how", ["await client.disconnect()", "client.close()"])
def test_ended_during_an_outage(clients, peer, how):
    script = f"""
        async def main(client):
            await client.connect()
            task = asyncio.create_task(outcome(client.publish("t", "m", qos=1)))
            await until(lambda: not client.isconnected())
            {how}
            print("publication", await task)
            await told()
            await client.connect()
            print("again", client.isconnected())
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("32 # *")
    c.close()
    p.expect("publication OSError")
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(timeout=1)
    p.send("go")
    peer.accept().accept_connect()
    p.expect("again True")
    end(p)


def test_close_stops_all(clients, peer):
    """close() under a running loop: nobody reconnects."""
    script = """
        async def main(client):
            await client.connect()
            client.close()
            client.close()
            print("closed", client.isconnected())
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("closed False")
    assert c.closed() == b""
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(timeout=1)
    end(p)


def test_close_before_connect(clients, peer):
    script = """
        async def main(client):
            client.close()
            await client.disconnect()
            await client.connect()
            print("connected")
    """
    p = clients.start(peer, script)
    peer.accept().accept_connect()
    p.expect("connected")
    end(p)


@pytest.mark.parametrize("moment", ["connecting", "connected", "publishing", "down"])
def test_interrupted(clients, peer, moment):
    """Ctrl-C, then close() as in the examples: KeyboardInterrupt and nothing else."""
    script = """
        async def main(client):
            print("connecting")
            await client.connect()
            print("connected")
            await client.publish("t", "m", qos=1)
            await asyncio.sleep(60)
    """
    p = clients.start(peer, script)
    c = peer.accept()
    p.expect("connecting")
    if moment != "connecting":
        c.accept_connect()
        p.expect("connected")
        packet = c.expect("32 # *")
        if moment == "connected":
            c.send(b"\x40\x02" + packet[5:7])
        elif moment == "down":
            peer.listener.close()
            c.close()
            time.sleep(0.3)
    time.sleep(0.2)
    p.signal()
    r = p.wait(check=False)
    assert r.err.count("Traceback") == 1 and r.err.rstrip().endswith("KeyboardInterrupt:"), r
    assert "Traceback" not in r.out, r
    if moment != "down":
        c.closed()


def test_two_clients(clients, broker, observer):
    """One client's outage, and its end, are not the other's."""
    script = """
        async def main(client):
            def keep(got):
                return lambda topic, msg, retained: got.append(msg)
            got = [], []
            both = []
            for n in range(2):
                config.update(client_id="client%d" % n, subs_cb=keep(got[n]))
                both.append(MQTTClient(config))
                await both[n].connect()
                await both[n].subscribe("to/%d" % n, 1)
            print("ready")
            await told()
            await until(lambda: got == ([b"0"], [b"1"]))
            await both[0].publish("from", "0", qos=1)
            await both[1].publish("from", "1", qos=1)
            await both[0].disconnect()
            await both[1].publish("from", "still 1", qos=1)
            both[0].close()
            await both[1].publish("from", "even now 1", qos=1)
            print("connected", both[0].isconnected(), both[1].isconnected())
            await both[1].disconnect()
    """
    observer.subscribe("from", 1)
    p = clients.start(broker, script)
    p.expect("ready")
    for n in range(2):
        observer.publish(f"to/{n}", str(n), 1)
    p.send("go")
    assert observer.wait(4) == [b"0", b"1", b"still 1", b"even now 1"]
    p.expect("connected False True")
    end(p)


def test_no_session_no_messages_session_messages(clients, proxy, observer):
    """clean: messages of an outage are lost; not clean: they come."""
    script = """
        async def up(client):
            print("up")
        config.update(subs_cb=show, connect_coro=up)
        async def main(client):
            await client.connect()
            await client.subscribe("t", 1)
            print("ready")
            await told()
    """
    for clean in (True, False):
        p = clients.start(proxy, script, config={"clean": clean})
        p.expect("ready")
        proxy.refuse()
        proxy.cut()
        time.sleep(0.3)
        observer.publish("t", "meanwhile", 1)
        proxy.listen()
        if clean:
            p.expect("up")
            time.sleep(0.5)
            assert "meanwhile" not in p.out
        else:
            p.expect("message b't' b'meanwhile'")
        end(p)


def test_clean_init(clients, broker, observer):
    """What a session of an earlier run holds is discarded, or comes, at power up (4.4.2 of the manual)."""
    script = """
        config["subs_cb"] = show
        async def main(client):
            await client.connect()
            if sys.argv[1] == "first":
                await client.subscribe("t", 1)
            else:
                await asyncio.sleep_ms(700)
            await client.disconnect()
    """
    for clean_init in (True, False):
        config = {"clean": False, "clean_init": clean_init, "client_id": f"id{clean_init}"}
        clients(broker, script, "first", config=config)
        observer.publish("t", "meanwhile", 1)
        assert ("meanwhile" in clients(broker, script, "second", config=config).out) == (not clean_init)


# --- the link


def test_link_of_the_application(clients, peer):
    script = """
        class Link:
            interface = "the interface"
            up = True
            async def connect(self, quick):
                print("link connect", quick)
                await asyncio.sleep_ms(50)
                self.up = True
            def isconnected(self):
                return self.up
            def disconnect(self):
                print("link disconnect")
            def close(self):
                print("link close")
        config["link"] = link = Link()

        async def main(client):
            print(client._sta_if)
            await client.connect(quick=True)
            print("connected")
            await told()
            link.up = False
            print("isconnected", client.isconnected())
            await until(client.isconnected)
            await told()
            link.up = False
            await until(client.isconnected)
            await told()
    """
    p = clients.start(peer, script)
    p.expect("the interface")
    p.expect("link connect True")
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    p.send("go")
    p.expect("isconnected False")
    assert c.closed() == b""
    for _ in range(2):  # the second outage is found without anybody asking
        p.expect("link disconnect")
        p.expect("link connect False")
        c = peer.accept()
        c.accept_connect()
        p.send("go")
    assert end(p).lines[-1] == "link close"


def test_wifi_connect_that_does_nothing(clients, proxy):
    """The application sees to the link: it is not taken down, since nobody would bring it up."""
    script = """
        class Link:
            interface = None
            up = True
            async def connect(self, quick):
                self.up = True
            def isconnected(self):
                return self.up
            def disconnect(self):
                self.up = False
            def close(self):
                pass

        class Client(MQTTClient):
            async def wifi_connect(self, quick=False):
                print("wifi")

        config["link"] = Link()
        mqtt_as.client._backoff = lambda n: 20

        async def silent(*_):
            raise OSError(110)

        async def main(client):
            await client.connect()
            print("connected")
            transport = mqtt_as.transport.Transport
            transport._connect, connect = silent, transport._connect
            await told()
            transport._connect = connect
            await until(client.isconnected)
            await client.publish("t", "m", qos=1)
            print("back")
    """
    p = clients.start(proxy, script)
    p.expect("connected")
    proxy.cut()
    p.expect("wifi")
    p.send("go")
    p.expect("back")
    end(p)


def test_link_that_fails(clients, peer):
    script = """
        class Client(MQTTClient):
            fail = 1
            async def wifi_connect(self, quick=False):
                print("wifi_connect", quick)
                if self.fail:
                    self.fail -= 1
                    raise OSError("no Wi-Fi")

        async def main(client):
            print(await outcome(client.connect()))
            await client.connect(quick=True)
            print("connected")
            await told()
    """
    p = clients.start(peer, script)
    p.expect("wifi_connect False")
    p.expect("OSError")
    p.expect("wifi_connect True")
    peer.accept().accept_connect()
    p.expect("connected")
    end(p)


WIFI = """
    import mqtt_as.wifi

    class WLAN:
        def __init__(self, interface):
            print("WLAN", interface)
            self.up = False
            self.asked = 0
        def active(self, on):
            print("active", on)
        def config(self, *args, **kwargs):
            print("config", kwargs)
        def connect(self, *args):
            print("connect", *args)
            self.up = not args or args[1] == "right"
        def disconnect(self):
            print("disconnect")
            self.up = False
        def isconnected(self):
            return self.up
        def status(self, *args):
            return 5 if self.up else 3 if sys.argv[1] == "esp8266" else -3

    class network:
        STA_IF = 0
    network.WLAN = WLAN
    WLAN.PM_NONE = 0
    mqtt_as.wifi.STABLE = 300
    mqtt_as.wifi.TIMEOUT = 1000
    mqtt_as.wifi.has_route = lambda: False
    class esp:
        sleep_type = staticmethod(lambda n: print("sleep_type", n))
    sys.modules["esp"] = esp
    mqtt_as.link.platform = mqtt_as.wifi.platform = sys.argv[1]
    config["link"] = link = mqtt_as.wifi.make_station(config, network)
"""


@pytest.mark.parametrize("platform", ["esp8266", "esp32", "rp2", "pyboard"])
def test_wifi(clients, peer, platform):
    script = (
        WIFI
        + """
    async def main(client):
        print(client._sta_if is link.interface, client.isconnected())
        for config["wifi_pw"] in ("wrong", "right"):
            client._link.__init__(config, link.interface)
            print(await outcome(client.connect()))
        await told()
        link.interface.up = False
        await until(client.isconnected)
        print("again")
        await told()
    """
    )
    p = clients.start(peer, script, platform, config={"ssid": "home"})
    p.expect("True False")
    p.expect("connect home wrong")
    p.expect("OSError")
    p.expect("connect home right")
    c = peer.accept()
    c.accept_connect()
    p.expect("None")
    p.send("go")
    p.expect("^disconnect")
    p.expect("connect home right")
    peer.accept().accept_connect()
    p.expect("again")
    assert "active False" in end(p).lines[-1]


def test_wifi_without_credentials(clients, peer):
    script = (
        WIFI
        + """
    async def main(client):
        try:
            await client.connect()
            print("connected")
        except OSError as e:
            print("refused", e)
    """
    )
    p = clients.start(peer, script, "esp8266")  # has them stored
    peer.accept().accept_connect()
    p.expect("connected")
    end(p)
    p = clients.start(peer, script, "esp32")
    p.expect("refused .*ssid")
    end(p)


def test_names_of_the_host(clients, brokers):
    """A host name, looked up."""
    broker = brokers()
    script = """
        async def main(client):
            await client.connect()
            print("connected")
    """
    assert "connected" in clients(broker, script, config={"server": "localhost"}).out


def test_address_nobody_answers(clients, peer):
    script = """
        async def main(client):
            t = time.ticks_ms()
            print(await outcome(client.connect()), time.ticks_diff(time.ticks_ms(), t) < 10_000)
    """
    r = clients(peer, script, config={"server": HOST, "port": free_port(), "response_time": 1})
    assert "OSError True" in r.out


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop()", "pass"], ids=["new loop", "same loop"])
@pytest.mark.parametrize("ms", [0, 2, 100])
def test_client_of_a_run_broken_off(clients, broker, ms, loop):
    """By Ctrl-C or an exception: after close() the client runs again."""
    script = f"""
        async def broken_off(client):
            asyncio.create_task(client.connect())
            await asyncio.sleep_ms({ms})
            for _ in range(40):
                asyncio.create_task(client.publish("t", "m", qos=1))
            await asyncio.sleep_ms(0)
            raise KeyboardInterrupt

        async def main(client):
            print("connect", await asyncio.wait_for(client.connect(), 5))
            print("publish", await asyncio.wait_for(client.publish("t", "m", qos=1), 5))
            await client.disconnect()

        client = MQTTClient(config)
        try:
            asyncio.run(broken_off(client))
        except KeyboardInterrupt:
            client.close()
            {loop}
        asyncio.run(main(client))
    """
    p = end(clients.start(broker, script), tracebacks=True)  # of publications that nobody awaits
    assert p.lines[:2] == ["connect None", "publish 0"]


def test_closed_while_two_connect(clients, peer):
    """Both attempts end, the one that only waits for its turn too; then it connects again."""
    script = """
        async def main(client):
            attempts = [asyncio.create_task(outcome(client.connect())) for _ in range(2)]
            await told()
            client.close()
            print("attempts", await attempts[0], await attempts[1])
            await client.connect()
            print("connected", client.isconnected())
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.expect("10 # *")
    p.send("go")
    p.expect("attempts OSError OSError")
    c.closed()
    peer.accept().accept_connect()
    p.expect("connected True")
    end(p)
