"""Clients in one MicroPython program while their network fails again and again.

Each client publishes numbered messages at QoS 0, 1 and 2 to the next one in a ring, through a proxy of its own that resets
its connection at random, every INTERVAL seconds on the average. Other faults strike each client as often as four times that:
half-closed connections, black holes, a network that stands still or is slow; and the broker is restarted.

It fails (exit code 1) where a message of QoS 1 or 2 is lost, where one of QoS 2 comes twice, where one is damaged, and
where heap, files or tasks grow. The last line is `N passed, M failed`.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEVICE = ROOT / "tests" / "device"
sys.path.insert(0, str(ROOT / "tests"))
from fixtures.broker import Broker  # noqa: E402
from fixtures.micropython import RUNNER, Process  # noqa: E402
from fixtures.ports import HOST, free_port  # noqa: E402
from fixtures.proxy import Proxy  # noqa: E402

OTHERS = 4  # other faults are so many times as rare as resets
WARM = 5  # s until the heap counts
HEAP = 24_000  # bytes by which it may vary: a large message may be under way at any time
DOWN = 3  # s in each interval; how long it is depends on the faults and the computer

# The broker drops nothing, and knows its sessions after a restart.
BROKER = [
    "max_queued_messages 0",
    "max_queued_bytes 0",
    "max_inflight_messages 20",
    "persistence true",
    "autosave_interval 0",
]


class Server:
    """Where a proxy leads to."""

    def __init__(self, port):
        self.host, self.port = HOST, port


class Faults:
    """What happens to the connections of one client, by name; each lasts as long as its call."""

    def __init__(self, proxy, chance, stopped):
        self.proxy, self.chance, self.stopped = proxy, chance, stopped

    def reset(self):
        self.proxy.cut()

    def client_half_closed(self):
        self.proxy.half_close("client")

    def broker_half_closed(self):
        self.proxy.half_close("server")

    def black_hole(self):
        self.proxy.swallow()
        self.stopped.wait(self.chance.uniform(0.2, 2))
        self.proxy.release()

    def standstill(self):
        self.proxy.hold()
        self.stopped.wait(self.chance.uniform(0.2, 2))
        self.proxy.release()

    def refused(self):
        self.proxy.refuse()
        self.proxy.cut()
        self.stopped.wait(self.chance.uniform(0.2, 1))
        self.proxy.listen()

    def throttled(self):
        self.proxy.rate = 30_000
        self.stopped.wait(self.chance.uniform(1, 4))
        self.proxy.smooth()

    def single_bytes(self):
        self.proxy.piece, self.proxy.pause = 1, 0.0001
        self.stopped.wait(self.chance.uniform(0.5, 2))
        self.proxy.smooth()

    ALL = "client_half_closed broker_half_closed black_hole standstill refused throttled single_bytes".split()


class Chaos:
    """Strikes until stop(); `count` says how often what has struck."""

    def __init__(self, broker, proxies, options):
        self.count = Counter()
        self.stopped = threading.Event()
        self.options = options
        self.threads = []
        for n, proxy in enumerate(proxies):
            chance = random.Random(options.seed + n)
            faults = Faults(proxy, chance, self.stopped)
            self.start(chance, options.interval, lambda faults=faults: self.strike("reset", faults.reset))
            if options.faults == "all":
                deck = Faults.ALL[:]
                chance.shuffle(deck)
                self.start(chance, OTHERS * options.interval, lambda deck=deck, faults=faults: self.other(deck, faults))
        if options.faults == "all":
            restart = lambda: self.strike("broker restarted", broker.restart)  # noqa: E731
            self.start(random.Random(options.seed - 1), OTHERS * options.interval, restart)

    def start(self, chance, interval, act):
        thread = threading.Thread(target=self.repeat, args=(chance, interval, act))
        self.threads.append(thread)
        thread.start()

    def repeat(self, chance, interval, act):
        # the first falls into any run that is long enough for one
        wait = chance.uniform(0, min(interval, self.options.seconds * 0.8))
        while not self.stopped.wait(wait):
            act()
            wait = chance.expovariate(1 / interval)

    def strike(self, name, act):
        self.count[name] += 1
        act()

    def other(self, deck, faults):
        name = deck.pop(0)
        deck.append(name)
        self.strike(name.replace("_", " "), getattr(faults, name))

    def stop(self):
        self.stopped.set()
        for t in self.threads:
            t.join()


class Checks:
    def __init__(self):
        self.passed = 0
        self.failures = []

    def __call__(self, good, failure):
        if good:
            self.passed += 1
        else:
            self.failures.append(failure)


def tls_broker(folder):
    """Lines of configuration for a listener with TLS, and its port."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    port = free_port()
    return [f"listener {port} {HOST}", f"certfile {folder}/cert.pem", f"keyfile {folder}/key.pem"], port


def start(arch, folder, *command):
    return Process([RUNNER, arch, *command], {**os.environ, "MP_BUILD": "0", "MICROPYPATH": str(DEVICE)}, folder)


