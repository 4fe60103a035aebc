"""Measures this client and others, in turns, against one mosquitto on this computer.

Each number is the median over the rounds; every client is measured once a round, so that what else the computer does
falls on all of them. The numbers are for this computer: compare within a run, not between runs.
Writes the table to stdout and all there is to build/bench.json.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import peers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from fixtures.broker import Broker  # noqa: E402
from fixtures.micropython import RUNNER, Process  # noqa: E402
from fixtures.peer import encode  # noqa: E402

CLIENTS = ["mqtt_as", "umqtt", "mqtt_async"]
PAYLOAD = bytes(100)
TOPIC = "bench/to"
TIMEOUT = 60  # seconds a measurement may take


class Measurement:
    """`count` messages (or seconds), or as many as take about `seconds`."""

    def __init__(self, title, script, qos=0, tasks=1, count=None, seconds=None, higher=True, digits=0, without=()):
        self.title, self.script, self.qos, self.tasks = title, script, qos, tasks
        self.count, self.seconds = count, seconds
        self.higher, self.digits, self.without = higher, digits, without


MEASUREMENTS = [
    Measurement("received, QoS 0, messages/s", "receive", qos=0, seconds=1.5),
    Measurement("received, QoS 1, messages/s", "receive", qos=1, seconds=1.5),
    Measurement("published, QoS 0, messages/s", "publish", qos=0, seconds=1),
    Measurement("published, QoS 1, 1 task, messages/s", "publish", qos=1, seconds=1.5),
    Measurement("published, QoS 1, 10 tasks, messages/s", "publish", qos=1, tasks=10, seconds=1.5, without=["umqtt"]),
    Measurement("echo, ms", "echo", count=100, higher=False, digits=3),
    Measurement("heap per message received, QoS 0, bytes", "heap_receive", qos=0, count=100, higher=False),
    Measurement("heap per message received, QoS 1, bytes", "heap_receive", qos=1, count=100, higher=False),
    Measurement("heap per message published, QoS 0, bytes", "heap_publish", qos=0, count=100, higher=False),
    Measurement("heap per message published, QoS 1, bytes", "heap_publish", qos=1, count=100, higher=False),
    Measurement("heap per idle second, bytes", "idle", count=5, higher=False, without=["umqtt"]),
    Measurement("RAM: import, construct, connect, bytes", "ram", count=1, higher=False),
]


class Load:
    """The other side: packets made beforehand, many to a write, so that it is not what is measured."""

    def __init__(self, broker, name="load"):
        self.sock = socket.create_connection((broker.host, broker.port), TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(encode('10 # "MQTT" 04 02 00 00 "%s"' % name))
        self.read(4)

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise RuntimeError("the broker has closed the connection of the load")
            data += part
        return data

    @staticmethod
    def publication(qos):
        """The PUBLISH that is sent; with QoS 1 the packet identifier comes before the payload."""
        return encode(f'3{qos * 2} # "{TOPIC}" {"00 00" if qos else ""} {PAYLOAD.hex(" ")}')

    def send(self, count, qos, chunk=200):
        packet = self.publication(qos)
        if qos == 0:
            while count:
                n = min(chunk, count)
                self.sock.sendall(packet * n)
                count -= n
            return
        at = len(packet) - len(PAYLOAD) - 2
        packets = [packet[:at] + pid.to_bytes(2, "big") + PAYLOAD for pid in range(1, chunk + 1)]
        while count:
            n = min(chunk, count)
            self.sock.sendall(b"".join(packets[:n]))
            self.read(4 * n)  # PUBACK
            count -= n

    def echo(self, count, warm=10):
        """Median of the round-trip time in ms."""
        self.sock.sendall(encode('82 # 00 01 "bench/back" 00'))
        self.read(5)
        out = self.publication(0)
        times = []
        for _ in range(warm + count):
            started = time.perf_counter()
            self.sock.sendall(out)
            self.read(len(out) + 2)  # the other topic is longer by two
            times.append(time.perf_counter() - started)
        return statistics.median(times[warm:]) * 1e3

    def close(self):
        self.sock.close()


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.paths = {name: peers.fetch(name) for name in peers.PEERS}
        self.counts = {}

    def count(self, m, client):
        """How many messages take about as long as wanted: from a short run."""
        if m.count is None and (m, client) not in self.counts:
            rate = self.once(m, client, 200)
            self.counts[m, client] = max(200, int(rate * m.seconds))
        return m.count or self.counts[m, client]

    def once(self, m, client, count):
        # queues without bounds: none of what the load sends may be dropped
        broker = Broker(self.folder, "set_tcp_nodelay true", "max_queued_messages 0").start()
        env = {**os.environ, "MP_BUILD": "0", "MICROPYPATH": f"{HERE / 'device'}:{self.paths.get(client, '')}"}
        script = HERE / "device" / "measure.py"
        # room for all garbage of a run: collections are part of rates, but of no heap measurement
        heap = "256m" if m.script.startswith(("heap", "idle")) else "2m"
        command = [
            RUNNER,
            "x64",
            "-X",
            f"heapsize={heap}",
            script,
            client,
            m.script,
            broker.host,
            broker.port,
            count,
            m.qos,
            m.tasks,
        ]
        process = Process([str(c) for c in command], env, self.folder)
        try:
            if m.script in ("receive", "heap_receive", "echo"):
                process.expect("^ready$", TIMEOUT)
                load = Load(broker)
                if m.script == "echo":
                    return load.echo(count)
                load.send(count + (100 if m.script == "heap_receive" else 0), m.qos)
            return float(process.expect(r"^result (\S+)$", TIMEOUT)[1])
        finally:
            process.kill()
            broker.kill()

    def measure(self, m, client):
        return self.once(m, client, self.count(m, client))


def ceiling(bench, count=50_000):
    """Messages a second the broker hands to a reader that only counts bytes: what no client can exceed."""
    broker = Broker(bench.folder, "set_tcp_nodelay true", "max_queued_messages 0").start()
    try:
        reader, load = Load(broker, "reader"), Load(broker)
        reader.sock.sendall(encode(f'82 # 00 01 "{TOPIC}" 00'))
        reader.read(5)
        sender = threading.Thread(target=load.send, args=(count, 0))
        sender.start()
        left = count * len(load.publication(0))
        left -= len(reader.sock.recv(1))
        started = time.perf_counter()
        while left:
            left -= len(reader.sock.recv(1 << 16))
        elapsed = time.perf_counter() - started
        sender.join()
        return count / elapsed
    finally:
        broker.kill()


def run(bench, measurements, clients, rounds):
    values = {}
    for m in measurements:
        taking_part = [c for c in clients if c not in m.without]
        for n in range(rounds):
            for client in taking_part[n % len(taking_part) :] + taking_part[: n % len(taking_part)]:
                try:
                    value = bench.measure(m, client)
                except AssertionError as e:
                    print(f"{client}: {m.title}: {e}", file=sys.stderr)
                    value = None
                values.setdefault((m, client), []).append(value)
        print(f"  {m.title}", file=sys.stderr)
    return values


def median(values):
    return statistics.median(values) if values and None not in values else None


def table(measurements, clients, values):
    """Lines of text; beside each other client's number how many times better (x) ours, the first, is."""
    lines = [f"{'':42}" + "".join(f"{c:>22}" for c in clients)]
    for m in measurements:
        line = f"{m.title:42}"
        ours = median(values.get((m, clients[0])))
        for client in clients:
            value = median(values.get((m, client)))
            cell = "-" if value is None else f"{value:,.{m.digits}f}"
            if client != clients[0] and value is not None and ours is not None:
                a, b = (ours, value) if m.higher else (value, ours)
                cell += f" ({a / b:.1f}x)" if b else " (-)" if not a else " (inf)"
            line += f"{cell:>22}"
        lines.append(line)
    return lines


