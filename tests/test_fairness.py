"""A flood of messages: other tasks, the REPL and what is scheduled get their turn, publishing goes on, Ctrl-C ends it.
Counted in messages, not in time."""

import threading

import pytest
from bench.load import Flood
from fixtures.client import end
from fixtures.peer import encode

pytestmark = pytest.mark.firmware("x64")

MESSAGES = 4000
BURST = 16  # messages taken before other tasks get their turn

FLOODED = """
n = 0

def count(*_):
    global n
    n += 1

config["subs_cb"] = count

async def some(least):
    while n < least:
        await asyncio.sleep_ms(0)

async def main(client):
    await client.connect()
    await client.subscribe("t", QOS)
    await some(1)
    await beside(client)
    await told()
"""


class Endless(Flood):
    """Messages without end, to one client after another."""

    def __init__(self):
        super().__init__()
        self._over = threading.Event()

    def start(self, qos):
        """For the client that connects next."""
        threading.Thread(target=self.serve, args=(self._over.is_set, qos), daemon=True).start()

    def close(self):
        self._over.set()
        super().close()


@pytest.fixture
def endless():
    flood = Endless()
    yield flood
    flood.close()


def flooded(clients, peer, beside, qos=0, ibufsize=50):
    """A client with so many messages in its socket, beside which it does what the coroutine `beside` says."""
    p = clients.start(peer, f"QOS = {qos}\nmqtt_as.IBUFSIZE = {ibufsize}\n" + FLOODED + beside)
    c = peer.accept()
    c.accept_connect()
    packet = c.expect('82 # .. .. "t" *')
    identifiers = range(1, MESSAGES + 1)
    flood = [f'3{2 * qos} # "t" {f"{n >> 8:02x} {n & 255:02x}" if qos else ""} {"00 " * 10}' for n in identifiers]
    c.send(b"\x90\x03" + packet[2:4] + bytes([qos]) + b"".join(map(encode, flood)))
    return p, c


@pytest.mark.parametrize("ibufsize", [50, 4096])
@pytest.mark.parametrize("qos", [0, 1])
def test_other_tasks_get_their_turn(clients, peer, qos, ibufsize):
    beside = f"""
async def beside(client):
    most = 0
    while n < {MESSAGES}:
        before = n
        await asyncio.sleep_ms(0)
        most = max(most, n - before)
    print("most", most)
"""
    p, _ = flooded(clients, peer, beside, qos, ibufsize)
    assert p.expect(r"most (\d+)")[1] == str(BURST)
    end(p)


def test_publishing_goes_on(clients, peer):
    """publish() at QoS 0 returns at once, the flood going on; what it writes does not wait for the flood's end."""
    beside = """
async def beside(client):
    before = n
    for _ in range(32):
        await client.publish("u", "m")
    print("meanwhile", n - before)
"""
    p, c = flooded(clients, peer, beside)
    for _ in range(32):
        c.expect("30 # \"u\" 'm'")
    assert int(p.expect(r"meanwhile (\d+)")[1]) <= 2 * BURST
    end(p)


@pytest.mark.parametrize("qos", [0, 1])
def test_a_repl_answers(clients, endless, qos):
    """One that takes a character a turn, as aiorepl does. What it is told types the next line, at a message known."""
    beside = r"""
keys = open("/proc/self/fd/0", "w")

async def beside(client):
    line = ""
    while c := await _stdin.read(1):
        line += c
        if c == "\n":
            print("answer", eval(line))
            line = ""
"""
    endless.start(qos)
    p = clients.start(endless, f"QOS = {qos}\n" + FLOODED + beside)
    meanwhile = 0
    for _ in range(10):
        p.send(r"keys.write('n - %d\n' % n)")
        characters, messages = (int(p.expect(r"^answer (\d+)$")[1]) for _ in range(2))
        assert messages <= 2 * BURST * characters
        meanwhile += messages
    assert meanwhile
    p.send("keys.close()")  # that of the test is now the only one: its end is seen
    end(p)


