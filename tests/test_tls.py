"""TLS: config keys ssl and ssl_params, over a real broker."""

import importlib.util
import os
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest
from fixtures.authority import Authority
from fixtures.client import end
from fixtures.proxy import Proxy

# The package that has a newer MicroPython, with Mbed TLS 3, for this Python.
NEWER = Path(sys.executable).with_name("micropython") if importlib.util.find_spec("micropython_unix") else None

both = pytest.mark.parametrize("runtime", ["own", "newer"], indirect=True)


@pytest.fixture(autouse=True)
def runtime(mp, request):
    if getattr(request, "param", "own") == "newer":
        if not NEWER:
            pytest.skip("no micropython_unix for this Python")
        mp.env["MP_RUNTIME"] = str(NEWER)


ECHO = """
    async def up(client):
        await client.subscribe("t", 1)
        print("subscribed")

    def callback(topic, msg, retained):
        print("message", len(msg), bytes(msg[:3]), bytes(msg[-3:]))
    config.update(subs_cb=callback, connect_coro=up)

    async def main(client):
        await client.connect()
        while True:
            line = await told()
            if not line:
                break
            size = int(line)
            await client.publish("t", b"<--" + bytes(size) + b"-->", qos=1)
            print("published")
        await client.disconnect()
"""


def check(p, broker):
    p.expect("subscribed")
    for size in (0, 1000, 200_000, 10):
        p.send(str(size))
        p.expect(f"message {size + 6} b'<--' b'-->'")
        p.expect("published")
    broker.restart()
    p.expect("subscribed")
    p.send("5")
    p.expect("message 11 b'<--' b'-->'")
    p.expect("published")


@both
def test_tls(clients, tls_broker):
    p = clients.start(tls_broker, ECHO, config={"ssl": True}, options=("-X", "heapsize=4m"))
    check(p, tls_broker)
    end(p)


@pytest.mark.core(tls=True)
def test_verified(clients, tls_broker, tmp_path):
    script = """
        import ssl
        config["ssl_params"] = {
            "server_hostname": "localhost", "cert_reqs": ssl.CERT_REQUIRED, "cadata": open("cert.der", "rb").read()
        }
    """
    p = clients.start(
        tls_broker, script + ECHO.replace("\n    ", "\n        "), config={"ssl": True}, options=("-X", "heapsize=4m")
    )
    check(p, tls_broker)
    end(p)


@both
def test_context(clients, tls_broker):
    """config["ssl"] may be an SSLContext."""
    script = """
        import ssl
        config["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        config["ssl"].verify_mode = ssl.CERT_NONE
    """
    p = clients.start(tls_broker, script + ECHO.replace("\n    ", "\n        "), options=("-X", "heapsize=4m"))
    check(p, tls_broker)
    end(p)


# Connects twice, verifies the server by the authority argv[1], and shows a certificate of its own, argv[2] (-: none). All the
# while another task answers lines with themselves.
VERIFY = """
    import ssl

    def read(name):
        with open(name, "rb") as f:
            return f.read()

    params = {"server_hostname": "localhost", "cert_reqs": ssl.CERT_REQUIRED, "cadata": read(sys.argv[1])}
    if sys.argv[2] != "-":
        params.update(cert=read(sys.argv[2] + ".der"), key=read(sys.argv[2] + ".key.der"))
    config.update(ssl=True, ssl_params=params, user="user", password="the password")
    MQTTClient.DEBUG = True

    async def answer():
        while line := await told():
            print("told", line.decode())

    async def main(client):
        task = asyncio.create_task(answer())
        for _ in range(2):
            try:
                await client.connect()
                print("came of it: connected")
                await client.disconnect()
            except OSError as e:
                print("came of it:", repr(e))
        await task
"""


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "stranger")


@pytest.fixture
def secured(brokers, authority):
    """secured(*lines, subject=, years=): a broker with such a certificate of the authority's."""

    def start(*lines, **how):
        certificate = authority.issue("server", **how)
        return brokers(f"certfile {certificate}.pem", f"keyfile {certificate}.key.pem", *lines)

    return start


def came_of_it(p):
    """Of both attempts, which has to be the same."""
    first, second = (p.expect("^came of it: (.*)")[1] for _ in range(2))
    assert first == second
    return first


