"""Networks that are no Wi-Fi, or that the application looks after, and what of Wi-Fi the application decides."""

import pytest
from fixtures.client import end
from fixtures.ports import free_port
from fixtures.programs import FAKES

# The application has a cable. Does what it is told, and prints what comes of it
CABLE = """
    import network
    from mqtt_as import link
    lan = network.LAN()
    config.update(eval(sys.argv[1]))
    config["wifi_coro"] = lambda up: say("network", up)

    async def say(*what):
        print(*what)

    async def main(client):
        lan.active(True)
        await client.connect()
        while line := await told():
            print("->", eval(line.decode()))
"""


@pytest.fixture
def start(clients, broker):
    def start(script, *args, server=broker, **how):
        return clients.start(server, script, *args, env={"MICROPYPATH": str(FAKES)}, **how)

    return start


def ask(p, what):
    p.send(what)
    return p.expect("^-> (.*)")[1]


def test_interface(start):
    """It is waited for, watched, and never touched."""
    p = start(CABLE, '{"link": link.Interface(lan)}')
    p.expect("^network True")
    assert ask(p, "client._sta_if is lan") == "True"
    assert ask(p, "client._sta_if.ifconfig()[0]") == "192.168.0.8"
    ask(p, "setattr(lan, '_plugged', False)")
    p.expect("^network False")
    ask(p, "setattr(lan, '_plugged', True)")
    p.expect("^network True")
    assert ask(p, "(client.close(), client._link.close(), network.log)[2]") == "['LAN', 'LAN active True']"
    end(p)


def test_interface_that_does_not_come_up(start):
    script = """
        import network
        from mqtt_as import link
        config["link"] = link.Interface(network.PPP(None), 1)

        async def main(client):
            try:
                await client.connect()
            except OSError as e:
                print(e)
    """
    p = start(script)
    p.expect("the network interface does not come up")
    end(p)


def test_network_that_is_there(start):
    """link.NoLink(): nothing of `network` is asked, on whatever port."""
    p = start(CABLE, '{"link": link.NoLink()}')
    p.expect("^network True")
    assert ask(p, "(client.close(), network.sta, network.log)[1:]") == "(None, ['LAN', 'LAN active True'])"
    end(p)


def test_network_of_the_program(start):
    """A PC has none; one that the program supplies is used."""
    script = """
        sys.modules["network"] = Network = type("Network", (), {})
        class Station:
            def isconnected(self):
                return True
            def active(self, *_):
                print("asked")
        Network.STA_IF = 0
        Network.WLAN = lambda which: Station()

        async def main(client):
            await client.connect(quick=True)
            print(type(client._sta_if).__name__)
    """
    p = start(script)
    p.expect("^asked")
    p.expect("^Station")
    end(p)


WIFI = """
    import network
    wifi = network.play(sys.argv[1])
    wifi.STABLE = 100
    config.update(eval(sys.argv[2]))
    config["wifi_coro"] = lambda up: say("network", up)

    async def say(*what):
        print(*what)

    async def main(client):
        await client.connect()
        while line := await told():
            print("->", eval(line.decode()))
"""
HOME = '"ssid": "home", "wifi_pw": "right-key"'


@pytest.mark.parametrize("port", ["esp8266", "esp32", "rp2", "pyboard"])
def test_address_and_name(start, port):
    """config["hostname"] before the station is active, config["ifconfig"] each time before it joins."""
    address = "192.168.0.70", "255.255.255.0", "192.168.0.1", "192.168.0.1"
    p = start(WIFI, port, f'{{"hostname": "kitchen", "ifconfig": {address}, {HOME}}}')
    p.expect("^network True")
    log = eval(ask(p, "network.log"))
    assert log.index("hostname kitchen") < log.index("active True") < log.index("ifconfig 192.168.0.70")
    (joined,) = [i for i, call in enumerate(log) if call.startswith("connect")]
    assert log.index("ifconfig 192.168.0.70") < joined
    ask(p, "network.lose()")
    p.expect("^network False")
    ask(p, "network.found()")
    p.expect("^network True")
    assert ask(p, "network.log.count('ifconfig 192.168.0.70') > 1") == "True"
    end(p)


