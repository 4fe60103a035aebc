"""A network that fails in all the ways there are: what the client does then, in 3.1.1 and 5."""

import time

import pytest
from fixtures.client import end

# Publishes what it is told to ("count size"; a size below 0: others do) and receives it back, at each QoS; tells of
# connections and of all that came.
SCRIPT = """
    if config["mqttv5"]:
        config["mqttv5_con_props"] = {0x11: 3600}
    config["clean"] = False
    mqtt_as.client._backoff = lambda n: 100 if n else 0  # ms
    got = {0: [], 1: [], 2: []}

    def callback(topic, msg, retained, *properties):
        qos, n = bytes(msg).split()[:2]
        got[int(qos)].append(int(n))

    async def wifi(state):
        print("wifi", state)

    async def publish(client, qos, size, numbers):
        for n in numbers:
            await client.publish("t", b"%d %d " % (qos, n) + bytes(size), qos=qos)

    def came(numbers):
        once = list(numbers)
        return sorted(set(got[1])) == once and sorted(got[2]) == once

    config.update(subs_cb=callback, wifi_coro=wifi)

    ballast = []
    def spare(words):  # As little memory as boards have
        gc.collect()
        while gc.mem_free() > words * (8 if sys.maxsize >> 32 else 4):
            ballast.append(bytearray(240))

    async def main(client):
        if len(sys.argv) > 1:
            spare(int(sys.argv[1]))
        await client.connect()
        await client.subscribe("t", 2)
        print("ready")
        last = 0
        while True:
            line = await told()
            if not line:
                break
            count, size = map(int, line.split())
            numbers = range(last, last + count)
            last += count
            tasks = []
            if size >= 0:
                tasks = [asyncio.create_task(publish(client, qos, size, numbers)) for qos in (0, 1, 2)]
            print("publishing")
            for t in tasks:
                await t
            print("published")
            await until(lambda: came(range(last)), 30)
            print("QoS 0", len(got[0]), "in order", got[0] == sorted(got[0]), "twice", len(got[0]) - len(set(got[0])))
            print("QoS 1 in order", got[1] == sorted(got[1]), "twice", len(got[1]) - len(set(got[1])))
            print("QoS 2 in order", got[2] == sorted(got[2]), "twice", len(got[2]) - len(set(got[2])))
            print("done", last, "open", len(client.rcv_pids))
            gc.collect()
        print("connections", client._connections)
        await client.disconnect()
"""

pytestmark = [
    pytest.mark.parametrize("v5", [False, True], ids=["3.1.1", "5"]),
    # the broker has to keep what it cannot deliver yet
    pytest.mark.broker("max_queued_messages 0", "max_inflight_messages 20"),
]


@pytest.fixture
def start(clients, proxy, v5):
    def start(*spare, heap="8m", **config):
        config = {"mqttv5": v5, "keepalive": 8, "response_time": 2, **config}
        p = clients.start(proxy, SCRIPT, *spare, config=config, options=("-X", f"heapsize={heap}"))
        p.expect("ready")
        return p

    return start


def complete(p, count, lost=False, again=False):
    """All `count` messages of each QoS came, in order and once; QoS 0 may be `lost`, QoS 1 may come `again`."""
    came = p.expect(r"QoS 0 (\d+) in order True twice 0", timeout=60)
    assert lost or int(came[1]) == count
    p.expect("QoS 1 in order (True|False) twice [0-9]+" if again else "QoS 1 in order True twice 0")
    p.expect("QoS 2 in order True twice 0")
    p.expect(f"done {count} open 0")


def connections(p):
    """How often it has connected, told at its end; clean_init connects once more in 3.1.1."""
    return int(p.expect(r"connections (\d+)")[1])


def undisturbed(p, proxy, v5):
    p.send("")
    assert connections(p) == proxy.accepted == (1 if v5 else 2)
    end(p)


def test_delay(start, proxy, v5):
    proxy.delay = 0.1
    p = start()
    p.send("10 10")
    complete(p, 10)
    undisturbed(p, proxy, v5)


@pytest.mark.core(few=True)
def test_single_bytes(start, proxy, v5):
    """From the CONNECT on: at whatever byte a read ends, the packet is put together."""
    proxy.piece, proxy.pause = 1, 0.0005
    p = start()
    p.send("10 150")  # a remaining length of two bytes
    complete(p, 10)
    undisturbed(p, proxy, v5)


