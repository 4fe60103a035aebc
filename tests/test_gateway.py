"""The gateway of examples/gateway and its nodes, over a fake ESP-NOW that loses frames and brings some twice."""

import shutil

import pytest
from fixtures.ports import free_port
from fixtures.programs import FAKES, ROOT

GATEWAY = """
    import network, sys
    network.play("esp32").STABLE = 100
    network.sta.mac = bytes.fromhex(sys.argv[1])
    from mqtt_as import MQTTClient, config
    config.update(server=sys.argv[2], port=int(sys.argv[3]), ssid="home", wifi_pw="right-key", client_id="gateway")
    config.update(eval(sys.argv[4]))

    import asyncio, gateway

    async def told():
        reader = asyncio.StreamReader(sys.stdin)
        while line := await reader.readline():
            exec(line.decode())

    listen = gateway.Gateway.run

    async def run(self):
        globals()["nodes"] = self.nodes
        asyncio.create_task(told())
        await listen(self)
    gateway.Gateway.run = run
    gateway.run(config, {bytes.fromhex(mac): None for mac in sys.argv[5:]})
"""

# Does what it is told, one line after the other
NODE = """
    import network, sys
    network.WLAN().mac = bytes.fromhex(sys.argv[1])
    from mqtt_node import Node
    node = Node(bytes.fromhex(sys.argv[2]))
    for line in sys.stdin:
        try:
            print("->", eval(line))
        except (OSError, ValueError) as e:
            print("->", type(e).__name__, e)
"""


class Radio:
    def __init__(self):
        self.mac = (b"\x02\0\0\0" + free_port().to_bytes(2, "big")).hex()


class Node(Radio):
    def start(self, mp, gateway, env):
        self.gateway, self.env = gateway, env
        self.process = mp.start(NODE, self.mac, gateway, env=env)

    def ask(self, what):
        self.process.send(what)
        return self.process.expect("^-> (.*)", 30)[1]

    def sleep(self):
        self.process.send("node.close() or sys.exit(0)")
        self.process.wait()


@pytest.fixture
def air(mp, broker, tmp_path):
    """air(lost, twice): a gateway and two nodes; of a hundred frames so many are lost, so many come twice."""
    for name in ("gateway.py", "mqtt_node.py"):
        shutil.copy(ROOT / "examples" / "gateway" / name, tmp_path)
    radio, nodes = Radio(), [Node(), Node()]

    def start(lost=0, twice=0, server=broker, **config):
        env = {"MICROPYPATH": f"{tmp_path}:{FAKES}", "ESPNOW_LOST": str(lost), "ESPNOW_TWICE": str(twice)}
        args = [radio.mac, server.host, server.port, config, *(n.mac for n in nodes)]
        gateway = mp.start(GATEWAY, *args, env=env)
        gateway.expect("^Gateway 02:00:00:00:")
        for node in nodes:
            node.wake = lambda node=node: node.start(mp, radio.mac, env=env)
            node.wake()
        return gateway, *nodes

    return start


@pytest.mark.parametrize("lost, twice", [(0, 0), (30, 30)])
def test_publish(air, observer, lost, twice):
    """Each arrives once, whatever the air does."""
    observer.subscribe("#", 2)
    _, one, two = air(lost, twice)
    for n in range(10):
        assert one.ask(f"node.publish('one', '{n}', qos={n % 3})") == "None"
    assert two.ask("node.publish('two', b'\\xff\\x00', True, 1)") == "None"
    assert sorted(observer.wait(11)) == [b"%d" % n for n in range(10)] + [b"\xff\0"]
    observer.quiet(0.3)
    assert one.ask("node.channel") == "6"


@pytest.mark.parametrize("lost, twice", [(0, 0), (30, 30)])
def test_messages_for_nodes_that_sleep(air, observer, lost, twice):
    _, one, two = air(lost, twice)
    observer.publish("house/state", "retained", 1, retain=True)
    for node in (one, two):
        assert node.ask("node.subscribe('house/+', 1)") == "None"
        assert node.ask("node.receive(3000)") == "(b'house/state', b'retained', True)"
    assert one.ask("node.fetch()") == "[]"
    one.sleep()
    for n in range(5):
        observer.publish("house/kitchen", str(n), 1)
    assert [eval(two.ask("node.receive(3000)"))[1] for _ in range(5)] == [b"%d" % n for n in range(5)]
    one.wake()
    assert one.ask("[msg for _, msg, _ in node.fetch()]") == str([b"%d" % n for n in range(5)])
    assert one.ask("node.fetch()") == "[]"
    assert two.ask("node.receive(50)") == "None"
    assert one.ask("node.unsubscribe('house/+')") == "None"
    observer.publish("house/kitchen", "more", 1)
    assert two.ask("node.receive(3000)") == "(b'house/kitchen', b'more', False)"
    assert one.ask("node.fetch()") == "[]"


