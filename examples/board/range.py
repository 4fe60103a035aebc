# How far does the Wi-Fi reach? Carry the board around: its LED is lit while it is connected, and the count that it
# publishes as "result" tells of outages. Messages for "foo_topic" are printed and blink the other LED.
#     import mqtt_as.range
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led

PERIOD = 5  # Seconds
outages = 0


async def blink():
    blue_led(True)
    await asyncio.sleep(1)
    blue_led(False)


async def messages(client):
    async for topic, msg, retained in client.queue:
        print("Topic: %s Message: %s Retained: %s" % (topic.decode(), msg.decode(), retained))
        asyncio.create_task(blink())


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        wifi_led(True)
        await client.subscribe("foo_topic", 1)
        print("Connected")


async def down(client):
    global outages
    while True:
        await client.down.wait()
        client.down.clear()
        wifi_led(False)
        outages += 1
        print("Disconnected")


async def main(client):
    await client.connect()  # OSError: no Wi-Fi or no broker
    for task in (up, down, messages):
        asyncio.create_task(task(client))
    n = 0
    while True:
        print("Publish", n)
        # This waits while there is no connection
        await client.publish("result", "%d repeats: %d outages: %d" % (n, client.REPUB_COUNT, outages), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["queue_len"] = 4
config["keepalive"] = 30
config["will"] = ("result", "The board is gone", False, 0)
MQTTClient.DEBUG = True
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
