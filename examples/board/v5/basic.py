# MQTT 5: user properties go with each message, and come back with it.
#     import mqtt_as.v5.basic
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import config

PERIOD = 5  # Seconds


async def messages(client):
    async for topic, msg, retained, properties in client.queue:
        print("Topic: %s Message: %s Retained: %s" % (topic.decode(), msg.decode(), retained))
        print("Properties:", properties)


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe("foo_topic", 1)


async def main(client):
    await client.connect()
    print("The broker says", client.connack_properties)
    asyncio.create_task(up(client))
    asyncio.create_task(messages(client))
    n = 0
    while True:
        await asyncio.sleep(PERIOD)
        # 0x26: user properties, 0x02: seconds after which it is of no use any more, 0x03: content type
        properties = {0x26: {"board": "kitchen", "count": str(n)}, 0x02: 60, 0x03: "text/plain"}
        await client.publish("foo_topic", "count %d" % n, qos=1, properties=properties)
        n += 1


config["mqttv5"] = True
config["mqttv5_con_props"] = {0x11: 3600}  # The broker keeps the session for an hour
config["clean"] = False
config["queue_len"] = 4
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
