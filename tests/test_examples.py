"""The programs of examples/ run as on a board, and print what they should."""

import hashlib
import json
import re
import shutil
import subprocess
import time

import pytest
from fixtures.authority import Authority
from fixtures.programs import ROOT, Board

PC = ROOT / "examples" / "pc"


@pytest.fixture
def board(mp, tmp_path):
    return Board(mp, tmp_path)


@pytest.fixture
def run(board, broker):
    """run(name, more): the program, with such lines in mqtt_local.py."""

    def start(name, more="", server=broker, **how):
        board.settings(server, more, **how)
        return board.start(f"import mqtt_as.{name}")

    return start


def told(observer, *topics):
    for topic in topics:
        observer.subscribe(topic, 1)


def texts(observer, count):
    return [p.decode() for p in observer.wait(count)]


@pytest.mark.parametrize("name", ["range", "range_ex"])
def test_range(run, proxy, observer, name):
    told(observer, "result")
    p = run(name, server=proxy)
    p.expect("^Pin 13 1")
    p.expect("Connected")
    observer.publish("foo_topic", "hello", 1)
    p.expect("^Topic: foo_topic Message: hello Retained: False")
    p.expect("^Pin 2 1")
    proxy.cut()
    p.expect("Pin 13 0")
    p.expect("^Disconnected")
    p.expect("Pin 13 1")
    more = r" longest: \d+s rssi: -?\d+ dB free: \d+ bytes discarded: 0" if name == "range_ex" else ""
    first, *_, last = texts(observer, 3)
    assert re.fullmatch("0 repeats: 0 outages: 0" + more, first)
    assert re.fullmatch("[12] repeats: 0 outages: 1" + more, last)


@pytest.mark.parametrize("name, kept", [("clean", False), ("unclean", True)])
def test_sessions(run, broker, proxy, observer, name, kept):
    p = run(name, server=proxy)
    p.expect("^Connected")
    broker.wait_log("Received SUBSCRIBE")
    observer.publish("foo_topic", "before", 1)
    p.expect("Topic: foo_topic Message: before")
    proxy.refuse()
    proxy.cut()
    p.expect("^Disconnected")
    p.expect("Publish 1")  # It waits
    observer.publish("foo_topic", "meanwhile", 1)
    proxy.listen()
    if kept:
        either = "^Topic: foo_topic Message: meanwhile|^The broker still knows the subscriptions"
        assert p.expect(either)[0] != p.expect(either)[0]
    else:
        broker.wait_log("Received SUBSCRIBE", count=2)
        observer.publish("foo_topic", "after", 1)
        p.expect("^Topic: foo_topic Message: after")
        assert "meanwhile" not in p.out


def test_main(run, brokers, observers):
    """Is there before its broker."""
    later = brokers(start=False)
    p = run("main", server=later)
    p.expect("^No connection yet: .*")
    later.start()
    p.expect("^Pin 13 1", 30)
    observer = observers(later)
    told(observer, "status")
    assert texts(observer, 1) == ["online"]
    p.kill()
    assert texts(observer, 2) == ["online", "offline"]


def test_sub_unsub(run, observer):
    p = run("sub_unsub")
    p.expect("^Connected")
    for word, outcome in (("on", "^Subscribed"), ("off", "^Unsubscribed"), ("on", "^Subscribed")):
        observer.publish("sub_topic", word, 1)
        p.expect(outcome)
        observer.publish("foo_topic", f"after {word}", 1)
    p.expect("^foo_topic after on")
    assert "after off" not in p.out


def test_tls(run, brokers, tmp_path, observers):
    authority = Authority(tmp_path / "authority")
    certificate = authority.issue("server")
    broker = brokers(f"certfile {certificate}.pem", f"keyfile {certificate}.key.pem")
    shutil.copy(tmp_path / "authority" / "ca.der", tmp_path / "ca.der")
    p = run("tls", server=broker, host="localhost")
    p.expect("^No time yet")
    p.expect("^Clock set")
    p.expect(r"^It is 20\d\d-\d\d-\d\d")
    p.expect("^Connected, encrypted")
    broker.wait_log("Received PUBLISH")


