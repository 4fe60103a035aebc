"""The programs of examples/umqtt/ run as on a board."""

import re
from pathlib import Path

import pytest
from fixtures.programs import FAKES, ROOT

FOLDER = ROOT / "examples" / "umqtt"


@pytest.fixture
def run(mp, broker):
    def start(name, *arguments, server=broker):
        arguments = "".join(f", {argument}" for argument in arguments)
        code = f"import {name}\n{name}.main({server.host!r}, {server.port}{arguments})"
        return mp.start(code, env={"MICROPYPATH": f"{FOLDER}:{FAKES}"})

    return start


def test_all_are_run():
    text = Path(__file__).read_text()
    assert [path.name for path in FOLDER.glob("*.py") if not re.search(rf"\b{path.stem}\b", text)] == []


def test_pub(run, observer):
    observer.subscribe("foo_topic")
    run("example_pub").wait()
    assert observer.wait(1) == [b"hello"]


def test_pub_button(run, observer):
    observer.subscribe("button", 1)
    p = run("example_pub_button")
    p.expect("pressed")
    assert observer.wait(1) == [b"toggle"]


@pytest.mark.parametrize("blocking", [True, False])
def test_sub(run, observer, blocking):
    p = run("example_sub", blocking)
    p.expect("subscribed")
    observer.publish("foo_topic", "hello")
    p.expect("^b'foo_topic' b'hello'")


def test_sub_led(run, observer):
    p = run("example_sub_led")
    p.expect("subscribed")
    for message, level in ("on", 1), ("toggle", 0), ("toggle", 1), ("off", 0):
        observer.publish("led", message, 1)
        p.expect(f"^Pin 2 {level}")


def test_tls(mp, tls_broker, observers, tmp_path):
    code = f"""
        import example_tls
        example_tls.main("localhost", {tls_broker.port}, {str(tmp_path)!r} + "/cert.der")
    """
    mp(code, env={"MICROPYPATH": str(FOLDER)})
    assert "Sending PUBACK to umqtt_client" in tls_broker.log


def test_robust(run, broker, observers):
    p = run("example_robust")
    p.expect("subscribed")
    broker.restart()
    p.expect("mqtt")
    broker.wait_log("umqtt_robust 1 foo_topic", count=2)
    observer = observers(broker)
    observer.subscribe("status", 1)
    observer.wait(1)
    observer.publish("foo_topic", "hello", 1)
    p.expect("^b'foo_topic' b'hello'")
    p.kill()
    assert observer.wait(2)[-2:] == [b"online", b"offline"]
