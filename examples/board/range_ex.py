# As range.py, and with each count the signal strength (dBm), the free RAM (bytes) and how long the last outage was (s).
#     import mqtt_as.range_ex
import asyncio
import gc
import time

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led

PERIOD = 5  # Seconds
outages = 0
longest = 0  # Seconds


def rssi(client):
    try:
        return client._sta_if.status("rssi")
    except (OSError, TypeError, ValueError):  # Not every network has one
        return None


async def messages(client):
    async for topic, msg, retained in client.queue:
        print("Topic: %s Message: %s Retained: %s" % (topic.decode(), msg.decode(), retained))
        blue_led(not blue_led())


async def watch(client):
    global outages, longest
    while True:
        await client.up.wait()
        client.up.clear()
        wifi_led(True)
        await client.subscribe("foo_topic", 1)
        print("Connected")
        await client.down.wait()
        client.down.clear()
        wifi_led(False)
        print("Disconnected")
        outages += 1
        since = time.time()
        await client.up.wait()
        longest = max(longest, time.time() - since)


async def main(client):
    await client.connect()
    asyncio.create_task(watch(client))
    asyncio.create_task(messages(client))
    n = 0
    while True:
        gc.collect()
        report = "%d repeats: %d outages: %d longest: %ds rssi: %s dB free: %d bytes discarded: %d"
        report %= n, client.REPUB_COUNT, outages, longest, rssi(client), gc.mem_free(), client.queue.discards
        print("Publish", report)
        await client.publish("result", report, qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["queue_len"] = 4
config["keepalive"] = 30
config["will"] = ("result", "The board is gone", False, 0)
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
