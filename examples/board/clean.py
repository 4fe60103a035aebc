# Callbacks, and a clean session: what is published for "foo_topic" while the board is away is lost.
#     import mqtt_as.clean
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led

PERIOD = 5  # Seconds


def message(topic, msg, retained):
    print("Topic: %s Message: %s Retained: %s" % (topic.decode(), msg.decode(), retained))
    blue_led(not blue_led())


async def network(up):
    wifi_led(up)
    print("Connected" if up else "Disconnected")


async def connected(client):  # Each time anew: the broker has forgotten the subscriptions
    await client.subscribe("foo_topic", 1)


async def main(client):
    await client.connect()
    n = 0
    while True:
        print("Publish", n)
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["subs_cb"] = message
config["wifi_coro"] = network
config["connect_coro"] = connected
config["clean"] = True
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
