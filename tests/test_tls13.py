"""mqtt_as.tls13: TLS 1.3 by the native module _mqtt_tls, with OpenSSL and with a broker at the other end.

What a server can do wrong is in src/tls/tests.
"""

import contextlib
import hashlib
import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from fixtures.authority import P256, P384, RSA, RSA_4096, Authority
from fixtures.client import end
from fixtures.ports import HOST
from fixtures.proxy import Proxy

ROOT = Path(__file__).resolve().parent.parent
NAMES = "subjectAltName=DNS:localhost,DNS:*.wild.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
HEAP = ("-X", "heapsize=4m")


@pytest.fixture(autouse=True, scope="session")
def module(arch, built):
    """The native module of the architecture, beside that of the client; a firmware has it."""
    if not arch.endswith("+firmware"):
        lock = ROOT / "build" / f".lock-natmod-{arch}"
        make = ["make", "-C", ROOT / "natmod", f"ARCH={arch}", "MODULE=tls", "dist"]
        subprocess.run(["flock", lock, *make], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def authorities(tmp_path_factory):
    """Authorities by what they and those above them sign with, made when they are asked for."""
    folder = tmp_path_factory.mktemp("tls13")
    made = {}

    def get(*keys, name=""):
        if (keys, name) not in made:
            above = get(*keys[:-1], name=name) if len(keys) > 1 else None
            made[keys, name] = Authority(folder / f"authority{len(made)}", f"{name}authority{len(keys)}", keys[-1], above)
        return made[keys, name]

    return get


@pytest.fixture(scope="session")
def authority(authorities):
    return authorities(P256, P256)


@pytest.fixture(scope="session")
def trusted(authorities):
    return authorities(P256).folder / "ca.pem"


def certificate(authority, name="server", extensions=NAMES, **how):
    """Paths of certificate and key, the first with those that a server has to send with it."""
    issued = authority.issue(name, extensions=extensions, **how)
    chain = Path(f"{issued}.chain.pem")
    chain.write_text(Path(f"{issued}.pem").read_text() + authority.chain)
    return chain, Path(f"{issued}.key.pem")


class Server:
    """OpenSSL, which serves one connection after the other by `serve(sock)` or answers what comes with itself."""

    def __init__(self, files, serve=None, **settings):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(*files)
        for name, value in settings.items():
            setattr(self.context, name, value)
        self.serve = serve or self.answer
        self.errors = []
        self.listener = socket.create_server((HOST, 0))
        self.host, self.port = self.listener.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(20)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    with self.context.wrap_socket(sock, server_side=True) as secured:
                        self.serve(secured)
                except OSError as e:
                    self.errors.append(str(e))

    @staticmethod
    def answer(sock):
        while data := sock.recv(1 << 16):
            sock.sendall(data)
        sock.unwrap()


@pytest.fixture
def server():
    servers = []

    def start(*args, **settings):
        servers.append(Server(*args, **settings))
        return servers[-1]

    yield start
    for s in servers:
        s.listener.close()


# Connects as argv says and has what it sent sent back.
EXCHANGE = """
    import socket, sys
    from mqtt_as import tls13

    def connect(port, name="localhost", settle=None, **settings):
        sock = socket.socket()
        sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        context = tls13.Context(**settings)
        if settle:
            settle(context)
        try:
            return context.wrap_socket(sock, server_hostname=name)
        except OSError as e:
            sock.close()
            print("refused:", e.args[0], e.args[1])

    def exchange(stream, data=b"question"):
        if stream:
            stream.write(data)
            print("same:", stream.read(len(data)) == data)
            stream.close()

    def read(path):
        with open(path, "rb") as f:
            return f.read()

    port, trusted = int(sys.argv[1]), read(sys.argv[2])
"""


def refused(text, certificate=0):
    return f"refused: 5 {text}" + (f" (certificate {certificate})" if certificate else "")


def run(mp, server, trusted, script, *args, **how):
    return mp(EXCHANGE + script, server.port, trusted, *args, options=HEAP, **how).lines


SAME = "\n    exchange(connect(port, cadata=trusted))\n"


@pytest.mark.core("armv6m")
@pytest.mark.firmware("x64")
def test_exchange(mp, server, authority, trusted):
    assert run(mp, server(certificate(authority)), trusted, SAME) == ["same: True"]


@pytest.mark.parametrize(
    "keys",
    [(P384, P384, P384), (P384, P384, P256), (RSA_4096, P384, P256), (RSA_4096, RSA, RSA), (RSA, RSA_4096), (P256, RSA)],
    ids=["P-384", "P-384 over P-256", "large public authority", "RSA", "RSA 4096", "RSA below P-256"],
)
def test_kinds_of_keys(mp, server, authorities, keys):
    files = certificate(authorities(*keys[:-1]), key=keys[-1])
    trusted = authorities(keys[0]).folder / "ca.der"
    assert run(mp, server(files), trusted, SAME) == ["same: True"]


def test_names(mp, server, authority, trusted):
    script = """
    for name in "127.0.0.1", "a.wild.test", "LOCALHOST", "127.0.0.2", "wild.test", None:
        try:
            exchange(connect(port, name, cadata=trusted))
        except ValueError as e:
            print(e)
    def unchecked(context):
        context.check_hostname = False
    exchange(connect(port, None, unchecked, cadata=trusted))
    """
    s = server(certificate(authority))
    other = refused("the certificate is for another name")
    missing = "server_hostname is neither a DNS name nor an IP address"
    assert run(mp, s, trusted, script) == ["same: True"] * 3 + [other] * 2 + [missing, "same: True"]
    assert len([e for e in s.errors if "ALERT_BAD_CERTIFICATE" in e]) == 2


def test_what_is_not_trusted(mp, server, authorities, authority, trusted):
    """Each with its own words, and with its own alert at the server's end."""
    stranger = authorities(P256, P256, name="strange")
    script = """
    exchange(connect(port, cadata=trusted))
    """
    early = "the certificate is not yet valid: is the clock right?"
    for issuer, how, text, alert in [
        (stranger, {}, "the certificate is of an authority that is not trusted", "UNKNOWN_CA"),
        (authority, {"years": (2020, 2021)}, "the certificate has expired", "CERTIFICATE_EXPIRED"),
        (authority, {"years": (2045, 2049)}, early, "CERTIFICATE_EXPIRED"),
        (authority, {"extensions": "basicConstraints=CA:false"}, "the certificate is for another name", "BAD_CERTIFICATE"),
    ]:
        s = server(certificate(issuer, **how))
        assert run(mp, s, trusted, script) == [refused(text)]
        assert alert in s.errors[0].upper().replace(" ", "_")


def test_clock_that_is_not_set(mp, server, authority, trusted):
    script = """
    class Clock:
        gmtime = tls13.time.gmtime
        @staticmethod
        def time():
            return 5
    tls13.time = Clock
    try:
        connect(port, cadata=trusted)
    except ValueError as e:
        print(e)
    exchange(connect(port, pin=sys.argv[3]))
    """
    files = certificate(authority)
    said = "set the clock: certificates cannot be verified without the time"
    assert run(mp, server(files), trusted, script, pin_of(files)) == [said, "same: True"]


def pin_of(files):
    """SHA-256 of the public key of a certificate, as docs/TLS13.md has one find it."""
    info = subprocess.check_output(["openssl", "x509", "-in", files[0], "-noout", "-pubkey"])
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(info.decode().replace("PUBLIC KEY", "CERTIFICATE"))).hexdigest()