def test_single_bytes_of_a_large_packet(start, proxy, v5):
    p = start()
    proxy.piece = 1
    p.send("1 17000")  # a remaining length of three bytes
    complete(p, 1)
    undisturbed(p, proxy, v5)


@pytest.mark.parametrize("piece", [2, 3, 5, 7, 1000])
def test_pieces(start, proxy, v5, piece):
    proxy.piece, proxy.pause = piece, 0.0002
    p = start()
    p.send("20 125")  # some packets have a remaining length of one byte, some of two
    complete(p, 20)
    undisturbed(p, proxy, v5)


@pytest.mark.parametrize("size", [0, 300])
def test_coalesced(start, proxy, observer, v5, size):
    """Many packets in one read: more than a burst of callbacks, more than the buffer."""
    p = start()
    proxy.gather = 0.3
    p.send("60 -1")
    for n in range(60):
        for qos in range(3):
            observer.client.publish("t", b"%d %d " % (qos, n) + bytes(size), qos)
    complete(p, 60)
    proxy.gather = 0.02
    p.send("15 0")
    complete(p, 75)
    undisturbed(p, proxy, v5)


def test_throttled(start, proxy, v5):
    """A slow network is no reason to give up: what takes longer than response_time, but moves, goes through."""
    p = start(response_time=2)
    proxy.rate = 25_000
    p.send("1 15000")
    complete(p, 1, again=True)
    undisturbed(p, proxy, v5)


@pytest.mark.core(few=True)
@pytest.mark.parametrize("size", [5, 20_000])
def test_reset(start, proxy, v5, size):
    """Again and again while messages are under way in both directions."""
    p = start()
    p.send(f"{200 if size < 100 else 40} {size}")
    p.expect("publishing")
    proxy.pause = 0.002
    for _ in range(4):
        time.sleep(0.3)
        proxy.cut()
    proxy.smooth()
    complete(p, 200 if size < 100 else 40, lost=True, again=True)
    p.send("")
    assert connections(p) >= 3
    end(p)


@pytest.mark.core(few=True)
@pytest.mark.parametrize("where", ["client", "server"])
def test_half_closed(start, proxy, v5, where):
    """One direction ends while the other goes on: that is the end of the connection, seen at once."""
    p = start(keepalive=60, response_time=20)
    for n in range(1, 4):
        p.send("50 50")
        p.expect("publishing")
        proxy.half_close(where)
        p.expect("wifi False", timeout=10)
        p.expect("wifi True", timeout=10)
        complete(p, n * 50, lost=True, again=True)
    end(p)


@pytest.mark.core(few=True)
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_black_hole(start, proxy, v5, busy):
    """Connections are taken, bytes are lost, no end is told: noticed by what is not answered, or by the ping."""
    p = start(keepalive=4, response_time=1)
    proxy.swallow()
    if busy:
        p.send("30 50")
    p.expect("wifi False", timeout=10)
    accepted = proxy.accepted
    time.sleep(2)
    assert proxy.accepted > accepted  # it goes on trying
    proxy.release()
    p.expect("wifi True")
    if not busy:
        p.send("30 50")
    complete(p, 30, lost=busy, again=busy)
    p.send("")
    end(p)


def test_black_hole_while_publishing(start, proxy, v5):
    """Messages are cut at whatever byte; the server, too, finds out only when the client comes back."""
    p = start(keepalive=4, response_time=1)
    p.send("300 400")
    p.expect("publishing")
    proxy.pause = 0.002
    for _ in range(2):
        time.sleep(0.2)
        proxy.swallow()
        p.expect("wifi False", timeout=10)
        proxy.release()
        p.expect("wifi True")
    proxy.smooth()
    complete(p, 300, lost=True, again=True)
    end(p)


def test_standstill(start, proxy, v5):
    """A network that stands still for less than response_time costs nothing but that time."""
    p = start(response_time=5)
    p.send("40 50")
    p.expect("publishing")
    for _ in range(3):
        proxy.hold()
        time.sleep(0.7)
        proxy.release()
        time.sleep(0.05)
    complete(p, 40)
    undisturbed(p, proxy, v5)


@pytest.mark.core(few=True)
def test_refused_connections(start, proxy, v5):
    p = start()
    proxy.refuse()
    proxy.cut()
    p.expect("wifi False")
    p.send("20 50")
    time.sleep(1)
    proxy.listen()
    complete(p, 20)
    end(p)