def end_without_secrets(p, own=None):
    r = end(p)
    shown = ["the password"]
    if own:
        key = Path(f"{own}.key.der").read_bytes()
        for part in (key[40:46], key[-6:]):
            shown += [repr(part)[2:-1], part.hex(), part.hex(" ")]
    assert "Connecting" in r.out and not [s for s in shown if s in r.out + r.err]


@both
@pytest.mark.parametrize(
    "server, outcome",
    [
        ({}, "connected"),
        ({"years": (2020, 2021)}, "The certificate validity has expired"),
        ({"years": (2045, 2049)}, "The certificate validity starts in the future"),
        ({"subject": "example.org"}, "The certificate Common Name (CN) does not match with the expected CN"),
    ],
    ids=["right", "expired", "not yet valid", "name"],
)
def test_certificate_of_the_server(clients, secured, authority, server, outcome):
    p = clients.start(secured(**server), VERIFY, authority.folder / "ca.der", "-")
    assert outcome in came_of_it(p)
    end_without_secrets(p)


@both
def test_authority_that_is_not_trusted(clients, secured, stranger):
    p = clients.start(secured(), VERIFY, stranger.folder / "ca.der", "-")
    assert "The certificate is not correctly signed by the trusted CA" in came_of_it(p)
    end_without_secrets(p)


@both
def test_certificate_that_expires(clients, secured, authority):
    """At a reconnection: the client says so where it is to, goes on trying, and is there when that is mended."""
    script = """
        import ssl
        with open(sys.argv[1], "rb") as f:
            config["ssl_params"] = {"server_hostname": "localhost", "cert_reqs": ssl.CERT_REQUIRED, "cadata": f.read()}
        mqtt_as.client._backoff = lambda n: 100
        MQTTClient.DEBUG = True

        async def wifi(state):
            print("wifi", state)
        config["wifi_coro"] = wifi

        async def main(client):
            await client.connect()
            await told()
    """
    server = secured()
    p = clients.start(server, script, authority.folder / "ca.der", config={"ssl": True})
    p.expect("wifi True")
    expired = authority.issue("expired", years=(2020, 2021))
    right = server.lines
    server.restart(f"certfile {expired}.pem", f"keyfile {expired}.key.pem")
    p.expect("wifi False")
    for _ in range(2):
        p.expect("^Reconnect failed: .*The certificate validity has expired")
    server.restart(*right)
    p.expect("wifi True")
    assert end(p).out.count("wifi True") == 2


@both
@pytest.mark.parametrize("own", ["client", "stranger's", "none"])
def test_certificate_of_the_client(clients, secured, authority, stranger, own):
    server = secured(f"cafile {authority.folder}/ca.pem", "require_certificate true")
    issuer = {"client": authority, "stranger's": stranger}.get(own)
    shown = issuer.issue("client", "client") if issuer else "-"
    p = clients.start(server, VERIFY, authority.folder / "ca.der", shown)
    # the server closes so soon that the client may learn no more than that
    outcomes = [p.expect("^came of it: (connected|OSError)")[1] for _ in range(2)]
    assert outcomes == ["connected" if own == "client" else "OSError"] * 2
    end_without_secrets(p, shown if issuer else None)


@pytest.fixture
def server_context(authority):
    certificate = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key.pem")
    return context


@both
@pytest.mark.parametrize("own", ["stranger's", "none"])
def test_refusal_of_the_certificate_of_the_client(clients, peer, authority, stranger, server_context, own):
    """The server says that it refuses, and so does the client."""
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(authority.folder / "ca.pem")
    shown = stranger.issue("client", "client") if own != "none" else "-"
    p = clients.start(peer, VERIFY, authority.folder / "ca.der", shown)
    for _ in range(2):
        sock = server_context.wrap_socket(peer.accept().sock, server_side=True, do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLError):
            sock.do_handshake()
        p.expect(r"^came of it: OSError.* port \d+: TLS, the server ended the handshake")
        sock.close()
    end_without_secrets(p, shown if own != "none" else None)


@both
def test_no_tls(clients, broker, authority):
    p = clients.start(broker, VERIFY, authority.folder / "ca.der", "-")
    assert came_of_it(p).startswith("OSError")
    end_without_secrets(p)


