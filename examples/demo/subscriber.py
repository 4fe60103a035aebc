# MicroPython: prints what it receives, until it is stopped. Arguments: host, port.
import asyncio
import sys

from mqtt_as import MQTTClient, config

config["server"] = sys.argv[1]
config["port"] = int(sys.argv[2])
config["client_id"] = "subscriber"
config["queue_len"] = 200  # Room for all that is retained, which comes at once


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        print("subscriber up")
        # A broker that was killed has forgotten the subscriptions
        await client.subscribe("demo/number/+", 1)
        await client.subscribe("demo/tick", 0)
        print("subscriber subscribed")


async def down(client):
    while True:
        await client.down.wait()
        client.down.clear()
        print("subscriber down")


async def main(client):
    for watch in (up, down):
        asyncio.create_task(watch(client))
    await client.connect()
    async for topic, message, _retained in client.queue:
        what = "tick" if topic == b"demo/tick" else "number"
        print("subscriber received", what, message.decode())


client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
