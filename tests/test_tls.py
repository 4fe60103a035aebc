"""TLS: config keys ssl and ssl_params, over a real broker."""

import os
import socket
import ssl
import subprocess
import time

import pytest
from fixtures.client import end

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


@pytest.mark.parametrize("wrong", ["name", "authority", "not TLS"])
def test_refused(clients, broker, tls_broker, tmp_path, wrong):
    (tmp_path / "other").mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -outform DER -out cert.der"
    subprocess.run(command.split(), cwd=tmp_path / "other", check=True, capture_output=True)
    script = """
        import ssl
        config["ssl_params"] = {
            "server_hostname": sys.argv[1], "cert_reqs": ssl.CERT_REQUIRED, "cadata": open(sys.argv[2], "rb").read()
        }

        async def main(client):
            for _ in range(2):
                print(await outcome(client.connect()), client.isconnected())
    """
    r = clients(
        broker if wrong == "not TLS" else tls_broker,
        script,
        "example.org" if wrong == "name" else "localhost",
        "other/cert.der" if wrong == "authority" else "cert.der",
        config={"ssl": True, "response_time": 3},
    )
    assert r.lines == ["OSError False"] * 2, r


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
