# MQTT 5: a question to another board, and its answer. The question names the topic for the answer (0x08) and a number (0x09)
# that comes back with it, so that several can be under way. Here one board plays both parts; elsewhere two programs would.
#     import mqtt_as.v5.request
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import config

ANSWERS = "answers/%s" % config["client_id"].decode()  # A topic of this client's own
waiting = {}  # By number: [event, answer]
numbers = 0


async def ask(client, topic, question, seconds=5):
    global numbers
    numbers += 1
    number = numbers.to_bytes(2, "big")
    waiting[number] = entry = [asyncio.Event(), None]
    try:
        await client.publish(topic, question, qos=1, properties={0x08: ANSWERS, 0x09: number})
        await asyncio.wait_for(entry[0].wait(), seconds)
        return entry[1]
    finally:
        del waiting[number]


async def answer(client, question, properties):
    text = question.decode().upper()
    await client.publish(properties[0x08], text, qos=1, properties={0x09: properties[0x09]})


async def messages(client):
    async for topic, msg, _, properties in client.queue:
        if topic.decode() == ANSWERS:
            entry = waiting.get(properties and properties.get(0x09))
            if entry:  # Else it came too late
                entry[1] = msg.decode()
                entry[0].set()
        elif properties and 0x08 in properties and 0x09 in properties:
            asyncio.create_task(answer(client, msg, properties))


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe(["questions", ANSWERS], 1)


async def main(client):
    await client.connect()
    await client.subscribe(["questions", ANSWERS], 1)
    asyncio.create_task(up(client))
    asyncio.create_task(messages(client))
    for question in ("one", "two"):
        print(question, "->", await ask(client, "questions", question))
    try:
        await ask(client, "nobody", "hello", 1)
    except asyncio.TimeoutError:
        print("nobody answers")
    await client.disconnect()


config["mqttv5"] = True
config["queue_len"] = 8
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
