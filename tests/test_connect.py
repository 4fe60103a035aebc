"""Connecting: CONNECT, CONNACK and its refusals, the configuration, keep alive."""

import socket
import sys
import time

import pytest
from fixtures.client import end
from fixtures.peer import encode
from fixtures.ports import HOST, free_port

pytestmark = pytest.mark.firmware("x64")

# Connects, then stays until the test is over.
CONNECT = """
    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""

# Tells what comes of each attempt.
ATTEMPTS = """
    async def main(client):
        while await told() == b"try":
            try:
                await client.connect()
                print("connected", client.isconnected())
            except OSError as e:
                print("refused", client.isconnected(), e)
"""


@pytest.mark.parametrize(
    "config, connect",
    [
        ({}, '02 00 3c "id"'),
        ({"client_id": "text"}, '02 00 3c "text"'),
        ({"client_id": "grün"}, '02 00 3c "grün"'),
        ({"client_id": b""}, '02 00 3c ""'),
        ({"keepalive": 300}, '02 01 2c "id"'),
        ({"keepalive": 0}, '02 00 00 "id"'),
        ({"keepalive": 65535}, '02 ff ff "id"'),
        ({"user": "me"}, '82 00 3c "id" "me"'),
        ({"user": "me", "password": "secret"}, 'c2 00 3c "id" "me" "secret"'),
        ({"user": b"me", "password": b"\x01\xff"}, 'c2 00 3c "id" "me" 00 02 01 ff'),
        ({"will": ("last", "words", False, 0)}, '06 00 3c "id" "last" "words"'),
        ({"will": ["last", b"words", True, 1]}, '2e 00 3c "id" "last" "words"'),
        ({"will": ("last", b"", True, 0)}, '26 00 3c "id" "last" ""'),
        ({"will": ("t", "w", False, 1), "user": "me", "password": "x"}, 'ce 00 3c "id" "t" "w" "me" "x"'),
        ({"clean": False, "clean_init": False}, '00 00 3c "id"'),
        ({"clean": True, "clean_init": False}, '02 00 3c "id"'),
    ],
)
def test_connect_packet(clients, peer, config, connect):
    p = clients.start(peer, CONNECT, config=config)
    c = peer.accept()
    c.expect('10 # "MQTT" 04 ' + connect)
    c.send("20 02 00 00")
    p.expect("connected")
    end(p)
    assert c.closed() == b""  # close() is no DISCONNECT: the will is to be published


def test_connect_is_one_write(clients, peer):
    p = clients.start(peer, CONNECT, config={"will": ("t", "w" * 900, False, 1), "user": "me", "password": "x"})
    c = peer.accept()
    time.sleep(0.3)
    whole = c.sock.recv(65536)
    assert len(whole) == 3 + whole[1] % 128 + 128 * whole[2]
    c.send("20 02 00 00")
    p.expect("connected")
    end(p)


def test_packets_do_not_wait_for_those_before(clients, peer):
    """The peer acknowledges late, as peers do: each packet is a segment of its own all the same (TCP_NODELAY)."""
    script = """
        async def main(client):
            await client.connect()
            for _ in range(10):
                await client.publish("t", "m")
            print("done")
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect("done")
    for _ in range(10):
        c.expect("30 # \"t\" 'm'")
    info = c.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    assert int.from_bytes(info[152:156], sys.byteorder) >= 11  # tcpi_data_segs_in: CONNECT came before
    end(p)


def test_a_port_that_refuses_options_of_tcp(clients, peer):
    script = """
        import socket
        class Sockets:
            TCP_NODELAY = 9999
            def __getattr__(self, name):
                return getattr(socket, name)
        async def main(client):
            mqtt_as.transport.socket = Sockets()
            await client.connect()
            print("connected")
    """
    p = clients.start(peer, script)
    peer.accept().accept_connect()
    p.expect("connected")
    end(p)