def test_more_than_is_kept(air, observer):
    """The oldest go."""
    _, one, two = air()
    one.ask("node.subscribe('t', 1)")
    one.sleep()
    two.ask("node.subscribe('t', 1)")
    for n in range(25):
        observer.publish("t", str(n), 1)
    assert "b'24'" in two.ask("[node.receive(300) for _ in range(25)]")
    one.wake()
    assert one.ask("[int(msg) for _, msg, _ in node.fetch()]") == str(list(range(5, 25)))


def test_bad_requests(air, observer):
    gateway, one, two = air()
    assert "refused by the broker" in one.ask("node.publish('a/#', 'x', qos=1)")
    assert one.ask("node.publish('a', b'x' * 243)") == "ValueError too long for a frame: 251 bytes, of 250"
    assert one.ask("node.publish('', 'x')") == "ValueError a topic has 1 to 255 bytes"
    assert one.ask("node.publish('a', 'x', qos=3)") == "ValueError qos must be 0, 1 or 2"
    for rubbish in ("b'P'", "b'P1234'", "b'P1235\\x00\\x09abc'", "b'?1236\\x00\\x01a'", "b'A123'", "b'S1237\\x00\\x01\\xff'"):
        one.ask(f"node._radio.send(node._gateway, {rubbish})")
    one.ask("node.subscribe('a')")
    observer.publish("a", b"x" * 300)
    gateway.expect("^Not for nodes: b'a' too long")
    observer.publish("a", "y")
    assert one.ask("node.receive(2000)") == "(b'a', b'y', False)"


def test_strangers_are_not_listened_to(air, observer):
    gateway, one, _ = air()
    observer.subscribe("#")
    gateway.send(f"nodes.pop(bytes.fromhex('{one.mac}'))")
    assert "no answer from the gateway" in one.ask("node.publish('t', 'x')")
    observer.quiet(0.1)


def test_outages(air, broker, proxy, observer):
    """Of the broker, and of the Wi-Fi, after which the access point has another channel."""
    gateway, one, two = air(server=proxy, clean=False)
    two.ask("node.subscribe('down', 1)")
    proxy.refuse()
    proxy.cut()
    assert "the gateway has no broker" in one.ask("node.publish('t', 'x')")
    assert "the gateway has no broker" in one.ask("node.publish('t', 'x', qos=1)")
    observer.publish("down", "meanwhile", 1)
    proxy.listen()
    assert two.ask("node.receive(15000)") == "(b'down', b'meanwhile', False)"
    gateway.send("network.channel = 11; network.lose()")
    broker.wait_log("Client gateway closed", count=2)
    gateway.send("network.found()")
    broker.wait_log("as gateway", count=4)
    observer.subscribe("t", 1)
    assert one.ask("node.publish('t', 'y', qos=1)") == "None"
    assert observer.wait(1) == [b"y"]
    assert one.ask("node.channel") == "11"
    observer.publish("down", "again", 1)
    assert two.ask("node.publish('u', 'z')") == "None"
    assert two.ask("node.receive(3000)") == "(b'down', b'again', False)"


def test_node(air, broker, mp, observer):
    """The program: what it has subscribed to when it was switched on comes when it wakes."""
    _, one, two = air()
    observer.subscribe("garden/soil", 1)
    two.sleep()
    text = (ROOT / "examples" / "gateway" / "node.py").read_text()
    mac, address = two.mac, r'b"\x24\x0a\xc4\x00\x00\x01"'
    assert address in text
    text = f"import network\nnetwork.WLAN().mac = bytes.fromhex('{mac}')\n" + text.replace(
        address, repr(bytes.fromhex(two.gateway))
    )
    p = mp.start(text, env=two.env)
    p.expect("^Deepsleep 600000")
    observer.publish("garden/valve", "open", 1)
    p = mp.start(text, env=two.env)
    p.expect("^garden/valve open False")
    p.expect("^Deepsleep 600000")
    assert observer.wait(2) == [b"21500", b"21500"]
    assert (mp.folder / "rtc.memory").read_bytes() == b"\x06"
    broker.wait_log("Received SUBSCRIBE from gateway")
    assert broker.log.count("Received SUBSCRIBE from gateway") == 1


@pytest.mark.parametrize(
    "pattern, topic, outcome",
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("+", "", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("+/+", "/a", True),
    ],
)
def test_matches(pattern, topic, outcome):
    """By the part of the gateway that does it (MQTT 4.7)."""
    text = (ROOT / "examples" / "gateway" / "gateway.py").read_text()
    space = {}
    exec(text[text.index("def matches") : text.index("class _Node")], space)
    assert space["matches"](pattern.encode(), topic.encode()) is outcome
