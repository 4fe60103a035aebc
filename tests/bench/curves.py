"""How this client's rates and memory go with the number of clients, the size of messages, topics, publications in flight."""

import os
import subprocess
import sys
from pathlib import Path

from clients import CLIENTS, ROOT, once

SIZES = [1, 16, 100, 256, 1024, 4096, 16384, 65536, 262144]


def codec():
    """Payload, packets a second, and the same with the payload copied out: src/codec/benches/receive.rs."""
    command = ["cargo", "bench", "-q", "-p", "mqtt-codec", "--bench", "receive"]
    path = os.environ["PATH"] + os.pathsep + str(Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "bin")
    env = {**os.environ, "PATH": path, "CARGO_TARGET_DIR": str(ROOT / "build" / "cargo" / "bench")}
    out = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [[float(word) for word in line.split()] for line in out.splitlines()]


def measure(quick):
    """Curves by name: a list of x and the numbers there."""
    client = CLIENTS[0]
    ms = 100 if quick else 400
    every = 4 if quick else 1
    tasks = [1, 2, 4, 8, 16, 32, 64][::every]
    fleet = [1, 2, 5, 10, 20, 50, 100, 200][::every]
    points = {
        "received, by size": ("receive", "size", SIZES[::every], {"flood": True, "qos": 0, "heap": "16m"}),
        "published at QoS 1, by size": ("publish", "size", SIZES[::every], {"qos": 1, "heap": "16m"}),
        "received, by topics": ("receive", "topics", [1, 2, 10, 100, 1000][::every], {"flood": True, "qos": 0}),
        "published at QoS 1, by tasks": ("publish", "tasks", tasks, {"qos": 1}),
        "RAM with a message, by size": ("message_ram", "size", SIZES[::every], {"flood": True, "qos": 0, "heap": "16m"}),
        "RAM with publications in flight, by tasks": ("publications_ram", "tasks", tasks, {"qos": 1}),
        "fleet, by clients": ("fleet", "tasks", fleet, {"qos": 1, "heap": "64m"}),
        "turns of a task, by sockets that others wait for": ("turns", "tasks", fleet, {}),
    }
    curves = {}
    for title, (script, key, values, settings) in points.items():
        curves[title] = [[value, *once(script, client, ms=ms, **{**settings, key: value})] for value in values]
        print(f"  {title}", file=sys.stderr)
    curves["codec, by size"] = codec()
    return curves
