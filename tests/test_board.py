"""The client on a board: an emulated Raspberry Pi Pico with MicroPython's own lwIP, see tests/board.

Each test is a program on a board that is switched on once for each form: a plain MicroPython, on which tools/install puts
the client, and one that has the client in it.
"""

import binascii
import subprocess
import sys
import textwrap
import time
from datetime import datetime, timezone

import pytest
from fixtures.client import Clients
from fixtures.pico import FORMS, HOST, ROOT, Board, readme_program

pytestmark = pytest.mark.timeout(300)

WIFI = {"ssid": "emulated", "wifi_pw": "password", "response_time": 20}
NO_NETWORK, WRONG_PASSWORD, JOINED = -2, -3, 3
STALL = 100  # ms of the board's time for which the client may hold up other tasks while nothing gets through


@pytest.fixture(scope="session", params=[pytest.param(form, marks=pytest.mark.xdist_group(form)) for form in FORMS])
def switched_on(request, tmp_path_factory):
    subprocess.run([ROOT / "tests" / "board" / "build"], check=True)
    b = Board(request.param, tmp_path_factory.mktemp("board"))
    b.form = request.param
    if b.form == "mpy":
        command = [sys.executable, ROOT / "tools" / "install", b.tty]
        b.installed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    yield b
    b.close()


@pytest.fixture
def board(switched_on):
    yield switched_on
    for p in switched_on.end_programs():
        print(p._told())  # pytest shows it where a test fails
    for command in ("lose", ""), ("delay", 0), ("joins", JOINED):
        switched_on.tell(*command)


class FromBoard:
    """A server of this computer, as the board sees it."""

    host = HOST

    def __init__(self, server):
        self.port = server.port


# What the programs have: stall(), for how many ms the loop has stood still at most since the last call, and take(), the
# payloads of so many messages of the queue.
HEAD = """
async def take(client, count):
    came = []
    while len(came) < count:
        came.append((await client.queue.__anext__())[1])
    return came

worst = 0

async def watch():
    global worst
    while True:
        t = time.ticks_ms()
        await asyncio.sleep_ms(5)
        worst = max(worst, time.ticks_diff(time.ticks_ms(), t) - 5)

def stall():
    global worst
    ms, worst = worst, 0
    return ms

"""


@pytest.fixture
def start(board):
    """Starts a program on the board that has `async def main(client)`, as in fixtures.client."""

    def new(server, script, config=None):
        return Clients(board).start(FromBoard(server), HEAD + textwrap.dedent(script), config={**WIFI, **(config or {})})

    return new


def numbers(observer):
    """The numbers at the start of what it has received, in order."""
    return [int(m.payload.split()[0]) for m in observer.messages]


