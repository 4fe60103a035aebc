# MicroPython: publishes the numbers from 0 on, ten a second. Arguments: host, port, how many.
import asyncio
import sys

from mqtt_as import MQTTClient, config

config["server"] = sys.argv[1]
config["port"] = int(sys.argv[2])
config["client_id"] = "publisher"
config["queue_len"] = 1  # Use the event interface


async def publish(client, n):
    print("publisher publishes", n)
    # Retained, for a subscriber that is away for a moment. Returns when the broker has confirmed it.
    await client.publish("demo/number/%d" % n, str(n), retain=True, qos=1)
    print("publisher confirmed", n)


async def watch(event, word):
    while True:
        await event.wait()
        event.clear()
        print("publisher", word)


async def main(client, count):
    await client.connect()
    watchers = [asyncio.create_task(watch(client.up, "up")), asyncio.create_task(watch(client.down, "down"))]
    publications = []
    for n in range(count):
        # A task each: those of an outage wait for its end, side by side.
        publications.append(asyncio.create_task(publish(client, n)))
        if client.isconnected():
            print("publisher ticks", n)
            await client.publish("demo/tick", str(n), qos=0)
        await asyncio.sleep_ms(100)
    await asyncio.gather(*publications)
    for task in watchers:
        task.cancel()
    await client.disconnect()


client = MQTTClient(config)
try:
    asyncio.run(main(client, int(sys.argv[3])))
finally:
    client.close()
