# MQTT 5 with callbacks: they have a fourth argument, a dict of the message's properties or None.
#     import mqtt_as.v5.cbtest
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led

PERIOD = 5  # Seconds


def message(topic, msg, retained, properties=None):  # Fits 3.1.1, too
    print("Topic: %s Message: %s Retained: %s Properties: %s" % (topic.decode(), msg.decode(), retained, properties))
    blue_led(not blue_led())


async def network(up):
    wifi_led(up)
    print("Connected" if up else "Disconnected")


async def connected(client):
    # 0x0B: comes with each message of this subscription
    await client.subscribe("foo_topic", 1, {0x0B: 7})


async def main(client):
    await client.connect()
    n = 0
    while True:
        await client.publish("result", str(n), qos=1, properties={0x26: {"board": "kitchen"}})
        print("Publish", n, "reason code 0x%02x" % await client.publish("foo_topic", str(n), qos=1))
        n += 1
        await asyncio.sleep(PERIOD)


config["mqttv5"] = True
config["subs_cb"] = message
config["wifi_coro"] = network
config["connect_coro"] = connected
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