def run(options, folder):
    tls = start(options.arch, folder, "-c", "import ssl").wait(check=False).code == 0
    lines, tls_port = tls_broker(folder) if tls else ([], None)
    broker = Broker(folder / "broker", *BROKER, *lines)
    (folder / "broker").chmod(0o777)
    proxies = []
    program = None
    try:
        broker.start()
        clients = []
        for version, secure in ((4, False), (5, False), (4, True), (5, True)):
            if secure and not tls:
                print("this runtime has no TLS")
                break
            proxies.append(Proxy(Server(tls_port if secure else broker.port)))
            name = f"{'5' if version == 5 else '3.1.1'}{' TLS' if secure else ''}"
            settings = {
                "client_id": f"soak{len(clients)}",
                "server": HOST,
                "port": proxies[-1].port,
                "mqttv5": version == 5,
                "keepalive": 8,
                "response_time": 2,
            }
            clients.append({"name": name, "tls": secure, "client": settings})
        program = start(options.arch, folder, "-X", "heapsize=16m", HERE / "program.py", str(options.period))
        program.send(json.dumps(clients))
        return watch(program, broker, proxies, options)
    finally:
        if program is not None and program.running():
            program.kill()
        for proxy in proxies:
            proxy.close()
        broker.kill()
        if options.keep:
            print(f"what the broker has logged: {folder}")


def told(program, word, timeout):
    return json.loads(program.expect(f"^{word} (.*)", timeout)[1])


def watch(program, broker, proxies, options):
    ready = told(program, "ready", 30)
    chaos = Chaos(broker, proxies, options)
    samples = []
    try:
        begun = time.monotonic()
        while time.monotonic() - begun < options.seconds:
            sample = told(program, "sample", 30)
            samples.append({"at": time.monotonic() - begun, **sample})
    finally:
        chaos.stop()
    program.send("enough")
    told(program, "sent", 600)
    result = told(program, "result", 600)
    program.send("end")
    end = told(program, "end", 30)
    program.wait(30)
    report = table(options.interval, chaos, ready, samples, result, end)
    assert "Traceback" not in program.out + program.err, program.out + program.err
    return report


def table(interval, chaos, ready, samples, result, end):
    check = Checks()
    print("faults: " + (", ".join(f"{name} {n}" for name, n in sorted(chaos.count.items())) or "none"))
    print()
    columns = "client QoS sent received lost twice disordered damaged connections up,% echo,%".split()
    print("{:10}{:>4}{:>9}{:>10}{:>7}{:>7}{:>11}{:>9}{:>13}{:>8}{:>8}".format(*columns))
    for s in result["stations"]:
        name = s["name"]
        for f in s["flows"]:
            lost = f["sent"] - f["received"]
            row = [name, f["qos"], f["sent"], f["received"], lost, f["twice"], f["disordered"], f["damaged"]]
            line = "{:10}{:>4}{:>9}{:>10}{:>7}{:>7}{:>11}{:>9}".format(*row)
            if f["qos"] == 0:
                line += "{:>13}{:>8.2f}{:>8.2f}".format(s["connections"], 100 * s["up"], 100 * s["echo"])
            print(line)
            title = f"{name}, QoS {f['qos']}"
            check(f["received"] > 0, f"{title}: nothing came")
            check(not f["damaged"], f"{title}: {f['damaged']} damaged")
            check(not f["qos"] or not lost, f"{title}: {lost} lost: {f['missing']}...")
            check(f["qos"] != 2 or not f["twice"], f"{title}: {f['twice']} came twice")
        check(not s["open"], f"{name}: {s['open']} requests are open")
        least = 1 - DOWN / max(interval, DOWN)
        check(s["up"] >= least and s["echo"] >= least, f"{name}: up {s['up']:.0%} of the time, echoes {s['echo']:.0%}")
    print()
    print("{:24}{:>12}{:>8}{:>8}".format("", "heap, bytes", "files", "tasks"))

    def row(title, x):
        print("{:24}{:>12}{:>8}{:>8}".format(title, x["heap"], x["files"], x["tasks"]))

    row("connected, idle", ready)
    row("idle at the end", result)
    row("disconnected", end)
    # what the last connection of a client needs beside its own tasks is gone by then
    check(result["files"] <= ready["files"], f"files: {ready['files']} at first, {result['files']} at the end")
    check(result["tasks"] <= ready["tasks"], f"tasks: {ready['tasks']} at first, {result['tasks']} at the end")
    if result["stuck"]:
        print(*(f"{s['name']}: {s['state']}" for s in result["stations"]), sep="\n")
    check(not result["stuck"], f"never came back: {', '.join(result['stuck'])}")
    samples = [s for s in samples if s["at"] > WARM]
    third = len(samples) // 3
    if third > 1:
        # the least of many moments: messages come and go
        for title, part in (("least, first third", samples[:third]), ("least, last third", samples[-third:])):
            least = {key: min(s[key] for s in part) for key in ("heap", "files", "tasks")}
            row(title, least)
            if title.startswith("least, first"):
                first = least
        check(least["heap"] - first["heap"] <= HEAP, f"the heap grew from {first['heap']} to {least['heap']} bytes")
    return check


def main():
    parser = argparse.ArgumentParser(prog="run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--interval", type=float, default=15, help="seconds between resets, on the average (default: 15)")
    parser.add_argument("--faults", choices=["all", "reset", "none"], default="all", help="resets only, or all (default)")
    parser.add_argument("--period", type=int, default=40, help="ms between two messages of a client at one QoS (default: 40)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the faults (default: the time)")
    parser.add_argument("--arch", default="x64", help="the runtime (default: x64)")
    parser.add_argument("--keep", action="store_true", help="keep what the broker has logged")
    options = parser.parse_args()
    print(f"{options.seconds:g} s, a reset every {options.interval:g} s and client, seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak."))
    try:
        check = run(options, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    print()
    for failure in check.failures:
        print(f"FAILED  {failure}")
    print(f"{check.passed} passed, {len(check.failures)} failed")
    return bool(check.failures)


if __name__ == "__main__":
    sys.exit(main())
