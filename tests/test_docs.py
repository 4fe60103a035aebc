"""Documentation that must not go stale.

The examples of PAGES, each run as it stands there behind the lines at the top of its page, print what stands below them. Links
lead somewhere. The stubs name what there is.
"""

import ast
import hashlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from fixtures.auth import auth, connect, send_auth, send_connack
from fixtures.authority import Authority
from fixtures.peer import Peer
from fixtures.programs import FAKES, Board
from fixtures.v5 import accept

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = ["MQTT5", "API", "NETWORKS", "TLS"]  # Those with examples

# A comment above an example names the function below that plays its server, or sets up a broker for it.
FENCE = re.compile(r"^(?:<!-- (?:run|broker): (\w+) -->\n)?```(\w+)\n(.*?)^```$", re.M | re.S)
SERVER = re.compile(r'^config\["server"\] = "(.*)"\n', re.M)


def examples():
    """How to run it, whether on a board, the program, its output."""
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text()
        top, *blocks = (block for block in FENCE.finditer(text) if block[2] in ("python", "text"))
        for code, output in zip(blocks[::2], blocks[1::2]):
            assert (code[2], output[2]) == ("python", "text"), code[3]
            title = re.findall(r"^## (.*)", text[: code.start()], re.M)[-1]
            board = page == "NETWORKS"
            yield pytest.param(code[1], board, top[3] + code[3], output[3], id=f"{page}-{title}".replace(" ", "-"))


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


def silent(peer):
    """A server that acknowledges nothing."""
    c = peer.accept()
    c.accept_connect()
    c.closed()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("docs") / "authority")
    authority.issue("server")
    authority.issue("client", "kitchen")
    return authority.folder