def test_a_server_that_speaks_first(clients, peer):
    """Which is none of MQTT."""
    p = clients.start(peer, CONNECT.replace("await client.connect()", "print(await outcome(client.connect()))"))
    c = peer.accept()
    c.send("'220 ready' 0d 0a")
    p.expect("OSError")
    end(p)


def test_clean_init_discards_the_session_first(clients, peer):
    """4.4.2 of the manual: clean_init and not clean."""
    p = clients.start(peer, CONNECT, config={"clean": False})
    first = peer.accept()
    first.expect('10 # "MQTT" 04 02 00 3c "id"')
    first.send("20 02 00 00")
    first.expect("e0 00")
    first.close()
    second = peer.accept()
    second.expect('10 # "MQTT" 04 00 00 3c "id"')
    second.send("20 02 00 00")
    p.expect("connected")
    second.close()
    peer.accept().expect('10 # "MQTT" 04 00 00 3c "id"')  # a reconnection does not discard it


def test_clean_init_keeps_what_waits_out_of_the_discarded_session(clients, peer):
    script = """
        async def main(client):
            task = asyncio.create_task(client.subscribe("t", 1))
            await asyncio.sleep_ms(100)
            await client.connect()
            await task
            print("subscribed")
            await told()
    """
    p = clients.start(peer, script, config={"clean": False})
    first = peer.accept()
    first.accept_connect()
    assert first.closed() == b"\xe0\0"  # which a server that does not close must not hold up for long
    second = peer.accept()
    second.accept_connect()
    packet = second.expect('82 # .. .. "t" 01')
    second.send(b"\x90\x03" + packet[2:4] + b"\x01")
    p.expect("subscribed")
    end(p)


def test_nothing_is_sent_to_the_discarded_session(clients, peer):
    script = """
        async def publish(client):
            for _ in range(30):
                asyncio.create_task(client.publish("t", "m"))
                await asyncio.sleep_ms(20)

        async def main(client):
            task = asyncio.create_task(publish(client))
            await client.connect()
            await task
            print("connected")
            await told()
    """
    p = clients.start(peer, script, config={"clean": False})
    first = peer.accept()
    first.accept_connect()
    assert first.closed() == b"\xe0\0"
    second = peer.accept()
    second.accept_connect()
    for _ in range(30):
        second.expect("30 # \"t\" 'm'")
    p.expect("connected")
    end(p)


def test_session_present(clients, peer):
    p = clients.start(peer, CONNECT, config={"clean": False, "clean_init": False})
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    p.expect("connected")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    c.quiet(0.5)
    end(p)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_refusal_names_the_code(clients, peer, code):
    """7 of the manual: an OSError that shows 0x2002 and the code."""
    p = clients.start(peer, ATTEMPTS)
    p.send("try")
    c = peer.accept()
    c.accept_connect(f"20 02 00 0{code}")
    told = p.expect("refused False (.*)")[1]
    assert "0x2002" in told and told.split()[-1].strip("')") == str(code)
    assert c.closed() == b""
    peer.listener.settimeout(0.5)
    with pytest.raises(TimeoutError):  # nobody tries again but the application
        peer.listener.accept()
    p.send("try")
    peer.accept().accept_connect()
    p.expect("connected True")
    end(p)


@pytest.mark.parametrize("clean_init", [True, False])
@pytest.mark.parametrize("fault", ["close", "reset", "silence", "half a CONNACK", "no listener", "no such host"])
def test_first_connect_raises_and_may_be_retried(clients, peer, fault, clean_init):
    config = {"response_time": 1, "clean": False, "clean_init": clean_init}
    if fault == "no listener":
        port = free_port()
        config["port"] = port
    elif fault == "no such host":
        config["server"] = "no-such-host.invalid"
    p = clients.start(peer, ATTEMPTS, config=config)
    for _ in range(2):
        p.send("try")
        if not fault.startswith("no "):
            c = peer.accept()
            c.expect("10 # *")
            if fault == "close":
                c.close()
            elif fault == "reset":
                c.reset()
            elif fault == "half a CONNACK":
                c.send("20 02 00")
        p.expect("refused False")
        if fault in ("silence", "half a CONNACK"):
            assert c.closed() == b""
    if fault == "no listener":
        with socket.create_server((HOST, port)) as s:
            p.send("try")
            s.settimeout(10)
            s.accept()[0].close()
            p.expect("refused False")
    end(p)


