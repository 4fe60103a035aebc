"""The client over lwIP as boards have it: what would crash a firmware, lose a message or stop a board's loop.

These run on x64+lwip (`pytest --arch x64+lwip`), whose cable the module `lan` holds, see tests/runtime/lwip/lan.c. There is
no proxy in between: what the host's sockets would take is not to be had on a board.
"""

import pytest
from fixtures.client import end

pytestmark = pytest.mark.lwip

STALL = 5000  # ms: tells lwIP's own wait of ten seconds from a computer that is busy; tests/bench/lwip measures

# Publishes from so many tasks and says, after "publishing", how long the loop stood still at most.
SCRIPT = """
    import lan

    connections = []

    async def told_of(up):
        connections.append(up)
        print("wifi", up)

    worst = 0

    async def tick():
        global worst
        while True:
            t = time.ticks_ms()
            await asyncio.sleep_ms(10)
            worst = max(worst, time.ticks_diff(time.ticks_ms(), t) - 10)

    if "together" in sys.argv:  # Small packets, as without TCP_NODELAY
        mqtt_as.transport._nodelay = lambda: None

    config.update(wifi_coro=told_of, clean=False, clean_init=False)
    mqtt_as.client._backoff = lambda n: 50

    async def publish(client, numbers, qos):
        for n in numbers:
            await client.publish("t", "%d of some twenty bytes" % n, qos=qos)

    async def main(client):
        asyncio.create_task(tick())
        await client.connect(quick=True)
        while True:
            line = await told()
            if not line:
                break
            r = eval(line)
            if hasattr(r, "send"):
                await r
            print("did", line.decode())
        print("worst", worst)

    def publishers(client, numbers, tasks, qos):
        return asyncio.gather(*(publish(client, numbers[n::tasks], qos) for n in range(tasks)))
"""


@pytest.fixture
def start(clients, broker):
    def start(server=broker, *args, **config):
        return clients.start(server, SCRIPT, *args, config=config)

    return start


def went_on(p):
    """The script's end: its loop has not stood still."""
    p.send("")
    worst = int(p.expect(r"worst (\d+)")[1])
    assert worst < STALL, f"all tasks waited for {worst} ms"
    return end(p)


def numbers(payloads):
    return sorted(int(p.split()[0]) for p in payloads)


def test_socket(mp):
    """The sockets of this runtime are lwIP's, and its queue is as small as an RP2's."""
    r = mp("import socket; print(socket.__name__, socket.socket())")
    assert r.out.startswith("lwip <socket state=0")


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("tasks", [1, 4])
@pytest.mark.parametrize("how, option", [("hold", ""), ("drop", ""), ("drop", "together")])
def test_dead_path(start, broker, observer, how, option, tasks, qos):
    """Publishers wait, nothing else does; what was published arrives when the path lives again, once."""
    observer.subscribe("t", qos)
    p = start(broker, option)
    p.expect("wifi True")
    p.send("publishers(client, range(200), 4, 0)")  # lwIP sends more and more at a time
    p.expect("did")
    p.send(f"lan.cable({how}=True)")
    p.expect("did")
    p.send(f"asyncio.create_task(publishers(client, range(200, 400), {tasks}, {qos})) and None")
    p.expect("did")
    p.send("asyncio.sleep(2)")
    p.expect("did", timeout=60)
    p.send("lan.cable()")
    assert numbers(observer.wait(400, timeout=20)) == list(range(400))
    result = went_on(p)
    assert "False" not in result.out


def test_dead_path_for_good(start, observer):
    """It is noticed in response_time, and what waited goes over the next connection."""
    observer.subscribe("t", 1)
    p = start(response_time=2)
    p.expect("wifi True")
    p.send("lan.cable(drop=True)")
    p.send("asyncio.create_task(publishers(client, range(100), 4, 1)) and None")
    p.expect("wifi False")
    p.send("lan.cable()")
    p.expect("wifi True")
    observer.wait(100, timeout=20)
    assert sorted(set(numbers(m.payload for m in observer.messages))) == list(range(100))
    went_on(p)


def test_refused(start, brokers):
    """A refusal is an ECONNRESET that the first read or write gets, and the next would crash later releases."""
    broker = brokers(start=False)
    result = start(broker).wait(check=False)
    assert result.code == 1 and "refused" in result.err, result
    broker.start()
    p = start(broker)
    p.expect("wifi True")
    went_on(p)


def test_refused_for_a_while(start, broker, observer):
    """The same in the attempts to connect again."""
    p = start()
    p.expect("wifi True")
    broker.kill()
    p.expect("wifi False")
    p.send("asyncio.sleep(1)")
    p.expect("did")
    broker.start()
    p.expect("wifi True")
    p.send("publish(client, range(5), 1)")
    p.expect("did publish")
    went_on(p)


def test_reset_while_publishing(start, peer):
    """What is to be written after the reset was read waits for the next connection."""
    p = start(peer)
    for _ in range(3):
        c = peer.accept()
        c.accept_connect()
        p.expect("wifi True")
        p.send("asyncio.create_task(publishers(client, range(100), 4, 0)) and None")
        c.expect("30 # *")
        c.send("32 # \"t\" 00 01 'm'")  # to be answered
        c.reset()
        p.expect("wifi False")
    peer.accept().accept_connect()
    p.expect("wifi True")
    went_on(p)


def test_pieces_of_a_burst(start, peer):
    """lwIP hands out what came in pieces, however much there is: all of it is read."""
    p = start(peer)
    c = peer.accept()
    c.accept_connect()
    p.expect("wifi True")
    c.send(*["32 # \"t\" 00 01 'm'"] * 300)
    for _ in range(300):
        c.expect("40 02 00 01")
    went_on(p)