def test_address_that_is_none(start):
    p = start(WIFI, "esp32", '{"ifconfig": "192.168.0.70"}')
    assert "config['ifconfig'] must be (address, netmask, gateway, DNS server)" in p.wait(check=False).out + p.err


@pytest.mark.parametrize("way", [True, False])
def test_esp32_with_another_interface(start, way):
    """Its firmware has a station whether it is used or not: without ssid what counts is that there is a way."""
    script = f"import network\nnetwork.play('esp32').has_route = lambda: {way}\n"
    script += """
async def main(client):
    try:
        await client.connect()
        print("connected", client.isconnected(), [call for call in network.log if "connect" in call])
    except OSError as e:
        print(e)
"""
    p = start(script)
    p.expect(r"connected True \[\]" if way else r"set config\['ssid'\]")
    end(p)


@pytest.mark.parametrize("port", ["esp8266", "esp32"])
def test_gateway(start, port):
    """ESP-NOW is active on the channel of the access point, without power saving, again after an outage and after close()."""
    p = start(WIFI, port, f'{{"gateway": True, {HOME}}}')
    p.expect("^network True")
    mac = b"\2\0\0\0" + free_port().to_bytes(2, "big")
    ask(p, f"setattr(network.sta, 'mac', {mac})")
    assert ask(p, "(client._espnow.active(), type(client._espnow).__name__)") == "(True, 'AIOESPNow')"
    assert ask(p, "(client._espnow._tune() and client._espnow._tuned)") == "6"
    log = eval(ask(p, "(list(network.log), network.log.clear())[0]"))
    awake = "config pm=0" if port == "esp32" else "sleep_type 0"
    assert awake in log and "espnow True" in log and "disconnect" not in log
    ask(p, "network.sta.active(False)")  # ESP-NOW goes with it
    p.expect("^network False")
    p.expect("^network True")
    assert ask(p, "(client._espnow.active(), client._espnow._tune() and 1)") == "(True, 1)"
    log = eval(ask(p, "(list(network.log), network.log.clear())[0]"))
    assert awake in log
    assert ask(p, "(client.close(), client._espnow.active(), network.sta.active())[1:]") == "(False, False)"
    ask(p, "asyncio.create_task(client.connect()) and None")
    p.expect("^network True")
    assert ask(p, "client._espnow.active()") == "True"
    end(p)


def test_gateway_without_espnow(start):
    script = """
        import network
        network.play("esp32")
        sys.modules["aioespnow"] = None
        config["gateway"] = True
        try:
            Client(config)
        except ImportError as e:
            print(e)
        config["gateway"] = False

        async def main(client):
            print(hasattr(client, "_espnow"))
    """
    p = start(script.replace('sys.modules["aioespnow"] = None', "sys.path[:] = [p for p in sys.path if p != '%s']" % FAKES))
    p.expect("needs the module aioespnow")
    p.expect("^False")
    end(p)


def test_mqtt_as_eth(start, broker):
    """The names of that package, over a network that it leaves alone."""
    script = """
        import network
        lan = network.LAN()
        lan.active(True)
        import mqtt_as_eth
        from mqtt_as_eth import MQTTClient, config as eth
        print([key for key in ("ssid", "wifi_pw", "gateway") if key in eth], mqtt_as_eth.VERSION)
        eth.update(server=config["server"], port=config["port"], queue_len=1)
        mqtt_as_eth.IBUFSIZE = 3000

        async def main(_):
            network.log.clear()
            client = MQTTClient(eth)
            await client.connect()
            await client.subscribe("t", 1)
            await client.publish("t", "m", qos=1)
            async for message in client.queue:
                print(message)
                break
            client.close()
            print(lan.active(), network.log, mqtt_as.IBUFSIZE, isinstance(client, mqtt_as.MQTTClient))
    """
    p = start(script)
    p.expect(r"^\[\] \(\d+, \d+, \d+\)")
    p.expect(r"^\(b't', b'm', False\)")
    p.expect(r"^True \[\] 3000 True")
    end(p)