def test_one_fault_after_another(start, proxy, v5):
    """Each fault strikes while the client still mends the one before."""
    p = start(keepalive=4, response_time=1)
    p.send("400 30")
    p.expect("publishing")
    for fault in (
        proxy.cut,
        proxy.half_close,
        proxy.hold,
        proxy.cut,
        proxy.swallow,
        proxy.release,
        proxy.cut,
        proxy.half_close,
    ):
        fault()
        time.sleep(0.25)
    complete(p, 400, lost=True, again=True)
    end(p)


@pytest.mark.core(few=True)
def test_little_memory(start, proxy, observer, v5):
    """16 KB of the heap are free, as on an ESP8266: what fits goes through any fault; what does not costs the connection."""
    p = start(4_000, heap="200k")
    p.send("30 200")
    p.expect("publishing")
    proxy.pause = 0.002
    for fault in (proxy.cut, proxy.half_close, proxy.cut):
        time.sleep(0.3)
        fault()
    proxy.smooth()
    complete(p, 30, lost=True, again=True)
    for n in range(3):
        observer.publish("t", bytes(40_000))
        p.expect("wifi False")
        p.expect("wifi True")
        p.send("5 200")
        complete(p, 35 + 5 * n, lost=True, again=True)
    end(p)


# --- a stream that raises, as TLS does

RAISES = """
    import io

    class Stream(io.IOBase):
        broken = False
        def __init__(self, sock):
            self.sock = sock
        def readinto(self, buf):
            return self.sock.readinto(buf)
        def write(self, buf):
            if Stream.broken:
                Stream.broken = False
                raise OSError(104)
            return self.sock.write(buf)
        def ioctl(self, request, flags):
            return self.sock.fileno() if request == 10 else -1  # MP_STREAM_GET_FILENO, for poll
        def close(self):
            self.sock.close()

    class TLS:
        def wrap_socket(self, sock, **_):
            return Stream(sock)

    def callback(topic, msg, retained, properties=None):
        print("message")
        Stream.broken = True
    config.update(ssl=TLS(), subs_cb=callback, clean=False, clean_init=False)
"""


def test_answer_before_a_stream_that_raises(clients, peer, v5):
    """The acknowledgement of a message cannot be written: the answer that came behind that message counts all the same."""
    script = """
    async def main(client):
        await client.connect()
        await client.publish("u", "mine", qos=1)
        print("published")
        await told()
    """
    none = " 00" if v5 else ""
    p = clients.start(peer, RAISES + script, config={"mqttv5": v5})
    c = peer.accept()
    c.accept_connect("20 # 00 00" + none)
    packet = c.expect("32 # *")
    pid = packet[5:7].hex(" ")
    c.send(f"32 # \"t\" 00 07{none} 'm'", f"40 02 {pid}")
    p.expect("message")
    c = peer.accept()
    c.accept_connect("20 # 01 00" + none)
    try:  # either it knows, or it asks again
        packet = c.packet(timeout=3)
        if packet[0] == 0x3A:
            c.send(f"40 02 {pid}")
    except AssertionError:
        pass
    p.expect("published", timeout=5)
    end(p)


@pytest.mark.parametrize(
    "call, first",
    [("publish('t', 'm')", 0x30), ("publish('t', 'm', qos=1)", 0x32), ("subscribe('t')", 0x82), ("unsubscribe('t')", 0xA2)],
)
def test_request_to_a_stream_that_raises(clients, peer, v5, call, first):
    """Who makes it does not learn of that: it goes over the next connection."""
    script = f"""
    async def main(client):
        await client.connect()
        Stream.broken = True
        await client.{call}
        print("done")
        await told()
    """
    none = " 00" if v5 else ""
    p = clients.start(peer, RAISES + script, config={"mqttv5": v5})
    peer.accept().accept_connect("20 # 00 00" + none)
    c = peer.accept()
    c.accept_connect("20 # 00 00" + none)
    packet = c.packet()
    assert packet[0] & 0xF7 == first
    if first == 0x32:
        c.send("40 02", packet[5:7])
    elif first == 0x82:
        c.send(f"90 # {packet[2:4].hex(' ')}{none} 00")
    elif first == 0xA2:
        c.send(f"b0 # {packet[2:4].hex(' ')}{' 00 00' if v5 else ''}")
    p.expect("done")
    end(p)
