"""Measures what TCP_NODELAY and the bound of what is under way do over lwIP: on x64+lwip, with a cable that delays and one
that is dead. The host acknowledges as Linux does, 40 ms late where it has nothing to send. Prints ratios to the first column,
which is what the client does on such a port.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from fixtures.broker import Broker  # noqa: E402
from fixtures.client import Clients  # noqa: E402
from fixtures.micropython import MicroPython  # noqa: E402
from fixtures.observer import Observer  # noqa: E402

VARIANTS = {"bounded": "bounded nodelay", "bounded, Nagle": "bounded", "not bounded": "nodelay", "Nagle": ""}
DELAYS = 0, 8, 50  # ms, round trip
DEAD = 4  # seconds

SCRIPT = """
    import lan

    if "nodelay" not in sys.argv:
        mqtt_as.transport._nodelay = lambda: None

    worst = sent = 0
    ups = []
    came = asyncio.Event()

    async def tick():
        global worst
        while True:
            t = time.ticks_ms()
            await asyncio.sleep_ms(10)
            worst = max(worst, time.ticks_diff(time.ticks_ms(), t) - 10)

    async def wifi(up):
        ups.append(up)

    config.update(subs_cb=lambda *_: came.set(), wifi_coro=wifi, clean=False, clean_init=False, response_time=60)

    async def publish(client, count, qos, pause=0):
        global sent
        for _ in range(count):
            await client.publish("up", b"21.5 degrees and so on", qos=qos)
            sent += 1
            if pause:
                await asyncio.sleep_ms(pause)

    async def several(client, tasks, count, qos, pause=0):
        await asyncio.gather(*(publish(client, count, qos, pause) for _ in range(tasks)))

    async def burst(client, tasks, count):
        await several(client, tasks, count, 0)
        await publish(client, 1, 1)

    async def echo(client, count):
        for _ in range(count):
            came.clear()
            await client.publish("back", b"x", qos=1)
            await came.wait()

    async def dead(client, seconds):
        global worst
        await several(client, 4, 100, 0)  # lwIP sends more and more at a time
        await publish(client, 1, 1)
        worst = 0
        lan.cable(drop=True)
        t = time.ticks_ms()
        tasks = [asyncio.create_task(publish(client, 100_000, 0, 50)) for _ in range(4)]
        while time.ticks_diff(time.ticks_ms(), t) < seconds * 1000:
            await asyncio.sleep_ms(20)
        lan.cable()
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await publish(client, 1, 1)
        print("took", worst, sent, len(ups))

    async def main(client):
        global worst
        client._transport.traits &= ~2 if "bounded" not in sys.argv else -1
        asyncio.create_task(tick())
        await client.connect(quick=True)
        await client.subscribe("back", 1)
        while True:
            line = await told()
            if not line:
                break
            worst = 0
            t = time.ticks_us()
            await eval(line)
            print("took", time.ticks_diff(time.ticks_us(), t) / 1000, worst, 0)
"""

LIVE = {  # What is done; by how much its time is divided
    "QoS 1, one after another, ms for each": ("publish(client, 40, 1)", 40),
    "QoS 1, 60 at a time, ms": ("several(client, 60, 1, 1)", 1),
    "QoS 0, 300 from one task, ms": ("burst(client, 1, 300)", 1),
    "QoS 0, 300 from four tasks, ms": ("burst(client, 4, 75)", 1),
    "echo at QoS 1, ms": ("echo(client, 20)", 20),
}


def measure(variant, folder, delays, rounds, dead):
    """Numbers by their names."""
    broker = Broker(folder / "broker", "set_tcp_nodelay true", "max_queued_messages 0").start()
    micropython = MicroPython("x64+lwip", folder)
    observer = Observer(broker)
    observer.subscribe("up", 0)
    numbers = {}
    try:
        p = Clients(micropython).start(broker, SCRIPT, *variant.split())

        def take(line):
            p.send(line)
            return [float(n) for n in p.expect(r"took (\S+) (\S+) (\S+)", timeout=120).groups()]

        for delay in delays:
            cable = f"lan.cable(delay={delay}, delayed_ack=40) or asyncio.sleep_ms(200)"
            take(cable)
            for title, (line, count) in LIVE.items():
                taken = [take(line) for _ in range(rounds)]
                name = f"{title}; {delay} ms of delay"
                numbers[name] = statistics.median(t[0] for t in taken) / count
                numbers[f"{name}: longest stop"] = max(t[1] for t in taken)
        if dead:
            take("lan.cable() or publish(client, 1, 1)")
            observer.messages.clear()
            p.send(f"globals().update(sent=0) or dead(client, {dead})")
            worst, sent, changes = (float(n) for n in p.expect(r"took (\S+) (\S+) (\S+)", timeout=300).groups())
            numbers["dead path: longest stop, ms"] = worst
            numbers["dead path: said to be sent and lost"] = sent - len(observer.messages)
            numbers["dead path: connections lost"] = (changes - 1) // 2
        p.kill()
    finally:
        observer.close()
        with contextlib.redirect_stdout(None):  # What a test would show where it fails
            micropython.close()
        broker.kill()
    return numbers


def main():
    parser = argparse.ArgumentParser(
        prog="transports", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=int, action="append", help="ms of delay (default: 0, 8 and 50)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many")
    parser.add_argument("--dead", type=float, default=DEAD, help="seconds without a frame; 0: leave it out")
    options = parser.parse_args()
    results = {}
    for title, variant in VARIANTS.items():
        print(f"{title} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            results[title] = measure(variant, Path(folder), options.delay or DELAYS, options.rounds, options.dead)
    first, *others = results.values()
    width = max(map(len, first))
    print(f"{'':{width}}  " + "  ".join(f"{title:>18}" for title in results))
    for name, number in first.items():
        cells = [f"{number:.1f}"]
        for other in others:
            ratio = f" {other[name] / number:5.2f}" if number and "stop" not in name and "dead" not in name else ""
            cells.append(f"{other[name]:.1f}{ratio}")
        print(f"{name:{width}}  " + "  ".join(f"{cell:>18}" for cell in cells))
    out = HERE.parents[1] / "build" / "bench-transports.json"
    out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