def test_late_connack_of_an_attempt_given_up(clients, peer):
    p = clients.start(peer, ATTEMPTS, config={"response_time": 1})
    p.send("try")
    first = peer.accept()
    p.expect("refused")
    p.send("try")
    second = peer.accept()
    try:
        first.send("20 02 00 00")
    except OSError:
        pass
    second.accept_connect("20 02 00 05")
    p.expect("refused")
    end(p)


def test_connect_when_connected_does_nothing(clients, peer):
    p = clients.start(peer, ATTEMPTS)
    p.send("try")
    c = peer.accept()
    c.accept_connect()
    p.expect("connected True")
    p.send("try")
    p.expect("connected True")
    c.quiet(0.3)
    end(p)


def test_connect_from_two_tasks_at_once(clients, peer):
    script = """
        ups = 0
        async def up(client):
            global ups
            ups += 1
        config["connect_coro"] = up

        async def main(client):
            print(await asyncio.gather(outcome(client.connect()), outcome(client.connect())))
            await told()
            await asyncio.sleep_ms(100)
            print("ups", ups)
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    p.expect(r"\[None, None\]")
    p.send("go")
    p.expect("ups 1$")
    c.close()
    c = peer.accept()
    c.accept_connect()
    c.quiet(0.5)
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(timeout=0.5)  # one task only has connected again
    end(p)


def test_connect_given_up_by_the_application(clients, peer):
    script = """
        async def main(client):
            try:
                await asyncio.wait_for_ms(client.connect(), 300)
            except asyncio.TimeoutError:
                print("given up", client.isconnected())
            await told()
            await client.connect()
            print("connected")
            await told()
    """
    p = clients.start(peer, script)
    first = peer.accept()
    p.expect("given up False")
    assert first.closed()[0] == 0x10
    p.send("go")
    peer.accept().accept_connect()
    p.expect("connected")
    end(p)


ENDED = """
    class Link:
        interface = None
        async def connect(self, quick):
            await asyncio.sleep_ms(300)
        def isconnected(self):
            return True
        def disconnect(self):
            pass
        close = disconnect
    config["link"] = Link()

    async def attempt(client):
        result = await outcome(client.connect())
        await asyncio.sleep_ms(100)  # Goes on, too
        return result

    async def main(client):
        task = asyncio.create_task(attempt(client))
        await asyncio.sleep_ms(%d)
        %s
        %s
        print("outcome", await task, client.isconnected())
        await told()
