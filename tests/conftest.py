"""Fixtures of all tests that need MicroPython or a broker.

broker      A mosquitto of the test's own, started: `host`, `port`, `log`, start(), stop(), kill(), restart(*lines), freeze(),
            thaw(), wait_log(text). Configuration lines: @pytest.mark.broker("max_qos 1", "max_keepalive 10").
brokers     More of them, or one not started: brokers(*lines, start=True).
mp          Runs scripts under MicroPython with this client on the path: mp(script, *args, timeout=30, check=True) gives
            `out`, `err`, `code`, `lines`; mp.start(script, *args) gives a running one with expect(regex), send(line),
            signal(number), wait(). A script is a pathlib.Path or the text itself.
arch        The .mpy architecture `mp` runs (option --arch, may be given more than once). On any but the first of them only
            tests marked `core` run; core(ARCH, ...): on these; core(tls=True): where the runtime has TLS; core(few=True): on
            two of them, for tests that take their time. ARCH+firmware is a MicroPython with the client in it; it runs the tests
            marked `firmware`, or firmware(ARCH, ...) for some of them, and those marked firmware(only=True) run on no other.
            x64+lwip is one with a board's sockets; it runs the core tests.
peer        A TCP server scripted in bytes: accept() gives a connection with expect("10 # *"), send('30 # "topic" 41'),
            closed(), quiet(seconds), close(), reset(). See fixtures/peer.py for how bytes are written.
observer    A paho client connected to `broker`: subscribe(topic, qos), publish(topic, payload, qos), wait(count),
            quiet(seconds), `messages`.
observers   More of them: observers(broker, version=5, ...).
clients     Scripts that use the client: clients(server, script, config={...}), see fixtures/client.py.
umqtt       Scripts that use umqtt: umqtt(server, script, module="robust"), see fixtures/umqtt.py.
proxy       A TCP proxy in front of `broker`: cut(), half_close(end), hold(), swallow(), release(), refuse(), listen(),
            smooth(), `piece`, `pause`, `delay`, `gather`, `rate`, `accepted`. See fixtures/proxy.py.
certificate A certificate for localhost that nobody else has signed: cert.pem, key.pem and cert.der in tmp_path.
tls_broker  A broker that has it and speaks TLS.
probe       The environment for scripts that import probe (tests/device/probe.py): mp(script, env=probe).

Whatever a fixture started ends with the test, also where it fails.
"""

import json
import subprocess
from pathlib import Path

import pytest
from fixtures.broker import Broker
from fixtures.client import Clients
from fixtures.micropython import RUNNER, MicroPython
from fixtures.observer import Observer
from fixtures.peer import Peer
from fixtures.proxy import Proxy
from fixtures.umqtt import UMQTT

ARCHITECTURES = json.loads((Path(__file__).parent.parent / "natmod" / "architectures.json").read_text())
FEW = "x86", "xtensa", "x64+lwip"  # 32-bit words: an unaligned access does no harm, and does; and a board's sockets


def pytest_addoption(parser):
    parser.addoption("--arch", action="append", default=None, help="an architecture to test on (default: x64)")


def pytest_generate_tests(metafunc):
    if "arch" in metafunc.fixturenames:
        arches = metafunc.config.getoption("--arch") or ["x64"]
        wanted = [arch for arch in arches if runs(metafunc.definition, arch, arch is arches[0])]
        metafunc.parametrize("arch", wanted or [None], scope="session")


def pytest_collection_modifyitems(items):
    items[:] = [i for i in items if not hasattr(i, "callspec") or i.callspec.params.get("arch", "") is not None]


def runs(test, arch, first):
    """Whether the test is to run on an architecture, the first one given or another."""
    if test.get_closest_marker("lwip"):
        return arch == "x64+lwip"
    firmware = test.get_closest_marker("firmware")
    if arch.endswith("+firmware"):
        return firmware and (not firmware.args or arch.removesuffix("+firmware") in firmware.args)
    if firmware and firmware.kwargs.get("only"):
        return False
    core = test.get_closest_marker("core")
    if first or not core:
        return first
    if core.args:
        return arch in core.args
    if core.kwargs.get("few"):
        return arch in FEW
    return not (core.kwargs.get("tls") and ARCHITECTURES[arch.partition("+")[0]]["runtime"] == "linux-user")


@pytest.fixture(scope="session")
def built(arch):
    """The runtime and the native module of `arch` are there and up to date."""
    subprocess.run([RUNNER, arch, "-c", ""], check=True)


@pytest.fixture
def mp(arch, built, tmp_path):
    micropython = MicroPython(arch, tmp_path)
    yield micropython
    micropython.close()


@pytest.fixture
def brokers(tmp_path):
    started = []

    def new(*lines, start=True):
        broker = Broker(tmp_path / f"broker{len(started)}", *lines)
        started.append(broker)
        return broker.start() if start else broker

    yield new
    for broker in started:
        broker.kill()


@pytest.fixture
def broker(brokers, request):
    marker = request.node.get_closest_marker("broker")
    return brokers(*(marker.args if marker else ()))


@pytest.fixture
def peer(request):
    # lwIP does not tell when its queue is full: the client asks what has arrived
    callspec = getattr(request.node, "callspec", None)
    p = Peer(pongs=callspec is not None and callspec.params.get("arch") == "x64+lwip")
    yield p
    p.close()


@pytest.fixture
def observers():
    made = []

    def new(broker, **how):
        made.append(Observer(broker, **how))
        return made[-1]

    yield new
    for o in made:
        o.close()


@pytest.fixture
def observer(observers, broker):
    return observers(broker)


@pytest.fixture
def clients(mp):
    return Clients(mp)


@pytest.fixture
def umqtt(mp):
    return UMQTT(mp)


@pytest.fixture
def proxy(broker):
    p = Proxy(broker)
    yield p
    p.close()


@pytest.fixture
def probe():
    return {"MICROPYPATH": str(Path(__file__).parent / "device")}


@pytest.fixture
def certificate(tmp_path):
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    command = "openssl x509 -in cert.pem -outform DER -out cert.der"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)


@pytest.fixture
def tls_broker(brokers, tmp_path, certificate):
    broker = brokers(f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem", start=False)
    return broker.start()
