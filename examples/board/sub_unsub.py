# Subscriptions that come and go: "on" for "sub_topic" subscribes to "foo_topic", "off" ends that.
#     import mqtt_as.sub_unsub
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import config

wanted = False  # What holds after an outage, too


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe("sub_topic", 1)
        if wanted:
            await client.subscribe("foo_topic", 1)
        print("Connected")


async def main(client):
    global wanted
    await client.connect()
    asyncio.create_task(up(client))
    async for topic, msg, _ in client.queue:
        if topic == b"sub_topic":
            wanted = msg == b"on"
            if wanted:
                await client.subscribe("foo_topic", 1)
            else:
                await client.unsubscribe("foo_topic")
            print("Subscribed" if wanted else "Unsubscribed")
        else:
            print(topic.decode(), msg.decode())


config["queue_len"] = 8
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
