"""Sockets and TLS libraries as other ports have them: what the client does to them, see fixtures/sockets.py."""

import shutil
import socket
import threading
from pathlib import Path

import pytest
from fixtures.client import end
from fixtures.ports import HOST, free_port

HELLO, DONE = b"hello\n", b"done\n"
PORTS = ["lwip", "esp32", "nano"]
LIBRARIES = ["axtls", "mbedtls 2.28", "mbedtls 3"]

# Tells of connections and messages; publishes "n" on each line that it is sent, at this QoS, from so many tasks.
SCRIPT = """
    import socket
    mqtt_as.client._backoff = lambda n: 50

    async def told_of(up):
        print("wifi", up)

    config.update(subs_cb=show, wifi_coro=told_of, clean=False, clean_init=False)

    async def publish(client, numbers, qos):
        for n in numbers:
            await client.publish("t", str(n), qos=qos)

    async def main(client):
        print(await outcome(client.connect(quick=True)), "options", socket.options)
        while True:
            line = await told()
            if not line:
                break
            count, tasks, qos = eval(line)
            await asyncio.gather(*(publish(client, range(task, count, tasks), qos) for task in range(tasks)))
            print("published", count)
        print("asked", socket.asked)
"""


@pytest.fixture
def play(clients, mp):
    """Starts SCRIPT, or another, on such a port."""

    def start(peer, port, tls=None, script=SCRIPT, prepare="", **config):
        shutil.copy(Path(__file__).parent / "fixtures" / "sockets.py", mp.folder)
        if tls:
            config = {"ssl": True, **config}
        return clients.start(peer, script, config=config, first=f"import sockets\nsockets.play({port!r}, {tls!r})\n{prepare}")

    return start


def sound(p):
    """The script ends, and nothing was done that a board does not forgive."""
    result = end(p)
    assert "FAULT" not in result.out, result
    return result


def packets(c, count):
    """So many publications: what was in them."""
    return [c.expect("30 # *")[5:] for _ in range(count)]


def serve(c, got=None):
    """Answers what is to be answered until the connection ends; `got` gets the publications."""

    def run():
        try:
            while True:
                packet = c.packet()
                if packet[0] == 0xC0:
                    c.send("d0 00")
                elif packet[0] & 0xF0 == 0x30:
                    at = 7 if packet[0] & 6 else 5
                    if got is not None:
                        got.append(packet[at:])
                    if at == 7:
                        c.send(b"\x40\x02" + packet[5:7])
        except (AssertionError, OSError):
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


# --- connections


@pytest.mark.parametrize("port", PORTS)
def test_connect(play, peer, port):
    """Over an address that refuses, and with no option where it does harm."""
    names = {"broker": ["127.0.0.2", HOST]}
    p = play(peer, port, server="broker", prepare=f"sockets.names.update({names})")
    c = peer.accept()
    c.accept_connect()
    options = [] if port == "nano" else [(6, 1, 1)]
    assert eval(p.expect("None options (.*)")[1])[-1:] == options
    c.send("30 # \"t\" 'm'")
    p.expect("message b't' b'm'")
    p.send("3, 1, 0")
    assert packets(c, 3) == [b"0", b"1", b"2"]
    sound(p)


@pytest.mark.parametrize("port", PORTS)
def test_refused(play, port):
    """The attempt ends, and so does what is done to its socket."""

    class Nobody:
        host, port = HOST, free_port()

    p = play(Nobody, port)
    p.expect("OSError options")
    sound(p)


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("port", PORTS)
def test_reset(play, peer, port, qos):
    """A reset is found by a read; what there is to write by then waits for the next connection."""
    p = play(peer, port)
    c = peer.accept()
    c.accept_connect()
    p.expect("options")
    for _ in range(3):
        p.send(f"100, 4, {qos}")
        c.packet()
        c.send("30 # \"t\" 'm'", "32 # \"t\" 00 01 'm'")  # to be answered
        c.reset()
        c = peer.accept()
        c.accept_connect("20 02 01 00")
        serving = serve(c)
        p.expect("published 100")
        c.sock.shutdown(socket.SHUT_RDWR)
        serving.join()
        c = peer.accept()
        c.accept_connect("20 02 01 00")
    sound(p)


@pytest.mark.parametrize("port", PORTS)
def test_write_that_fails(play, peer, port):
    """Nothing is written behind it, and nothing read: not even what there is."""
    script = SCRIPT.replace("count, tasks, qos = eval(line)", "count, tasks, qos = eval(line); socket.broken = 1")
    p = play(peer, port, script=script)
    c = peer.accept()
    c.accept_connect()
    p.expect("options")
    c.send("32 # \"t\" 00 01 'm'")
    p.send("5, 1, 0")
    c.closed()
    c = peer.accept()
    c.accept_connect()
    p.expect("published 5")
    sound(p)


def test_connect_packet_that_cannot_be_written(play, peer):
    """No reader begins on that connection."""
    p = play(peer, "lwip", prepare="sockets.broken = 1")
    peer.accept()
    p.expect("OSError options")
    sound(p)


# --- a queue that is full