"""


@pytest.mark.parametrize("end_it", ["await client.disconnect()", "client.close()"])
def test_ended_while_connecting(clients, peer, end_it):
    """Who ends the client means it, also while the link comes up: nobody connects behind his back."""
    script = ENDED % (100, end_it, "")
    p = clients.start(peer, script)
    with pytest.raises(AssertionError, match="no client has connected|client closed"):
        peer.accept(timeout=1).accept_connect()
    p.expect("outcome OSError False")
    end(p)


@pytest.mark.parametrize("end_it", ["await client.disconnect()", "client.close()"])
@pytest.mark.parametrize("ms", [100, 400], ids=["link", "CONNACK"])
def test_ended_while_connecting_and_connected_again(clients, peer, end_it, ms):
    """What was under way ends with an error and does the new connection no harm."""
    p = clients.start(peer, ENDED % (ms, end_it, "await client.connect()"))
    if ms > 300:
        peer.accept().expect("10 # *")
    c = peer.accept()
    c.accept_connect()
    p.expect("outcome OSError True")
    c.quiet(0.3)
    end(p)


# --- configuration


@pytest.mark.parametrize(
    "config",
    [
        {"server": None},
        {"server": ""},
        {"client_id": None},
        {"client_id": 5},
        {"client_id": "i" * 65536},
        {"client_id": b"\xff"},
        {"client_id": b"", "clean": False, "clean_init": False},
        {"port": "1883"},
        {"port": 65536},
        {"port": -1},
        {"user": 1},
        {"user": "u\0"},
        {"password": "alone"},
        {"password": 1.5, "user": "u"},
        {"password": "p" * 65536, "user": "u"},
        {"keepalive": -1},
        {"keepalive": 65536},
        {"keepalive": "60"},
        {"keepalive": None},
        {"ping_interval": -1},
        {"ping_interval": "1"},
        {"response_time": 0},
        {"response_time": -3},
        {"response_time": "10"},
        {"max_repubs": -1},
        {"max_repubs": "4"},
        {"max_repubs": 1000},
        {"will": ("t", "m")},
        {"will": ("t", "m", False, 0, None, None)},
        {"will": ("t", "m", False, 0, 1), "mqttv5": True},
        {"will": ("t", "m", False, 0, {0x24: 1}), "mqttv5": True},
        {"topic_aliases": -1},
        {"topic_aliases": 65536},
        {"will": ("t", "m", False, 3)},
        {"will": ("t", "m", False, "1")},
        {"will": ("t/#", "m", False, 0)},
        {"will": ("", "m", False, 0)},
        {"will": (1, "m", False, 0)},
        {"will": ("t", None, False, 0)},
        {"will": ("t", "m" * 65536, False, 0)},
        {"will": 5},
        {"will": "topic"},
        {"server": 5},
        {"max_packet": 0},
        {"mqttv5_con_props": 5, "mqttv5": True},
        {"mqttv5_con_props": {0x99: 1}, "mqttv5": True},
        {"queue_len": "5"},
        {"queue_len": -1},
        {"queue_len": None},
    ],
    ids=lambda config: "-".join(f"{k}={str(v)[:20]}" for k, v in config.items()),
)
def test_wrong_configuration(mp, config):
    script = f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({ {"server": "localhost", **config}!r})
            print("taken")
        except (ValueError, TypeError) as e:
            print("refused:", e)
    """
    r = mp(script)
    assert r.out.startswith("refused: ") and len(r.out) > 15, r
    assert any(key in r.out for key in config), r


def test_defaults_and_partial_configuration(clients, peer):
    script = """
        async def main(client):
            c = mqtt_as.MQTTClient({"server": config["server"]})
            print(c.port, c.server == config["server"], c.mqttv5)
            print(MQTTClient({"server": "x", "ssl": True}).port, MQTTClient({"server": "x", "port": 5}).port)
            print(MQTTClient().server == config["server"])  # 3.1: the default is mqtt_as.config
            a, b = MQTTClient(config), MQTTClient(config)
            print(a.lock is not b.lock, a.queue)
    """
    r = clients(peer, script, config={"port": 0})
    assert r.lines == ["1883 True False", "8883 5", "True", "True None"]


def test_server_as_bytes(clients, broker):
    script = """
        async def main(client):
            name = config["server"].encode()
            for servers in name, [name], [(name, config["port"])]:
                async with MQTTClient(dict(config, server=servers)) as c:
                    print("connected", c.isconnected())
    """
    assert clients(broker, script).lines == ["connected True"] * 3