def test_pinned_key(mp, server, tmp_path):
    """Of a certificate that signed itself and is one of an authority, as openssl makes them."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = f"openssl req -x509 -newkey {P256} -nodes -days 2 -subj /CN=any -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    script = """
    exchange(connect(port, pin=sys.argv[3]))
    exchange(connect(port, pin="00" * 32))
    exchange(connect(port, cadata=trusted))
    def anybody(context):
        context.verify_mode = tls13.CERT_NONE
    exchange(connect(port, settle=anybody))
    """
    lines = run(mp, server(files), files[0], script, pin_of(files))
    pin, name = refused("the server's public key is not the pinned one"), refused("the certificate is for another name")
    assert lines == ["same: True", pin, name, "same: True"]


@pytest.mark.parametrize("own", ["pem", "der", "none", "stranger's"])
def test_certificate_of_the_client(mp, server, authorities, authority, trusted, own):
    shown = (authorities(P256, name="strange") if own == "stranger's" else authority).issue("client", "client")
    suffix = "der" if own == "der" else "pem"
    script = """
    def identify(context):
        if sys.argv[3]:
            context.load_cert_chain(sys.argv[3], sys.argv[4])
    stream = connect(port, settle=identify, cadata=trusted)
    try:
        if sys.argv[5] == "refused":
            stream.read(1)
        exchange(stream)
    except OSError as e:
        print("refused:", e.args[0], e.args[1])
    """
    s = server(certificate(authority), verify_mode=ssl.CERT_REQUIRED)
    s.context.load_verify_locations(cadata=authority.chain + trusted.read_text())
    files = ("", "") if own == "none" else (f"{shown}.{suffix}", f"{shown}.key.{suffix}")
    lines = run(mp, s, trusted, script, *files, "refused" if own in ("none", "stranger's") else "accepted")
    if own == "none":
        assert lines == [refused("the server says: certificate required")]
    elif own == "stranger's":
        assert lines == [refused("the server says: unknown certificate authority")]
    else:
        assert lines == ["same: True"]


def test_application_protocol(mp, server, authority, trusted):
    chosen = []

    def serve(sock):
        chosen.append(sock.selected_alpn_protocol())
        Server.answer(sock)

    s = server(certificate(authority), serve)
    s.context.set_alpn_protocols(["x", "mqtt"])
    assert run(mp, s, trusted, '\n    exchange(connect(port, cadata=trusted, alpn="mqtt"))\n') == ["same: True"]
    assert chosen == ["mqtt"]


def test_a_megabyte_each_way(mp, server, authority, trusted):
    """With buffers for records of 16, 4 and 2 KB: OpenSSL heeds max_fragment_length."""
    script = """
    import select
    for buffer in 16640, 4352, 2304:
        stream = connect(port, cadata=trusted, buffer=buffer)
        stream.setblocking(False)
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLOUT)
        data = bytes(range(251)) * 64
        block = bytearray(4000)
        sent = got = 0
        same = True
        while got < 1 << 20:
            poll.modify(stream, select.POLLIN if sent == 1 << 20 else select.POLLIN | select.POLLOUT)
            for _, event in poll.ipoll(20000):
                if event & select.POLLOUT:
                    at = sent % 251
                    sent += stream.write(data[at:at + min(15000, (1 << 20) - sent)]) or 0
                if event & select.POLLIN:
                    n = stream.readinto(block) or 0
                    at = got % 251
                    same = same and block[:n] == data[at:at + n]
                    got += n
        print(sent, got, same)
        stream.close()
    """
    s = server(certificate(authority))
    assert run(mp, s, trusted, script) == ["1048576 1048576 True"] * 3
    assert s.errors == []


def test_byte_by_byte(mp, server, authority, trusted):
    proxy = Proxy(server(certificate(authority)))
    try:
        proxy.smooth()
        proxy.piece = 1
        assert run(mp, proxy, trusted, SAME) == ["same: True"]
    finally:
        proxy.close()


def test_end_of_the_stream(mp, server, authority, trusted):
    """With close_notify, and without: the first is an end, the second an error."""

    def serve(sock):
        sock.sendall(b"a line\nand half a l")
        if sock.recv(1) == b"1":
            sock.unwrap()

    script = """
    for how in b"1", b"2":
        stream = connect(port, cadata=trusted)
        stream.write(how)
        print(stream.readline())
        try:
            print(stream.read(100), stream.read(1))
        except OSError as e:
            print(e.args[1])
        stream.close()
        try:
            stream.write(b"after")
        except OSError as e:
            print(e.args[0])
    """
    assert run(mp, server(certificate(authority), serve), trusted, script) == [
        "b'a line\\n'",
        "b'and half a l' b''",
        "128",
        "b'a line\\n'",
        "the server closed the connection without saying so in TLS",
        "5",
    ]


def test_settings_that_cannot_work(mp, server, authorities, authority, trusted):
    other = authorities(P384).issue("other", key=P384)
    own = authority.issue("client", "client")
    script = """
    cert, other, own = sys.argv[3:]
    def attempt(call):
        try:
            call()
        except (ValueError, OSError) as e:
            print(type(e).__name__, e)
    attempt(lambda: tls13.Context().wrap_socket(socket.socket()))
    attempt(lambda: tls13.Context(cadata=b"rubbish"))
    attempt(lambda: tls13.Context(cadata=read(own)))
    attempt(lambda: tls13.Context(pin="00"))
    attempt(lambda: tls13.Context().load_cert_chain(cert, other))
    attempt(lambda: tls13.Context(cadata=b"\\x30\\x03\\x02\\x01\\x00").wrap_socket(socket.socket(), server_hostname="a"))
    attempt(lambda: connect(port, cadata=trusted, buffer=1000))
    attempt(lambda: tls13.Context(1))
    class Shallow:
        stack_use = int
    micropython, tls13.micropython = tls13.micropython, Shallow
    attempt(lambda: tls13.Context(cadata=trusted).wrap_socket(socket.socket(), server_hostname="a"))
    tls13.micropython = micropython
    class Os:
        pass
    tls13.os = Os
    attempt(lambda: tls13.Context(cadata=trusted).wrap_socket(socket.socket(), server_hostname="a"))
    """
    lines = run(mp, server(certificate(authority)), trusted, script, f"{own}.pem", f"{other}.key.pem", f"{own}.key.pem")
    assert re.fullmatch(r"OSError .*ENOMEM: tls13: needs \d+ bytes of stack, this port has 0 left", lines[-2])
    assert lines == [
        "ValueError tls13: load_verify_locations() an authority, give a pin, or set verify_mode to CERT_NONE",
        "ValueError neither DER nor PEM with a CERTIFICATE",
        "ValueError neither DER nor PEM with a CERTIFICATE",
        "ValueError pin: SHA-256 of the server's public key, 32 bytes or 64 hexadecimal digits",
        "ValueError the key is not one of P-256 in DER or PEM, or is encrypted",
        "ValueError cadata holds what is no certificate",
        "ValueError the buffers are too small",
        "ValueError tls13 has clients only",
        lines[-2],
        "OSError tls13: this port has no os.urandom, and so no keys that nobody can guess",
    ]


def test_asyncio_stream(mp, server, authority, trusted):
    """asyncio.open_connection(ssl=...), while another task goes on during the handshake."""
    script = """
    import asyncio
    context = tls13.Context(cadata=trusted)
    turns = 0
    async def other():
        global turns
        while True:
            turns += 1
            await asyncio.sleep(0)
    async def main():
        task = asyncio.create_task(other())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"a line\\n" + bytes(50000))
        await writer.drain()
        print(await reader.readline(), turns > 4)
        data = await reader.readexactly(50000)
        print(data == bytes(50000))
        writer.close()
        await writer.wait_closed()
        task.cancel()
    asyncio.run(main())
    """
    assert run(mp, server(certificate(authority)), trusted, script) == ["b'a line\\n' True", "True"]


# Publishes to itself over a broker, and again after the broker was started anew.
CLIENT = """
    from mqtt_as import tls13

    with open(sys.argv[1], "rb") as f:
        context = tls13.Context(cadata=f.read())
    if len(sys.argv) > 2:
        context.load_cert_chain(sys.argv[2] + ".pem", sys.argv[2] + ".key.pem")

    config.update(ssl=context, ssl_params={"server_hostname": "localhost"})

    async def up(client):
        await client.subscribe("t", 1)
        print("subscribed")

    config.update(subs_cb=lambda topic, msg, retained: print("message", len(msg)), connect_coro=up)

    async def main(client):
        try:
            await client.connect()
        except OSError as e:
            print("refused:", e)
        while line := await told():
            await client.publish("t", bytes(int(line)), qos=1)
            print("published")
        await client.disconnect()
