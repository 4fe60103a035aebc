"""Wi-Fi on the ports that have it: the client over a fake `network`, see fixtures/board/network.py."""

import contextlib
import shutil
from pathlib import Path

import pytest
from fixtures.client import end
from fixtures.peer import Peer

PORTS = ["esp8266", "esp32", "rp2", "pyboard", "nano", "portenta"]
DRIVERS = ["esp8266", "esp32", "rp2", "nano"]  # One of each
TELLING = ["esp8266", "rp2", "pyboard"]  # Their status says why a station does not connect
SSID, KEY, OTHER_KEY = "home", "right-key", "wrong-key"

# Runs what the test sends, each line as a task, and prints what comes of it.
SCRIPT = """
    import network

    MQTTClient.DEBUG = True
    port = sys.argv[1]
    config["wifi_coro"] = lambda up: say("wifi", up)
    config["connect_coro"] = lambda client: say("up")
    network.aps = eval(sys.argv[2])
    network.stored = eval(sys.argv[3])
    link = network.play(port)
    link.TIMEOUT, link.STABLE = eval(sys.argv[4])
    mqtt_as.client._backoff = lambda n: 50

    async def silent(*_):
        await asyncio.sleep_ms(100)
        raise OSError(110)

    async def say(*what):
        print(*what)

    async def run(line):
        try:
            r = eval(line)
            if hasattr(r, "send") or hasattr(r, "__next__"):
                r = await r
            print(line, "->", r)
        except (Exception, asyncio.CancelledError) as e:
            print(line, "->", type(e).__name__, e)

    async def main(client):
        while True:
            line = await told()
            if not line:
                break
            asyncio.create_task(run(line.decode()))
"""


class Device:
    """A client on a `port`, not connected yet. Times in ms; the defaults let a test end soon."""

    def __init__(self, process):
        self.process = process
        self.expect = process.expect

    def do(self, line):
        self.process.send(line)

    def ask(self, line, timeout=20):
        """What the expression gives, as text."""
        self.do(line)
        return self.expect("^" + "".join("\\" + c if c in "()[]{}.*+?|^$" else c for c in line) + " -> (.*)", timeout)[1]

    def log(self):
        """The calls of the interface since the last time."""
        calls = eval(self.ask("network.log"))
        self.ask("network.log.clear()")
        return calls

    def end(self):
        result = end(self.process)
        for secret in (KEY, OTHER_KEY):
            assert secret not in result.out + result.err, result
        return result


@pytest.fixture
def device(clients, mp):
    for name in ("network", "espnow", "aioespnow"):
        shutil.copy(Path(__file__).parent / "fixtures" / "board" / f"{name}.py", mp.folder)

    def start(server, port, ssid=SSID, key=KEY, aps=None, stored=None, timeout=60_000, stable=300, script=SCRIPT, **config):
        config = {"ssid": ssid, "wifi_pw": key, **config}
        aps = {SSID: KEY} if aps is None else aps
        return Device(clients.start(server, script, port, aps, stored, (timeout, stable), config=config))

    return start


def connect(d, peer, line="client.connect()"):
    d.do(line)
    c = peer.accept()
    c.accept_connect()
    d.expect("wifi True")
    d.expect("^up")
    return c


def no_connection(peer, seconds=1):
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(timeout=seconds)


def failed(d, line="client.connect()"):
    """connect() raises OSError: its text."""
    outcome = d.ask(line)
    assert outcome.startswith("OSError"), outcome
    return outcome


# --- the first connection


@pytest.mark.parametrize("port", PORTS)
def test_connect(device, peer, port):
    d = device(peer, port)
    assert d.ask("[mqtt_as.ESP8266, mqtt_as.ESP32, mqtt_as.RP2, mqtt_as.PYBOARD]") == str(
        [port == "esp8266", port == "esp32", port in ("rp2", "nano"), port == "pyboard"]
    )
    assert d.ask("(client._sta_if is network.sta, network.sta.active())") == "(True, True)"
    assert d.ask("mqtt_as.link.unique_id()") == "b'01020304'"
    c = connect(d, peer)
    assert d.ask("client._sta_if.ifconfig()[0]") == "192.168.0.7"
    assert d.ask("(client.isconnected(), client._sta_if.status('rssi'))") == "(True, -50)"
    assert [call for call in d.log() if "connect" in call] == ["connect given" if port == "esp8266" else "connect"]
    d.do("client.close()")
    c.closed()
    assert d.ask("network.sta.active()") == "False"
    d.end()