def main():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="these only")
    parser.add_argument("--measure", action="append", metavar="TEXT", help="only measurements whose title contains it")
    options = parser.parse_args()
    clients = options.client or CLIENTS
    measurements = [m for m in MEASUREMENTS if not options.measure or any(t in m.title for t in options.measure)]
    if not measurements or options.rounds < 1:
        parser.error("there is nothing to measure")
    rounds = 1 if options.quick else options.rounds
    bench = Bench(ROOT / "build" / "bench")
    most = statistics.median(ceiling(bench) for _ in range(rounds))
    values = run(bench, measurements, clients, rounds)
    runtime = subprocess.run(
        [RUNNER, "x64", "-c", "import sys; print(sys.version)"], capture_output=True, text=True
    ).stdout.strip()
    print(f"{platform.platform()}, {os.cpu_count()} cores; {runtime}; payload {len(PAYLOAD)} bytes; medians")
    print(f"(number of times {clients[0]} is better)\n")
    print(*table(measurements, clients, values), sep="\n")
    print(f"\nThe broker hands {most:,.0f} QoS 0 messages/s to a reader that only counts bytes.")
    report = {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "runtime": runtime,
        "payload": len(PAYLOAD),
        "ceiling": most,
        "results": [
            {"measurement": m.title, "client": c, "median": median(v), "values": v, "count": m.count or "by time"}
            for (m, c), v in values.items()
        ],
    }
    (ROOT / "build" / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    return any(None in v for v in values.values())


if __name__ == "__main__":
    sys.exit(main())