@both
def test_answer_that_is_no_tls(clients, peer, authority):
    p = clients.start(peer, VERIFY, authority.folder / "ca.der", "-")
    for _ in range(2):
        c = peer.accept()
        c.sock.recv(1)
        c.send("'HTTP/1.1 400 Bad Request' 0d 0a 0d 0a")
        p.expect("^came of it: OSError.*TLS, the server speaks something else")
    end_without_secrets(p)


def test_tls_where_none_is_expected(clients, tls_broker):
    script = """
        async def main(client):
            print(await outcome(client.connect()))
            print(await outcome(client.connect()))
    """
    assert clients(tls_broker, script).lines == ["OSError"] * 2


@both
def test_tasks_during_the_handshake(clients, peer, authority, server_context):
    """They go on, at whatever point the server leaves it."""
    p = clients.start(peer, VERIFY, authority.folder / "ca.der", "-", config={"response_time": 20})
    turns = iter(range(1000))

    def another_task():
        n = next(turns)
        p.send(f"{n}")
        p.expect(f"^told {n}$")
        assert "came of it" not in p.out

    c = peer.accept()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server_context.wrap_bio(incoming, outgoing, server_side=True)
    another_task()
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        data = outgoing.read()
        for part in (data[:3], data[3:-1], data[-1:]):
            c.send(part)
            another_task()
        if tls.version():
            break
        incoming.write(c.sock.recv(1 << 16))
    assert next(turns) > 6
    p.kill()


@both
def test_blocked_and_throttled(clients, secured):
    """A network that takes no more for a while, then little at a time: all comes through, and other tasks go on."""
    script = """
        got = []
        config["subs_cb"] = lambda topic, msg, retained: got.append(msg)

        async def publish(client, n):
            message = b"all bytes that there are" * (n // 24)
            await client.publish("t", message, qos=1)
            await until(lambda: got == [message], 60)
            got.clear()
            print("came back", n)

        async def main(client):
            await client.connect()
            await client.subscribe("t", 1)
            print("ready")
            while line := await told():
                if line[0] == 0x2E:
                    print("told")
                else:
                    asyncio.create_task(publish(client, int(line)))
            print("connections", client._connections)
    """
    proxy = Proxy(secured())
    try:
        config = {"ssl": True, "response_time": 20}
        p = clients.start(proxy, script, config=config, options=("-X", "heapsize=32m"))
        p.expect("ready")
        proxy.hold()
        p.send("4800000")
        for _ in range(5):
            time.sleep(0.1)
            p.send(".")
            p.expect("told")
        proxy.release()
        p.expect("came back 4800000")
        proxy.rate = 100_000
        p.send("72000")
        p.expect("came back 72000")
        proxy.smooth()
        proxy.piece = 1
        p.send("3000")
        p.expect("came back 3000")
        p.send("")
        p.expect("connections 1$")
        end(p)
    finally:
        proxy.close()


