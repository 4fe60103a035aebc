"""Runs every test there is and says what came of it. Called by `run`, in the virtual environment.

The last line is `N passed, M failed`, the sum over all steps; the exit code is 0 if nothing failed. A step that cannot be
run at all counts as one failure; one that this machine has not the means for is named, with the reason.
"""

import argparse
import os
import queue
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test"
CRATES = ["mqtt-codec", "mqtt-session", "micropython", "micropython-tests", "mqtt-tls", "mpy-link"]
MIRI_CRATES = ["mqtt-codec", "mqtt-session", "micropython"]
TLS = ["x64", "armv6m"]  # where tests/test_tls13.py runs
FIRMWARES = ["x64", "rv32imc", "xtensa", "xtensawin"]
STEPS = ["conformance", "rust", "miri", "pytest", "board", "soak"]
SOAK_SECONDS = 90
BOARD = "tests/test_board.py"

started = time.monotonic()
printing = threading.Lock()


def say(text):
    with printing:
        print(f"[{time.monotonic() - started:4.0f} s] {text}", flush=True)


class Step:
    """One command, its output in a log."""

    needed = True

    def __init__(self, name, *command, env=None):
        self.name, self.command = name, [str(c) for c in command]
        self.env = {**os.environ, **(env or {})}
        self.log = LOGS / (re.sub(r"\W+", "-", name) + ".log")
        self.passed = self.failed = 0
        self.notes = []  # what was left out, and why

    def run(self):
        say(f"{self.name} ...")
        begun = time.monotonic()
        with open(self.log, "wb") as log:
            log.write(f"$ {' '.join(self.command)}\n".encode())
            log.flush()
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            code = subprocess.run(self.command, env=self.env, cwd=ROOT, **streams).returncode
        self.output = self.log.read_text(errors="replace")
        self.count()
        # a command that fails without a test that failed did not get to its tests
        if code and not self.needed:
            self.notes.append(self.output.splitlines()[-1])
        elif code and not self.failed:
            self.failed += 1
            self.notes.append(f"exit code {code}")
        say(f"{self.name}: {self.outcome()} ({time.monotonic() - begun:.0f} s)")
        if self.failed:
            with printing:
                print(self.story(), f"(all of it: {self.log})", sep="\n", flush=True)

    def outcome(self):
        return f"{self.passed} passed, {self.failed} failed" if self.passed or self.failed else "done"

    def count(self):
        pass

    def story(self):
        return "\n".join(self.output.splitlines()[-60:])


class Cargo(Step):
    def count(self):
        results = re.findall(r"^test result: .*?(\d+) passed; (\d+) failed", self.output, re.M)
        for passed, failed in results:
            self.passed += int(passed)
            self.failed += int(failed)
        self.notes += re.findall(r"^test .* \.\.\. (ignored.*)$", self.output, re.M)

    def story(self):
        at = re.search(r"^failures:$|(^|\.\.\. )error(\[|:)", self.output, re.M)
        return "\n".join(self.output[at.start() :].splitlines()[:100]) if at else super().story()


class Pytest(Step):
    def __init__(self, name, workers, *arguments):
        self.report = LOGS / f"{name}.xml"
        super().__init__(
            name, sys.executable, "-m", "pytest", "-q", "--color=no", f"-n{workers}", f"--junit-xml={self.report}", *arguments
        )
        self.report.unlink(missing_ok=True)

    def count(self):
        if not self.report.exists():
            return
        for suite in ElementTree.parse(self.report).getroot().iter("testsuite"):
            tests, errors, failures, skipped = (int(suite.get(k, 0)) for k in ("tests", "errors", "failures", "skipped"))
            self.failed += errors + failures
            self.passed += tests - errors - failures - skipped
        self.notes += re.findall(r"^SKIPPED .*|^XFAIL .*", self.output, re.M)

    def story(self):
        at = re.search(r"^=+ (FAILURES|ERRORS) =+$", self.output, re.M)
        return self.output[at.start() :] if at else super().story()


class Conformance(Step):
    def count(self):
        self.notes += re.findall(r"^.* statements: .*", self.output, re.M)


class Soak(Step):
    """Waits most of the time, and prints as its last line what the tests print."""

    def count(self):
        if result := re.search(r"^(\d+) passed, (\d+) failed$", self.output, re.M):
            self.passed, self.failed = map(int, result.groups())


class Extra(Step):
    """What some tests need. Without it they are skipped, and say so."""

    needed = False

    def outcome(self):
        return "not to be had" if self.notes else "done"


class Absent(Step):
    """A step this machine cannot run."""

    def __init__(self, name, reason):
        super().__init__(name)
        self.notes.append(reason)

    def run(self):
        say(f"{self.name}: not run, {self.notes[0]}")