def test_default_configuration(mp):
    script = """
        from mqtt_as import config
        for key in sorted(config):
            if key not in ("client_id", "subs_cb", "wifi_coro", "connect_coro"):
                print(key, config[key])
        print(isinstance(config["client_id"], bytes) and len(config["client_id"]) > 3, config["subs_cb"](1, 2, 3))
        import asyncio
        print(asyncio.run(config["wifi_coro"](True)), asyncio.run(config["connect_coro"](1)))
    """
    documented = """
        clean True; clean_init True; keepalive 60; max_repubs 4; mqttv5 False; mqttv5_con_props None; password ;
        ping_interval 0; port 0; queue_len 0; response_time 10; server None; ssid None; ssl False; ssl_params {}; user ;
        wifi_pw None; will None; gateway False; True None; None None
    """
    lines = [line.strip() for line in mp(script).lines]
    missing = [item.strip() for item in documented.split(";") if item.strip() not in lines]
    assert not missing, lines


def test_client_ids_differ(mp):
    script = "from mqtt_as import config; print(config['client_id'])"
    assert mp(script).out != mp(script).out


# --- the will, on a real broker


@pytest.mark.parametrize("how", ["disconnect", "close", "killed"])
def test_will(clients, broker, observer, how):
    script = """
        async def main(client):
            await client.connect()
            print("connected")
            how = await told()
            if how == b"disconnect":
                await client.disconnect()
            elif how == b"close":
                client.close()
            else:
                await asyncio.sleep(60)
    """
    observer.subscribe("last", 1)
    p = clients.start(broker, script, config={"will": ("last", "words", True, 1)})
    p.expect("connected")
    p.send(how)
    if how == "killed":
        p.kill()
    else:
        end(p)
    if how == "disconnect":
        observer.quiet(0.5)
    else:
        assert observer.wait(1) == [b"words"]
        assert observer.messages[0].qos == 1


# --- keep alive


def test_pings_when_idle(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 4})
    c = peer.accept()
    c.accept_connect()
    t = time.monotonic()
    for _ in range(3):
        c.expect("c0 00", timeout=4)
        c.send("d0 00")
    assert time.monotonic() - t > 1.5  # one a second
    end(p)


def test_ping_interval(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 60, "ping_interval": 1})
    c = peer.accept()
    c.accept_connect()
    for _ in range(2):
        c.expect("c0 00", timeout=6)
        c.send("d0 00")
    end(p)


def test_ping_interval_is_bounded_by_the_keepalive(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 4, "ping_interval": 60})
    c = peer.accept()
    c.accept_connect()
    c.expect("c0 00", timeout=4)
    end(p)


def test_ping_interval_without_keepalive(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 0, "ping_interval": 1})
    c = peer.accept()
    c.accept_connect()
    c.expect("c0 00", timeout=6)
    end(p)


def test_no_pings_while_the_broker_talks(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 60, "ping_interval": 1})
    c = peer.accept()
    c.accept_connect()
    for _ in range(25):
        c.send("30 # \"t\" 'payload'")
        c.quiet(0.1)
    c.expect("c0 00", timeout=6)
    end(p)


def test_keepalive_holds_though_only_the_broker_talks(clients, peer):
    """3.1.2.10: it is what the client sends that counts."""
    p = clients.start(peer, CONNECT, config={"keepalive": 2})
    c = peer.accept()
    c.accept_connect()
    last = time.monotonic()
    pings = 0
    while pings < 2:
        assert time.monotonic() - last < 3, "one and a half times the keep alive: the broker hangs up"
        c.send("30 # \"t\" 'payload'")
        try:
            c.expect("c0 00", timeout=0.1)
        except AssertionError as e:
            assert "0 bytes" not in str(e) and "1 bytes expected" in str(e)
        else:
            c.send("d0 00")
            pings += 1
            last = time.monotonic()
    end(p)