@pytest.mark.parametrize("qos", [0, 1])
def test_what_is_scheduled_gets_its_turn(clients, peer, qos):
    """WebREPL, dupterm and interrupts of boards come by the scheduler."""
    beside = f"""
from micropython import schedule

async def beside(client):
    last = n
    most = 0

    def turn(_):
        nonlocal last, most
        most = max(most, n - last)
        last = n
        if n < {MESSAGES}:
            schedule(turn, 0)

    turn(0)
    await some({MESSAGES})
    print("most", most)
"""
    p, _ = flooded(clients, peer, beside, qos)
    assert p.expect(r"most (\d+)")[1] == str(BURST)
    end(p)


@pytest.mark.parametrize("qos", [0, 1])
def test_what_a_thread_schedules_gets_its_turn(clients, endless, qos):
    """Beside the client, as an interrupt does; nothing else runs that would let it."""
    beside = """
import _thread
from micropython import schedule

async def beside(client):
    done = asyncio.Event()
    before = n
    turns = 0
    due = False

    def turn(_):
        nonlocal turns, due
        turns += 1
        due = False
        if turns >= 100 and n - before >= 1000:
            done.set()

    def interrupt():
        nonlocal due
        while not done.is_set():
            if not due:
                due = True
                schedule(turn, 0)

    _thread.start_new_thread(interrupt, ())
    await done.wait()
    print("done")
"""
    endless.start(qos)
    p = clients.start(endless, f"QOS = {qos}\n" + FLOODED + beside)
    p.expect("done")
    end(p)


@pytest.mark.parametrize("place", ["callback", "task"])
@pytest.mark.parametrize("qos", [0, 1])
def test_ctrl_c_ends_it(clients, endless, qos, place):
    """KeyboardInterrupt, and no message more; after close() the client can be used again.

    The signal comes during a call to the system: the unix port raises in the midst of whatever it does, which one time in
    some hundred leaves it hung or its heap locked, without any client too.
    """
    script = f"""
QOS = {qos}
{FLOODED}
at = 1000 if "{place}" == "callback" else 0

def interruptible():
    print("flooded", n)
    time.sleep(15)

def count(*_):
    global n
    n += 1
    if n == at:
        interruptible()

config["subs_cb"] = count

async def beside(client):
    if at == 0:
        interruptible()
    await some(n + 2000)
    print("again")

client = MQTTClient(config)
Client = lambda _: client
try:
    asyncio.run(main(client))
except KeyboardInterrupt:
    print("interrupted", n)
client.close()
asyncio.new_event_loop()
at = -1
"""
    endless.start(qos)
    p = clients.start(endless, script)
    before = p.expect(r"^flooded (\d+)")[1]
    p.signal()
    assert p.expect(r"^interrupted (\d+)")[1] == before
    endless.start(qos)
    p.expect("^again")
    end(p)


def test_other_tasks_get_their_turn_beside_a_queue(clients, peer):
    """The room in the queue is not the burst."""
    script = f"""
        n = most = 0

        async def take(client):
            global n
            async for _ in client.queue:
                n += 1
                await asyncio.sleep_ms(0)

        async def main(client):
            global most
            await client.connect()
            asyncio.create_task(take(client))
            await client.subscribe("t", 0)
            while n < {MESSAGES}:
                before = client.queue.room()
                await asyncio.sleep_ms(0)
                most = max(most, before - client.queue.room())
            print("most", most)
            await told()
    """
    p = clients.start(peer, script, config={"queue_len": 1000})
    c = peer.accept()
    c.accept_connect()
    packet = c.expect('82 # .. .. "t" *')
    c.send(b"\x90\x03" + packet[2:4] + b"\0" + MESSAGES * encode(f'30 # "t" {"00 " * 10}'))
    assert 1 < int(p.expect(r"most (\d+)")[1]) <= BURST
    end(p)
