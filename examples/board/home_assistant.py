# Home Assistant finds this board by itself: a temperature and a switch, with what is needed for "unavailable".
#     import mqtt_as.home_assistant
import asyncio
import json

import machine
from mqtt_as import MQTTClient
from mqtt_local import blue_led, config

PERIOD = 30  # Seconds
NAME = "Greenhouse"
ID = "mqtt_as_" + config["client_id"].decode()
HERE = "greenhouse/"  # Topics of this board

device = {"identifiers": [ID], "name": NAME}
entities = {
    "sensor/%s/temperature": {
        "name": "Temperature",
        "device_class": "temperature",
        "state_class": "measurement",
        "unit_of_measurement": "°C",
        "state_topic": HERE + "temperature",
    },
    "switch/%s/pump": {
        "name": "Pump",
        "state_topic": HERE + "pump",
        "command_topic": HERE + "pump/set",
    },
}


async def introduce(client):
    for path, entity in entities.items():
        path %= ID
        entity.update(unique_id=path.replace("/", "_"), device=device, availability_topic=HERE + "status")
        await client.publish("homeassistant/%s/config" % path, json.dumps(entity), retain=True, qos=1)
    await client.publish(HERE + "status", "online", retain=True, qos=1)
    await show_pump(client)


async def show_pump(client):
    await client.publish(HERE + "pump", "ON" if blue_led() else "OFF", retain=True, qos=1)


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe([HERE + "pump/set", "homeassistant/status"], 1)
        await introduce(client)
        print("Introduced")


async def messages(client):
    async for topic, msg, _ in client.queue:
        if topic == b"homeassistant/status":
            if msg == b"online":  # It has been started anew
                await introduce(client)
        else:
            blue_led(msg == b"ON")  # The pump
            print("Pump", msg.decode())
            await show_pump(client)


def temperature():
    return machine.ADC(machine.Pin(32)).read_u16() / 1000  # Of your sensor


async def main(client):
    await client.connect()
    asyncio.create_task(up(client))
    asyncio.create_task(messages(client))
    while True:
        await client.publish(HERE + "temperature", "%.1f" % temperature())
        await asyncio.sleep(PERIOD)


config["queue_len"] = 4
config["will"] = (HERE + "status", "offline", True, 1)
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
