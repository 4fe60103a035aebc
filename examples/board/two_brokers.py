# Two clients in one program: what comes for "house/#" from the broker in the house goes on to one elsewhere. Each has its own
# connection and its own outages; what cannot be sent on yet waits in the queue, and the oldest goes first.
#     import mqtt_as.two_brokers
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import config, elsewhere

# elsewhere, in mqtt_local.py: the settings that differ, as
#     elsewhere = {"server": "broker.example.com", "user": "me", "password": "secret", "ssl": True}


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe("house/#", 1)
        print("Connected to", client.server)


async def main(house, other):
    await house.connect()
    asyncio.create_task(up(house))
    await other.connect()
    async for topic, msg, retained in house.queue:
        await other.publish(topic, msg, retained, qos=1)
        print("Sent on:", topic.decode())


config["queue_len"] = 20
house = MQTTClient(config)
other = MQTTClient(dict(config, queue_len=0, **elsewhere))
try:
    asyncio.run(main(house, other))
finally:
    other.close()
    house.close()
