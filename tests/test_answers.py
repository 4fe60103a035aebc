"""The numbers by which the native module and the Python layers understand each other: one meaning on both sides."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUST = [ROOT / "src" / "module" / "src" / "session.rs", *(ROOT / "src" / "module" / "src" / "session").glob("*.rs")]

# What Python alone knows by that name
OWN = {
    "mqtt_as/connection": {"BURST"},
    "mqtt_as/requests": set(),
    "mqtt_as/transport": {"RESOLVE_MS", "NAME_SERVER"},
    "umqtt/simple": {"IBUFSIZE", "MAX_PACKET", "BAD", "FIRST", "ANY", "ACCEPTED"},
}


def rust():
    text = "\n".join(path.read_text() for path in RUST)
    found = re.findall(r"\bconst (\w+): (?:isize|u8) = ([-0-9a-fx_ <]+);", text)
    return {name: eval(value) for name, value in found} | {"DONE": 1 << 8}


@pytest.mark.parametrize("module", OWN)
def test_answers(module):
    text = (ROOT / "python" / f"{module}.py").read_text()
    python = {name: eval(value) for name, value in re.findall(r"^_(\w+) = const\((.*?)\)(?:  #.*)?$", text, re.M)}
    shared = {name: value for name, value in python.items() if name not in OWN[module]}
    known = rust()
    assert shared and shared == {name: known.get(name) for name in shared}
    assert OWN[module] <= set(python)