def test_tls8266(run, brokers, tmp_path):
    """The broker asks for the certificate of a client, and takes its name from it."""
    authority = Authority(tmp_path / "authority")
    server, client = authority.issue("server"), authority.issue("client", "kitchen")
    broker = brokers(
        f"certfile {server}.pem",
        f"keyfile {server}.key.pem",
        f"cafile {tmp_path}/authority/ca.pem",
        "require_certificate true",
        "use_identity_as_username true",
    )
    for suffix in (".der", ".key.der"):
        shutil.copy(f"{client}{suffix}", tmp_path / f"client{suffix}")
    p = run("tls8266", server=broker, host="localhost")
    p.expect("^Connected, encrypted")
    broker.wait_log("u'kitchen'")


def test_lptest_min(run, broker, observer):
    told(observer, "result")
    run("lptest_min").expect("^Deepsleep 60000")
    assert texts(observer, 1) == ["21500"]
    observer.publish("foo_topic", "good morning", 1)
    p = run("lptest_min")
    p.expect("^Topic: foo_topic Message: good morning")
    p.expect("^Pin 2 1")
    p.expect("^Deepsleep 60000")
    assert p.wait().code == 0
    assert broker.log.count("Received DISCONNECT") == 2
    broker.stop()
    p = run("lptest_min")
    p.expect("^Sleep 30")
    p.expect("^Deepsleep 30000")


def test_async_message(run, observer):
    p = run("async_message")
    p.expect("^Connected")
    observer.publish("red_topic", "on", 1)
    p.expect("^red_topic on")
    p.expect("^Pin 13 1")
    observer.publish("blue_topic", "on", 1)
    p.expect("^Pin 2 1")
    p.expect("^A coroutine may take them, too: blue_topic")
    observer.publish("red_topic", "off", 1)
    p.expect("^Pin 13 0")


def test_timeout(board, broker):
    board.settings(broker)
    p = board.start("""
        import asyncio, sys
        from mqtt_as.mqtt_as_timeout import MQTTClient
        from mqtt_local import config

        async def main():
            client = MQTTClient(config)
            await client.connect()
            print(await client.publish("result", "1", qos=1, timeout=5))
            sys.stdin.readline()
            print(await client.publish("result", "2", qos=1, timeout=0.5))
        asyncio.run(main())
    """)
    p.expect("^True")
    broker.freeze()
    p.send("")
    p.expect("^False")
    p.wait()
    broker.thaw()


def test_v5_basic(run):
    p = run("v5.basic")
    p.expect(r"^The broker says \{.*\b34: 10\b")
    p.expect("^Topic: foo_topic Message: count 0 Retained: False")
    properties = eval(p.expect("^Properties: (.*)")[1])
    assert properties == {0x26: {"board": "kitchen", "count": "0"}, 0x02: 60, 0x03: "text/plain"}


def test_v5_cbtest(run, broker):
    p = run("v5.cbtest")
    p.expect("^Publish 0 reason code 0x00")
    p.expect(r"Topic: foo_topic Message: \d Retained: False Properties: {11: 7}")


def test_v5_request(run):
    p = run("v5.request")
    assert p.wait().lines == ["one -> ONE", "two -> TWO", "nobody answers"]


def test_sensors(run, proxy, observer):
    """Nothing is measured in vain in an outage, and nothing twice."""
    told(observer, "sensors")
    p = run("sensors", server=proxy)
    p.expect("^Published 5 readings, 0 wait")
    proxy.refuse()
    proxy.cut()
    time.sleep(6)
    proxy.listen()
    p.expect("^Published 5 readings, [1-9]", 30)
    p.expect("^Published 5 readings")
    readings = [reading for text in texts(observer, 3) for reading in json.loads(text)]
    assert [r[1:] for r in readings] == [[21500, 21500]] * len(readings)
    seconds = [r[0] for r in readings]
    assert seconds == sorted(seconds) and len(set(seconds)) >= len(seconds) - 1


