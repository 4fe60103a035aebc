# A board that sleeps most of the time: it wakes, publishes a reading, takes what came for "foo_topic" meanwhile, and sleeps.
# The broker keeps the session. disconnect() keeps the will back: it tells of crashes only.
#     import mqtt_as.lptest_min
import asyncio
import sys
import time

import machine
from mqtt_as import MQTTClient
from mqtt_local import blue_led, config

TEST = False  # True: USB stays up, the board waits and starts anew in place of sleeping
SLEEP = 60  # Seconds
RETRY = 30  # Seconds of sleep after a failure
LISTEN = 1  # Seconds in which messages are waited for


def reading():
    return machine.ADC(machine.Pin(34)).read_u16()  # A light sensor, say


def message(topic, msg, retained):
    print("Topic: %s Message: %s" % (topic.decode(), msg.decode()))
    blue_led(True)


async def main(client):
    await client.connect(quick=True)  # It need not be seen first whether Wi-Fi stays up
    if not client.session_present:
        await client.subscribe("foo_topic", 1)
    await client.publish("result", str(reading()), qos=1, timeout=10)
    await asyncio.sleep(LISTEN)
    await client.disconnect()


def sleep(seconds):
    print("Sleep", seconds)
    blue_led(False)
    if TEST:
        time.sleep(seconds)
        machine.soft_reset()
    machine.deepsleep(seconds * 1000)


config["subs_cb"] = message
config["will"] = ("result", "The board has crashed", False, 0)
config["clean_init"] = False  # The broker has messages for us from before we slept
config["clean"] = False
client = MQTTClient(config)
seconds = RETRY
try:
    asyncio.run(main(client))
    seconds = SLEEP
except (OSError, asyncio.TimeoutError) as e:
    sys.print_exception(e)
finally:
    client.close()
sleep(seconds)