class Brokers:
    """Each as the service of that name is set up, and with the files that a program needs."""

    def __init__(self, brokers, folder, authority):
        self._new, self._folder, self._authority = brokers, folder, authority
        for name in ("ca.der", "client.der", "client.key.der"):
            shutil.copy(authority / name, folder)

    def _write(self, name, *lines):
        path = self._folder / name
        path.write_text("\n".join((*lines, "")))
        path.chmod(0o600)
        return path

    def mosquitto(self, *lines):
        return self._new(f"certfile {self._authority}/server.pem", f"keyfile {self._authority}/server.key.pem", *lines)

    def mutual(self, *lines):
        identity = "require_certificate true", "use_identity_as_username true"
        return self.mosquitto(f"cafile {self._authority}/ca.pem", *identity, *lines)

    def aws(self):
        """A policy: topics below the client's own name."""
        return self.mutual(f"acl_file {self._write('acl', 'pattern readwrite %c/#')}", "max_qos 1")

    def azure(self):
        topics = "topic read devices/kitchen/messages/devicebound/#", "topic write devices/kitchen/messages/events/#"
        acl = self._write("acl", "user my-hub.azure-devices.net/kitchen/?api-version=2021-04-12", *topics)
        return self.mosquitto(
            f"cafile {self._authority}/ca.pem",
            "require_certificate true",
            f"acl_file {acl}",
            "max_qos 1",
            "retain_available false",
        )

    def hivemq(self):
        """User and password, behind a server that ends TLS and demands a name."""
        passwords = self._write("passwords", "kitchen:correct horse")
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        broker = self._new("allow_anonymous false", f"password_file {passwords}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._authority / "server.pem", self._authority / "server.key.pem")
        context.sni_callback = lambda _, name, __: None if name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return Terminator(broker, context)


class Terminator:
    """Ends TLS in front of a broker, for one client."""

    def __init__(self, broker, context):
        self._context = context
        self._broker = broker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def log(self):
        return self._broker.log

    def _serve(self):
        with self._listener, self._listener.accept()[0] as sock, self._context.wrap_socket(sock, server_side=True) as front:
            back = socket.create_connection((self._broker.host, self._broker.port))
            threading.Thread(target=self._copy, args=(back, front), daemon=True).start()
            self._copy(front, back)

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(4096):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def set_up(request, brokers, mp, authority):
    return Brokers(brokers, mp.folder, authority)


@pytest.mark.parametrize("role, board, program, output", examples())
def test_example(mp, brokers, peer, set_up, role, board, program, output):
    play = globals().get(role)
    server = peer if play else getattr(set_up, role)() if role else brokers()
    name = "127.0.0.1" if play or not role else "localhost"
    program, n = SERVER.subn(f'config["server"] = "{name}"\nconfig["port"] = {server.port}\n', program)
    assert n
    p = mp.start(program, env={"MICROPYPATH": str(FAKES)} if board else {})
    port = play(peer) if play else None
    r = p.wait()
    assert (r.out, r.err) == (output.replace("PORT", port or ""), "")
    assert play or "rotocol error" not in server.log


def test_start(mp, broker, tmp_path):
    """docs/START.md: what one sees."""
    text = (DOCS / "START.md").read_text()
    board = Board(mp, tmp_path)
    (settings,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert settings in (board.folder / "lib" / "mqtt_local_example.py").read_text()
    board.settings(broker)
    subscribe, program, publish = re.findall(r"^    (mosquitto_sub.*|mpremote exec.*|mosquitto_pub.*)", text, re.M)
    where = f"-p {broker.port} -h {broker.host}"
    with subprocess.Popen(subscribe.replace("-h 192.168.0.10", where).split(), stdout=subprocess.PIPE, text=True) as listener:
        broker.wait_log("Received SUBSCRIBE")
        p = board.start(re.fullmatch('mpremote exec "(.*)"', program)[1])
        broker.wait_log("Received SUBSCRIBE", count=2)
        subprocess.run(publish.replace("-h 192.168.0.10", where).split(), check=True)
        p.expect("^Publish 1")
        seen = [listener.stdout.readline().rstrip() for _ in range(2)]
        listener.kill()
    (picture,) = re.findall(r"^```text\n(.*?)^```", text, re.M | re.S)
    columns = [(line[:52].strip(), line[52:].strip()) for line in picture.splitlines()[2:]]
    assert {left for left, _ in columns if left} <= set(p.out.splitlines())
    assert [right for _, right in columns if right] == seen


def test_memory_is_measured(mp, broker):
    """By the script that MEMORY names, which has a line for each row of its table."""
    script = "tests/device/memory.py"
    text = (DOCS / "MEMORY.md").read_text()
    assert script in text
    lines = mp(ROOT / script, broker.host, broker.port).lines
    assert all(re.fullmatch(r".* +-?\d+", line) for line in lines) and len(lines) == 12


def test_texts_of_errors():
    """Each that TROUBLESHOOTING explains is one that the client has."""
    said = "".join(p.read_text() for p in (ROOT / "python" / "mqtt_as").glob("*.py")).replace('\\"', '"')
    texts = re.findall(r"^\| `(.*?)` \|", (DOCS / "TROUBLESHOOTING.md").read_text(), re.M)
    assert len(texts) > 30
    assert [text for text in texts if f'"{text}"' not in said] == ["Connection lost:"]


@pytest.mark.parametrize(
    "path", [p.relative_to(ROOT).as_posix() for p in sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("[d-e]*/**/*.md"))]
)
def test_links_lead_somewhere(path):
    """To files, and to headings of pages."""
    text = (ROOT / path).read_text()
    for link in re.findall(r"\]\((?!\w+:)([^)]*)\)", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)):
        place, _, anchor = link.partition("#")
        target = (ROOT / path).parent / place if place else ROOT / path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings}, link


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
    properties = {("MQTT_base", name) for name in ("last_rx", "lock", "newpid", "rcv_pids", "topic_alias_maximum")}
    assert public - set(stubs) == properties
    known = {key: stub for key, stub in stubs.items() if key in code and key[1] not in ("dprint", "__aexit__")}
    assert known == {key: code[key] for key in known}


def test_all_of_config_is_told(mp):
    """By the stubs, and by API."""
    keys = mp("from mqtt_as import config; print(*config)").out.split()
    api = (DOCS / "API.md").read_text()
    assert [key for key in keys if f"`{key}`" not in api] == []
    stub = (ROOT / "python" / "mqtt_as" / "__init__.pyi").read_text()
    assert [key for key in keys if f"`{key}`" not in stub and f"`{key}(" not in stub] == []