def test_answer_to_a_ping_behind_a_long_message(clients, peer):
    """While bytes come in the broker lives, though PINGRESP has to wait for its turn."""
    p = clients.start(peer, CONNECT, config={"keepalive": 1, "response_time": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    for byte in encode(f"30 # \"t\" '{'x' * 20}'"):
        c.send(bytes((byte,)))
        time.sleep(0.1)
    c.send("d0 00", "32 # \"t\" 00 01 'm'")
    while (packet := c.packet()) == b"\xc0\0":
        pass
    assert packet == b"\x40\2\0\1"
    end(p)


def test_ping_without_answer(clients, peer):
    p = clients.start(peer, CONNECT, config={"keepalive": 4, "response_time": 1})
    c = peer.accept()
    c.accept_connect()
    assert c.closed() == b"\xc0\0"
    peer.accept().accept_connect()
    end(p)


def test_broker_up(clients, peer):
    script = """
        async def main(client):
            print("down", await client.broker_up())
            await client.connect()
            print("fresh", await client.broker_up())
            await asyncio.sleep_ms(1200)
            print("ping", await client.broker_up())
            print("again", await client.broker_up())
            await asyncio.sleep_ms(1200)
            print("silent", await client.broker_up())
            await client.disconnect()
            print("down", await client.broker_up())
    """
    p = clients.start(peer, script, config={"response_time": 1})
    p.expect("down False")
    c = peer.accept()
    c.accept_connect()
    p.expect("fresh True")
    c.expect("c0 00")
    c.send("d0 00")
    p.expect("ping True")
    p.expect("again True")
    c.expect("c0 00")
    p.expect("silent False")
    p.expect("down False")
    end(p)


@pytest.mark.parametrize("answer", ["same", "other query", "not an answer", "none"])
def test_wan_ok(clients, broker, answer):
    """The query goes to 8.8.8.8, here by way of the loopback interface."""
    script = """
        import socket
        class Sockets:  # all of socket, but for the one address
            def __getattr__(self, name):
                return getattr(socket, name)
            def getaddrinfo(self, host, port, *args):
                if host == "8.8.8.8":
                    assert port == 53
                    host, port = "127.0.0.1", int(sys.argv[1])
                return socket.getaddrinfo(host, port, *args)
        mqtt_as.transport.socket = Sockets()

        async def main(client):
            print("before", await client.wan_ok())
            await client.connect()
            print("wan", await client.wan_ok(), await client.wan_ok(b"\\x12\\x34\\x01\\0\\0\\x01" + bytes(7)))
            await client.disconnect()
            print("after", await client.wan_ok())
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
        dns.bind((HOST, 0))
        dns.settimeout(10)
        p = clients.start(broker, script, dns.getsockname()[1])
        ids = []
        for _ in range(2):
            query, address = dns.recvfrom(512)
            ids.append(query[:2])
            assert query[2:6] == b"\x01\0\0\x01"  # a query, one question
            if answer == "same":
                dns.sendto(query[:2] + b"\x81\x80" + query[4:], address)
            elif answer == "other query":
                dns.sendto(bytes([query[0] ^ 1, query[1]]) + b"\x81\x80" + query[4:], address)
            elif answer == "not an answer":
                dns.sendto(query, address)
        p.expect("before False")
        expected = answer == "same"
        p.expect(f"wan {expected} {expected}")
        p.expect("after False")
    assert ids[1] == b"\x12\x34"
    end(p)


def test_ping_that_cannot_be_written(clients, peer):
    """The connection is made anew, without a stall and without exhausting the heap."""
    script = """
        async def main(client):
            client.DEBUG = True
            await client.connect()
            print("connected")
            await asyncio.sleep_ms(1500)
            print("busy")
            time.sleep_ms(500)  # the connection is reset, a ping falls due
            t = time.ticks_ms()
            await until(lambda: not client.isconnected())
            print("stalled", time.ticks_diff(time.ticks_ms(), t))
            await until(client.isconnected)
            print("again")
    """
    p = clients.start(peer, script, config={"keepalive": 2})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    start = time.monotonic()
    while time.monotonic() - start < 1.6:  # the broker talks: no need to ping but for the keep alive
        c.send("30 # \"t\" 'm'")
        time.sleep(0.1)
    c.reset()
    assert int(p.expect(r"stalled (\d+)")[1]) < 100
    peer.accept().accept_connect()
    p.expect("again")
    end(p)
