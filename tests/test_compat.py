"""What programs written for mqtt_as rely on: names, subclasses, the examples of its manual."""

import time

import pytest
from fixtures.client import end

CONNECT = """
    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""


# --- names


def test_names_of_the_module(mp):
    script = """
        import mqtt_as
        from mqtt_as import MQTT_base, MQTTClient, MQTTException, MsgQueue, config, eliza, asyncio, VERSION, IBUFSIZE, MSG_BYTES
        from mqtt_as import ESP32, ESP8266, RP2, PYBOARD
        print(len(VERSION), all(isinstance(n, int) for n in VERSION), VERSION >= (0, 8, 3), IBUFSIZE, MSG_BYTES)
        print(issubclass(MQTTClient, MQTT_base), issubclass(MQTTException, Exception), ESP32, ESP8266, RP2, PYBOARD)
        print(MQTTClient.DEBUG, MQTT_base.DEBUG, MQTTClient.REPUB_COUNT)
        print(asyncio.run(eliza()), asyncio.run(eliza(1, 2)))
        from mqtt_as import mqtt_v5_properties
        print(mqtt_v5_properties.__name__, hasattr(mqtt_as, "nothing"))
        import mqtt_as.mqtt_as as old
        from mqtt_as.mqtt_as import MQTTClient as Old, config as old_config, MQTT_base, MsgQueue, MQTTException, eliza
        print(Old is MQTTClient, old_config is config, old.VERSION == VERSION)
        q = MsgQueue(3)
        q.put(b"t", b"m", False)
        print(asyncio.run(q.__anext__()), q.discards, q.__aiter__() is q)
    """
    assert mp(script).lines == [
        "3 True True 50 True",
        "True True False False False False",
        "False False 0",
        "None None",
        "mqtt_as.mqtt_v5_properties False",
        "True True True",
        "(b't', b'm', False) 0 True",
    ]


def test_names_of_the_properties(mp):
    script = """
        from mqtt_as.mqtt_v5_properties import encode_properties, decode_properties
        print(bytes(encode_properties(None)), bytes(encode_properties({})))
        props = {0x26: {"value": "test"}, 0x09: b"data", 0x08: "topic", 0x02: 60, 0x01: 1}
        encoded = bytes(encode_properties(props))
        print(encoded[0] == len(encoded) - 1, decode_properties(encoded[1:], len(encoded) - 1) == props)
    """
    assert mp(script).lines == ["b'\\x00' b'\\x00'", "True True"]


def test_names_of_the_instance(clients, peer):
    script = """
        async def main(client):
            print(client._has_connected, client._isconnected, client.server == config["server"], client.port == config["port"])
            await client.connect()
            print(client._has_connected, client._isconnected, client.queue, client.mqttv5, client.topic_alias_maximum)
            sta = client._sta_if
            print(len(sta.ifconfig()), len(sta.config("mac")), sta.isconnected(), isinstance(sta.status("rssi"), int))
            print(0 < next(client.newpid) < 65536, next(client.newpid) != next(client.newpid), len(client.rcv_pids))
            print(0 <= time.ticks_diff(time.ticks_ms(), client.last_rx) < 5000, client.lock.locked(), client.REPUB_COUNT)
            await client._ping()
            await client._connection()
            async with client.lock:
                print("locked", client.lock.locked())
            await client.disconnect()
            print(client._has_connected)
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("c0 00")
    c.expect("e0 00")
    for line in (
        "False False True True",
        "True True None False 0",
        "4 6 True True",
        "True True 0",
        "True False 0",
        "locked True",
    ):
        p.expect("^" + line)
    end(p)


def test_event_names(clients, peer):
    script = """
        async def main(client):
            print(client.up.is_set(), client.down.is_set(), client.queue.discards)
            await client.connect()
            print(client.up.is_set(), client.down.is_set(), client.queue.discards)
            await told()
    """
    p = clients.start(peer, script, config={"queue_len": 1})
    peer.accept().accept_connect()
    p.expect("False False 0")
    p.expect("True False 0")
    end(p)


# --- subclasses


