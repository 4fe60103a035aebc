# The same client over a modem on a UART. It is in data mode already: how it gets there (AT commands, APN) is the modem's. A
# modem that hangs up is dialled again here, not by the client, which waits.
#     import mqtt_as.ppp
import asyncio

import network
from machine import UART
from mqtt_as import MQTTClient
from mqtt_as.link import Interface
from mqtt_local import config

PERIOD = 60  # Seconds

uart = UART(1, 115200)  # With a receive buffer larger than TCP's window: rxbuf=8192
ppp = network.PPP(uart)
ppp.active(True)
ppp.connect()


async def dial():
    while True:
        await asyncio.sleep(30)
        if not ppp.isconnected():
            ppp.disconnect()
            ppp.connect()


async def main(client):
    asyncio.create_task(dial())
    await client.connect()
    print("Connected from", ppp.ifconfig()[0])
    n = 0
    while True:
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["link"] = Interface(ppp)
config["keepalive"] = 600  # A ping costs data volume
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