@pytest.mark.parametrize(
    "port, gateway, setting",
    [
        ("esp8266", False, "sleep_type 0"),
        ("rp2", False, f"config pm={0xA11140}"),
        ("esp32", True, "config pm=0"),
        ("esp32", False, None),
        ("pyboard", False, None),
        ("nano", False, None),
    ],
)
def test_power_saving(device, peer, port, gateway, setting):
    """Off where it costs packets, before the station connects, and off again when it was switched off and on."""
    d = device(peer, port, gateway=gateway)
    connect(d, peer)
    d.ask("client.close()")
    connect(d, peer)
    calls = [call for call in d.log() if not call.startswith("disconnect")]
    settings = [call for call in calls if "sleep" in call or "config" in call]
    assert set(settings) == ({setting} if setting else set())
    if setting:
        off = calls.index("active False")
        assert setting in calls[:off] and setting in calls[off:]
        assert calls[off:].index(setting) < next(i for i, call in enumerate(calls[off:]) if call.startswith("connect"))
    d.end()


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("fault", ["wrong key", "no access point"])
def test_no_association(device, peer, port, fault):
    """An error, at once where the port tells what is wrong; the station does not go on, and it can be tried again."""
    aps = {SSID: KEY} if fault == "wrong key" else {}
    d = device(peer, port, key=OTHER_KEY, aps=aps, timeout=60_000 if port in TELLING else 800)
    for _ in range(2):
        assert "Wi-Fi" in failed(d)
        assert d.ask("network.sta._joining") == "None"
    no_connection(peer, 0.5)
    assert d.ask("client.isconnected()") == "False"
    d.do(f"network.found('{SSID}', config['wifi_pw'])")
    connect(d, peer)
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_slow_association(device, peer, port):
    d = device(peer, port, timeout=20_000)
    d.ask("setattr(network, 'join', 900)")
    d.ask("setattr(network, 'lease', 900)")
    connect(d, peer)
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_address_that_does_not_come(device, peer, port):
    d = device(peer, port, timeout=700)
    d.ask("setattr(network, 'lease', 60_000)")
    failed(d)
    d.ask("setattr(network, 'lease', 100)")
    connect(d, peer)
    d.end()


@pytest.mark.parametrize("port", TELLING)
def test_access_point_that_goes_before_the_address_comes(device, peer, port):
    """That is told at once: a CYW43 does nothing any more."""
    d = device(peer, port)
    d.ask("setattr(network, 'lease', 60_000)")
    d.do("client.connect()")
    d.ask("until(lambda: network.sta._associated)")
    d.ask("asyncio.sleep(0.4)")
    d.do("network.lose()")
    d.expect("connect.* -> OSError.*status")
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_link_that_does_not_stay_up(device, peer, port):
    d = device(peer, port, timeout=2000, stable=1500)
    d.do("client.connect()")
    d.ask("until(network.sta.isconnected)")
    d.ask("asyncio.sleep(0.4)")
    d.do("network.lose()")
    d.expect("connect.* -> OSError.*stay")
    no_connection(peer, 0.5)
    d.do("network.found()")
    connect(d, peer)
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_quick(device, peer, port):
    """The link is not watched first."""
    d = device(peer, port, stable=600_000)
    connect(d, peer, "client.connect(quick=True)")
    d.end()


def test_watched_first(device, peer):
    d = device(peer, "esp32", stable=600_000)
    d.do("client.connect()")
    no_connection(peer, 1.5)
    assert d.ask("network.sta.isconnected()") == "True"
    d.process.kill()


@pytest.mark.parametrize("port", PORTS)
def test_no_ssid(device, peer, port):
    d = device(peer, port, ssid=None, key=None)
    d.ask("setattr(link, 'has_route', lambda: False)")  # Of the PC
    outcome = failed(d)
    assert "config['ssid']" in outcome
    assert not [call for call in d.log() if call == "connect"]
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_connected_by_the_application(device, peer, port):
    """As boot.py may do: it is used as it is, without credentials too."""
    d = device(peer, port, ssid=None, key=None, stable=600_000)
    d.ask(f"network.sta.connect('{SSID}', network.aps['{SSID}'])")
    d.ask("until(network.sta.isconnected)")
    d.log()
    connect(d, peer)
    assert not [call for call in d.log() if "connect" in call]
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_connecting_already(device, peer, port):
    """As boot.py may have it, or an attempt that was given up."""
    d = device(peer, port)
    d.ask("network.sta.connect('elsewhere', 'k')")
    connect(d, peer)
    d.end()


# --- what an ESP8266 has stored


