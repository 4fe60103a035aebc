# The same client over a cable: the program sets the interface up, the client waits until it has an address, and notices when
# the cable is pulled. Ports and pins are the board's: here an ESP32 with a LAN8720.
#     import mqtt_as.ethernet
import asyncio

import network
from machine import Pin
from mqtt_as import MQTTClient
from mqtt_as.link import Interface
from mqtt_local import config

PERIOD = 5  # Seconds

lan = network.LAN(mdc=Pin(23), mdio=Pin(18), power=Pin(16), phy_type=getattr(network, "PHY_LAN8720", 0), phy_addr=1)
lan.active(True)


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        print("Connected from", lan.ifconfig()[0])


async def main(client):
    await client.connect()
    asyncio.create_task(up(client))
    n = 0
    while True:
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["link"] = Interface(lan)
config["queue_len"] = 4
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
