"""Measures this client and others, in turns, against one mosquitto on this computer.

Each timed number is the median over the rounds; every client is measured once a round, so that what else the computer
does falls on all of them. They are for this computer: compare within a run, not between runs. Counted numbers do not
depend on it. Writes tables to stdout and all there is to build/bench.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import clients  # noqa: E402
import counted  # noqa: E402
import curves  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
from fixtures.broker import find_mosquitto  # noqa: E402


@dataclass(frozen=True)
class Measurement:
    """`rows`: what the numbers are that `run` gives, called with a client and the milliseconds to take. `needs`: what a
    client must have to take part."""

    rows: tuple
    run: object
    needs: tuple = ()


def rate(title, script, *needs, **settings):
    def run(client, ms):
        return clients.once(script, client, ms=ms, **settings)

    return Measurement((f"{title}, messages/s", f"{title}, µs of CPU for each"), run, needs)


def echo(client, ms):
    return clients.once("echo", client, ms=ms, qos=0)


def flood(client, ms):
    return clients.once("flood", client, ms=ms, flood=True, qos=0)


def heap_and_calls(title, count, *needs, **settings):
    rows = "bytes of heap", "reads", "writes", "waits"
    return Measurement(tuple(f"{title}: {row}" for row in rows), partial(count, **settings), ("heap", *needs))


def instructions(title, script, arch, **settings):
    run = partial(counted.instructions, script, arch=arch, **settings)
    return Measurement((f"instructions for a message {title}, {arch}",), run, ("heap",))


TIMED = [
    rate("received, QoS 0", "receive", flood=True, qos=0),
    rate("received, QoS 1", "receive", flood=True, qos=1),
    rate("received, MQTT 5, four properties", "receive", "mqtt 5", flood=True, qos=0, v5=1),
    rate("received, MQTT 5, one of four properties changes", "receive", "mqtt 5", flood=True, qos=0, v5=1, stamped=1),
    rate("received through mosquitto, QoS 0", "receive", qos=0),
    rate("received through mosquitto, QoS 1", "receive", qos=1),
    rate("published, QoS 0", "publish", qos=0),
    rate("published, QoS 1", "publish", qos=1),
    rate("published, QoS 1, 40 tasks", "publish", "tasks", qos=1, tasks=40),
    rate("published, QoS 2", "publish", "qos 2", qos=2),
    Measurement(("echo, median, ms", "echo, 90 %, ms", "echo, 99 %, ms"), echo),
    Measurement(
        (
            "flood: a 10 ms ticker is late, median, ms",
            "flood: a 10 ms ticker is late, most, ms",
            "flood: received, messages/s",
            "flood: published beside, QoS 1, messages/s",
        ),
        flood,
        ("asyncio",),
    ),
]
COUNTED = [
    heap_and_calls("a message received, QoS 0", counted.received, qos=0),
    heap_and_calls("a message received, QoS 0, MSG_BYTES False", counted.received, "memoryview", qos=0, msg_bytes=0),
    heap_and_calls("a message received, QoS 1", counted.received, qos=1),
    heap_and_calls("a message published, QoS 0", counted.published, qos=0),
    heap_and_calls("a message published, QoS 1", counted.published, qos=1),
    heap_and_calls("a message published, QoS 2", counted.published, "qos 2", qos=2),
    heap_and_calls("an idle second", counted.idle, "asyncio"),
]
COUNTED_SLOWLY = [
    *(
        instructions(title, script, arch, qos=qos, **settings)
        for arch in ("x64", "x86")
        for title, script, qos, settings in (
            ("received, QoS 0", "receive", 0, {"flood": True, "few": 200, "more": 1000}),
            ("received, QoS 1", "receive", 1, {"flood": True, "few": 200, "more": 1000}),
            ("published, QoS 0", "count_published", 0, {}),
            ("published, QoS 1", "count_published", 1, {}),
        )
    ),
    Measurement(("RAM when connected, 32 bit, bytes",), counted.ram, ("heap",)),
]


def attempt(m, ms, client):
    try:
        return m.run(client, ms)
    except (AssertionError, OSError) as e:
        print(f"{client.title}: {m.rows[0]}: {e}", file=sys.stderr)
        return [None] * len(m.rows)


def run(measurements, rounds, ms, at_once=1):
    """Values by row and client's title, one for each round; None where it failed. `at_once`: clients."""
    values = {row: {} for m in measurements for row in m.rows}
    for m in measurements:
        taking_part = [c for c in clients.CLIENTS if set(m.needs) <= set(c.has)]
        for n in range(rounds if taking_part else 0):
            turn = taking_part[n % len(taking_part) :] + taking_part[: n % len(taking_part)]
            with ThreadPoolExecutor(at_once) as pool:
                for client, numbers in zip(turn, pool.map(partial(attempt, m, ms), turn)):
                    for row, number in zip(m.rows, numbers):
                        values[row].setdefault(client.title, []).append(number)
        print(f"  {m.rows[0]}", file=sys.stderr)
    return values


def versions():
    python = "import sys; print(sys.version)"
    runtime = ROOT / "build" / "runtime" / "x64" / "micropython"
    return {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "runtime": subprocess.run([runtime, "-c", python], capture_output=True, text=True).stdout.strip(),
        "broker": subprocess.run([find_mosquitto(), "-h"], capture_output=True, text=True).stdout.partition("\n")[0],
        "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a first look: one short round, x64 only")
    parser.add_argument("--client", action="append", metavar="TEXT", help="only clients whose title contains it")
    parser.add_argument("--measure", action="append", metavar="TEXT", help="only measurements whose title contains it")
    parser.add_argument("--docs", action="store_true", help="put tables and pictures into docs/")
    parser.add_argument("--again", action="store_true", help="measure nothing: show the last run once more")
    options = parser.parse_args()
    file = ROOT / "build" / "bench.json"
    if options.again:
        found = json.loads(file.read_text())
    else:
        found = measure(options, parser)
        file.write_text(json.dumps(found, indent=1) + "\n")
    report.show(found)
    if options.docs:
        report.write(found, ROOT / "docs")
    return any(None in v for row in found["values"].values() for v in row.values())


def measure(options, parser):
    if options.client:
        clients.CLIENTS[:] = [c for c in clients.CLIENTS if any(t in c.title for t in options.client)]
    wanted = options.measure or [""]
    timed, counts, slow = (
        [m for m in group if any(t in row for t in wanted for row in m.rows)]
        for group in (TIMED, COUNTED, [] if options.quick else COUNTED_SLOWLY)
    )
    if not clients.CLIENTS or not timed + counts + slow or options.rounds < 1:
        parser.error("there is nothing to measure")
    clients.BUILD.mkdir(parents=True, exist_ok=True)
    peers.compile_c()
    rounds, ms = (1, 150) if options.quick else (options.rounds, 300)
    found = {**versions(), "clients": [c.title for c in clients.CLIENTS], "rounds": rounds}
    found["ours"] = [c.title for c in clients.CLIENTS if c.ours]
    found["values"] = {**run(timed, rounds, ms), **run(counts, 1, ms, 4), **run(slow, 1, ms, os.cpu_count())}
    found["medians"] = {
        row: {client: None if None in v else statistics.median(v) for client, v in of.items()}
        for row, of in found["values"].items()
    }
    found["curves"] = {} if options.measure or options.client else curves.measure(options.quick)
    return found


if __name__ == "__main__":
    sys.exit(main())