@pytest.mark.parametrize("tasks", [1, 4])
@pytest.mark.parametrize("size", [0, 300])
def test_stalled_link(play, peer, tasks, size):
    """Where poll() does not tell that lwIP's queue is full, publishers wait before it is, and nothing is lost."""
    script = SCRIPT.replace("str(n)", f"str(n) + {size} * ' '")
    p = play(peer, "lwip", script=script)
    c = peer.accept()
    c.accept_connect()
    p.expect("options")
    p.send(f"200, {tasks}, 0")
    got = set()
    while len(got) < 200:
        packet = c.packet()
        if packet[0] == 0xC0:
            c.send("d0 00")
        else:
            got.add(int(packet[packet.index(b"t") + 1 :]))
    p.expect("published 200")
    assert got == set(range(200))
    sound(p)


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("port", ["full", "no memory"])
def test_no_room_for_now(play, peer, port, qos):
    """ENOBUFS and ENOMEM mean that it is to be written later: the connection stays."""
    p = play(peer, port)
    c = peer.accept()
    c.accept_connect()
    p.expect("options")
    p.send(f"20, 4, {qos}")
    got = []
    for _ in range(20):
        packet = c.packet()
        if qos:
            c.send(b"\x40\x02" + packet[5:7])
        got.append(int(packet[7 if qos else 5 :]))
    p.expect("published 20")
    assert sorted(got) == list(range(20))
    assert "False" not in sound(p).out


# --- TLS


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("port", PORTS)
def test_tls(play, peer, port, library):
    """Not a byte of the application's before the handshake is over, however long that takes."""
    p = play(peer, port, library, user="alice", password="secret")
    c = peer.accept()
    assert c.read(len(HELLO)) == HELLO
    c.quiet(0.3)
    c.send(DONE[:2])
    c.quiet(0.2)
    c.send(DONE[2:])
    c.accept_connect()
    p.expect("None options")
    p.send("3, 1, 0")
    assert packets(c, 3) == [b"0", b"1", b"2"]
    c.send("30 # \"t\" 'm'")
    p.expect("message b't' b'm'")
    sound(p)


def test_axtls_told_to_defer_the_handshake(play, peer):
    """Which would send the first packet in clear: it is not deferred."""
    p = play(peer, "lwip", "axtls", ssl_params={"do_handshake": False})
    c = peer.accept()
    assert c.read(len(HELLO)) == HELLO
    c.quiet(0.3)
    c.send(DONE)
    c.accept_connect()
    p.expect("None options")
    sound(p)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["silent", "closed", "another"])
def test_tls_handshake_that_fails(play, peer, library, how):
    p = play(peer, "lwip", library, response_time=1)
    c = peer.accept()
    assert c.read(len(HELLO)) == HELLO
    if how == "closed":
        c.close()
    elif how == "another":
        c.send("'220 mail'")
    p.expect("(OSError|ValueError) options", timeout=10)
    if how != "closed":
        assert c.closed() == b""
    sound(p)


@pytest.mark.parametrize("library", ["mbedtls 2.28", "mbedtls 3"])
def test_other_tasks_go_on_during_the_handshake(play, peer, library):
    """Where the library holds back what is written until it is over."""
    script = SCRIPT.replace(
        "    async def main(client):",
        """
    async def tick():
        while True:
            print("tick")
            await asyncio.sleep_ms(50)

    async def main(client):
        asyncio.create_task(tick())""",
    )
    p = play(peer, "esp32", library, script=script)
    c = peer.accept()
    assert c.read(len(HELLO)) == HELLO
    for _ in range(5):
        p.expect("tick")
    c.send(DONE)
    c.accept_connect()
    p.expect("None options")
    sound(p)


# --- names


def test_addresses_are_kept(play, peer):
    """Who asks for a name may stand still for seconds: not in each attempt of an outage, and an answer that fails is none."""
    prepare = f"sockets.names['broker'] = ['{HOST}']; sockets.pause = 500"
    script = SCRIPT.replace("count, tasks, qos = eval(line)", "socket.names.clear(); continue")
    p = play(peer, "lwip", server="broker", script=script, prepare=prepare)
    c = peer.accept()
    c.accept_connect()
    p.expect("options")
    p.send("no more answers")
    for _ in range(4):
        c.reset()
        p.expect("wifi False")
        c = peer.accept()  # which does not answer
        c.close()
        c = peer.accept()
        c.accept_connect()
        p.expect("wifi True")
    assert int(sound(p).out.split("asked ")[1]) <= 2


def test_addresses_are_asked_for_anew(play, peer):
    """When none of them leads to the broker any more."""
    prepare = "sockets.names['broker'] = ['127.0.0.2']"
    script = SCRIPT.replace(
        'print(await outcome(client.connect(quick=True)), "options", socket.options)',
        f"""
        print(await outcome(client.connect(quick=True)), "first")
        socket.names["broker"] = ["{HOST}"]
        print(await outcome(client.connect(quick=True)), "second")""",
    )
    p = play(peer, "esp32", server="broker", script=script, prepare=prepare)
    p.expect("OSError first")
    c = peer.accept()
    c.accept_connect()
    p.expect("None second")
    sound(p)
