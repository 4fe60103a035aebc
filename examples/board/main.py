# Save it as main.py: the board runs it when it is switched on. It comes up with the network, whichever is first, and starts
# anew after an error of its own.
import asyncio
import sys
import time

import machine
from mqtt_as import MQTTClient
from mqtt_local import config, wifi_led

PERIOD = 20  # Seconds
RETRY = 10  # Seconds


async def connected(client):
    wifi_led(True)
    await client.subscribe("foo_topic", 1)
    await client.publish("status", "online", retain=True, qos=1)


async def network(up):
    if not up:
        wifi_led(False)


async def main(client):
    while True:
        try:
            await client.connect()
            break
        except OSError as e:  # Only the first attempt is the application's: later ones are made by the client
            print("No connection yet:", e)
            await asyncio.sleep(RETRY)
    n = 0
    while True:
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["subs_cb"] = lambda topic, msg, retained: print(topic.decode(), msg.decode())
config["connect_coro"] = connected
config["wifi_coro"] = network
config["will"] = ("status", "offline", True, 1)

time.sleep(3)  # For hardware to get ready, and for Ctrl-C
try:
    asyncio.run(main(MQTTClient(config)))
except Exception as e:
    sys.print_exception(e)
    time.sleep(RETRY)
    machine.reset()
