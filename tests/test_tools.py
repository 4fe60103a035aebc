"""The tools the other tests stand on."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from fixtures.micropython import RUNNER
from fixtures.peer import encode, matches

# --- tests/mp


@pytest.mark.core
def test_mp_passes_arguments_streams_and_exit_code(mp):
    script = """
        import sys
        print(sys.argv[1:], sys.stdin.readline())
        print("told", file=sys.stderr)
        sys.exit(3)
    """
    r = mp(script, "a b", "'$x'", input="typed", check=False)
    assert (r.lines[0], r.err, r.code) == ("['a b', \"'$x'\"] typed", "told\n", 3)


def test_mp_path_order(mp, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "found.py").write_text("x = 1")
    r = mp("import found, sys; print(found.x, sys.path[1:])", env={"MICROPYPATH": str(tmp_path / "elsewhere")})
    path = eval(r.out.split(" ", 1)[1])
    root = RUNNER.parent.parent
    assert path[:4] == [str(tmp_path / "elsewhere"), str(root / "python"), str(root / "build/natmod" / mp.arch), ".frozen"]


def test_mp_relative_names_and_spaces(mp, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "a script.py").write_text("print('ran')")
    link = tmp_path / "a checkout"
    link.symlink_to(RUNNER.parent.parent)
    r = subprocess.run([link / "tests/mp", mp.arch, "a script.py"], cwd=folder, capture_output=True, text=True)
    assert (r.stdout, r.returncode) == ("ran\n", 0), r.stderr


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_mp_passes_signals(mp, number, code):
    p = mp.start("import time; print('up'); time.sleep(60)")
    p.expect("up")
    p.signal(number)
    r = p.wait(check=False)
    assert r.code == code
    assert ("KeyboardInterrupt" in r.err) == (number == signal.SIGINT)


def test_mp_unknown_architecture():
    r = subprocess.run([RUNNER, "z80", "x.py"], capture_output=True, text=True)
    assert r.returncode == 1 and "z80" in r.stderr


# --- tests/micropython-source

SOURCE = RUNNER.parent / "micropython-source"


def test_source_names_an_existing_tree():
    tree = subprocess.run([SOURCE], capture_output=True, text=True, check=True).stdout.rstrip("\n")
    assert (Path(tree) / "py/mpconfig.h").exists()
    again = subprocess.run([SOURCE], capture_output=True, text=True, check=True, env={**os.environ, "MPY_DIR": tree})
    assert again.stdout.rstrip("\n") == os.path.realpath(tree)


@pytest.mark.parametrize("version, complaint", [(None, "no MicroPython source tree"), ((1, 22), "1.22"), ((0, 99), "0.99")])
def test_source_refuses_a_wrong_tree(tmp_path, version, complaint):
    if version:
        (tmp_path / "py").mkdir()
        lines = (f"#define MICROPY_VERSION_{name} {n}\n" for name, n in zip(("MAJOR", "MINOR", "MICRO"), (*version, 0)))
        (tmp_path / "py/mpconfig.h").write_text("".join(lines))
    r = subprocess.run([SOURCE], capture_output=True, text=True, env={**os.environ, "MPY_DIR": str(tmp_path)})
    assert r.returncode == 1 and complaint in r.stderr and not r.stdout


# --- the broker


def test_broker_keeps_its_port(broker, observer):
    observer.subscribe("a", 1)
    observer.publish("a", "1", 1)
    observer.wait(1)
    port = broker.port
    broker.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, port), 1)
    broker.start()
    assert broker.port == port
    broker.restart("max_qos 1")
    broker.wait_log("terminating")


def test_broker_tells_why_it_does_not_start(brokers):
    with pytest.raises(RuntimeError, match="nonsense"):
        brokers("nonsense 1")


# --- the scripted peer


@pytest.mark.parametrize(
    "text, data",
    [
        ("20 02 00 00", b"\x20\x02\0\0"),
        ("30 # \"t\" 'payload'", b"\x30\x0a\0\x01tpayload"),
        ("e0 #", b"\xe0\0"),
        (f"30 # \"t\" '{'x' * 125}'", b"\x30\x80\x01\0\x01t" + b"x" * 125),
        (b"\xff", b"\xff"),
        ("", b""),
    ],
)
def test_encode(text, data):
    assert encode(text) == data
    assert matches(text, data)
    assert not matches(text, data + b"x")


@pytest.mark.parametrize("text", ["3", "zz", "'a", "30 .. 00", "*", "3000"])
def test_encode_refuses(text):
    with pytest.raises(ValueError):
        encode(text)


def test_matches_wildcards():
    assert matches('10 # "MQTT" .. 02 *', b"\x10\x0c\0\x04MQTT\x05\x02more")
    assert not matches('10 # "MQTT" .. 03 *', b"\x10\x0c\0\x04MQTT\x05\x02more")


def test_peer(peer):
    client = socket.create_connection((peer.host, peer.port))
    c = peer.accept()
    client.sendall(b"\x10\x00")
    client.sendall(b"\xc0")
    c.accept_connect()
    assert client.recv(9) == b"\x20\x02\0\0"
    with pytest.raises(AssertionError, match="1 bytes expected within"):
        c.packet(timeout=0.05)
    client.sendall(b"\xd0\0")
    with pytest.raises(AssertionError, match="expected c0 #, came PINGRESP"):
        c.expect("c0 #")
    c.quiet(0.05)
    client.sendall(b"x")
    client.close()
    assert c.closed() == b"x"
    client = socket.create_connection((peer.host, peer.port))
    peer.accept().reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