@pytest.fixture
def accept(peer, tmp_path, certificate):
    """accept() as the peer's, with TLS over the connection and the CONNECT answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def accept():
        c = peer.accept()
        c.sock.settimeout(10)
        c.sock = context.wrap_socket(c.sock, server_side=True)
        c.accept_connect()
        return c

    return accept


@both
def test_acknowledgements_while_a_write_blocks(clients, peer, accept):
    """TLS has taken what it could not yet send: it is offered the same again, without what came behind it since."""
    script = """
        count = 0
        def callback(topic, msg, retained):
            global count
            count += 1
        config["subs_cb"] = callback

        n = 0
        async def flood(client):
            global n
            message = bytes(1000)
            while True:
                await client.publish("f", message)
                n += 1

        async def main(client):
            await client.connect()
            task = asyncio.create_task(flood(client))
            sent = -1
            while sent != n:
                sent = n
                await asyncio.sleep_ms(300)
            task.cancel()
            print("blocked")
            await until(lambda: count == 10)
            await asyncio.sleep_ms(200)
            print("delivered")
            await told()
    """
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    config = {"ssl": True, "response_time": 20}
    p = clients.start(peer, script, config=config, options=("-X", "heapsize=4m"))
    c = accept()
    p.expect("blocked")
    for n in range(10):
        c.send(f"32 # \"t\" 00 {n + 1:02x} 'm'")
    p.expect("delivered")
    acknowledged = []
    while len(acknowledged) < 10:
        packet = c.packet()
        if packet[0] == 0x40:
            acknowledged.append(packet[3])
        else:
            assert packet == b"\x30\xeb\x07\0\1f" + bytes(1000)
    assert acknowledged == list(range(1, 11))
    end(p)


@both
@pytest.mark.parametrize("fault", ["garbage", "reset", "close"])
@pytest.mark.parametrize("writing", [False, True])
def test_faults(clients, peer, accept, fault, writing):
    """TLS has numbers of its own for what goes wrong; any of them ends the connection, and a new one is made."""
    script = f"""
        async def main(client):
            await client.connect()
            if {writing}:
                task = asyncio.create_task(client.publish("t", bytes(4_000_000)))
            await asyncio.sleep_ms(500)
            print("connected")
            await told()
            await until(client.isconnected)
            await client.publish("t", "again")
            await told()
    """
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    p = clients.start(peer, script, config={"ssl": True}, options=("-X", "heapsize=16m"))
    c = accept()
    p.expect("connected")
    if fault == "garbage":
        os.write(c.sock.fileno(), b"garbage" * 6)
    elif fault == "reset":
        c.reset()
    else:
        c.close()
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    c = accept()
    p.send("go")
    if writing:
        assert c.packet().endswith(bytes(1000))
    c.expect("30 # \"t\" 'again'")
    end(p)


@both
def test_publications_when_the_connection_breaks(clients, peer, accept):
    """They notice nothing of it, though TLS may raise where it cannot write."""
    script = """
        async def publish(client, qos):
            while True:
                await client.publish("t", "m", qos=qos)
                await asyncio.sleep_ms(1)

        async def main(client):
            await client.connect()
            tasks = [asyncio.create_task(publish(client, qos)) for qos in (0, 1)]
            await told()
            print("all on", not any(t.done() for t in tasks))
    """
    p = clients.start(peer, script, config={"ssl": True}, options=("-X", "heapsize=4m"))
    for _ in range(3):
        c = accept()
        for _ in range(20):
            c.expect("*")
        c.reset()
    c = accept()
    for _ in range(5):
        while (packet := c.expect("*"))[0] not in (0x32, 0x3A):
            pass
        c.send(b"\x40\x02" + packet[5:7])
    p.send("end")
    p.expect("all on True")
    end(p)


@both
@pytest.mark.parametrize("fault", ["reset", "garbage", "no TLS"])
def test_sockets_are_closed(clients, peer, accept, fault):
    """MicroPython forgets the socket below a TLS stream that breaks; a client that reconnects must not collect them."""
    script = """
        async def main(client):
            while await outcome(client.connect()):
                pass
            await told()
    """
    p = clients.start(peer, script, config={"ssl": True}, options=("-X", "heapsize=4m"))
    files = []
    for _ in range(4):
        if fault == "no TLS":
            c = peer.accept()
            c.send(b"garbage" * 6)
            c.closed(timeout=3)
        else:
            c = accept()
            if fault == "garbage":
                os.write(c.sock.fileno(), b"garbage" * 6)
            else:
                c.reset()
        time.sleep(0.05)
        files.append(len(os.listdir(f"/proc/{p.pid}/fd")))
    p.kill()
    assert files[-1] <= files[0], files


def test_refusal_in_a_write_is_no_traceback(clients, peer):
    """TLS may meet a certificate it refuses in the write that goes on with the handshake: it raises ValueError there."""
    script = """
        import io

        class Stream(io.IOBase):
            def __init__(self, sock):
                self.sock = sock
                self.writes = 0
            def readinto(self, buf):
                return None
            def write(self, buf):
                self.writes += 1
                if self.writes > 1:
                    raise ValueError("The certificate validity has expired")
            def ioctl(self, request, flags):
                return self.sock.fileno() if request == 10 else -1
            def close(self):
                self.sock.close()

        class TLS:
            def wrap_socket(self, sock, **_):
                return Stream(sock)
        config["ssl"] = TLS()

        async def main(client):
            try:
                await client.connect()
            except OSError as e:
                print("OSError", e)
    """
    p = clients.start(peer, script)
    peer.accept()
    p.expect("OSError.*The certificate validity has expired")
    end(p)