"""


@pytest.fixture
def broker13(brokers, authority):
    def start(*lines):
        chain, key = certificate(authority)
        return brokers(f"certfile {chain}", f"keyfile {key}", "tls_version tlsv1.3", *lines)

    return start


@pytest.mark.core("armv6m")
@pytest.mark.firmware("x64")
def test_client(clients, broker13, trusted):
    broker = broker13()
    p = clients.start(broker, CLIENT, trusted, options=HEAP, config={"response_time": 20})
    for _ in range(2):
        p.expect("subscribed", 60)
        for size in (0, 1000, 100_000):
            p.send(str(size))
            p.expect(f"message {size}$", 60)
            p.expect("published")
        broker.restart()
    p.expect("subscribed", 60)
    end(p)


def test_client_with_a_certificate(clients, broker13, authority, authorities, trusted):
    (trusted.parent / "both.pem").write_text(authority.chain + trusted.read_text())
    broker = broker13(f"cafile {trusted.parent}/both.pem", "require_certificate true")
    p = clients.start(broker, CLIENT, trusted, authority.issue("client", "client"), options=HEAP)
    p.expect("subscribed")
    end(p)


def test_client_that_does_not_trust(clients, broker13, authorities):
    p = clients.start(broker13(), CLIENT, authorities(P256, name="strange").folder / "ca.pem", options=HEAP)
    p.expect("refused: .*the certificate is of an authority that is not trusted")
    p.kill()


def test_umqtt(mp, broker13, trusted):
    """The broker is known by its address, which its certificate has."""
    script = """
    from umqtt.simple import MQTTClient
    client = MQTTClient("id", "127.0.0.1", port, ssl=tls13.Context(cadata=trusted))
    client.set_callback(lambda topic, message: print(topic, len(message)))
    client.connect()
    client.subscribe(b"t")
    client.publish(b"t", bytes(10000))
    client.wait_msg()
    client.disconnect()
    """
    assert run(mp, broker13(), trusted, script) == ["b't' 10000"]
