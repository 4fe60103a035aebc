"""What is handed out, and the ways it gets on a board: mip, install.py, mpremote.

Two MicroPythons stand for boards: that of the other tests with the mip of its source tree, which is an old one, and where
PyPI has it for this Python a newer one that brings its own mip.
"""

import ast
import functools
import hashlib
import http.server
import importlib.util
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest
from fixtures.client import HEAD, TAIL, end
from fixtures.micropython import RUNNER

# The first of them waits until all forms of the native module are built
pytestmark = pytest.mark.timeout(600)

ROOT = RUNNER.parent.parent
TABLE = json.loads((ROOT / "natmod" / "architectures.json").read_text())
BUILT = subprocess.check_output([ROOT / "natmod" / "arch.py", "--built"], text=True).split()
VERSION = subprocess.check_output([ROOT / "tools" / "dist", "--version"], text=True).strip()
FOLDER = "x64_6.3"


def dist(*arguments, root=ROOT):
    return subprocess.run([sys.executable, root / "tools" / "dist", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """dist/VERSION for x64; the runtime is there too."""
    subprocess.run([RUNNER, "x64", "-c", ""], check=True)
    out = tmp_path_factory.mktemp("dist")
    dist("--out", out, "x64")
    return out / VERSION


@pytest.fixture
def handed_out(built, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(built, tmp_path / "www" / VERSION)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server:
    """`url` is that of `folder`."""

    def __init__(self, folder):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        self.url = "http://127.0.0.1:%d" % self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(handed_out):
    s = Server(handed_out.parent)
    yield s
    s.close()


class Board:
    """A MicroPython with nothing but mip and `lib`, an empty folder."""

    def __init__(self, command, folder, path):
        self.command, self.folder, self.lib = command, folder, folder / "lib"
        self.lib.mkdir()
        self._path = path

    @property
    def environment(self):
        return {**os.environ, "MICROPYPATH": ":".join(map(str, [".frozen", self.lib, *self._path])), "HOME": str(self.folder)}

    def __call__(self, text):
        """Its output, with the traceback it may end in: not each of them has an exit code."""
        script = self.folder / "main.py"
        script.write_text(text)
        how = {"env": self.environment, "cwd": self.folder, "text": True, "timeout": 100}
        return subprocess.run([*self.command, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how).stdout

    def files(self):
        return sorted(str(p.relative_to(self.lib)) for p in self.lib.rglob("*") if p.is_file())

    def round_trip(self, broker):
        """A program that uses the client."""
        text = (
            HEAD.format(config={"server": broker.host, "port": broker.port, "client_id": b"id", "queue_len": 2})
            + ROUND_TRIP
            + TAIL
        )
        assert self(text) == "b'a' b'hello' False\n"
        assert "rotocol error" not in broker.log


ROUND_TRIP = """
async def main(client):
    await client.connect()
    await client.subscribe("a", 2)
    await client.publish("a", "hello", qos=2)
    async for message in client.queue:
        print(*message)
        break
    await client.disconnect()
"""

needs_newer = pytest.mark.skipif(
    importlib.util.find_spec("micropython_unix") is None, reason="no micropython_unix for this Python"
)


def old_mip(folder):
    tree = Path(subprocess.check_output([ROOT / "tests" / "micropython-source"], text=True).rstrip("\n"))
    mip, requests = (sorted((tree / "lib" / "micropython-lib").glob(f"*/{name}")) for name in ("mip", "requests"))
    if not (mip and requests):
        pytest.skip(f"{tree} has no mip")
    return Board([ROOT / "build" / "runtime" / "x64" / "micropython"], folder, [mip[0], requests[0]])


def new_mip(folder):
    return Board([sys.executable, "-m", "micropython_unix"], folder, [])


BOARDS = [pytest.param(old_mip, id="old"), pytest.param(new_mip, id="new", marks=needs_newer)]


@pytest.fixture(params=BOARDS)
def board(request, built, tmp_path):
    return request.param(tmp_path)


def names(suffix):
    """What has to be on a board."""
    sources = (p.stem for p in (ROOT / "python" / "mqtt_as").glob("*.py"))
    return sorted(["_mqtt_as.mpy", *(f"mqtt_as/{stem}{suffix}" for stem in sources if stem != "tls13")])


TLS_NAMES = ["_mqtt_tls.mpy", "mqtt_as/tls13.mpy"]


# --- what is in it


def test_contents(built):
    folder = built / FOLDER
    assert (built / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    expected = {package: names(suffix) for package, suffix in PACKAGES}
    expected["package-eth.json"] = ["mqtt_as_eth.mpy"]
    expected.update({"package-tls.json": TLS_NAMES, "package-tls-p256.json": TLS_NAMES})
    for package, files in expected.items():
        package = json.loads((folder / package).read_text())
        assert package["version"] == VERSION
        assert [name for name, _ in package["urls"]] == files
        assert all(Path(name).name == Path(url).name and (folder / url).is_file() for name, url in package["urls"])
        assert package["size"] == sum((folder / url).stat().st_size for _, url in package["urls"])
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS"}
    assert sums == {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()}


def test_sums(built):
    """Of all that is handed out."""
    r = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built, capture_output=True, text=True, check=True
    )
    files = {p.relative_to(built).as_posix() for p in built.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert {line.removesuffix(": OK") for line in r.stdout.splitlines()} == files
    before = (built / "SHA256SUMS").read_bytes()
    dist("--sums", built)
    assert (built / "SHA256SUMS").read_bytes() == before


ROMFS = """
import gc, sys, vfs
{mount}
import asyncio, errno, socket
from asyncio import core, Event, Lock
gc.collect()
before = gc.mem_alloc()
import mqtt_as
gc.collect()
print(mqtt_as.__path__, mqtt_as.MQTTClient.__name__, gc.mem_alloc() - before)
"""


def test_romfs(built, tmp_path):
    """The image holds what works, and takes less RAM than files do."""
    image = (built / FOLDER / "mqtt_as.romfs").as_posix()
    board = old_mip(tmp_path)
    mount = f"vfs.mount(vfs.VfsRom(open({image!r}, 'rb').read()), '/rom')\nsys.path.append('/rom/lib')"
    rom = board(ROMFS.format(mount=mount)).split()
    shutil.copytree(built / FOLDER / "mqtt_as", board.lib / "mqtt_as")
    shutil.copy(built / FOLDER / "_mqtt_as.mpy", board.lib)
    files = board(ROMFS.format(mount="")).split()
    assert rom[:2] == ["/rom/lib/mqtt_as", "MQTTClient"] and files[:2] == [f"{board.lib}/mqtt_as", "MQTTClient"]
    print(rom, files)
    assert int(rom[2]) < 0.7 * int(files[2])


WRONG = """
import asyncio
from mqtt_as import MQTTClient, config

client = MQTTClient(config)
reveal_type(client.publish)
asyncio.run(client.publish("t", "m", qos="1"))
"""


def test_stubs_package(built, tmp_path):
    """Installed where an editor or a type checker looks, it gives types."""
    (wheel,) = built.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-index", wheel], check=True)
    shown = subprocess.run([*pip, "show", "--files", "mqtt-as-native-stubs"], check=True, capture_output=True, text=True).stdout
    assert f"Version: {VERSION}\n" in shown
    assert " mqtt_as-stubs/__init__.pyi\n" in shown and " umqtt-stubs/robust.pyi\n" in shown
    (tmp_path / "program.py").write_text(WRONG)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "program.py"]
    r = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True)
    assert "Revealed type is" in r.stdout and 'has incompatible type "str"' in r.stdout, r.stdout + r.stderr
    assert "Found 1 error in 1 file" in r.stdout, r.stdout


def test_headers(built):
    for module in (built / FOLDER).rglob("_mqtt_*.mpy"):
        assert module.read_bytes()[:4] == bytes([ord("M"), 6, TABLE["x64"]["code"] << 2 | 3, 31])
    assert {p.read_bytes()[:4] for p in (built / FOLDER / "mqtt_as").iterdir()} == {b"M\x06\0\x1f"}


@pytest.mark.parametrize(
    "header, code", [(b"M\6\x13\x1f", 2), (b"M\6\x0a\x1f", 2), (b"M\5\x0b\x1f", 2), (b"M\6\x0b\x3f", 2), (b"", 2)]
)
def test_linking_checks_the_header(tmp_path, header, code):
    check = [ROOT / "natmod" / "toolchain", "--header", tmp_path / "x.mpy"]
    (tmp_path / "x.mpy").write_bytes(b"M\6\x0b\x1f...")
    subprocess.run([*check, "2"], check=True)
    (tmp_path / "x.mpy").write_bytes(header)
    r = subprocess.run([*check, "2"], capture_output=True, text=True)
    assert r.returncode == 1 and "no .mpy 6.3 for architecture 2" in r.stderr


def test_url(tmp_path, built):
    dist("--out", tmp_path, "--url", "https://example.org/mqtt_as/", "x64")
    package = json.loads((tmp_path / VERSION / FOLDER / "package-py.json").read_text())
    assert ["mqtt_as/link.py", f"https://example.org/mqtt_as/{VERSION}/{FOLDER}/py/mqtt_as/link.py"] in package["urls"]
    assert f'\nPUBLISHED = "https://example.org/mqtt_as/{VERSION}"\n' in (tmp_path / VERSION / "install.py").read_text()
    assert (built / "install.py").read_bytes() == (ROOT / "python" / "install.py").read_bytes()


@pytest.mark.timeout(900)
def test_reproducible(built, tmp_path):
    """Built in another folder, from nothing, it is the same to the byte."""
    arches = ["x64", "xtensawin"]  # the latter compiles core itself
    dist("--out", tmp_path / "here", *arches)
    elsewhere = tmp_path / "a" / "longer" / "place"
    for name in subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines():
        if (ROOT / name).is_file():
            (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, elsewhere / name)
    dist("--out", tmp_path / "there", *arches, root=elsewhere)
    here, there = (
        {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        for out in (tmp_path / "here", tmp_path / "there")
    )
    assert len(here) > 2 * len(names(".py")) and here == there


def test_natmod_by_itself(built):
    """What cibuildmp calls, and where it looks."""
    tree = subprocess.check_output([ROOT / "tests" / "micropython-source"], text=True).rstrip("\n")
    subprocess.run(["make", "-C", ROOT / "natmod", "ARCH=x64", f"MPY_DIR={tree}", "dist"], check=True, capture_output=True)
    (module,) = (ROOT / "natmod").glob("build/x64*/_mqtt_as.mpy")
    assert module.read_bytes() == (built / FOLDER / "_mqtt_as.mpy").read_bytes()


def test_installer_knows_all_architectures():
    tree = ast.parse((ROOT / "python" / "install.py").read_text())
    (arches,) = (n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "ARCHES")
    known = ast.literal_eval(arches)
    assert known.pop(6) == "armv7m"
    assert known == {TABLE[name]["code"]: name for name in BUILT}
    source = (ROOT / "python" / "mqtt_as" / "explain.py").read_text()
    names = re.search(r'"(- x86 .*)"\.split\(\)', source)[1].split()
    assert {n: name for n, name in enumerate(names) if name != "-"} == {**known, 6: "armv7m"}


def test_documentation():
    text = (ROOT / "docs" / "INSTALL.md").read_text()
    assert set(re.findall(r"\d+\.\d+\.\d+(?=/)", text)) == {VERSION, "3.1.1"}
    rows = re.findall(r"^\| ([\d, ]+) \| `(\w+)_6\.3` \|", text, re.M)
    assert sorted((int(n), name) for numbers, name in rows for n in numbers.split(",")) == sorted(
        [(TABLE[name]["code"], name) for name in BUILT] + [(6, "armv7m")]
    )


# --- mip


@needs_newer
def test_mip_relative_urls(built, server, broker, tmp_path):
    board = new_mip(tmp_path)
    board(f"import mip; mip.install('{server.url}/{VERSION}/{FOLDER}/package.json', target='{board.lib}')")
    assert board.files() == names(".mpy")
    board.round_trip(broker)


PACKAGES = [("package.json", ".mpy"), ("package-py.json", ".py"), ("package-3.1.1.json", ".mpy")]


@needs_newer
@pytest.mark.parametrize(
    "package, module",
    [("demos", "mqtt_as/v5/basic.py"), ("gateway", "gateway.py"), ("node", "mqtt_node.py")],
)
def test_mip_for_all_boards(tmp_path, package, module):
    dist("--out", tmp_path / "www")
    board = new_mip(tmp_path)
    server = Server(tmp_path / "www")
    out = board(f"import mip; mip.install('{server.url}/{VERSION}/{package}/package.json', target='{board.lib}')")
    server.close()
    assert "Done" in out and module in board.files()
    assert ("mqtt_local_example.py" in board.files()) is (package == "demos")
    assert ("mqtt_node.py" in board.files()) is (package in ("gateway", "node"))


@pytest.mark.parametrize("package, suffix", PACKAGES)
def test_mip_absolute_urls(board, server, handed_out, broker, package, suffix):
    dist("--out", handed_out.parent, "--url", server.url, "x64")
    board(f"import mip; mip.install('{server.url}/{VERSION}/{FOLDER}/{package}')")
    assert board.files() == names(suffix)
    board.round_trip(broker)


@pytest.mark.parametrize("mqttv5", [False, True])
def test_without_mqtt_5(built, clients, peer, mqttv5):
    """The smaller module: 3.1.1 as ever, what belongs to MQTT 5 is an error."""
    small, whole = (len((built / FOLDER / name / "_mqtt_as.mpy").read_bytes()) for name in ("3.1.1", "."))
    assert small < 0.85 * whole
    script = """
        if config["mqttv5"]:
            try:
                MQTTClient(config)
            except ValueError as e:
                print(e)
            config["mqttv5"] = False
        config["subs_cb"] = show

        async def main(client):
            await client.connect()
            print("connected")
            print("published", await client.publish("t", "m", qos=2, properties={38: {"a": "b"}}))
            print("granted", await client.subscribe([("a", 1), ("b", 2)], properties={11: 1}))
            await told()
    """
    p = clients.start(peer, script, config={"mqttv5": mqttv5}, env={"MICROPYPATH": str(built / FOLDER / "3.1.1")})
    if mqttv5:
        p.expect("_mqtt_as.mpy is that of MQTT 3.1.1: mqttv5 must be False")
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    pid = c.expect("34 # \"t\" .. .. 'm'")[5:7]
    c.send("50 02", pid)
    c.expect(b"\x62\x02" + pid)
    c.send("70 02", pid)
    p.expect("published 0")
    pid = c.expect('82 # .. .. "a" 01 "b" 02')[2:4]
    c.send("90 04", pid, "01 80")
    p.expect(r"granted \[1, 128\]")
    c.send("30 # \"t\" 00 'x'")
    p.expect(r"message b't' b'\\x00x' False")
    for packet in ("e0 00", "f0 00"):  # There is no such packet in 3.1.1
        c.send(packet)
        c.closed()
        c = peer.accept()
        c.accept_connect()
    end(p)


def test_mip_wrong_architecture(board, handed_out, server):
    module = handed_out / FOLDER / "_mqtt_as.mpy"
    data = bytearray(module.read_bytes())
    data[2] = TABLE["armv6m"]["code"] << 2 | 3
    shutil.copytree(handed_out / FOLDER / "mqtt_as", board.lib / "mqtt_as")
    (board.lib / "_mqtt_as.mpy").write_bytes(data)
    assert "incompatible .mpy arch: take that of x64_6.3" in board("import mqtt_as")


# --- install.py on the board


def on_board(board, text):
    shutil.copyfile(ROOT / "python" / "install.py", board.folder / "install.py")
    return board(text)


def test_install(board, server, broker):
    (board.lib / "mqtt_as").mkdir()
    (board.lib / "mqtt_as" / "__init__.py").write_text("raise SystemExit('the old one')")
    out = on_board(board, f"import install; install.install('{server.url}/{VERSION}/')")
    assert out.endswith(f"Removed: {board.lib}/mqtt_as/__init__.py\nmqtt_as {VERSION} works, in {board.lib}\n")
    assert board.files() == names(".mpy")
    board.round_trip(broker)


def test_install_published(board, handed_out, server):
    """The copy that is published knows where it is."""
    dist("--out", handed_out.parent, "--url", server.url, "x64")
    assert board((handed_out / "install.py").read_text()).endswith(f"works, in {board.lib}\n")


def fails(board, text):
    """The message of the InstallError."""
    out = on_board(board, text)
    assert "\nInstallError: " in out
    return out.partition("\nInstallError: ")[2]


def test_install_without_index(board):
    message = fails(board, "import install; install.install()")
    assert message.startswith("no index is known") and f"mpremote mip install {FOLDER}/package.json" in message


def test_install_wrong_index(board, server):
    message = fails(board, f"import install; install.install('{server.url}/0.0.1')")
    assert message.startswith(f"HTTP status 404 for {server.url}/0.0.1/{FOLDER}/package.json: check the index; a board for")


@pytest.mark.parametrize("size, what", [(10**15, "space in "), (10**8, "RAM")])
def test_install_without_room(board, handed_out, server, size, what):
    """Nothing is written, and it is said how much is missing."""
    package = handed_out / FOLDER / "package.json"
    package.write_text(json.dumps({**json.loads(package.read_text()), "size": size}))
    message = fails(board, f"import install; install.install('{server.url}/{VERSION}')")
    found = re.match(rf"not enough {what}.*: {size} bytes are needed, (\d+) are free, (\d+) are missing. ", message)
    assert found and int(found[1]) + int(found[2]) == size and "docs/FIRMWARE.md" in message
    assert board.files() == []


ROOM = """
import install
class os:
    def statvfs(path):
        if path != {there!r}:
            raise OSError(2)
        return (4096, 4096, 100, 10, 10)
    def stat(path):
        if path != "/x/lib/a.mpy":
            raise OSError(2)
        return (0,) * 6 + (100,)
import sys
sys.modules["os"] = os
try:
    install.room(["a.mpy", "b.mpy"], {size}, "/x/lib")
    print("there is room")
except install.InstallError as e:
    print(e)
"""


@pytest.mark.parametrize("there", ["/x/lib", "/x", "/"])
def test_room(built, tmp_path, there):
    """What is there already is replaced; the folder may not be there yet."""
    board = old_mip(tmp_path)
    assert on_board(board, ROOM.format(there=there, size=41060)) == "there is room\n"
    assert "41061 bytes are needed, 41060 are free, 1 are missing. Delete" in on_board(
        board, ROOM.format(there=there, size=41061)
    )


def test_install_without_network(board):
    with socket.socket() as s:  # bound, but nobody listens
        s.bind(("127.0.0.1", 0))
        message = fails(board, f"import install; install.install('http://127.0.0.1:{s.getsockname()[1]}/x')")
    assert "is the network up?" in message and f"mpremote mip install {FOLDER}/package.json" in message


def test_install_without_mip(board, server):
    message = fails(board, f"import install, sys; sys.path[:] = ['{board.lib}']; install.install('{server.url}')")
    assert message.startswith("this firmware has no mip") and f"mpremote mip install {FOLDER}/package.json" in message


def test_install_without_lib(board, server):
    message = fails(board, f"import install, sys; sys.path[:] = ['/rom/lib']; install.install('{server.url}')")
    assert message.startswith("no folder of sys.path ends in /lib")


def test_install_damaged(board, handed_out, server):
    with open(handed_out / FOLDER / "mqtt_as" / "auth.mpy", "ab") as f:
        f.write(b"!")
    message = fails(board, f"import install; install.install('{server.url}/{VERSION}')")
    assert message == f"{board.lib}/mqtt_as/auth.mpy is damaged: install again\n"
    (handed_out / FOLDER / "mqtt_as" / "auth.mpy").unlink()
    (board.lib / "mqtt_as" / "auth.mpy").unlink()
    message = fails(board, f"import install; install.install('{server.url}/{VERSION}')")
    assert message == f"{board.lib}/mqtt_as/auth.mpy is missing: install again\n"


@pytest.mark.parametrize("old", ["mqtt_as.py", "mqtt_as/__init__.py", "_mqtt_as.py"])
def test_install_beside_an_older_one(board, server, old):
    (board.folder / old).parent.mkdir(exist_ok=True)
    (board.folder / old).write_text("VERSION = (0, 8, 3)")
    message = fails(board, f"import install; install.install('{server.url}/{VERSION}')")
    removed = board.folder / old.removesuffix("/__init__.py")
    name = removed.name.removesuffix(".py")
    assert message == f"{name} is installed in {board.lib}, but another one comes first on sys.path: remove {removed}\n"


FROZEN = """
import install, sys
class Frozen:
    __path__ = ".frozen/mqtt_as"
    VERSION = (0, 8, 3)
class Compiled:
    pass
import builtins
find = __import__
there = {{"mqtt_as": {mqtt_as}, "_mqtt_as": {module}}}
builtins.__import__ = lambda name, *args: there.get(name) or find(name, *args)
install.install({url!r})
"""


@pytest.mark.parametrize(
    "mqtt_as, module, cure", [("Frozen", "None", "sys.path.insert(0, "), ("None", "Compiled", "update the firmware")]
)
def test_install_in_a_firmware_that_has_it(board, server, mqtt_as, module, cure):
    message = fails(board, FROZEN.format(mqtt_as=mqtt_as, module=module, url=f"{server.url}/{VERSION}"))
    name = "mqtt_as" if mqtt_as == "Frozen" else "_mqtt_as"
    assert message.startswith(f"{name} is installed in {board.lib}, but the one ") and cure in message


@pytest.mark.parametrize(
    "implementation, platform, answer",
    [
        *((f"_mpy={TABLE[name]['code'] << 10 | 0x306}", "x", f"{name}_6.3") for name in BUILT),
        ("_mpy=6 << 10 | 0x306", "stm32", "armv7m_6.3"),
        ("_mpy=1 << 16 | 11 << 10 | 0x306", "rp2", "rv32imc_6.3"),  # flags of later versions
        ("_mpy=9 << 10 | 0x306", "esp8266", "too little RAM for the files"),
        ("_mpy=13 << 10 | 0x306", "x", "no files for architecture 13"),
        ("_mpy=3 << 10 | 0x306", "linux", "no files for architecture 3"),
        ("_mpy=0x306", "x", "loads no native code: mqtt_as has to be compiled into the firmware"),
        ("_mpy=0x306; version=(1, 23, 0, '')", "esp32", "does from 1.24 on"),
        ("", "x", "loads no .mpy files: mqtt_as has to be compiled into the firmware"),
        ("mpy=0x1305", "pyboard", "install firmware 1.23 or newer"),
        ("_mpy=4 << 10 | 0x206", "rp2", "install firmware 1.23 or newer"),
        ("_mpy=4 << 10 | 0x007", "rp2", "newer than these files"),
        ("name='circuitpython'", "x", "this is circuitpython"),
    ],
)
def test_architecture(built, tmp_path, implementation, platform, answer):
    script = f"""
import install
class Implementation:
    name = "micropython"
class This(Implementation):
    {implementation or "pass"}
try:
    print(install.folder(This, {platform!r}))
except install.InstallError as e:
    print(e)
"""
    assert answer in on_board(old_mip(tmp_path), script)


# --- tools/install, with mpremote


@pytest.fixture
def line(built, tmp_path):
    """A board on a serial line: (board, the line's device)."""
    board = old_mip(tmp_path)
    (tmp_path / "cwd").mkdir()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    command = [*board.command, ROOT / "tests" / "device" / "board.py"]
    process = subprocess.Popen(command, stdin=ours, stdout=ours, env=board.environment, cwd=tmp_path / "cwd")
    yield board, os.ttyname(theirs)
    process.kill()
    process.wait()
    os.close(ours)
    os.close(theirs)


def put(*arguments, tool=ROOT / "tools" / "install", **how):
    command = [sys.executable, tool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, **how)


def test_put_on_a_board(line, built, broker):
    board, device = line
    r = put(device, "--dist", built)
    assert r.returncode == 0, r.stdout + r.stderr
    assert f"The board takes {FOLDER}\n" in r.stdout and f"mqtt_as {VERSION} works, in {board.lib}\n" in r.stdout
    assert board.files() == names(".mpy")
    board.round_trip(broker)


def test_put_from_a_release(line, handed_out, tmp_path):
    """Unpacked anywhere, with nothing but Python and mpremote; package.json names a server that is not there."""
    board, device = line
    dist("--out", handed_out.parent, "--url", "http://127.0.0.1:9", "x64")
    release = tmp_path / "a user@home" / VERSION
    handed_out.rename(release.parent.parent / "moved")
    release.parent.mkdir()
    (tmp_path / "moved").rename(release)
    how = {"tool": release / "install_from_pc.py", "env": {"PATH": ""}, "cwd": tmp_path}
    r = put(device, **how)
    assert r.returncode == 0 and r.stdout.endswith(f"mqtt_as {VERSION} works, in {board.lib}\n"), r.stdout + r.stderr
    assert board.files() == names(".mpy")
    (release / FOLDER / "_mqtt_as.mpy").write_bytes(b"")
    r = put(device, **how)
    assert r.returncode == 1 and r.stderr.endswith(f"{FOLDER}/_mqtt_as.mpy is damaged: get the files again\n")
    (release / FOLDER).rename(release / "armv6m_6.3")
    r = put(device, **how)
    assert r.returncode == 1 and "there is armv6m_6.3: get all of the release, or a newer one\n" in r.stderr


def test_put_without_mpremote(tmp_path):
    shutil.copyfile(ROOT / "python" / "install.py", tmp_path / "install.py")
    tool = shutil.copyfile(ROOT / "tools" / "install", tmp_path / "install_from_pc.py")
    r = subprocess.run([sys.executable, "-S", tool], capture_output=True, text=True)
    assert r.returncode == 1 and r.stderr.endswith("-m pip install mpremote\n")


def test_put_on_a_board_that_has_another(line, built):
    board, device = line
    (board.folder / "cwd" / "mqtt_as.py").write_text("VERSION = (0, 8, 3)")
    r = put(device, "--dist", built)
    assert r.returncode == 1 and re.search(r"install: mqtt_as is installed in .* remove .*mqtt_as.py", r.stderr), r


def test_put_where_there_is_no_room(line, handed_out):
    board, device = line
    package = handed_out / FOLDER / "package.json"
    package.write_text(json.dumps({**json.loads(package.read_text()), "size": 10**8}))
    r = put(device, "--dist", handed_out)
    assert r.returncode == 1 and "install: not enough RAM: 100000000 bytes are needed" in r.stderr
    assert board.files() == []


def test_put_without_files(line, tmp_path):
    r = put(line[1], "--dist", tmp_path)
    missing = f"install: {tmp_path}/{FOLDER} is missing, there is no folder for any board: make dist ARCHES=x64\n"
    assert r.returncode == 1 and r.stderr == missing


def test_put_without_a_board(tmp_path):
    r = put(tmp_path / "tty")
    assert r.returncode == 1 and r.stderr.startswith("install: mpremote: failed to access") and "dialout" in r.stderr


def test_put_on_a_board_that_is_silent():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    r = put(os.ttyname(theirs), "--timeout", 2)
    assert r.returncode == 1 and r.stderr.startswith("install: the board does not answer: press its reset button")
    os.close(ours)
    os.close(theirs)


def test_mpremote_mip(line, built, server, broker):
    """The commands of the documentation, without tools/install."""
    board, device = line
    mpremote = [sys.executable, "-m", "mpremote", "connect", device]
    for package in (f"{built}/{FOLDER}/package.json", f"{server.url}/{VERSION}/{FOLDER}/package.json"):
        shutil.rmtree(board.lib)
        board.lib.mkdir()
        subprocess.run([*mpremote, "mip", "install", package], check=True, capture_output=True)
        assert board.files() == names(".mpy")
    shutil.rmtree(board.lib)
    board.lib.mkdir()
    index = f"INDEX = '{server.url}/{VERSION}'"
    r = subprocess.run(
        [*mpremote, "exec", index, "run", ROOT / "python" / "install.py"], check=True, capture_output=True, text=True
    )
    assert r.stdout.endswith(f"mqtt_as {VERSION} works, in {board.lib}\n")
    board.round_trip(broker)


# --- umqtt: files of its own in the same folder

UMQTT_ROUND_TRIP = """
from umqtt import robust, simple
c = simple.MQTTClient("id", {host!r}, {port})
c.set_callback(print)
c.connect()
c.subscribe("a", 2)
c.publish("a", "hello", qos=2)
c.wait_msg()
c.disconnect()
try:
    simple.MQTTClient("id", "host", version=5)
except ValueError as e:
    print(e)
print("done", "_mqtt_as" in sys.modules)
"""


def umqtt_names(suffix):
    return sorted(["_umqtt.mpy", *(f"umqtt/{p.stem}{suffix}" for p in (ROOT / "python" / "umqtt").glob("*.py"))])


def umqtt_round_trip(board, broker, other=False):
    out = board("import sys\n" + UMQTT_ROUND_TRIP.format(host=broker.host, port=broker.port))
    small = "" if other else "_umqtt.mpy knows MQTT 3.1.1: version=5 takes _mqtt_as.mpy\n"
    assert out == f"b'a' b'hello'\n{small}done {other}\n", out
    assert "rotocol error" not in broker.log


@pytest.mark.parametrize("package, suffix", [("package-umqtt.json", ".mpy"), ("package-umqtt-py.json", ".py")])
def test_umqtt_by_mip(board, server, handed_out, broker, package, suffix):
    dist("--out", handed_out.parent, "--url", server.url, "x64")
    board(f"import mip; mip.install('{server.url}/{VERSION}/{FOLDER}/{package}')")
    assert board.files() == umqtt_names(suffix)
    umqtt_round_trip(board, broker)


def test_umqtt_beside_mqtt_as(board, server, broker):
    """Then both use the native module of the latter."""
    for package in "mqtt_as", "umqtt":
        on_board(board, f"import install; install.install('{server.url}/{VERSION}/', package={package!r})")
    assert board.files() == sorted(names(".mpy") + umqtt_names(".mpy"))
    umqtt_round_trip(board, broker, other=True)
    board.round_trip(broker)


def test_umqtt_put_on_a_board(line, built, broker):
    board, device = line
    r = put(device, "--dist", built, "--package", "umqtt")
    assert r.returncode == 0, r.stdout + r.stderr
    assert board.files() == umqtt_names(".mpy")
    umqtt_round_trip(board, broker)


def test_umqtt_beside_an_older_one(board, server):
    (board.folder / "umqtt").mkdir()
    (board.folder / "umqtt" / "simple.py").write_text("")
    message = fails(board, f"import install; install.install('{server.url}/{VERSION}', package='umqtt')")
    assert message.startswith("umqtt is installed in") and message.endswith(f"remove {board.folder}/umqtt\n"), message