def miri():
    """Miri over the crates that hold the logic, a step each, if there is a toolchain that has it."""
    found = subprocess.run([ROOT / "tests" / "nightly", "miri"], capture_output=True, text=True)
    if found.returncode:
        return [Absent("miri", found.stderr.strip().splitlines()[-1])]
    command = ["cargo", f"+{found.stdout.strip()}", "miri", "test", "--no-fail-fast", "-p"]
    # A folder of its own: not to wait for the lock of another cargo. No isolation: proptest looks for cases that failed before.
    # What is on MicroPython's heap nobody frees, and so it is in the mock of src/micropython.
    flags = f"{os.environ.get('MIRIFLAGS', '')} -Zmiri-disable-isolation -Zmiri-ignore-leaks".strip()
    env = {"CARGO_TARGET_DIR": str(ROOT / "target" / "miri"), "MIRIFLAGS": flags}
    return [Cargo(f"miri, {crate}", *command, crate, env=env) for crate in MIRI_CRATES]


def sanitized():
    """The safe layer over a real MicroPython under AddressSanitizer, if there is a toolchain that has it."""
    found = subprocess.run([ROOT / "tests" / "nightly", "fuzz"], capture_output=True, text=True)
    if found.returncode:
        return [Absent("AddressSanitizer", found.stderr.strip().splitlines()[-1])]
    target = "x86_64-unknown-linux-gnu"
    if os.uname().machine != "x86_64":
        return [Absent("AddressSanitizer", "runs on x86-64 only")]
    env = {
        "CARGO_TARGET_DIR": str(ROOT / "target" / "asan"),
        "RUSTFLAGS": "-Zsanitizer=address",
        # MicroPython's collector looks for pointers on the stack, not in what stands for it.
        "ASAN_OPTIONS": "detect_stack_use_after_return=0",
    }
    command = ["cargo", f"+{found.stdout.strip()}", "test", "--no-fail-fast", "--target", target, "-p", "micropython-tests"]
    return [Cargo("AddressSanitizer, micropython-tests", *command, env=env)]


def main():
    parser = argparse.ArgumentParser(prog="run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=STEPS, action="append", help="run these steps only")
    parser.add_argument("--arch", action="append", help="an architecture to test on, or ARCH+firmware (default: all)")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    only = options.only or STEPS
    arches = options.arch
    if not arches:
        arches = subprocess.check_output([ROOT / "natmod" / "arch.py", "--tested"], text=True).split()
        arches += [f"{a}+firmware" for a in FIRMWARES] + ["x64+lwip"]
    LOGS.mkdir(parents=True, exist_ok=True)

    # what has to be done in order; two of these run side by side
    lanes = []
    if "conformance" in only:
        lanes.append([Conformance("conformance", ROOT / "tests" / "conformance")])
    if "rust" in only:
        crates = [a for crate in CRATES for a in ("-p", crate)]
        lanes.append([Cargo("cargo test", "cargo", "test", "--no-fail-fast", *crates)])
    if "pytest" in only:
        built = [Step(f"MicroPython with the module, {a}", ROOT / "tests" / "mp", a, "-c", "") for a in arches]
        make = ["make", "-C", ROOT / "natmod", "MODULE=tls", "dist"]
        built += [Step(f"_mqtt_tls, {a}", *make, f"ARCH={a}") for a in arches if a in TLS]
        others = Extra("ejabberd", ROOT / "tests" / "ejabberd")
        runtimes = [f"--arch={a}" for a in arches]
        workers = 2 * (os.cpu_count() or 1)  # they mostly wait
        lanes.append([*built, others, Pytest("pytest", workers, *runtimes, f"--ignore={BOARD}", *options.pytest)])
    if "board" in only:
        # one board for each form of the client, of which each keeps a core busy
        tests = Pytest("board", 2, "--dist=loadgroup", BOARD, *options.pytest)
        lanes.append([Step("the emulated board", ROOT / "tests" / "board" / "build"), tests])
    if "miri" in only:
        lanes += [[step] for step in miri() + sanitized()]

    # one that needs no core of its own runs beside them
    beside = []
    if "soak" in only:
        beside.append(Soak(f"soak, {SOAK_SECONDS} s", ROOT / "tests" / "soak" / "run", "--seconds", SOAK_SECONDS))

    waiting = queue.SimpleQueue()
    for lane in lanes:
        waiting.put(lane)

    def work():
        try:
            while True:
                for step in waiting.get_nowait():
                    step.run()
        except queue.Empty:
            pass

    threads = [threading.Thread(target=work) for _ in range(2)] + [threading.Thread(target=step.run) for step in beside]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    steps = [step for lane in lanes for step in lane] + beside
    print()
    for step in steps:
        print(f"{step.name:40} {'not run' if isinstance(step, Absent) else step.outcome()}")
        for note in step.notes:
            print(f"    {note}")
    failed = sum(s.failed for s in steps)
    summary = f"{sum(s.passed for s in steps)} passed, {failed} failed"
    print(summary)
    (LOGS / "summary").write_text(summary + "\n")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