def eventually(ready, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


# --- what works


def test_where_it_is(board):
    """Installed, or in the firmware."""
    if board.form == "mpy":
        assert "The board takes armv6m_6.3" in board.installed
        assert board.installed.endswith(" works, in /lib\n")
    r = board.start("import mqtt_as, _mqtt_as\nprint(mqtt_as.__file__)").wait()
    assert r.lines == ["/lib/mqtt_as/__init__.mpy" if board.form == "mpy" else "mqtt_as/__init__.py"]


def test_readme(board, broker, observer):
    observer.subscribe("result", 1)
    p = board.start(readme_program(broker))
    broker.wait_log("\tfoo_topic (QoS 1)", 60)
    for qos in range(3):
        observer.publish("foo_topic", f"at-{qos}", qos)
        p.expect(f"^foo_topic at-{qos} False$")
    assert observer.wait(2, 30) == [b"0", b"1"]


EXCHANGE = """
config["queue_len"] = 50

async def main(client):
    asyncio.create_task(watch())
    await client.connect(quick=True)
    for qos in (0, 1, 2):
        topic = "echo/%d" % qos
        await client.subscribe(topic, qos)

        async def echo(payload):
            await client.publish(topic, payload, qos=qos)
            came = await client.queue.__anext__()
            assert (came[0].decode(), came[1]) == (topic, payload), (topic, len(payload), came[0], len(came[1]))

        for n in range(10):
            await echo(b"%d" % n)
        for size in {sizes}:
            await echo(bytes(size))
        await asyncio.gather(*(client.publish(topic, "%d" % n, qos=qos) for n in range(40)))
        came = sorted([int(payload) for payload in await take(client, 40)])
        print("QoS", qos, came == list(range(40)))
    await client.disconnect()
"""


@pytest.mark.parametrize("version", [4, 5])
def test_exchange(start, broker, version):
    p = start(broker, EXCHANGE.replace("{sizes}", "500, 2000, 10000"), {"mqttv5": version == 5})
    assert p.wait(90).lines == ["QoS 0 True", "QoS 1 True", "QoS 2 True"]


def test_tls(start, tls_broker, tmp_path):
    """The server's certificate is verified, by the time of now."""
    script = """
        import machine
        machine.RTC().datetime({now})
        config["ssl"] = True
        config["ssl_params"] = {{"server_hostname": "localhost", "cert_reqs": 2, "cadata": {cert}}}
    """
    t = datetime.now(timezone.utc)
    now = t.year, t.month, t.day, t.weekday(), t.hour, t.minute, t.second, 0
    top = script.replace("\n        ", "\n").format(now=now, cert=(tmp_path / "cert.der").read_bytes())
    p = start(tls_broker, top + EXCHANGE.replace("{sizes}", "500, 2000"), {"response_time": 30})
    assert p.wait(120).lines == ["QoS 0 True", "QoS 1 True", "QoS 2 True"]


def test_two_clients(start, broker):
    """They share the station."""
    script = """
        config["queue_len"] = 50

        async def main(client):
            config["client_id"] = "other"
            other = MQTTClient(config)
            both = client, other
            await asyncio.gather(*(c.connect(quick=True) for c in both))
            for c in both:
                await c.subscribe("both", 2)
            await asyncio.gather(*(c.publish("both", "%d" % n, qos=n % 3) for n in range(20) for c in both))
            for c in both:
                came = sorted([int(payload) for payload in await take(c, 40)])
                print(came == sorted(list(range(20)) * 2))
                await c.disconnect()
    """
    assert start(broker, script).wait(60).lines == ["True", "True"]


def test_pieces(start, broker, observer):
    """A message twice as long as the RAM."""
    script = """
        from binascii import crc32
        total = crc = longest = 0

        def piece(topic, data, retained, properties, offset, length):
            global total, crc, longest
            assert offset == total
            total += len(data)
            crc = crc32(data, crc)
            longest = max(longest, len(data))
            if total == length:
                print("complete", total, crc, longest)

        config["piece_cb"] = piece

        async def main(client):
            await client.connect(quick=True)
            await client.subscribe("large", 1)
            print("ready")
            await until(lambda: total == 500_000, 60)
            await client.disconnect()
    """
    payload = bytes(range(250)) * 2000
    p = start(broker, script)
    p.expect("ready", 60)
    observer.publish("large", payload, 1)
    assert p.expect(r"complete (\d+) (\d+)", 60).groups() == ("500000", str(binascii.crc32(payload)))
    p.wait()


def test_soft_resets(start, broker, observer):
    """Programs end at any moment and others begin; lwIP and the Wi-Fi know nothing of that."""
    script = """
        class Client(MQTTClient):
            def close(self):
                pass

        async def main(client):
            await client.connect(quick=True)
            gc.collect()
            print("free", gc.mem_free())
            n = 0
            while True:
                await client.publish("n", str(n), qos=n % 3)
                n += 1
    """
    observer.subscribe("n", 2)
    free = []
    for n in range(6):
        p = start(broker, script)
        free.append(int(p.expect(r"free (\d+)", 60)[1]))
        came = len(observer.messages)
        time.sleep(0.1 * n)
        eventually(lambda came=came: len(observer.messages) > came + 10, "it does not publish")
        p.kill()
    assert max(free) - min(free) < 1000


# --- much at once


def test_flood(board, start, broker, observer):
    """Publications at QoS 0 as fast as the program can, over a slow path."""
    script = """
        async def main(client):
            asyncio.create_task(watch())
            await client.connect(quick=True)
            print("ready")
            await asyncio.sleep(1)
            stall()
            for n in range(400):
                await client.publish("n", str(n))
            print("stall", stall())
            await asyncio.sleep(2)
            await client.disconnect()
    """
    observer.subscribe("n")
    p = start(broker, script)
    p.expect("ready", 60)
    board.tell("delay", 50)
    assert int(p.expect(r"stall (\d+)", 60)[1]) <= STALL
    p.wait()
    observer.wait(400)
    assert numbers(observer) == list(range(400))


def test_many_received(start, broker, observer):
    script = """
        got = 0

        def count(topic, message, retained):
            global got
            got += int(message) == got

        config["subs_cb"] = count

        async def main(client):
            asyncio.create_task(watch())
            await client.connect(quick=True)
            await client.subscribe("n", 1)
            print("ready")
            await until(lambda: got == 1000, 60)
            await client.disconnect()
    """
    p = start(broker, script)
    p.expect("ready", 60)
    for n in range(1000):
        last = observer.client.publish("n", str(n), 1)
    last.wait_for_publish(60)
    p.wait(60)


# --- what fails


def test_refused(start, broker):
    """Nobody listens: an error at once, that says so."""
    script = """
        async def main(client):
            asyncio.create_task(watch())
            for _ in range(3):
                t = time.ticks_ms()
                print(await outcome(client.connect(quick=True)), time.ticks_diff(time.ticks_ms(), t) < 5000)
            print("listen")
            while await outcome(client.connect(quick=True)):
                await asyncio.sleep(1)
            await client.publish("n", "1", qos=1)
            await client.disconnect()
    """
    broker.stop()
    p = start(broker, script)
    p.expect("listen", 60)
    broker.start()
    assert p.wait().lines[:3] == ["OSError True"] * 3
    assert "Received PUBLISH from id" in broker.log


OUTAGES = """
async def publish(client, qos):
    n = 0
    while not ended:
        await client.publish("n/%d" % qos, str(n), qos=qos)
        n += 1
        await asyncio.sleep_ms(50)
    print("sent", qos, n)

async def changes(client, event, name):
    while True:
        await event.wait()
        event.clear()
        print(name)

ended = False
config["queue_len"] = 50

async def main(client):
    global ended
    asyncio.create_task(watch())
    await client.connect(quick=True)
    asyncio.create_task(changes(client, client.up, "up"))
    asyncio.create_task(changes(client, client.down, "down"))
    await client.subscribe("end", 1)
    tasks = [asyncio.create_task(publish(client, qos)) for qos in (1, 2)]
    print("ready")
    await client.queue.__anext__()
    ended = True
    for t in tasks:
        await t
    await client.disconnect()
"""


@pytest.mark.broker("persistence true", "autosave_interval 0", "max_queued_messages 0")
def test_outages(board, start, broker, proxy, observers, tmp_path):
    """Whatever fails, and comes back: at QoS 1 and 2 nothing is lost."""
    (tmp_path / "broker0").chmod(0o777)  # the broker writes there as another user
    observer = observers(broker)
    observer.subscribe("n/+", 2)
    config = {"clean": False, "keepalive": 6, "response_time": 2}
    p = start(proxy, OUTAGES, config)

    def works():
        p.expect("^up$", 60)
        came = len(observer.messages)
        eventually(lambda: len(observer.messages) > came + 5, "nothing comes")

    works()
    proxy.cut()  # a reset
    p.expect("^down$")
    works()
    broker.freeze()
    p.expect("^down$")
    broker.thaw()
    works()
    board.tell("lose", "both")
    p.expect("^down$")
    time.sleep(3)
    board.tell("lose", "")
    works()
    board.tell("leave")  # the access point is back at once
    p.expect("^down$")
    works()
    board.tell("joins", WRONG_PASSWORD)
    board.tell("leave")
    p.expect("^down$")
    time.sleep(5)
    board.tell("joins", JOINED)
    works()
    proxy.refuse()
    proxy.cut()
    p.expect("^down$")
    time.sleep(3)
    proxy.listen()
    works()
    observer.publish("end", "", 1)
    sent = dict(p.expect(r"sent (\d) (\d+)", 60).groups() for _ in range(2))
    p.wait()
    for qos in sent:
        came = [int(m.payload) for m in observer.messages if m.topic == f"n/{qos}"]
        assert sorted(came if qos == "2" else set(came)) == list(range(int(sent[qos])))


DEAD_PATH = """
async def publish(client, qos):
    n = 0
    while not ended:
        await client.publish("n/%d" % qos, "%d and a few more bytes" % n, qos=qos)
        n += 1
        await asyncio.sleep_ms(5)
    print("sent", qos, n)

ended = False
config["queue_len"] = 50

async def main(client):
    global ended
    asyncio.create_task(watch())
    await client.connect(quick=True)
    await client.subscribe("end", 1)
    tasks = [asyncio.create_task(publish(client, qos)) for qos in (0, 0, 0, 0, 1, 1, 2, 2)]
    await asyncio.sleep(1)
    stall()
    print("ready")
    await client.queue.__anext__()
    print("stall", stall(), client.isconnected())
    ended = True
    for t in tasks:
        await t
    await client.disconnect()
"""


def test_dead_path(board, start, broker, observer):
    """All frames vanish for a while, under load, and the connection lives on: other tasks do too, and nothing is lost."""
    observer.subscribe("n/+", 2)
    p = start(broker, DEAD_PATH, {"keepalive": 600, "response_time": 120})
    p.expect("ready", 60)
    board.tell("lose", "both")
    time.sleep(20)
    board.tell("lose", "")
    observer.publish("end", "", 1)
    stall, connected = p.expect(r"stall (\d+) (\w+)", 120).groups()
    sent = [p.expect(r"sent (\d) (\d+)", 60).groups() for _ in range(8)]
    p.wait()
    assert connected == "True"
    came = [m.topic[-1] + m.payload.decode().split()[0] for m in observer.messages]
    expected = [qos + str(n) for qos, count in sent for n in range(int(count))]
    assert sorted(came) == sorted(expected)
    assert int(stall) <= STALL


def test_watchdog(board, broker, observer, tmp_path):
    """It is fed by a task: the client gives it its turn while nothing gets through. Then a reset, and all begins anew."""
    program = f"""
        import asyncio, machine
        from mqtt_as import MQTTClient, config

        dog = machine.WDT(timeout=2000)
        config.update({WIFI!r}, server={HOST!r}, port={broker.port}, client_id="id", queue_len=1, clean=False)
        config.update(keepalive=4, response_time=1)

        async def feed():
            while True:
                dog.feed()
                await asyncio.sleep_ms(200)

        async def hang(client):
            await client.queue.__anext__()
            while True:
                pass

        async def main():
            client = MQTTClient(config)
            asyncio.create_task(feed())
            await client.connect(quick=True)
            await client.subscribe("hang", 1)
            asyncio.create_task(hang(client))
            n = 0
            while True:
                await client.publish("n", "%d %d" % (n, machine.reset_cause()), qos=1)
                n += 1
                await asyncio.sleep_ms(100)

        asyncio.run(main())
    """
    observer.subscribe("n", 1)
    resets = board.tell("state")["resets"]
    board.start(f"with open('main.py', 'w') as f:\n    f.write({textwrap.dedent(program)!r})").wait()
    try:
        board.start("import machine\nmachine.reset()")
        eventually(lambda: board.tell("state")["resets"] == resets + 1, "no reset")
        eventually(lambda: len(observer.messages) > 5, "nothing comes", 60)
        board.tell("lose", "both")
        time.sleep(10)
        board.tell("lose", "")
        came = len(observer.messages)
        eventually(lambda: len(observer.messages) > came + 5, "nothing comes", 60)
        assert board.tell("state")["resets"] == resets + 1
        observer.publish("hang")
        eventually(lambda: board.tell("state")["resets"] == resets + 2, "no reset")
        came = len(observer.messages)
        eventually(lambda: len(observer.messages) > came + 5, "nothing comes", 60)
    finally:
        board.end_programs()
        resets = board.tell("state")["resets"]
        board.start("import os\nos.remove('main.py')")
        eventually(lambda: board.tell("state")["resets"] > resets, "the watchdog does not bite")
