"""What can be counted: bytes of heap, calls to the kernel, instructions. None of it depends on what else the computer does."""

import re
import shutil
import subprocess
import threading
import time

from clients import BUILD, HERE, ROOT, once

READS = {"read", "readv", "recv", "recvfrom", "recvmsg"}
WRITES = {"write", "writev", "send", "sendto", "sendmsg"}
WAITS = {"poll", "ppoll", "select", "_newselect", "pselect6", "epoll_wait", "epoll_pwait"}
HEAP = "256m"  # room for all garbage of a run
MESSAGES = 50


def calls(trace):
    """Reads, writes and waits (not mere looks) between what the device says around the part to count."""
    counts = {"read": 0, "write": 0, "wait": 0}
    inside = False
    for line in trace.splitlines():
        call = re.match(r'(?:\d+ +)?(\w+)\((\d*)(?:, "(\w*))?', line)
        if not call:
            continue
        name, descriptor, text = call.groups()
        if name == "write" and descriptor == "1":
            inside = inside and text != "end" or text == "begin"
        elif inside:
            counts["read"] += name in READS
            counts["write"] += name in WRITES
            counts["wait"] += name in WAITS and not re.search(r", (0|\{tv_sec=0, tv_[un]sec=0\})(, NULL)?\) +=", line)
    return counts


def heap_and_calls(script, client, per, **settings):
    """Bytes of heap, then reads, writes and waits, for each of `per`."""
    file = BUILD / f"strace.{client.title.replace(' ', '_')}.{script}"
    names = ",".join(sorted("?" + name for name in READS | WRITES | WAITS))
    # -D: strace is the child of what it traces, so that what is killed is the client
    wrapper = ["strace", "-D", "-o", file, "-e", f"trace={names}"]
    file.unlink(missing_ok=True)
    heap = once(script, client, wrapper=wrapper, heap=HEAP, **settings)[0]
    while "\n+++" not in (trace := file.read_text(errors="replace")):
        time.sleep(0.01)
    counts = calls(trace)
    return [heap, *(n / per for n in counts.values())]


def received(client, _, **settings):
    return heap_and_calls("count_received", client, MESSAGES, count=MESSAGES, **settings)


def published(client, _, **settings):
    return heap_and_calls("count_published", client, MESSAGES, count=MESSAGES, **settings)


def idle(client, _, seconds=5):
    return heap_and_calls("idle", client, seconds, ms=seconds * 1000)


def instructions(script, client, _, arch="x64", few=20, more=120, **settings):
    """For each message; what start and end cost cancels out."""
    totals = []
    for count in (few, more):
        log = BUILD / f"callgrind.{threading.get_ident()}"
        wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
        once(script, client, wrapper=wrapper, arch=arch, heap="16m", count=count, **settings)
        totals.append(int(re.search(r"Collected : (\d+)", log.read_text())[1]))
    return [(totals[1] - totals[0]) / (more - few)]


def compiled(client):
    """A folder with the client's files and the device's as .mpy."""
    folder = BUILD / "mpy" / client.title
    shutil.rmtree(folder, ignore_errors=True)
    for source in (HERE / "device", *client.files()):
        for file in source.rglob("*.py"):
            target = (folder / file.relative_to(source)).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([ROOT / "build" / "mpy-cross" / "mpy-cross", "-o", target, file], check=True)
    return folder


def ram(client, _):
    """Bytes of heap once connected, and the native module, which this port keeps elsewhere."""
    arch = "x86" if client.firmware else "armv6m"
    native = 0
    if client.ours and not client.firmware:
        native = (ROOT / "build" / "natmod" / arch / "_mqtt_as.mpy").stat().st_size
    return [native + once("ram", client, arch=arch, heap="1m", mpy=compiled(client))[0]]