@pytest.mark.parametrize(
    "config, stored, used",
    [
        (None, (SSID, KEY), SSID),
        ((SSID, KEY), None, SSID),
        ((SSID, KEY), ("gone", "k"), SSID),
        ((SSID, KEY), (SSID, OTHER_KEY), SSID),
        ((SSID, KEY), ("other", OTHER_KEY), "other"),
        (("gone", "k"), (SSID, KEY), SSID),
    ],
)
def test_stored(device, peer, config, stored, used):
    """Of other networks first, as it connects by itself when it starts."""
    ssid, key = config or (None, None)
    d = device(peer, "esp8266", ssid, key, {SSID: KEY, "other": OTHER_KEY}, stored)
    connect(d, peer)
    assert d.ask("network.sta._associated[0]") == used
    d.end()


# --- outages


@pytest.mark.parametrize("port", PORTS)
def test_link_lost(device, peer, port):
    d = device(peer, port, timeout=700)
    c = connect(d, peer)
    for _ in range(2):
        d.ask("network.lose()")
        d.expect("wifi False")
        assert c.closed() == b""
        assert d.ask("client.isconnected()") == "False"
        no_connection(peer)
        d.ask("network.found()")
        c = peer.accept()
        c.accept_connect()
        d.expect("wifi True")
        d.expect("^up")
    assert d.ask("client.isconnected()") == "True"
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_long_outage(device, peer, port):
    """Attempts that fail, or run into their time limit, are not the end."""
    d = device(peer, port, timeout=500)
    connect(d, peer)
    d.ask("network.lose()")
    for _ in range(3):
        d.expect("Reconnect failed.*Wi-Fi")
    d.ask("network.found()")
    peer.accept().accept_connect()
    d.expect("^up")
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_isconnected_notices(device, peer, port):
    """That the link is down, at once; the broker is left as soon as the client is asked."""
    d = device(peer, port, keepalive=600, response_time=600)
    c = connect(d, peer)
    d.do("(network.lose(), time.sleep_ms(100), client.isconnected())[2]")
    d.expect("isconnected.* -> False")
    assert c.closed() == b""
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_link_is_kept(device, peer, port):
    """A broker that is lost, or refuses, costs no Wi-Fi."""
    d = device(peer, port)
    connect(d, peer).close()
    d.log()
    for _ in range(25):
        peer.accept().close()
    assert d.log() == []
    peer.accept().accept_connect()
    d.expect("^up")
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_link_that_is_silent(device, peer, port):
    """It says that it is up, but nothing comes through for a long time: Wi-Fi is joined anew."""
    d = device(peer, port)
    c = connect(d, peer)
    d.log()
    d.ask("setattr(mqtt_as.transport.Transport, 'connect_', mqtt_as.transport.Transport._connect)")
    d.ask("setattr(mqtt_as.transport.Transport, '_connect', silent)")
    c.close()
    for _ in range(20):
        d.expect("Reconnect failed.*no answer")
        assert d.log() == []
    d.ask("setattr(mqtt_as.transport.Transport, '_connect', mqtt_as.transport.Transport.connect_)")
    peer.accept().accept_connect()
    d.expect("^up")
    calls = d.log()
    assert calls[0] == "disconnect" and "connect" in calls[-1]
    d.end()


def test_gateway_is_not_disconnected(device, peer):
    """Whose ESP-NOW would suffer."""
    d = device(peer, "esp32", gateway=True)
    c = connect(d, peer)
    d.log()
    for _ in range(6):
        c.close()
        c = peer.accept()
    c.accept_connect()
    d.expect("^up")
    assert "disconnect" not in d.log()
    d.end()


# --- drivers that raise


ERRORS = {
    "esp8266": "OSError('Cannot connect to AP')",
    "esp32": "OSError('Wifi Internal Error')",
    "rp2": "OSError(5)",
    "pyboard": "OSError(110)",
    "nano": f"OSError('could not connect to ssid={SSID}, sec=4, key=' + network.aps['{SSID}'])",
    "portenta": f"OSError('could not connect to ssid={SSID}, sec=4, key=' + network.aps['{SSID}'])",
}
RUNTIME_ERROR = "RuntimeError('Wifi Unknown Error 0x0101')"


@pytest.mark.parametrize("port, error", [*ERRORS.items(), ("esp32", RUNTIME_ERROR)])
def test_connect_that_raises(device, peer, port, error):
    """Always: OSError, and nobody learns the key."""
    d = device(peer, port)
    d.ask(f"network.fail('connect', {error}, 2)".replace(f"network.aps['{SSID}']", "config['wifi_pw']"))
    failed(d)
    connect(d, peer)
    d.ask("network.lose()")
    d.expect("wifi False")
    d.ask(f"network.fail('connect', {error}, 3)".replace(f"network.aps['{SSID}']", "config['wifi_pw']"))
    d.expect("Reconnect failed")
    d.ask("network.found()")
    peer.accept().accept_connect()
    d.expect("^up")
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
@pytest.mark.parametrize("method", ["connect", "disconnect", "active", "config", "status", "isconnected"])
def test_raising_in_an_outage(device, peer, port, method):
    d = device(peer, port, timeout=700)
    connect(d, peer)
    d.ask(f"network.fail('{method}', {ERRORS['esp32']}, 3)")
    d.ask("network.lose()")
    d.expect("wifi False")
    d.expect("Reconnect failed")
    d.ask("network.found()")
    peer.accept().accept_connect()
    d.expect("^up")
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_interface_switched_off(device, peer, port):
    """By somebody else: it is switched on again."""
    d = device(peer, port)
    connect(d, peer)
    d.ask("network.sta.active(False)")
    d.expect("wifi False")
    peer.accept().accept_connect()
    d.expect("^up")
    d.end()


