"""The client on an emulated Raspberry Pi Pico: installed by mpremote, over Wi-Fi, with a mosquitto.

First a program exchanges messages with itself at QoS 0, 1 and 2. Then comes that of README.md: while it publishes and
receives, its broker is killed and comes back, and then its access point vanishes for a while. The last line says whether a
message was lost.
"""

import argparse
import queue
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from fixtures.broker import Broker  # noqa: E402
from fixtures.observer import Observer  # noqa: E402
from fixtures.pico import HOST, Board, readme_program  # noqa: E402
from fixtures.proxy import Proxy  # noqa: E402

ECHOES = 20  # messages at each QoS
AWAY = 8  # seconds for which the broker is away, and then the access point
PATIENCE = 60  # seconds for anything else
NO_NETWORK, JOINED = -2, 3  # states of the Wi-Fi

EVERY_QOS = """
import asyncio
from mqtt_as import MQTTClient, config

config.update(ssid="emulated", wifi_pw="password", server="%s", port=%d, queue_len=4)


async def main():
    async with MQTTClient(config) as client:
        for qos in 0, 1, 2:
            topic = "echo/%%d" %% qos
            await client.subscribe(topic, qos)
            for n in range(%d):
                await client.publish(topic, str(n), qos=qos)
                came = await client.queue.__anext__()
                assert (came[0].decode(), came[1].decode()) == (topic, str(n))
            print("QoS", qos, "messages published and received:", n + 1)


asyncio.run(main())
"""


class Stop(Exception):
    """Why the demo cannot go on."""


class Show:
    """The board, the other end of the topics that the program of README.md has, and what has happened."""

    def __init__(self, board, broker):
        self.started = time.monotonic()
        self.board, self.broker = board, broker
        self.proxy = Proxy(broker)  # lets the board in when the other end of its topics has subscribed
        self.lines = queue.Queue()  # of the board
        self.received = []  # by the board
        self.results = []  # from the board
        self.sent = 0  # to the board
        self.connections = 0  # of the board
        self.observer = None

    def tell(self, who, what):
        print(f"{time.monotonic() - self.started:6.1f} s   {who:7} {what}", flush=True)

    def every_qos(self):
        self.tell("", "A program that sends messages to itself")
        program = self.board.start(EVERY_QOS % (HOST, self.broker.port, ECHOES))
        for qos in range(3):
            self.tell("board", program.expect(f"^QoS {qos} .*", PATIENCE)[0].strip())
        program.wait()

    def follow(self, ready, what, seconds=PATIENCE):
        """Tell what happens until ready()."""
        ends = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > ends:
                raise Stop(f"waited {seconds} s in vain: {what}")
            try:
                line = self.lines.get(timeout=0.1)
            except queue.Empty:
                line = ""
            if line is None:
                raise Stop("the program has ended")
            if line.startswith("foo_topic "):
                self.received.append(line.split()[1])
                self.tell("board", f"received {self.received[-1]}")
            elif line:
                self.tell("board", line.rstrip())
            while self.observer and self.observer.messages:
                self.results.append(int(self.observer.messages.pop(0).payload))
                self.tell("broker", f"received {self.results[-1]} from the board")

    def observe(self):
        self.observer = Observer(self.broker)
        self.observer.subscribe("result", 1)

    def work(self):
        """The board connects, subscribes, receives at each QoS and publishes twice."""
        self.connections += 1
        self.follow(lambda: self.broker.log.count("\tfoo_topic (QoS 1)") == self.connections, "the board subscribes")
        self.tell("board", "has connected and subscribed")
        for qos in range(3):
            self.sent += 1
            self.observer.publish("foo_topic", f"message-{self.sent}", qos)
        self.follow(lambda: len(set(self.received)) == self.sent, "the board receives")
        so_far = len(self.results)
        self.follow(lambda: len(self.results) >= so_far + 2, "the board publishes")

    def stay_away(self):
        ends = time.monotonic() + AWAY
        self.follow(lambda: time.monotonic() > ends, "", AWAY + 1)

    def readme(self, seconds):
        self.tell("", "The program of README.md, with the broker of here")
        self.observe()
        self.board.start(readme_program(self.proxy), self.lines)
        self.work()
        while True:
            self.lose_broker()
            self.lose_access_point()
            if time.monotonic() - self.started > seconds:
                return

    def lose_broker(self):
        self.proxy.refuse()
        self.broker.kill()
        self.tell("", "*** the broker is killed ***")
        self.stay_away()
        self.broker.start()
        self.observe()
        self.proxy.listen()
        self.tell("", "*** the broker is back, with no memory of anything ***")
        self.work()

    def lose_access_point(self):
        self.board.tell("joins", NO_NETWORK)
        self.board.tell("leave")
        self.tell("", "*** the access point is gone ***")
        self.stay_away()
        self.board.tell("joins", JOINED)
        self.tell("", "*** the access point is back ***")
        self.work()

    def verdict(self):
        expected = set(range(max(self.results) + 1))
        lost = expected - set(self.results)
        print()
        print(f"The board has published {len(expected)} numbers, the broker received {len(expected) - len(lost)} of them.")
        print(f"The board was sent {self.sent} messages while it was connected, and received {len(set(self.received))}.")
        if lost:
            print(f"FAILED: lost were {' '.join(map(str, sorted(lost)))}")
        else:
            print("OK: broker and access point have gone and come back, and every message has arrived.")
        return bool(lost)


def install(board):
    """As `make install DEVICE=...` does."""
    if subprocess.run([sys.executable, ROOT / "tools" / "install", board.tty]).returncode:
        raise Stop("the client could not be installed")


def main():
    parser = argparse.ArgumentParser(prog="run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="failures come again until so many have passed (default: 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="board.") as folder:
        folder = Path(folder)
        board = Board("mpy", folder)
        broker = Broker(folder / "broker").start()
        try:
            print(f"The board is {board.tty}. make install DEVICE={board.tty}", flush=True)
            install(board)
            show = Show(board, broker)
            show.every_qos()
            show.readme(options.seconds)
            return show.verdict()
        except (Stop, AssertionError) as e:
            print(f"FAILED: {e}")
            return 2
        except KeyboardInterrupt:
            return 130
        finally:
            board.close()
            broker.kill()


if __name__ == "__main__":
    sys.exit(main())
