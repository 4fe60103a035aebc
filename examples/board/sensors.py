# Several sensors, many readings in one message, and no more than the RAM holds: while there is no connection readings gather,
# and when there is no more room every other one goes, so that the whole outage is kept, more coarsely.
#     import mqtt_as.sensors
import asyncio
import json
import time

from machine import ADC, Pin
from mqtt_as import MQTTClient
from mqtt_local import config

PERIOD = 1  # Seconds between readings
TOGETHER = 5  # Readings in a message, at most
ROOM = 60  # Readings kept, at most

light = ADC(Pin(32))
battery = ADC(Pin(33))
readings = []  # [seconds, light, battery], the oldest first


async def measure():
    while True:
        if len(readings) == ROOM:
            readings[:] = readings[::2]
        readings.append([time.time(), light.read_u16(), battery.read_u16()])
        await asyncio.sleep(PERIOD)


async def main(client):
    await client.connect()
    asyncio.create_task(measure())
    while True:
        while len(readings) < TOGETHER:
            await asyncio.sleep(PERIOD)
        some = readings[:TOGETHER]
        del readings[:TOGETHER]
        # It returns when the broker has them: that holds this task, and not the one that measures
        await client.publish("sensors", json.dumps(some), qos=1)
        print("Published %d readings, %d wait" % (len(some), len(readings)))


client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