# --- the end


PHASES = ["joining", "watching", "connected", "outage", "joining again"]


@pytest.mark.parametrize("port", DRIVERS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("call", ["client.disconnect()", "client.close()"])
def test_ended(device, peer, port, phase, call):
    """Nobody connects afterwards, a connect() under way ends, close() leaves the interface off; then it connects again."""
    d = device(peer, port, stable=600)
    first = phase in ("joining", "watching")
    if first:
        d.do("client.connect()")
        if phase == "watching":
            d.ask("until(network.sta.isconnected)")
            d.ask("asyncio.sleep(0.3)")
    else:
        connect(d, peer)
        if phase != "connected":
            d.ask("network.lose()")
            d.expect("wifi False")
        if phase == "joining again":
            d.ask("network.found()")
            d.ask("until(lambda: network.sta._associated)")
    assert d.ask(call) == "None"
    if first:
        d.expect(r"client\.connect\(\) -> OSError")
    # What may go on is seen as a connection that is made
    try:
        assert peer.accept(timeout=1).closed() == b""
    except AssertionError as e:
        assert "no client has connected" in str(e)
    assert d.ask("client.isconnected()") == "False"
    if call == "client.close()":
        assert d.ask("network.sta.active()") == "False"
    d.ask("network.found()")
    connect(d, peer)
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_closed_before_it_joins(device, peer, port):
    """In the pause that a driver gets after an attempt that failed."""
    d = device(peer, port, aps={}, timeout=500)
    failed(d)
    d.do("client.connect()")
    assert d.ask("client.close()") == "None"
    d.expect(r"client\.connect\(\) -> OSError")
    assert d.ask("network.sta.active()") == "False"
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
@pytest.mark.parametrize("ms", [100, 350])
def test_connect_cancelled(device, peer, port, ms):
    d = device(peer, port, stable=60_000)
    assert d.ask(f"asyncio.wait_for_ms(client.connect(), {ms})").startswith("TimeoutError")
    connect(d, peer, "client.connect(quick=True)")
    d.end()


# --- several clients, one link


@pytest.fixture
def two(device, peer):
    """A device with a second client, `other`, and the peer of that one."""
    with contextlib.closing(Peer()) as other:

        def start(port, **how):
            d = device(peer, port, **how)
            d.ask(f"globals().update(other=Client(dict(config, port={other.port})))")
            return d, other

        yield start


def both_up(d, *peers):
    connections = []
    for p in peers:
        c = p.accept()
        c.accept_connect()
        d.expect("^up")
        connections.append(c)
    return connections


@pytest.mark.parametrize("port", DRIVERS)
def test_two_join_at_once(two, peer, port):
    d, other = two(port)
    d.do("client.connect()")
    d.do("other.connect()")
    both_up(d, peer, other)
    assert sum(call.startswith("connect") for call in d.log()) == 1
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_two_lose_the_link(two, peer, port):
    d, other = two(port, timeout=2000)
    d.do("client.connect()")
    d.do("other.connect()")
    both_up(d, peer, other)
    for _ in range(3):
        d.ask("network.lose()")
        d.ask("asyncio.sleep(1)")
        d.ask("network.found()")
        both_up(d, peer, other)
    d.end()


@pytest.mark.parametrize("port", DRIVERS)
def test_link_that_serves_another_is_kept(two, peer, port):
    d, other = two(port)
    d.do("client.connect()")
    d.do("other.connect()")
    _, broken = both_up(d, peer, other)
    d.log()
    broken.close()
    for _ in range(15):
        other.accept().close()
    assert d.log() == []
    other.accept().accept_connect()
    d.expect("^up")
    d.end()


def test_disconnect_ends_connect(device, peer):
    """At once, in whatever it is waiting: here for a station that does not get on."""
    d = device(peer, "esp32", aps={})
    d.do("client.connect()")
    d.ask("asyncio.sleep(0.5)")
    assert d.ask("client.disconnect()") == "None"
    d.expect(r"client\.connect\(\) -> OSError.*not connected", 2)
    d.ask("network.found()")
    connect(d, peer)
    d.end()