def test_update(run, broker, observer, tmp_path):
    told(observer, "result")
    p = run("update")
    p.expect("^Ready")
    content = b"0123456789abcdef" * 40_000 + b"end"
    (tmp_path / "sent").write_bytes(content)
    env = {"PORT": str(broker.port), "PATH": "/usr/bin:/bin"}
    subprocess.run([PC / "send_file", broker.host, "update/app.bin", tmp_path / "sent"], check=True, env=env)
    p.expect("^written: app.bin, 640003 bytes")
    assert (tmp_path / "app.bin").read_bytes() == content
    for name, data, outcome in (
        ("app.bin", content[:-1] + b"." + hashlib.sha256(content).digest(), "refused: app.bin is damaged"),
        ("app.bin", content[:5000], "refused: app.bin is damaged"),
        ("app.bin", b"", "refused: app.bin is damaged"),
        ("..", b"x" + hashlib.sha256(b"x").digest(), "refused: .. is not a name"),
        ("small", b"x" + hashlib.sha256(b"x").digest(), "written: small, 1 bytes"),
    ):
        observer.publish(f"update/{name}", data, 1)
        p.expect(f"^{outcome}")
    assert (tmp_path / "app.bin").read_bytes() == content
    assert (tmp_path / "small").read_bytes() == b"x"
    assert texts(observer, 6)[0] == "written: app.bin, 640003 bytes"


def test_home_assistant(run, observer):
    """What it says of itself is what Home Assistant asks for, and it does as it says."""
    p = run("home_assistant")
    p.expect("^Introduced")
    told(observer, "#")
    observer.wait(4)
    by_topic = {m.topic: m.payload for m in observer.messages if m.retain}
    sensor = json.loads(by_topic["homeassistant/sensor/mqtt_as_01020304/temperature/config"])
    switch = json.loads(by_topic["homeassistant/switch/mqtt_as_01020304/pump/config"])
    assert sensor["unit_of_measurement"] == "°C" and sensor["state_topic"] == "greenhouse/temperature"
    assert {"name", "unique_id", "device", "availability_topic", "command_topic", "state_topic"} <= set(switch)
    assert sensor["device"] == switch["device"] and sensor["unique_id"] != switch["unique_id"]
    assert by_topic[switch["availability_topic"]] == b"online"
    assert by_topic[switch["state_topic"]] == b"OFF"
    observer.publish(switch["command_topic"], "ON", 1)
    p.expect("^Pin 2 1")
    p.expect("^Pump ON")
    count = len(observer.messages)
    observer.publish("homeassistant/status", "online", 1)
    observer.wait(count + 5)
    assert (switch["state_topic"], b"ON") in [(m.topic, m.payload) for m in observer.messages]
    p.kill()
    deadline = time.monotonic() + 10
    while (switch["availability_topic"], b"offline") not in [(m.topic, m.payload) for m in observer.messages]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_brokers(run, broker, brokers, observer, observers):
    other = brokers()
    far = observers(other)
    told(far, "house/#")
    p = run("two_brokers", f'elsewhere = {{"server": "{other.host}", "port": {other.port}}}')
    p.expect(f"^Connected to {broker.host}")
    observer.publish("house/kitchen", "21", 1)
    p.expect("^Sent on: house/kitchen")
    assert texts(far, 1) == ["21"]
    other.stop()
    for n in range(3):
        observer.publish("house/kitchen", str(n), 1)
    time.sleep(0.5)
    other.start()
    for _ in range(3):
        p.expect("^Sent on: house/kitchen", 30)


@pytest.mark.parametrize("name", ["ethernet", "ppp"])
def test_other_networks(run, observer, name):
    told(observer, "result")
    p = run(name)
    p.expect("^Connected from 192.168.0.8")
    assert texts(observer, 1) == ["0"]


@pytest.mark.parametrize("name, version", [("pubtest", 4), ("pubtest_v5", 5)])
def test_pubtest(broker, observers, name, version):
    observer = observers(broker, version=version)
    told(observer, "foo_topic")
    env = {"PORT": str(broker.port), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([PC / name, broker.host, "0.1"], env=env, stdout=subprocess.PIPE) as p:
        assert texts(observer, 4)[:4] == ["0", "1", "2", "3"]
        p.kill()
    if version == 5:
        properties = [m.properties for m in observer.messages]
        assert properties[0].UserProperty == [("sender", "pubtest_v5")] and properties[0].ContentType == "text/plain"
        assert properties[1].MessageExpiryInterval == 30 and properties[2].ResponseTopic == "result"
