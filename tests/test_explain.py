"""What a board owner is told when something does not work at first: the cause, and what to do."""

import pytest
from fixtures.client import end

IMPORT = """
    import mqtt_as.explain
    class implementation:
        _mpy = {mpy}
        version = {version}
    class sys:
        modules = {{}}
        path = []
    sys.implementation = implementation
    mqtt_as.explain.sys = sys
    print(mqtt_as.explain.import_error({error}))
"""


@pytest.mark.parametrize(
    "mpy, version, error, told",
    [
        (4 << 10 | 0x306, (1, 25, 0), "ImportError(\"no module named '_mqtt_as'\")", "put _mqtt_as.mpy of armv6m_6.3 beside"),
        (10 << 10 | 0x306, (1, 25, 0), "ValueError('incompatible .mpy arch')", "take that of xtensawin_6.3"),
        (0x306, (1, 25, 0), "ValueError('incompatible .mpy file')", "loads no native modules: build it into the firmware"),
        (
            0x306,
            (1, 23, 0),
            "ValueError('incompatible .mpy file')",
            "RISC-V has them since MicroPython 1.24, this is MicroPython 1.23",
        ),
        (
            4 << 10 | 0x206,
            (1, 22, 2),
            "ValueError('incompatible .mpy file')",
            "needs MicroPython 1.23 or later; this is MicroPython 1.22",
        ),
        (0, (1, 25, 0), "ImportError('no module')", "loads no .mpy files: build it into the firmware"),
        (13 << 10 | 0x306, (1, 30, 0), "ValueError('incompatible .mpy arch')", "architecture "),
        (4 << 10 | 0x306, (1, 25, 0), "MemoryError()", "no memory to import mqtt_as: "),
    ],
)
def test_import(mp, mpy, version, error, told):
    assert told in mp(IMPORT.format(mpy=mpy, version=version, error=error)).out


def test_import_without_memory(mp):
    """How much is missing, and what to do."""
    r = mp("import mqtt_as", options=("-X", "heapsize=40k"), check=False)
    assert "MemoryError: no memory to import mqtt_as: " in r.err and "Import it first in main.py" in r.err


@pytest.mark.parametrize(
    "change, named",
    [
        ({"client_id": 5}, "client_id"),
        ({"client_id": "\0"}, "client_id"),
        ({"user": 5}, "user"),
        ({"password": 5, "user": "u"}, "password"),
        ({"password": "p"}, "password"),
        ({"will": 5}, "will"),
        ({"will": ("t",)}, "will"),
        ({"will": ("#", "m", False, 0)}, "will"),
        ({"subs_cb": 5}, "subs_cb"),
        ({"subs_cb": 5, "queue_len": 3}, "subs_cb"),
        ({"wifi_coro": 5}, "wifi_coro"),
        ({"connect_coro": "x"}, "connect_coro"),
        ({"piece_cb": 5}, "piece_cb"),
        ({"auth_coro": 5}, "auth_coro"),
        ({"ssl_params": 5}, "ssl_params"),
        ({"link": 5}, "link"),
        ({"keepalive": "60"}, "keepalive"),
        ({"max_repubs": 300}, "max_repubs"),
        ({"queue_len": -1}, "queue_len"),
        ({"queue_len": 2.5}, "queue_len"),
        ({"max_repubs": 0.5}, "max_repubs"),
        ({"topic_aliases": 1 << 20}, "topic_aliases"),
        ({"max_packet": 2}, "max_packet"),
        ({"mqttv5": True, "mqttv5_con_props": {0x99: 1}}, "mqttv5_con_props"),
        ({"mqttv5": True, "mqttv5_con_props": 5}, "mqttv5_con_props"),
        ({"server": None}, "server"),
        ({"server": 5}, "server"),
        ({"port": -1}, "port"),
    ],
)
def test_entry_of_config(mp, change, named):
    """It is refused at construction, and named."""
    script = f"""
        from mqtt_as import MQTTClient
        try:
            MQTTClient({ {"server": "localhost", **change} })
        except (TypeError, ValueError) as e:
            print(e)
    """
    assert f"config['{named}']" in mp(script).out


# Tells what comes of an attempt to connect.
ATTEMPT = """
    async def main(client):
        try:
            await client.connect()
        except OSError as e:
            print("came of it:", *e.args)
"""


def test_refused_port(clients, peer):
    peer.close()
    p = clients.start(peer, ATTEMPT)
    p.expect(f"^came of it: 111 {peer.host} port {peer.port}: refused: is a broker running there")
    end(p)


def test_unknown_name(clients, peer):
    p = clients.start(peer, ATTEMPT, config={"server": "no-such-host.invalid"})
    p.expect(rf"^came of it: -?\d+ no-such-host.invalid port {peer.port}: the name is not known")
    end(p)


def test_last_rx_before_the_first_connection(mp):
    """It is a reading of ticks_ms."""
    script = """
        from mqtt_as import MQTTClient
        from time import ticks_diff, ticks_ms
        t = ticks_ms()
        client = MQTTClient({"server": "localhost"})
        print(0 <= ticks_diff(client.last_rx, t) <= ticks_diff(ticks_ms(), t))
    """
    assert mp(script).lines == ["True"]


def test_properties_of_connect_are_those_of_the_next_one(clients, peer):
    """Applications read and change them between connections."""
    script = """
        async def main(client):
            await client.connect()
            print(client.mqttv5_con_props)
            await client.disconnect()
            client.mqttv5_con_props = {0x11: 7}
            await client.connect()
            print("again")
            await told()
    """
    p = clients.start(peer, script, config={"mqttv5": True, "mqttv5_con_props": {0x11: 5}})
    c = peer.accept()
    c.expect('10 # "MQTT" 05 02 00 3c 05 11 00 00 00 05 "id"')
    c.send("20 03 00 00 00")
    p.expect("{17: 5}")
    c.expect("e0 #")
    c.close()
    c = peer.accept()
    c.expect('10 # "MQTT" 05 02 00 3c 05 11 00 00 00 07 "id"')
    c.send("20 03 00 00 00")
    p.expect("again")
    end(p)
