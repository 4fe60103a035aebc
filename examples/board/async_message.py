# Messages go on inside of the program as they came: by topic, to who has subscribed. "on" and "off" for "red_topic" and
# "blue_topic" switch LEDs. The Broker here is as much as this takes; that of the `primitives` of micropython-async does more
# and may take its place.
#     import mqtt_as.async_message
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led


class Broker:
    def __init__(self):
        self._agents = {}  # By topic: [(function, arguments)]

    def subscribe(self, topic, agent, *args):
        self._agents.setdefault(topic, []).append((agent, args))

    def publish(self, topic, message):
        for agent, args in self._agents.get(topic, ()):
            result = agent(topic, message, *args)
            if hasattr(result, "send"):  # A coroutine
                asyncio.create_task(result)


def led_handler(topic, message, led):
    print(topic, message)
    led(message == "on")


async def count(topic, message):
    await asyncio.sleep(0)
    print("A coroutine may take them, too:", topic)


broker = Broker()
broker.subscribe("red_topic", led_handler, wifi_led)
broker.subscribe("blue_topic", led_handler, blue_led)
broker.subscribe("blue_topic", count)


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe(["red_topic", "blue_topic"], 1)
        print("Connected")


async def main(client):
    await client.connect()
    asyncio.create_task(up(client))
    async for topic, msg, _ in client.queue:
        broker.publish(topic.decode(), msg.decode())


config["queue_len"] = 4
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
