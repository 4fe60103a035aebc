"""Documentation that must not go stale.

The examples of docs/MQTT5.md, each run as it stands there behind the lines at the top, print what stands below them. The
stubs name what there is.
"""

import ast
import hashlib
import re
from pathlib import Path

import pytest
from fixtures.auth import auth, connect, send_auth, send_connack
from fixtures.peer import Peer
from fixtures.v5 import accept

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "MQTT5.md").read_text()

# A comment above an example names the function below that plays its server; without one it is a broker.
FENCE = re.compile(r"^(?:<!-- run: (\w+) -->\n)?```(\w+)\n(.*?)^```$", re.M | re.S)
TOP, *BLOCKS = FENCE.finditer(TEXT)
SERVER = 'config["server"] = "192.168.0.10"\n'


def title(position):
    return re.findall(r"^## (.*)", TEXT[:position], re.M)[-1]


def examples():
    """How to run it, the example, its output."""
    for code, output in zip(BLOCKS[::2], BLOCKS[1::2]):
        assert (code[2], output[2]) == ("python", "text")
        yield pytest.param(code[1], code[3], output[3], id=title(code.start()).replace(" ", "-"))


def moved(peer):  # in the example "PORT" stands for that of the other one
    """A server that sends its clients to the other one."""
    elsewhere = Peer()
    c = peer.accept()
    c.accept_connect(f'20 # 00 9c # 1c "{elsewhere.host}:{elsewhere.port}"')
    c.closed()
    c = accept(elsewhere, "22 00 0a")
    c.expect("e0 00")
    elsewhere.close()
    return str(elsewhere.port)


def prove(what):
    return hashlib.sha256(b"secret" + what).hexdigest().encode()


def authenticates(peer):
    """A server that knows the key."""
    c = peer.accept()
    assert connect(c, "CHALLENGE") == b"meter"
    send_auth(c, b"17", method="CHALLENGE")
    assert auth(c, method="CHALLENGE") == prove(b"17")
    send_connack(c, prove(b"server17"), method="CHALLENGE")
    assert auth(c, 0x19, "CHALLENGE") == b"meter"
    send_auth(c, b"18", method="CHALLENGE")
    assert auth(c, method="CHALLENGE") == prove(b"18")
    send_auth(c, prove(b"server18"), 0, "CHALLENGE")
    c.expect("e0 00")
    c.close()


@pytest.mark.parametrize("role, example, output", examples())
def test_example(mp, brokers, peer, role, example, output):
    server = peer if role else brokers()
    assert SERVER in TOP[3]
    text = TOP[3].replace(SERVER, f'config["server"] = "{server.host}"\nconfig["port"] = {server.port}\n') + example
    p = mp.start(text)
    port = globals()[role](peer) if role else None
    r = p.wait()
    assert (r.out, r.err) == (output.replace("PORT", port or ""), "")
    assert role or "rotocol error" not in server.log


def test_links_lead_somewhere():
    titles = {re.sub(r"[^\w -]", "", line).replace(" ", "-").lower() for line in re.findall(r"^## (.*)", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) == titles


def signatures(name):
    """The arguments of each method, by class and name."""
    tree = ast.parse((ROOT / "python" / "mqtt_as" / name).read_text())
    classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    return {
        (owner, node.name): ast.unparse(strip(node.args))
        for owner, body in classes.items()
        for node in body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def strip(arguments):
    """Without annotations and defaults."""
    for argument in (*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument:
            argument.annotation = None
    arguments.defaults, arguments.kw_defaults = [], [None] * len(arguments.kwonlyargs)
    return arguments


def test_stubs():
    stubs, code = signatures("__init__.pyi"), {**signatures("requests.py"), **signatures("client.py")}
    public = {key for key in code if key[0] in ("MQTT_base", "MQTTClient") and key[1][0] != "_"}
    properties = {("MQTT_base", name) for name in ("last_rx", "newpid", "rcv_pids", "topic_alias_maximum")}
    assert public - set(stubs) == properties
    known = {key: stub for key, stub in stubs.items() if key in code and key[1] not in ("dprint", "__aexit__")}
    assert known == {key: code[key] for key in known}


def test_stubs_name_all_of_config(mp):
    keys = mp("from mqtt_as import config; print(*config)").out.split()
    stub = (ROOT / "python" / "mqtt_as" / "__init__.pyi").read_text()
    assert [key for key in keys if f"`{key}`" not in stub and f"`{key}(" not in stub] == []