@pytest.mark.parametrize("debug", ["MQTTClient.DEBUG = True", "mqtt_as.MQTT_base.DEBUG = True", "Client.DEBUG = True", ""])
def test_debug(clients, peer, debug):
    p = clients.start(peer, debug + CONNECT.replace("\n    ", "\n"))
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    out = end(p).out
    assert (out != "connected\n") == bool(debug)


@pytest.mark.parametrize(
    "body",
    [
        "print('log', *args)",  # as per print
        "msg, *args = args; print('log', msg % tuple(args))",
    ],
)
def test_dprint_overridden(clients, peer, body):
    script = f"""
        class Client(MQTTClient):
            DEBUG = True
            def dprint(self, *args):
                {body}
    """
    p = clients.start(peer, script + CONNECT.replace("\n    ", "\n        "), config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 00 03")
    c = peer.accept()
    c.accept_connect()
    p.send("")
    r = end(p)
    lines = r.lines
    assert len([line for line in lines if line.startswith("log ")]) >= 4
    assert all(line.startswith("log ") or line == "connected" for line in lines), r


def test_dprint_of_the_application(clients, peer):
    """dprint is public: "an arbitrary number of positional args as per print"."""
    script = """
        async def main(client):
            client.dprint("unseen")
            client.DEBUG = True
            client.dprint("one")
            client.dprint("one", 2, None)
            client.dprint("%d %s", 2, "three")
            client.dprint(4, 5)
            client.dprint("100%")
            client.dprint("50%", 3)
            client.dprint()
    """
    assert clients(peer, script).out == "one\none 2 None\n2 three\n4 5\n100%\n50% 3\n\n"


def test_publication_time_outs(clients, broker, observers):
    """4.4.1 of the manual: a subclass that takes the lock, then cancels a publication that took too long."""
    script = """
        class Client(MQTTClient):
            _task = None
            async def _run(self, *args, **kwargs):
                try:
                    await super().publish(*args, **kwargs)
                    print("published", args[1])
                finally:
                    self._task = None

            async def publish(self, topic, msg, retain=False, qos=0, timeout=None):
                self._task = task = asyncio.create_task(self._run(topic, msg, retain, qos))
                t = time.ticks_ms()
                while self._task is task:
                    if timeout and time.ticks_diff(time.ticks_ms(), t) > timeout * 1000:
                        async with self.lock:
                            if self._task is task:
                                task.cancel()
                                self._task = None
                                print("cancelled", msg)
                    await asyncio.sleep_ms(20)

        async def main(client):
            await client.connect()
            await client.publish("t", "1", qos=1, timeout=5)
            print("ready")
            await told()
            await until(lambda: not client.isconnected())
            for n in range(2, 5):
                await client.publish("t", str(n), qos=1, timeout=0.2)
            print("waiting")
            await client.publish("t", "5", qos=1, timeout=20)
            await client.publish("t", "6", qos=1)
    """
    script = script.replace("await super().publish", "await MQTTClient.publish").replace("publish(*args", "publish(self, *args")
    p = clients.start(broker, script)
    p.expect("ready")
    broker.kill()
    p.send("go")
    p.expect("waiting")
    broker.start()
    observer = observers(broker)
    observer.subscribe("t", 1)
    p.expect("published 6")
    r = end(p)
    assert [line for line in r.lines if line.startswith("cancelled")] == ["cancelled 2", "cancelled 3", "cancelled 4"]
    assert "published 5" in r.lines and not {"published 2", "published 3", "published 4"} & set(r.lines)


def test_connection_overridden(clients, peer):
    """Programs replace _connection() to wait in their own way."""
    script = """
        class Client(MQTTClient):
            async def _connection(self):
                print("waiting")
                while not self._isconnected:
                    await asyncio.sleep_ms(20)

        async def main(client):
            task = asyncio.create_task(client.publish("t", "m"))
            await asyncio.sleep_ms(50)
            await client.connect()
            await task
            print("published")
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.expect("30 # \"t\" 'm'")
    p.expect("published")
    assert end(p).lines.count("waiting") == 1


def test_wifi_connect_overridden(clients, peer):
    script = """
        class Client(MQTTClient):
            async def wifi_connect(self, quick=False):
                print("wifi", quick)
            async def connect(self, *, quick=False):
                await super().connect(quick=quick)
                print("own connect")
    """
    script = script.replace("await super().connect(", "await MQTTClient.connect(self, ")
    p = clients.start(peer, script + CONNECT.replace("\n    ", "\n        "))
    peer.accept().accept_connect()
    p.expect("wifi False")
    p.expect("own connect")
    p.expect("connected")
    end(p)


# --- the examples


EVENTS = """
from mqtt_as import MQTTClient, config
import asyncio

# Local configuration
config['ssid'] = 'your_network_name'
config['wifi_pw'] = 'your_password'
config['server'] = '127.0.0.1'
config['port'] = {port}

async def messages(client):
    async for topic, msg, retained in client.queue:
        print(topic.decode(), msg.decode(), retained)

async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe('foo_topic', 1)

async def down(client):
    while True:
        await client.down.wait()
        client.down.clear()
        print('WiFi or broker is down.')

async def main(client):
    await client.connect()
    for coroutine in (up, down, messages):
        asyncio.create_task(coroutine(client))
    n = 0
    while True:
        await asyncio.sleep(0.5)
        print('publish', n)
        await client.publish('result', '{{}}'.format(n), qos = 1)
        n += 1

config["queue_len"] = 1
MQTTClient.DEBUG = True
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
"""

CALLBACKS = """
from mqtt_as.mqtt_as import MQTTClient, config
import asyncio

config['ssid'] = 'your_network_name'
config['wifi_pw'] = 'your_password'
config['server'] = '127.0.0.1'
config['port'] = {port}

def callback(topic, msg, retained, properties=None):
    print(topic.decode(), msg.decode(), retained)

async def conn_han(client):
    await client.subscribe('foo_topic', 1)

async def wifi_han(state):
    if not state:
        print('WiFi or broker is down.')
    await asyncio.sleep(1)

async def main(client):
    try:
        await client.connect()
    except OSError:
        print('Connection failed.')
        return
    n = 0
    while True:
        await asyncio.sleep(0.5)
        print('publish', n)
        await client.publish('result', '{{}}'.format(n), qos = 1)
        n += 1

config['subs_cb'] = callback
config['connect_coro'] = conn_han
config['wifi_coro'] = wifi_han
config['will'] = ('result', 'Goodbye cruel world!', False, 0)
config['keepalive'] = 120

MQTTClient.DEBUG = True
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
    asyncio.new_event_loop()
"""

# What people put on the path to run programs of boards on a PC
NETWORK = """
STA_IF = 0
AP_IF = 1
class WLAN:
    def __init__(self, interface): pass
    def active(self, *on): return True
    def isconnected(self): return True
    def connect(self, *args): pass
    def disconnect(self): pass
    def status(self, *what): return 3
    def config(self, *what, **how): return b"\\0\\0\\0\\0\\0\\0"
    def ifconfig(self): return ("127.0.0.1",) * 4
"""
MACHINE = """
def unique_id(): return b"board1"
class Pin:
    pass
"""


@pytest.mark.parametrize("stubs", [False, True], ids=["bare", "stubs of a board"])
@pytest.mark.parametrize("example", [EVENTS, CALLBACKS], ids=["events", "callbacks"])
def test_example(mp, broker, observers, tmp_path, example, stubs):
    """2.3 and 2.4 of the manual, run through an outage and to Ctrl-C."""
    if stubs:
        (tmp_path / "network.py").write_text(NETWORK)
        (tmp_path / "machine.py").write_text(MACHINE)
    observer = observers(broker)
    observer.subscribe("result", 1)
    p = mp.start(example.format(port=broker.port), env={"MICROPYPATH": str(tmp_path)})
    for n in range(2):
        p.expect(f"publish {n}")
    assert observer.wait(2)[:2] == [b"0", b"1"]
    observer.publish("foo_topic", "hello", 1)
    p.expect("^foo_topic hello False")
    broker.kill()
    p.expect("WiFi or broker is down.")
    broker.start()
    deadline = time.monotonic() + 15
    observer = observers(broker)
    while "foo_topic again" not in p.out:
        observer.publish("foo_topic", "again", 1)
        time.sleep(0.1)
        assert time.monotonic() < deadline, p.out
    p.signal()
    r = p.wait(check=False)
    assert r.err.rstrip().endswith("KeyboardInterrupt:") and "Traceback" not in r.out, r
